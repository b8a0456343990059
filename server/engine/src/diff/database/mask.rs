//! Which columns look secret, and how a cell is shown.

use holdfast_model::diff::Cell;
use sha2::{Digest as _, Sha256};

/// What stands for a value that is not shown.
pub(super) const HIDDEN: &str = "••••";
/// Letters of a cell that are shown.
const SHOWN: usize = 2_000;
/// Words that make a column secret, alone or beside others: `password_hash`, `apiKey`.
const WORDS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "hash",
    "salt",
    "otp",
    "totp",
    "ssn",
    "iban",
    "card",
    "cvv",
    "cvc",
    "pin",
    "credential",
    "credentials",
];
/// Pairs of words.
const PAIRS: [(&str, &str); 6] = [
    ("api", "key"),
    ("private", "key"),
    ("access", "key"),
    ("encryption", "key"),
    ("account", "number"),
    ("signing", "key"),
];

/// Whether a column of this name looks secret.
pub(crate) fn is_secret(column: &str) -> bool {
    let words = words(column);
    let joined = words.concat();
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || ["password", "passwd", "secret", "apikey", "privatekey"].iter().any(|word| joined.contains(word))
        || words.windows(2).any(|pair| PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

/// `apiKey_2` as `api`, `key`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for letter in name.chars() {
        if !letter.is_alphabetic() || letter.is_uppercase() && small {
            words.push(String::new());
        }
        if letter.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        small = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A value of which no more is kept than is shown; a long one is still told from another by the hash at its end, which
/// is never shown.
pub(super) fn held(value: String) -> String {
    match value.char_indices().nth(SHOWN + 1) {
        Some((end, _)) => format!("{}{}", value.get(..end).unwrap_or_default(), hex::encode(Sha256::digest(&value))),
        None => value,
    }
}

/// A cell as it is shown: masked, or cut where it is long.
pub(crate) fn shown(cell: Cell, secret: bool) -> Cell {
    let text = cell?;
    if secret {
        return Some(HIDDEN.to_owned());
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Some(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{held, is_secret, shown};

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["password", "user_password", "apiKey", "API_KEY", "card_number", "pw_hash", "otp", "privateKey2"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["id", "note", "passenger", "discard", "key", "compass", "hashtag", "spin"] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(shown(Some("ü".repeat(2001)), false), Some(format!("{}…", "ü".repeat(2000))));
        let long = |end: &str| held(format!("{}{end}", "ü".repeat(3000)));
        assert!(long("a") != long("b") && shown(Some(long("a")), false) == shown(Some(long("b")), false));
        assert_eq!(shown(Some("x".into()), true).as_deref(), Some("••••"));
        assert_eq!(shown(None, true), None);
    }
}
