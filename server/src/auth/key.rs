//! The token of a key: `hfk_<id>_<secret>_<checksum>`. The prefix lets scanners of published code find it, the checksum
//! tells a mistyped token from an unknown one without asking the catalogue.

use holdfast_model::{id::KeyId, secret::Secret};

/// Every key begins with it.
const PREFIX: &str = "hfk_";

/// A new token for a key.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn new_key(id: &KeyId) -> Result<Secret, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    let id = id.as_str().split_once('_').map_or("", |(_, id)| id);
    let body = format!("{PREFIX}{id}_{}", hex::encode(bytes));
    Ok(Secret::new(format!("{body}_{}", checksum(&body))))
}

/// Whether a text has the form of a key's token.
#[must_use]
pub fn is_key(token: &str) -> bool {
    token.starts_with(PREFIX) && token.matches('_').count() == 3
}

/// Whether such a text is whole.
#[must_use]
pub fn is_whole(token: &str) -> bool {
    token.rsplit_once('_').is_some_and(|(body, sum)| checksum(body) == sum)
}

fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_letter_that_is_wrong_is_seen() {
        let token = new_key(&KeyId::from_parts(1, 2)).unwrap().expose().to_owned();
        assert!(is_key(&token) && is_whole(&token), "{token}");
        for place in 0..token.len() {
            let mut wrong = token.clone().into_bytes();
            wrong[place] = if wrong[place] == b'a' { b'b' } else { b'a' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(!(is_key(&wrong) && is_whole(&wrong)), "{wrong}");
        }
        assert!(!is_key("hfk_0123456789abcdef"), "the host's own credential has another form");
    }
}
