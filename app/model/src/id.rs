//! Identifiers: a prefix, `_`, and 20 characters of base32 that sort by time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's alphabet in lower case: its byte order is its numeric order.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters after the prefix: 100 bits, 48 of them milliseconds since 1970, 52 random.
const LENGTH: usize = 20;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected `{prefix}_` and {LENGTH} characters of 0-9 and a-z")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
    /// The prefix that was expected.
    pub prefix: &'static str,
}

fn encode(millis: u64, random: u64) -> String {
    let bits = (u128::from(millis) & ((1 << 48) - 1)) << 52 | (u128::from(random) & ((1 << 52) - 1));
    (0..LENGTH)
        .rev()
        .map(|place| {
            let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or(0);
            char::from(ALPHABET[digit])
        })
        .collect()
}

fn is_body(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|b| ALPHABET.contains(&b))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The letters before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Composes an id from milliseconds since 1970 (48 bits are used) and random bits (52 are used).
            #[must_use]
            pub fn from_parts(millis: u64, random: u64) -> Self {
                Self(format!("{}_{}", $prefix, encode(millis, random)))
            }

            /// The whole text, prefix included.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match text.strip_prefix(concat!($prefix, "_")) {
                    Some(body) if is_body(body) => Ok(Self(text.to_owned())),
                    _ => Err(InvalidId { text: text.to_owned(), prefix: $prefix }),
                }
            }
        }

        #[cfg(feature = "schema")]
        $crate::schema::text!($name, concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{20}$"), concat!($prefix, "_01kz0f3c8r5m2q7xw9ad"));

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/// One organization per installation today.
    OrganizationId, "org");
id!(/// A project.
    ProjectId, "prj");
id!(/// An environment.
    EnvironmentId, "env");
id!(/// A component of an environment.
    ComponentId, "cmp");
id!(/// A vault.
    VaultId, "vlt");
id!(/// A checkpoint; also the tag by which its snapshot is found in a vault.
    CheckpointId, "chk");
id!(/// A run.
    RunId, "run");
id!(/// One drill of a checkpoint.
    DrillId, "drl");
id!(/// Something that became true of a checkpoint after its seal.
    FactId, "fct");
id!(/// A key of a program.
    KeyId, "key");
id!(/// Something that a person at a terminal has asked for and must confirm on a page.
    PendingId, "pnd");
id!(/// A deploy.
    DeployId, "dep");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let early = CheckpointId::from_parts(1_700_000_000_000, u64::MAX);
        let late = CheckpointId::from_parts(1_700_000_000_001, 0);
        assert!(early < late);
        assert_eq!(early.as_str().parse(), Ok(early.clone()));
        assert!("env_00000000000000000000".parse::<CheckpointId>().is_err());
        assert!("chk_short".parse::<CheckpointId>().is_err());
    }
}
