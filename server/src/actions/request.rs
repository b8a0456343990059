//! What may stand in a request for a checkpoint or a restore, beyond its shape.

use std::collections::BTreeMap;

use holdfast_model::{
    name::Name,
    problem::Fault,
    request::{CreateCheckpoint, RestoreCheckpoint},
    state::{ComponentType, Kind, selects},
};

use super::ActionError;

/// Longest name, in characters.
const NAME: usize = 120;
/// Longest description, in characters.
const DESCRIPTION: usize = 4_000;
/// Most tags, patterns and entries of the open map.
const MANY: usize = 100;
/// Most tables of one restore: each holds a connection to the database while they are put back.
const TABLES: usize = 20;
/// Longest pattern or value, in characters.
const VALUE: usize = 1_000;

/// Checks everything that does not depend on the environment, and reports all of it at once.
pub(super) fn check_create(request: &CreateCheckpoint) -> Result<(), ActionError> {
    let mut faults = Faults::default();
    for (at, text, longest) in [("name", &request.name, NAME), ("description", &request.description, DESCRIPTION)] {
        if let Some(text) = text {
            faults.line(at, text, longest, at == "description");
        }
    }
    if request.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        faults.say("name", "is empty; leave it out or give a text");
    }
    for (at, count) in
        [("tags", request.tags.len()), ("exclude", request.exclude.len()), ("metadata", request.metadata.len())]
    {
        if count > MANY {
            faults.say(at, format!("has {count} entries; at most {MANY} are taken"));
        }
    }
    for (index, tag) in request.tags.iter().enumerate() {
        faults.tag(&format!("tags[{index}]"), tag);
    }
    for (index, pattern) in request.exclude.iter().enumerate() {
        faults.line(&format!("exclude[{index}]"), pattern, VALUE, false);
    }
    faults.metadata(&request.metadata);
    faults.into_result()
}

/// Checks one tag that stands at `at`.
pub(super) fn check_tag(at: &str, tag: &str) -> Result<(), ActionError> {
    let mut faults = Faults::default();
    faults.tag(at, tag);
    faults.into_result()
}

/// Checks what of a restore does not depend on the checkpoint, and reports all of it at once.
pub(super) fn check_restore(request: &RestoreCheckpoint) -> Result<(), ActionError> {
    let mut faults = Faults::default();
    let ways =
        [("to", request.to.is_some()), ("to_dir", request.to_dir.is_some()), ("to_url", request.to_url.is_some())];
    let given: Vec<&str> = ways.into_iter().filter(|(_, given)| *given).map(|(way, _)| way).collect();
    if given.len() > 1 {
        faults.say(given[1], format!("it goes to one place, and `{}` is given too; leave one out", given[0]));
    }
    if request.to.is_none() && !request.map.is_empty() {
        faults.say("map", "is a mapping into another environment; say which with `to`, or leave it out");
    }
    if request.to_url.is_none() && request.replace_database {
        faults.say("replace_database", "is about the database of `to_url`; leave it out");
    }
    if let Some(folder) = &request.to_dir
        && !folder.is_absolute()
    {
        faults.say("to_dir", format!("`{}` is relative; give an absolute path", folder.display()));
    }
    if request.to.as_deref().is_some_and(|to| to.trim().is_empty()) {
        faults.say("to", "is empty; name an environment, or leave it out");
    }
    for (at, entries, most) in [("tables", &request.tables, TABLES), ("paths", &request.paths, MANY)] {
        if entries.len() > most {
            faults.say(at, format!("has {} entries; at most {most} are taken", entries.len()));
        }
    }
    for (index, table) in request.tables.iter().enumerate() {
        faults.line(&format!("tables[{index}]"), table, VALUE, false);
    }
    if !request.tables.is_empty() && (request.to_dir.is_some() || request.to_url.is_some()) {
        faults.say("tables", "are put back where they are; leave out the folder or the URL");
    }
    if !request.tables.is_empty() && !request.paths.is_empty() {
        faults.say("tables", "and paths are two restores; ask for one after the other");
    }
    if request.tables.is_empty() && request.mode.is_some() {
        faults.say("mode", "is about `tables`; name some, or leave it out");
    }
    for (index, pattern) in request.paths.iter().enumerate() {
        faults.line(&format!("paths[{index}]"), pattern, VALUE, false);
    }
    if !request.paths.is_empty() && request.paths.iter().all(|pattern| pattern.starts_with('!')) {
        faults.say("paths", "only takes away; name what is wanted, too");
    }
    faults.into_result()
}

/// Checks selectors against the components that there are; each must be a component's name or a known word, and the
/// choice must not be empty.
pub(super) fn check_selection(
    known: &[(Name, Kind)],
    components: &[String],
    without: &[String],
) -> Result<(), ActionError> {
    let list = known.iter().map(|(name, kind)| format!("{name} ({kind})")).collect::<Vec<_>>().join(", ");
    let mut faults = Faults::default();
    for (at, selectors) in [("components", components), ("without", without)] {
        for (index, selector) in selectors.iter().enumerate() {
            let means_one = known.iter().any(|(name, kind)| selects(selector, name.as_str(), *kind));
            if !means_one && !is_word(selector) {
                faults.say(
                    &format!("{at}[{index}]"),
                    format!("`{selector}` is no component, kind or type; the components are: {list}"),
                );
            }
        }
    }
    faults.into_result()?;
    let chosen = known.iter().any(|(name, kind)| {
        let any = |selectors: &[String]| selectors.iter().any(|s| selects(s, name.as_str(), *kind));
        (components.is_empty() || any(components)) && !any(without)
    });
    if chosen {
        Ok(())
    } else {
        Err(ActionError::invalid("components", format!("nothing is left to work on; the components are: {list}")))
    }
}

/// Whether a selector is a kind or type of any component that could be.
fn is_word(selector: &str) -> bool {
    Kind::ALL.iter().any(|kind| selects(selector, "", *kind))
        || ComponentType::ALL.iter().any(|word| word.as_str() == selector)
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn say(&mut self, at: &str, message: impl Into<String>) {
        self.0.push(Fault { at: at.to_owned(), message: message.into() });
    }

    fn line(&mut self, at: &str, text: &str, longest: usize, newlines: bool) {
        if text.chars().count() > longest {
            self.say(at, format!("is too long; at most {longest} characters are taken"));
        }
        if text.chars().any(|c| c.is_control() && !(newlines && matches!(c, '\n' | '\t'))) {
            self.say(at, "holds control characters; take them out");
        }
    }

    fn tag(&mut self, at: &str, tag: &str) {
        let fits = (1..=64).contains(&tag.chars().count())
            && tag.chars().all(|c| c.is_alphanumeric() || "._-:/@+".contains(c))
            && tag.chars().next().is_some_and(char::is_alphanumeric);
        if !fits {
            self.say(
                at,
                "cannot be a tag: use 1 to 64 letters, digits and . _ - : / @ +, beginning with a letter or digit",
            );
        } else if tag == "holdfast" || tag.starts_with("holdfast:") || tag.starts_with("holdfast-") {
            self.say(at, "begins with `holdfast`, which Holdfast uses for itself");
        }
    }

    fn metadata(&mut self, metadata: &BTreeMap<String, String>) {
        for (key, value) in metadata {
            let at = format!("metadata.{key}");
            if key.is_empty()
                || key.len() > 64
                || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            {
                self.say(&at, "cannot be a key: use 1 to 64 letters, digits and . _ -");
            }
            self.line(&at, value, VALUE, false);
        }
    }

    fn into_result(self) -> Result<(), ActionError> {
        match self.0.first() {
            None => Ok(()),
            Some(first) => {
                Err(ActionError::Invalid { message: format!("{}: {}", first.at, first.message), errors: self.0 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known() -> Vec<(Name, Kind)> {
        [("uploads", Kind::Files), ("postgres", Kind::Postgres)].map(|(n, k)| (n.parse().unwrap(), k)).to_vec()
    }

    #[test]
    fn an_unknown_selector_is_refused_with_the_known_components() {
        let error = check_selection(&known(), &["upload".into()], &[]).unwrap_err().to_string();
        assert!(error.contains("uploads (files), postgres (postgres)"), "{error}");
        check_selection(&known(), &["database".into(), "uploads".into()], &["containers".into()]).unwrap();
        assert!(check_selection(&known(), &["cache".into()], &[]).is_err());
        assert!(check_selection(&known(), &[], &["filesystem".into(), "postgres".into()]).is_err());
    }

    #[test]
    fn every_fault_of_a_request_is_named() {
        let request = CreateCheckpoint {
            name: Some("a\u{1b}[31m".into()),
            tags: vec!["fine-1.2".into(), "not fine".into(), "holdfast:chk_x".into()],
            ..CreateCheckpoint::default()
        };
        let Err(ActionError::Invalid { errors, .. }) = check_create(&request) else { unreachable!() };
        assert_eq!(errors.iter().map(|f| f.at.as_str()).collect::<Vec<_>>(), ["name", "tags[1]", "tags[2]"]);
    }
}
