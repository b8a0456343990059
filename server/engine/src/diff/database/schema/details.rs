//! What differs in two definitions of one object, as phrases for people.

use super::{super::sql, columns};

/// The phrases; one that says no more than that it differs where nothing better is known.
pub(super) fn of(tag: &str, before: &str, after: &str) -> Vec<String> {
    let found = match tag {
        "TABLE" | "FOREIGN TABLE" => columns::of_tables(before, after),
        "TYPE" => labels(before, after).or_else(|| columns::of_types(before, after)),
        "FUNCTION" | "PROCEDURE" => function(before, after),
        "DEFAULT" => after_word("default", before, after).map(|(one, other)| vec![format!("default: {one} → {other}")]),
        "COMMENT" => after_word("is", before, after).map(|(one, other)| vec![format!("{one} → {other}")]),
        "EXTENSION" => {
            after_word("version", before, after).map(|(one, other)| vec![format!("version: {one} → {other}")])
        }
        "ACL" | "DEFAULT ACL" | "ROW SECURITY" => statements(before, after),
        _ => None,
    };
    match found {
        Some(found) if !found.is_empty() => found,
        _ => vec!["definition changed".to_owned()],
    }
}

/// Whether a sequence's definition makes a column an identity.
pub(super) fn is_identity(sql: &str) -> bool {
    sql.trim_start().starts_with("ALTER TABLE") && sql.contains("AS IDENTITY")
}

/// What stands behind the first such keyword, up to the statement's end.
fn after_word(word: &str, before: &str, after: &str) -> Option<(String, String)> {
    let rest = |text: &str| {
        let tokens = sql::tokens(text)?;
        let at = tokens.iter().position(|token| token.is(word))?;
        let rest = &tokens[at + 1..];
        let end = rest.iter().position(|token| token.sign(';')).unwrap_or(rest.len());
        Some(sql::text(text, &rest[..end]))
    };
    Some((rest(before)?, rest(after)?))
}

/// Statements that only one side has.
pub(super) fn statements(before: &str, after: &str) -> Option<Vec<String>> {
    let each = |text: &str| -> Option<Vec<String>> {
        let tokens = sql::tokens(text)?;
        Some(sql::divided(&tokens, ';').into_iter().map(|part| sql::text(text, part)).collect())
    };
    let (before, after) = (each(before)?, each(after)?);
    let gone = before.iter().filter(|one| !after.contains(one)).map(|one| format!("no longer: {one}"));
    let new = after.iter().filter(|one| !before.contains(one)).map(|one| format!("now: {one}"));
    Some(gone.chain(new).collect())
}

/// The labels of an enumeration.
fn labels(before: &str, after: &str) -> Option<Vec<String>> {
    let each = |text: &str| -> Option<Vec<String>> {
        let tokens = sql::tokens(text)?;
        let at = tokens.windows(2).position(|pair| pair[0].is("enum") && pair[1].sign('('))?;
        let (inside, _) = sql::within(&tokens[at + 1..])?;
        Some(sql::divided(inside, ',').into_iter().map(|part| sql::text(text, part)).collect())
    };
    let (before, after) = (each(before)?, each(after)?);
    let mut found = Vec::new();
    for label in before.iter().filter(|label| !after.contains(label)) {
        found.push(format!("label {label} removed"));
    }
    for (at, label) in after.iter().enumerate().filter(|(_, label)| !before.contains(label)) {
        let behind = at.checked_sub(1).and_then(|at| after.get(at));
        let place = behind.map_or_else(|| "at the beginning".to_owned(), |other| format!("after {other}"));
        found.push(format!("label {label} added {place}"));
    }
    let both = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|label| other.contains(label)).cloned().collect()
    };
    if both(&before, &after) != both(&after, &before) {
        found.push("order of the labels changed".to_owned());
    }
    Some(found)
}

/// A function's body, and all else of it.
fn function(before: &str, after: &str) -> Option<Vec<String>> {
    let parts = |text: &str| {
        let tokens = sql::tokens(text)?;
        let at = tokens.windows(2).position(|pair| pair[0].is("as") && pair[1].kind == sql::Kind::Text)?;
        Some((sql::text(text, &tokens[..at]), tokens[at + 1].text.to_owned(), sql::text(text, &tokens[at + 2..])))
    };
    let (before, after) = (parts(before)?, parts(after)?);
    let mut found = Vec::new();
    if before.0 != after.0 || before.2 != after.2 {
        found.push(format!("declaration: {} → {}", before.0, after.0));
    }
    if before.1 != after.1 {
        let lines = |body: &str| body.trim_matches('$').lines().filter(|line| !line.trim().is_empty()).count();
        found.push(match (lines(&before.1), lines(&after.1)) {
            (one, other) if one == other => "body changed".to_owned(),
            (one, other) => format!("body changed ({one} → {other} lines)"),
        });
    }
    Some(found)
}
