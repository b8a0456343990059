//! The `holdfast` program: everything it does lies in the library, so that tests reach it through the same doors.

fn main() -> std::process::ExitCode {
    holdfast::cli::main()
}
