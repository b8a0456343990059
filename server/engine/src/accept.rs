//! The gaps that an environment accepts: path globs, names of extensions, names of components.

use ignore::overrides::{Override, OverrideBuilder};

/// The `accept:` list of an environment.
#[derive(Debug, Clone)]
pub struct Accept {
    words: Vec<String>,
    globs: Override,
}

impl Default for Accept {
    fn default() -> Self {
        Self { words: Vec::new(), globs: Override::empty() }
    }
}

impl Accept {
    /// Reads the list.
    ///
    /// # Errors
    /// The entry that is not a glob, and why.
    pub fn new(list: &[String]) -> Result<Self, String> {
        let mut builder = OverrideBuilder::new("/");
        for entry in list {
            builder.add(entry).map_err(|error| format!("`{entry}` is not a glob: {error}"))?;
        }
        let globs = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { words: list.to_vec(), globs })
    }

    /// Whether a gap is accepted: `kind` is `path`, `extension`, `component` or `object`, `name` what it names.
    /// A component's name accepts every gap of it.
    #[must_use]
    pub fn accepts(&self, kind: &str, name: &str, component: &str) -> bool {
        let named = |wanted: &str| self.words.iter().any(|word| word == wanted);
        named(component) || named(name) || (kind == "path" && self.globs.matched(name, false).is_whitelist())
    }
}
