//! The `holdfast` program: everything it does lies in the library, so that tests reach it through the same doors.

/// Memory that a checkpoint has used goes back to the system when it is done.
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    holdfast::cli::main()
}
