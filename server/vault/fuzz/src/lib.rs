//! What the fuzz targets share: a bound on memory, and the reading of PostgreSQL's archives.

pub mod archive;

use std::alloc::System;

use cap::Cap;

/// A reader that asks for more than this ends the run: no number that it reads may make it do so.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 384 << 20);
