//! From what a provider says of somebody to what they may do here.

use holdfast_model::access::Access;
use serde_json::Value;

use super::token::Claims;
use crate::config::{ProviderSettings, identity::grant};

/// The longest name that is shown, in characters.
const NAME: usize = 100;

/// A claim by its name, or by a path such as `realm_access.roles`; a name that holds dots itself is found first.
pub fn claim<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_object()?.get(part))
}

/// The texts of a claim: one, or a list.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

impl ProviderSettings {
    /// What the role claim brings; none where the claim is not there at all.
    #[must_use]
    pub fn access(&self, claims: &Claims) -> Option<Access> {
        let values = texts(claim(claims, &self.role_claim)?);
        let mut access = Access::default();
        for rule in self.roles.iter().filter(|rule| values.contains(&rule.claim.as_str())) {
            grant(&mut access, rule.role, &rule.projects);
        }
        Some(access)
    }

    /// How people know somebody. It identifies nobody: that is done by issuer and subject.
    #[must_use]
    pub fn display_name(&self, claims: &Claims) -> String {
        let named = match &self.name_claim {
            Some(path) => claim(claims, path).and_then(Value::as_str),
            None => ["preferred_username", "name", "email"]
                .iter()
                .find_map(|name| claims.get(*name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())),
        };
        let named = named.or_else(|| claims.get("sub").and_then(Value::as_str)).unwrap_or_default();
        shown(named)
    }
}

/// A text of somebody else's as a line of our log and pages can hold it.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(claims) => claims,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn a_claim_is_found_by_its_name_before_its_path() {
        let all = claims(json!({ "realm_access": { "roles": ["a"] }, "https://x.example/roles": "b" }));
        assert_eq!(claim(&all, "realm_access.roles"), Some(&json!(["a"])));
        assert_eq!(claim(&all, "https://x.example/roles"), Some(&json!("b")));
        assert!(claim(&all, "realm_access.groups").is_none());
    }
}
