//! Feeds `archive` bytes to their reader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::archive::archive(bytes));
