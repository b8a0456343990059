//! One table put back out of a checkpoint.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How a table is put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TableMode {
    /// Rows that are missing come back, and columns that are gone with their values; all else stays as it is.
    #[default]
    Insert,
    /// Rows that are missing come back, and those of the same key get the values that they had; newer ones stay.
    Overwrite,
    /// The whole table as it was: rows that came since go, and its structure comes back too.
    Replace,
}

impl TableMode {
    /// From what destroys nothing to what destroys most.
    pub const ALL: [Self; 3] = [Self::Insert, Self::Overwrite, Self::Replace];

    /// As in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Overwrite => "overwrite",
            Self::Replace => "replace",
        }
    }
}

impl FromStr for TableMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is no mode; choose insert, overwrite or replace"))
    }
}

/// A table of a database. As text it is `schema.table`, with quotation marks around what is no plain word; a name
/// alone is one of `public`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its own name.
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |name: &str| match name.contains(['.', '"', '\n']) || name.trim() != name || name.is_empty() {
            true => format!("\"{}\"", name.replace('"', "\"\"")),
            false => name.to_owned(),
        };
        write!(f, "{}.{}", part(&self.schema), part(&self.table))
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no table; write schema.table, with quotation marks around odd names");
        let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
        let mut letters = text.trim().chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => part.extend(letters.next()),
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(std::mem::take(&mut part)),
                letter => part.push(letter),
            }
        }
        parts.push(part);
        if quoted || parts.iter().any(String::is_empty) {
            return Err(wrong());
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(table), None, None) => Ok(Self { schema: "public".to_owned(), table }),
            (Some(schema), Some(table), None) => Ok(Self { schema, table }),
            _ => Err(wrong()),
        }
    }
}

/// What stands between a table as it was and as it is, before anything of it is touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableReport {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether there is such a table now.
    pub exists: bool,
    /// The primary key that both have; empty if there is none.
    pub key: Vec<String>,
    /// Rows that it had.
    pub then: u64,
    /// Rows that it has.
    pub now: u64,
    /// Rows whose key was there only then; without a key, whole rows.
    pub only_then: u64,
    /// Rows whose key is there only now.
    pub only_now: u64,
    /// Rows of one key with other values in the columns that both have.
    pub changed: u64,
    /// What of the structure is not as it was: `+` is missing now, `-` is new.
    pub structure: Vec<String>,
    /// Foreign keys that would break.
    pub broken: Vec<BrokenReference>,
    /// Modes that cannot be carried out, and why.
    pub refused: BTreeMap<TableMode, Vec<String>>,
    /// What a person should read.
    pub warnings: Vec<String>,
}

/// Rows that would refer to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BrokenReference {
    /// The foreign key's name.
    pub constraint: String,
    /// The table whose rows would refer to nothing.
    pub from: String,
    /// The table that they refer to.
    pub to: String,
    /// How many rows.
    pub rows: u64,
    /// Whether the foreign key is the restored table's own.
    pub out: bool,
    /// Whether the table that is referred to is put back by the same restore, before this one.
    #[serde(default)]
    pub comes_back: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::TableName;

    #[test]
    fn a_table_is_named_with_its_schema_and_its_quotes() {
        let name = |schema: &str, table: &str| TableName { schema: schema.into(), table: table.into() };
        for (text, named) in [
            ("orders", name("public", "orders")),
            (" app.orders ", name("app", "orders")),
            ("app.order lines", name("app", "order lines")),
            ("\"My.App\".\"a \"\"b\"\"\"", name("My.App", "a \"b\"")),
            ("app.\" x\"", name("app", " x")),
        ] {
            assert_eq!(text.parse::<TableName>().unwrap(), named);
            assert_eq!(named.to_string().parse::<TableName>().unwrap(), named, "{named}");
        }
        for bad in ["", ".", "a.b.c", "\"a", "a."] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
    }
}
