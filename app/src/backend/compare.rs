//! What the pages of a comparison ask for, and what they are given.

use holdfast_model::{diff::Diff, view::CheckpointSummary};
use time::OffsetDateTime;

use super::RunPage;

/// Two checkpoints, each by its id or by what else names one. What is told is always second minus first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pair {
    /// The first.
    pub first: String,
    /// The second.
    pub second: String,
}

/// Which two are meant, as far as the address says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The first; the one before the second where it is not named.
    pub first: Option<String>,
    /// The second, or the run that takes it; the newest of the environment where it is not named.
    pub second: Option<String>,
    /// Two that were ticked in a list: the older one is the first.
    pub picked: Vec<String>,
}

/// One folder of a component's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderAsked {
    /// The component's name.
    pub component: String,
    /// The folder below the component, as text.
    pub path: Option<String>,
    /// Its bytes in hexadecimal, where they are not text.
    pub raw: Option<String>,
}

/// One file of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAsked {
    /// The two checkpoints.
    pub pair: Pair,
    /// The component's name.
    pub component: String,
    /// The path below the component, as text.
    pub path: Option<String>,
    /// Its bytes in hexadecimal, where they are not text.
    pub raw: Option<String>,
}

/// The changed rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableAsked {
    /// The two checkpoints.
    pub pair: Pair,
    /// The component's name.
    pub component: String,
    /// The table's schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// How many rows have been seen already.
    pub after: u64,
}

/// The two values of one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueAsked {
    /// The two checkpoints.
    pub pair: Pair,
    /// The component's name.
    pub component: String,
    /// The variable's name.
    pub variable: String,
}

/// The page of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparePage {
    /// When it was read; ages are counted from here.
    pub now: OffsetDateTime,
    /// What differs.
    pub diff: Diff,
    /// Whether changed rows are still being counted.
    pub counting: bool,
    /// The checkpoints that can be chosen: those of the second one's environment, newest first.
    pub choices: Vec<CheckpointSummary>,
}

/// A comparison, or the run that takes the second of the two.
#[derive(Debug, Clone, PartialEq)]
pub enum CompareData {
    /// The second is being taken.
    Waiting {
        /// The id of the first.
        first: String,
        /// The run.
        live: Box<RunPage>,
    },
    /// Both are there.
    Ready(Box<ComparePage>),
}
