//! The part of `FAULTS.md` that `make fuzz` writes: what each reader was given, by the figures that `.ci/fuzz` left.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::report::{Part, form, put_in, the_day, the_machine};

/// The targets, each with what it reads.
const TARGETS: [(&str, &str); 11] = [
    ("pack", "the header of a pack"),
    ("blob", "a blob, packed or not"),
    ("document", "the outside of an index, a snapshot or a lock"),
    ("index", "an index"),
    ("tree", "a directory"),
    ("snapshot", "a snapshot"),
    ("lock", "a lock"),
    ("config", "`config`"),
    ("key", "a key file and what lies in one"),
    ("archive", "a PostgreSQL archive in custom format"),
    ("dump_index", "the index of a dump"),
];

/// Puts the figures together: the last step of `make fuzz`, and else nothing.
pub fn put_together() {
    if form() != "fuzz" {
        return;
    }
    let mut table = String::new();
    for (target, what) in TARGETS {
        let figures = fs::read_to_string(Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target));
        let figures = figures.unwrap_or_else(|_| panic!("{target} has not come to its end"));
        let figures: Vec<u64> = figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        let [seconds, tried, memory] = figures[..] else { panic!("{target}: {figures:?}") };
        let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/found").join(target);
        let mended = fs::read_dir(found).map_or(0, Iterator::count);
        let minutes = seconds / 60;
        writeln!(table, "| {what} (`{target}`) | {minutes} | {tried} | {memory} | 0 | {mended} |").unwrap();
    }
    let text = format!(
        "Written by `make fuzz`, never by hand: bytes that nobody would write, on everything that reads what lies in a \
         vault. A reader that panics, stands still for 5 s, asks for more than 384 MiB, or does not hold to what must hold \
         for all bytes ends it, and then nothing is written. Corpora and mutations of them run in `make test`.\n\n\
         - {day}\n- {machine}\n\n\
         | read | minutes | inputs tried | memory at most, MB | broke it | broke it once, mended and kept |\n\
         |---|---:|---:|---:|---:|---:|\n{table}",
        day = the_day(),
        machine = the_machine(),
    );
    put_in(Part::Fuzzing, &text);
}
