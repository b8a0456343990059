//! The archives that fuzzing has kept, and mutations of them, tried on their readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../vault/fuzz/src/archive.rs"]
mod archive;
#[path = "../../vault/fuzz/src/corpus.rs"]
mod corpus;

const FUZZ: &str = "../vault/fuzz";

#[test]
fn an_archives_table_of_contents() {
    corpus::survives(env!("CARGO_MANIFEST_DIR"), FUZZ, "archive", archive::archive);
}

#[test]
fn the_index_of_a_dump() {
    corpus::survives(env!("CARGO_MANIFEST_DIR"), FUZZ, "dump_index", archive::dump_index);
}
