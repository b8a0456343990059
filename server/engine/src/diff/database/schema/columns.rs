//! The columns and clauses of two definitions of one table, or of one composite type.

use std::collections::BTreeMap;

use super::{
    super::sql::{self, Token},
    details,
};

/// Words with which the part of a column's definition behind its type begins.
const PARTS: [&str; 8] = ["COLLATE", "DEFAULT", "GENERATED", "NOT", "CONSTRAINT", "CHECK", "OPTIONS", "STORAGE"];
/// Words with which a line of a table's definition begins that is no column.
const NO_COLUMN: [&str; 7] = ["CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "EXCLUDE", "FOREIGN", "LIKE"];
/// Words with which what follows the columns is divided.
const CLAUSES: [&str; 7] = ["INHERITS", "PARTITION", "USING", "WITH", "TABLESPACE", "SERVER", "OPTIONS"];

/// A column: its name, and each part of its definition with the text that stands there.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    parts: BTreeMap<String, String>,
}

/// A table's definition, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    /// `TABLE`, `UNLOGGED TABLE`, …
    sort: String,
    columns: Vec<Column>,
    /// By name.
    constraints: BTreeMap<String, String>,
    clauses: BTreeMap<String, String>,
    /// Statements behind it.
    rest: String,
}

/// The columns of a table's definition, each with the parts of its own; none if it cannot be taken apart.
pub(crate) fn columns_of(sql: &str) -> Option<Vec<(String, BTreeMap<String, String>)>> {
    Some(table(sql)?.columns.into_iter().map(|column| (column.name, column.parts)).collect())
}

/// Schema and name of the composite type whose columns a table has; none if it has columns of its own.
pub(crate) fn type_of(text: &str) -> Option<(String, String)> {
    let tokens = sql::tokens(text)?;
    let at = tokens.iter().position(|token| token.is("table"))?;
    let (_, _, rest) = sql::qualified(&tokens[at + 1..])?;
    let (schema, name, _) = rest.first().filter(|token| token.is("of")).and_then(|_| sql::qualified(&rest[1..]))?;
    Some((schema, name))
}

/// Phrases for what differs; none if either cannot be taken apart.
pub(super) fn of_tables(before: &str, after: &str) -> Option<Vec<String>> {
    let (one, other) = (table(before)?, table(after)?);
    let mut found = Vec::new();
    if one.sort != other.sort {
        found.push(format!("{} → {}", one.sort.to_lowercase(), other.sort.to_lowercase()));
    }
    found.extend(columns(&one.columns, &other.columns, "column"));
    found.extend(texts(&one.constraints, &other.constraints, "constraint "));
    found.extend(texts(&one.clauses, &other.clauses, ""));
    found.extend(details::statements(&one.rest, &other.rest)?);
    Some(found)
}

/// The same for `CREATE TYPE … AS (…)`.
pub(super) fn of_types(before: &str, after: &str) -> Option<Vec<String>> {
    let attributes = |text: &str| -> Option<Vec<Column>> {
        let tokens = sql::tokens(text)?;
        let at = tokens.windows(2).position(|pair| pair[0].is("as") && pair[1].sign('('))?;
        let (inside, _) = sql::within(&tokens[at + 1..])?;
        sql::divided(inside, ',').into_iter().map(|part| column(text, part)).collect()
    };
    Some(columns(&attributes(before)?, &attributes(after)?, "attribute"))
}

fn columns(before: &[Column], after: &[Column], what: &str) -> Vec<String> {
    let named = |all: &[Column], name: &str| all.iter().position(|column| column.name == name);
    let mut found = Vec::new();
    for column in before.iter().filter(|column| named(after, &column.name).is_none()) {
        found.push(format!("{what} {} removed ({})", column.name, whole(column)));
    }
    for column in after {
        let Some(at) = named(before, &column.name) else {
            found.push(format!("{what} {} added: {}", column.name, whole(column)));
            continue;
        };
        let parts = &before[at].parts;
        let names = parts.keys().chain(column.parts.keys().filter(|part| !parts.contains_key(*part)));
        for part in names.filter(|part| parts.get(*part) != column.parts.get(*part)) {
            let (one, other) = (parts.get(part), column.parts.get(part));
            let none = || "none".to_owned();
            let name = &column.name;
            found.push(match (part.as_str(), one, other) {
                ("type", Some(one), Some(other)) => format!("{what} {name}: {one} → {other}"),
                ("not null", None, _) => format!("{what} {name}: now not null"),
                ("not null", _, None) => format!("{what} {name}: may be null"),
                (part, one, other) => {
                    let (one, other) = (one.cloned().unwrap_or_else(none), other.cloned().unwrap_or_else(none));
                    format!("{what} {name}: {part} {one} → {other}")
                }
            });
        }
    }
    let order = |all: &[Column], others: &[Column]| -> Vec<String> {
        all.iter().filter(|column| named(others, &column.name).is_some()).map(|column| column.name.clone()).collect()
    };
    if order(before, after) != order(after, before) {
        found.push(format!("order of the {what}s: {}", order(after, before).join(", ")));
    }
    found
}

fn whole(column: &Column) -> String {
    let mut words = vec![column.parts.get("type").cloned().unwrap_or_default()];
    for (part, text) in column.parts.iter().filter(|(part, _)| *part != "type") {
        words.push(if text.is_empty() { part.clone() } else { format!("{part} {text}") });
    }
    words.join(" ")
}

fn texts(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        found.push(format!("{what}{name} removed ({text})"));
    }
    for (name, text) in after {
        match before.get(name) {
            None => found.push(format!("{what}{name} added: {text}")),
            Some(old) if old != text => found.push(format!("{what}{name}: {old} → {text}")),
            Some(_) => {}
        }
    }
    found
}

fn table(text: &str) -> Option<Table> {
    let tokens = sql::tokens(text)?;
    let at = tokens.iter().position(|token| token.is("table"))?;
    tokens.first()?.is("create").then_some(())?;
    let sort = sql::text(text, &tokens[1..=at]);
    let (_, _, mut rest) = sql::qualified(&tokens[at + 1..])?;
    let mut clauses = BTreeMap::new();
    if rest.first().is_some_and(|token| token.is("of")) {
        let (schema, name, after) = sql::qualified(&rest[1..])?;
        clauses.insert("of type".to_owned(), format!("{schema}.{name}"));
        rest = after;
    }
    let mut columns = Vec::new();
    let mut constraints = BTreeMap::new();
    if rest.first().is_some_and(|token| token.sign('(')) {
        let (inside, after) = sql::within(rest)?;
        rest = after;
        for part in sql::divided(inside, ',') {
            if part.first().is_some_and(|token| NO_COLUMN.iter().any(|word| token.is(word))) {
                let name = if part[0].is("constraint") { part.get(1)?.name()? } else { sql::text(text, part) };
                let of = if part[0].is("constraint") { &part[2..] } else { part };
                constraints.insert(name, sql::text(text, of));
            } else {
                columns.push(column(text, part)?);
            }
        }
    }
    let end = rest.iter().position(|token| token.sign(';')).unwrap_or(rest.len());
    for clause in cut(&rest[..end], |before, token| {
        // `PARTITION BY RANGE (…)`, `INHERITS (…)`, `WITH (…)`; within parentheses nothing begins.
        before.is_none_or(|before| !before.is("partition")) && CLAUSES.iter().any(|word| token.is(word))
    }) {
        let (word, mut of) = clause.split_first()?;
        if let Some((inside, [])) = sql::within(of) {
            of = inside;
        }
        clauses.insert(word.text.to_lowercase(), sql::text(text, of));
    }
    let behind = rest.get(end).map_or(text.len(), Token::end);
    Some(Table { sort, columns, constraints, clauses, rest: text.get(behind..)?.to_owned() })
}

fn column(text: &str, tokens: &[Token<'_>]) -> Option<Column> {
    let (name, rest) = tokens.split_first()?;
    let mut parts = BTreeMap::new();
    let begins = |before: Option<&Token<'_>>, token: &Token<'_>| {
        let negates = before.is_some_and(|before| before.is("constraint")); // a constraint's own name
        let other = token.is("not") || !negates;
        other && PARTS.iter().any(|word| token.is(word))
    };
    for (at, part) in cut(rest, begins).into_iter().enumerate() {
        let [word, of @ ..] = part else { continue };
        let known = PARTS.iter().any(|part| word.is(part));
        let (key, of) = match (at, known) {
            (0, false) => ("type".to_owned(), part),
            _ if word.is("not") => ("not null".to_owned(), of.get(1..).unwrap_or_default()),
            _ => (word.text.to_lowercase(), of),
        };
        parts.insert(key, sql::text(text, of));
    }
    Some(Column { name: name.name()?, parts })
}

/// Divides before each token outside of parentheses for which `begins` says so, given the one before it.
fn cut<'a, 'b>(
    tokens: &'b [Token<'a>],
    begins: impl Fn(Option<&Token<'a>>, &Token<'a>) -> bool,
) -> Vec<&'b [Token<'a>]> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        if token.sign('(') || token.sign('[') {
            depth += 1;
        } else if token.sign(')') || token.sign(']') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && at > from && begins(at.checked_sub(1).and_then(|at| tokens.get(at)), token) {
            parts.push(&tokens[from..at]);
            from = at;
        }
    }
    if from < tokens.len() {
        parts.push(&tokens[from..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::of_tables;

    const BEFORE: &str = "CREATE TABLE app.\"or,ders\" (
    id bigint NOT NULL,
    price numeric(10,2) DEFAULT 0.00 NOT NULL,
    note text DEFAULT 'a, (b'::text,
    at timestamp(3) without time zone,
    old integer[],
    CONSTRAINT positive CHECK ((price >= (0)::numeric))
)
PARTITION BY RANGE (at);

ALTER TABLE ONLY app.\"or,ders\" ALTER COLUMN note SET STORAGE EXTERNAL;";

    #[test]
    fn every_part_of_a_column_is_told() {
        let after = BEFORE
            .replace("bigint NOT NULL", "bigint")
            .replace("numeric(10,2) DEFAULT 0.00", "numeric(12,2) DEFAULT NULL::numeric")
            .replace("at timestamp(3) without", "at timestamp(3) with")
            .replace("    old integer[],\n", "    total numeric GENERATED ALWAYS AS ((price * (2)::numeric)) STORED,\n")
            .replace("note text DEFAULT 'a, (b'::text", "note text COLLATE pg_catalog.\"C\"")
            .replace(">= (0)", "> (0)")
            .replace("RANGE", "LIST")
            .replace("EXTERNAL", "MAIN");
        let found = of_tables(BEFORE, &after).unwrap_or_default();
        let expected = [
            "column old removed (integer[])",
            "column id: may be null",
            "column price: default 0.00 → NULL::numeric",
            "column price: numeric(10,2) → numeric(12,2)",
            "column note: default 'a, (b'::text → none",
            "column note: collate none → pg_catalog.\"C\"",
            "column at: timestamp(3) without time zone → timestamp(3) with time zone",
            "column total added: numeric generated ALWAYS AS ((price * (2)::numeric)) STORED",
            "constraint positive: CHECK ((price >= (0)::numeric)) → CHECK ((price > (0)::numeric))",
            "partition: BY RANGE (at) → BY LIST (at)",
            "no longer: ALTER TABLE ONLY app.\"or,ders\" ALTER COLUMN note SET STORAGE EXTERNAL",
            "now: ALTER TABLE ONLY app.\"or,ders\" ALTER COLUMN note SET STORAGE MAIN",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_table_is_not_guessed_at() {
        assert_eq!(of_tables("CREATE TABLE a (b int", "CREATE TABLE a (b int)"), None);
        assert_eq!(of_tables("x", "y"), None);
    }
}
