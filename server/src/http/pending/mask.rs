//! A request's body as its person may look at it: readable JSON in which no secret stands.

use serde_json::Value;
use url::Url;

/// In place of a secret.
const MASKED: &str = "•••";
/// A key with one of these in it holds a secret.
const SECRET: [&str; 7] = ["password", "passwd", "passphrase", "secret", "token", "credential", "private"];
/// And one that is called so: the value of a variable, the content of a key file.
const NAMED: [&str; 2] = ["value", "content"];
/// Within a text: whatever follows it up to the next `&` or space.
const WITHIN: [&str; 3] = ["password=", "secret=", "token="];

/// The body for people; empty where there is none.
pub(super) fn body(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => serde_json::to_string_pretty(&masked(value, false)).unwrap_or_default(),
        Err(_) => format!("{} bytes that are no JSON", bytes.len()),
    }
}

fn masked(value: Value, secret: bool) -> Value {
    match value {
        Value::Object(all) => all
            .into_iter()
            .map(|(key, value)| {
                let value = if key.to_ascii_lowercase().contains("url") && value.is_string() && !secret {
                    Value::String(address(value.as_str().unwrap_or_default()))
                } else {
                    let secret = secret || is_secret(&key);
                    masked(value, secret)
                };
                (key, value)
            })
            .collect(),
        Value::Array(all) => all.into_iter().map(|value| masked(value, secret)).collect(),
        Value::Null => Value::Null,
        _ if secret => Value::String(MASKED.into()),
        Value::String(text) => Value::String(without_passwords(&text)),
        other => other,
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // A `url` that is no text is none of ours: what stands in it is nobody's guess.
    NAMED.contains(&key.as_str()) || key == "url" || SECRET.iter().any(|part| key.contains(part))
}

/// An address without its password; what cannot be read as one is not shown at all.
fn address(text: &str) -> String {
    if Url::parse(text).is_ok_and(|url| url.has_host()) { without_passwords(text) } else { MASKED.into() }
}

/// `postgres://shop:•••@db/shop`, `host=db password=•••`.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(after.len());
        let (authority, further) = after.split_at(end);
        match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => shown.push_str(&format!("{user}:{MASKED}@{host}")),
            None => shown.push_str(authority),
        }
        rest = further;
    }
    shown.push_str(rest);
    for word in WITHIN {
        shown = without(&shown, word);
    }
    shown
}

fn without(text: &str, word: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    // ASCII letters keep their length in lower case, so places fit both.
    while let Some(at) = rest.to_ascii_lowercase().find(word) {
        let (before, after) = rest.split_at(at + word.len());
        shown.push_str(before);
        shown.push_str(MASKED);
        let end = after.find(|c: char| c.is_whitespace() || c == '&').unwrap_or(after.len());
        rest = after.get(end..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_of_a_request_is_shown() {
        let canary = "c4nary";
        let given = json!({
            "definition": { "project": "shop", "components": [
                { "name": "db", "kind": "postgres", "url": format!("postgres://shop:{canary}@db:5433/shop?sslmode=require&password={canary}x") },
                { "name": "settings", "kind": "config", "variables": [{ "name": "API_KEY", "value": canary }] },
                { "name": "odd", "kind": "postgres", "url": { "wrong": canary } },
            ] },
            "to_url": format!("host=db password={canary}"),
            "location": format!("rest:https://user:{canary}@backup.example/"),
            "bucket": { "access_key": "AKIA", "secret_key": canary },
            "key": { "name": "ab12", "content": canary },
            "note": format!("PASSWORD={canary} host=db"),
            "password": 7,
        });
        let shown = body(given.to_string().as_bytes());
        assert!(!shown.contains(canary), "{shown}");
        for kept in ["shop", "postgres://shop:•••@db:5433/shop?sslmode=require&password=•••", "API_KEY", "AKIA", "ab12"]
        {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert!(
            shown.contains("https://user:•••@backup.example/") && shown.contains("PASSWORD=••• host=db"),
            "{shown}"
        );
        assert!(!shown.contains('7'), "{shown}");
    }

    #[test]
    fn what_is_no_secret_is_shown_as_it_is() {
        let given = json!({ "components": ["uploads"], "to": "staging", "backup": true, "ratio": 1.5, "mode": null });
        assert_eq!(serde_json::from_str::<Value>(&body(given.to_string().as_bytes())).ok(), Some(given));
        assert_eq!(body(b""), "");
        assert_eq!(body(b"PK"), "2 bytes that are no JSON");
    }
}
