//! Where each part of a YAML text stands, so that `components[2].url` can be said as line and column.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

/// The positions of a text's parts.
#[derive(Debug)]
pub struct Places(Option<Spanned<Part>>);

#[derive(Debug)]
enum Part {
    Map(BTreeMap<String, Spanned<Part>>),
    List(Vec<Spanned<Part>>),
    Leaf,
}

impl Places {
    /// Of a text that has been parsed before; knows nothing when it cannot be parsed.
    pub fn of(text: &str) -> Self {
        Self(serde_saphyr::from_str(text).ok())
    }

    /// Line and column, both from 1, of the deepest part of `at` (`components[2].url`) that exists.
    pub fn find(&self, at: &str) -> Option<(u64, u64)> {
        let mut here = self.0.as_ref()?;
        let mut found = None;
        for step in at.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let inner = match &here.value {
                Part::Map(map) => map.get(step),
                Part::List(list) => step.parse().ok().and_then(|index: usize| list.get(index)),
                Part::Leaf => None,
            };
            let Some(inner) = inner else { break };
            here = inner;
            found = Some((here.referenced.line(), here.referenced.column()));
        }
        found
    }
}

/// `holdfast.yaml:12:5: what is wrong`, on one line.
pub fn positioned(file: &str, error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let message = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    match error.location() {
        Some(place) => {
            let said = format!("at line {}, column {}", place.line(), place.column());
            let message = message.replace(&format!(" {said}"), "").replace(&said, "");
            format!("{file}:{}:{}: {}", place.line(), place.column(), for_people(message.trim()))
        }
        None => format!("{file}: {}", for_people(&message)),
    }
}

/// The parser speaks to programmers; where its words would not help, or would show a value, these stand for them.
fn for_people(message: &str) -> String {
    for (theirs, ours) in [
        ("must be quoted", "this is read as a number or a truth value where text is wanted; put it into quotes"),
        ("invalid boolean", "give true or false"),
        ("untagged enum Health", "give `http: ADDRESS`, or `sql: QUERY` with `component: NAME`"),
        ("untagged enum After", "give `cmd: [PROGRAM, ARGUMENT, …]` or `http: ADDRESS`"),
    ] {
        if message.contains(theirs) {
            return ours.to_owned();
        }
    }
    message.replace(", set DuplicateKeyPolicy in Options if acceptable", "").replace("unknown variant", "unknown word")
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyPart;

        impl<'de> Visitor<'de> for AnyPart {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Part, A::Error> {
                let mut map = BTreeMap::new();
                while let Some(key) = access.next_key::<String>()? {
                    map.insert(key, access.next_value()?);
                }
                Ok(Part::Map(map))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Part, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = access.next_element()? {
                    list.push(item);
                }
                Ok(Part::List(list))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_str<E>(self, _: &str) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_unit<E>(self) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_none<E>(self) -> Result<Part, E> {
                Ok(Part::Leaf)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
                IgnoredAny::deserialize(deserializer).map(|_| Part::Leaf)
            }
        }

        deserializer.deserialize_any(AnyPart)
    }
}
