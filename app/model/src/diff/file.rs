//! One file opened: what a page draws as one column or as two.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// `GET …/diff/{second}/file`: one file in both checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileView {
    /// Its path below the component; bytes that are not UTF-8 as `\xNN`.
    pub path: String,
    /// In the first one, if it is there.
    pub before: Option<FileFacts>,
    /// In the second one, if it is there.
    pub after: Option<FileFacts>,
    /// What is not the same.
    pub body: FileBody,
}

/// One side of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileFacts {
    /// `file`, `dir`, `symlink`, …
    pub kind: String,
    /// Bytes of a file; 0 of all else.
    pub size: u64,
    /// Permission bits: `0644`.
    pub mode: String,
    /// `user:group`, as names where they were known; none in a repository.
    pub owner: Option<String>,
    /// When its content was last changed; none in a repository.
    #[serde(with = "time::serde::rfc3339::option")]
    pub modified: Option<OffsetDateTime>,
    /// How its text was read, where it is not UTF-8: `UTF-16LE`, `UTF-16BE`, `Latin-1`. What cannot be read so is shown
    /// as `�`.
    pub encoding: Option<String>,
}

/// What is not the same in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum FileBody {
    /// Text, or the target of a link.
    Text {
        /// The language that its colours are of.
        language: Option<String>,
        /// With three lines around each change; none where the content is equal.
        hunks: Vec<Hunk>,
        /// Lines of hunks beyond the most that are shown.
        more: u64,
    },
    /// It is not text.
    Binary {
        /// The first byte that differs, counted from 0; none where the content is equal or only one side has it.
        differs: Option<u64>,
    },
    /// It is longer than what is compared line by line.
    TooLarge {
        /// The most bytes of a side.
        most: u64,
        /// The first byte that differs, counted from 0; none where the content is equal or only one side has it.
        differs: Option<u64>,
    },
    /// The comparison was given up.
    TimedOut {
        /// After this many milliseconds.
        after_ms: u64,
    },
    /// No side has content: directories, devices, …
    Nothing,
}

/// Lines that stand together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Hunk {
    /// The number of its first line in the first one, from 1; where it has no line there, the one before it.
    pub before_start: u32,
    /// The same in the second one.
    pub after_start: u32,
    /// In order; of lines in the same place, those of the first one come first.
    pub lines: Vec<DiffLine>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DiffLine {
    /// Which side has it.
    pub change: LineChange,
    /// Its number in the first one, from 1.
    pub before: Option<u32>,
    /// Its number in the second one, from 1.
    pub after: Option<u32>,
    /// Its text without the line end, in pieces. Characters that steer rather than show are written as pictures (`␛`) or
    /// as `\u{202E}`; what is left out of a very long line is `…`.
    pub spans: Vec<Span>,
    /// How it ends.
    #[serde(default, skip_serializing_if = "LineEnd::is_usual")]
    pub end: LineEnd,
}

/// Which side has a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineChange {
    /// Both.
    Equal,
    /// The second.
    Added,
    /// The first.
    Removed,
}

/// How a line ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// With a line feed.
    #[default]
    Lf,
    /// With carriage return and line feed.
    Crlf,
    /// Not at all: the file ends here.
    None,
}

impl LineEnd {
    /// Whether nothing needs to be said of it.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub const fn is_usual(&self) -> bool {
        matches!(self, Self::Lf)
    }
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Span {
    /// Its text.
    pub text: String,
    /// What it is in its language: one of [`Span::CLASSES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether it is what differs from the line that it replaces or is replaced by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked: bool,
}

impl Span {
    /// Every class that a piece can have.
    pub const CLASSES: [&'static str; 12] = [
        "comment",
        "string",
        "number",
        "constant",
        "keyword",
        "operator",
        "function",
        "type",
        "tag",
        "attribute",
        "variable",
        "heading",
    ];
}
