//! Feeds `tree` bytes to their reader.
#![no_main]

use holdfast_fuzz as _;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_vault::fuzzing::tree(bytes));
