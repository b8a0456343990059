//! `FAULTS.md`: what the long form tried, and what it found. Each part leaves a row when it has passed; when all are
//! there, `make test-faults` has them put together.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use time::OffsetDateTime;

/// The rows, in the order in which they are told.
const ROWS: [(&str, &str); 14] = [
    ("power", "Lost power"),
    ("errors", "The n-th call fails"),
    ("target", "The n-th call fails, restore's target"),
    ("space", "Full disk"),
    ("kill-points", "kill -9 at a call"),
    ("kill-moments", "kill -9 at any moment"),
    ("stopped-writer", "A writer stands still"),
    ("stopped-server", "A server stands still"),
    ("stopped-prune", "A prune stands still"),
    ("prune-fails", "Prune, storage fails"),
    ("prune-lost", "Prune, answer lost"),
    ("prune-dies", "Prune, storage gone"),
    ("damage", "Damage"),
    ("s3", "S3"),
];

/// What one part of the suite did. It only gets here if nothing was lost, changed or wrong.
pub struct Row {
    /// One of `ROWS`.
    pub part: &'static str,
    pub what: String,
    pub count: usize,
}

/// Which form of the suite runs: none (short), `full`, `report` and `fuzz` (putting figures together).
pub fn form() -> String {
    std::env::var("HOLDFAST_FAULTS").unwrap_or_default()
}

/// Whether this is the long form.
pub fn is_full() -> bool {
    form() == "full"
}

/// Where the rows lie until they are put together.
fn rows() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults")
}

pub fn report(row: &Row) {
    assert!(ROWS.iter().any(|(part, _)| *part == row.part), "{}", row.part);
    println!("{}: {} × {}", row.part, row.count, row.what);
    if is_full() {
        fs::create_dir_all(rows()).unwrap();
        fs::write(rows().join(row.part), format!("{}\n{}", row.count, row.what)).unwrap();
    }
}

/// First line of what a program says.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("not there").trim().to_owned()
}

/// The day and the state of the source, as a line for people.
pub fn the_day() -> String {
    format!("{}, commit {}", OffsetDateTime::now_utc().date(), said("git", &["rev-parse", "--short", "HEAD"]))
}

/// The machine, as a line for people.
pub fn the_machine() -> String {
    let find = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (processor, memory) = (find("/proc/cpuinfo", "model name"), find("/proc/meminfo", "MemTotal"));
    format!("{cores} cores of {processor}, {memory} of memory, Linux {}", said("uname", &["-r"]))
}

/// Puts the figures together: the last step of `make test-faults`, and else nothing.
pub fn put_together(restics: &[PathBuf]) {
    if form() != "report" {
        return;
    }
    let mut table = String::new();
    for (part, title) in ROWS {
        let row = fs::read_to_string(rows().join(part)).unwrap_or_else(|_| panic!("{part} has not passed"));
        let (count, what) = row.split_once('\n').unwrap();
        writeln!(table, "| {title} | {what} | {count} | 0 | 0 | 0 |").unwrap();
    }
    let restics: Vec<String> = restics
        .iter()
        .map(|restic| said(restic.to_str().unwrap(), &["version"]))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let text = format!(
        "# What the vault was put through\n\n\
         Written by `make test-faults`, never by hand; a part that finds anything fails, and then nothing is written. The \
         short form of all of it runs in `make test`.\n\n\
         - {day}\n- {machine}\n- {rustc}; looked at by {restics} too\n- seed {seed}\n\n\
         | fault | what | times | lost | changed | wrong |\n|---|---|---:|---:|---:|---:|\n{table}\n\
         *Lost*: a sealed snapshot that is not there. *Changed*: one that does not restore bit for bit, or whose check of \
         all data is not clean. *Wrong*: a seal that is not there, an error that is not said to be what it is, a next run \
         that needs help, bytes that are given out and are not those that were put in.\n",
        day = the_day(),
        machine = the_machine(),
        rustc = said("rustc", &["--version"]),
        restics = restics.join(" and "),
        seed = std::env::var("HOLDFAST_SEED").unwrap_or_else(|_| "20261121".into()),
    );
    put_in(Part::Faults, &text);
}

/// The two halves of the file; each is written alone, and the other one stays as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Faults,
    Fuzzing,
}

/// What stands between them.
const BETWEEN: &str = "\n## Fuzzing\n\n";

pub fn put_in(part: Part, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("FAULTS.md");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let (faults, fuzzing) = before.split_once(BETWEEN).unwrap_or((&before, ""));
    let (faults, fuzzing) = match part {
        Part::Faults => (text, fuzzing),
        Part::Fuzzing => (faults, text),
    };
    let between = if fuzzing.is_empty() { "" } else { BETWEEN };
    fs::write(file, format!("{faults}{between}{fuzzing}")).unwrap();
}
