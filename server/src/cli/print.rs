//! How facts look on a terminal or in a pipe: tables, times, sizes, the steps of a run, the page of a checkpoint.

pub mod checkpoint;
pub mod diff;
pub mod plan;
pub mod steps;
pub mod table;
pub mod text;
pub mod times;
