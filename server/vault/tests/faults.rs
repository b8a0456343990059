//! The fault suite: everything that can happen to a vault in the middle of its work. Short here, long by
//! `make test-faults`, which writes its figures to `FAULTS.md`; those of `make fuzz` stand there too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]

#[path = "faults/damage.rs"]
mod damage;
#[path = "faults/errors.rs"]
mod errors;
#[path = "faults/fuzzing.rs"]
mod fuzzing;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/life.rs"]
mod life;
#[path = "support/memory.rs"]
mod memory;
#[path = "faults/platter.rs"]
mod platter;
#[path = "faults/power.rs"]
mod power;
#[path = "faults/report.rs"]
mod report;
#[path = "faults/space.rs"]
mod space;
#[path = "faults/stopped.rs"]
mod stopped;
#[path = "support/lib.rs"]
mod support;
#[path = "faults/tap.rs"]
mod tap;
#[path = "faults/target.rs"]
mod target;
#[path = "faults/victim.rs"]
mod victim;

/// Not a test: the last step of the long form, and of `make fuzz`.
#[test]
fn figures() {
    report::put_together(&life::restics());
    fuzzing::put_together();
}
