//! Names of projects, environments and components: safe as a path, an argument and an address.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that matches `[a-z0-9][a-z0-9_-]{0,62}`; unique within its parent, and never changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be a name: use 1 to 63 of a-z, 0-9, `-` and `_`, beginning with a letter or digit")]
pub struct InvalidName(pub String);

impl Name {
    /// The name nearest to any text: what a name cannot hold becomes `-`; where nothing is left it is `unnamed`.
    #[must_use]
    pub fn nearest(text: &str) -> Self {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        let plain: String =
            text.chars().map(|c| c.to_ascii_lowercase()).map(|c| if fits(c) { c } else { '-' }).collect();
        let plain: String = plain.trim_matches(['-', '_']).chars().take(63).collect();
        Self(if plain.is_empty() { "unnamed".to_owned() } else { plain })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let mut bytes = text.bytes();
        let fits =
            bytes.next().is_some_and(plain) && text.len() <= 63 && bytes.all(|b| plain(b) || b == b'-' || b == b'_');
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidName(text.to_owned())) }
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "schema")]
crate::schema::text!(Name, "^[a-z0-9][a-z0-9_-]{0,62}$", "production");

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_nearest_name() {
        let long = "x".repeat(99);
        for (text, name) in
            [("Web-1.example.org", "web-1-example-org"), ("__é", "unnamed"), ("_Ä b_", "b"), (&long, &long[..63])]
        {
            let nearest = Name::nearest(text);
            assert_eq!(nearest.as_str(), name);
            assert_eq!(nearest.as_str().parse(), Ok(nearest.clone()));
        }
    }

    #[test]
    fn a_name_can_be_a_path_segment() {
        for good in ["a", "my-feature-env", "0_x", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a/b", "..", "a b", "é", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
