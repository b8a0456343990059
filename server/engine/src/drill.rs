//! Restoring a sealed checkpoint into scratch space and comparing it with its ledger.

/// The gaps that an environment accepts.
#[derive(Debug, Clone, Default)]
pub struct Accept(Vec<String>);

impl Accept {
    /// From the patterns of `drill.accept`.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.to_vec())
    }

    /// Whether a gap of that kind (`path`, `extension`, `component`, `object`), name and component is accepted.
    #[must_use]
    pub fn accepts(&self, _kind: &str, name: &str, component: &str) -> bool {
        self.0.iter().any(|pattern| pattern == name || pattern == component)
    }
}
