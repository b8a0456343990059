//! Places that another environment uses: nothing is put over them unless somebody says that it is meant.

use std::path::Path;

use holdfast_model::definition::{Component, Definition, Settings};

use super::{RestoreWork, destination};
use crate::{place, postgres, source};

/// Another environment as it is applied now.
#[derive(Debug, Clone)]
pub struct Live {
    /// `project/name`.
    pub name: String,
    /// Its definition.
    pub definition: Definition,
}

/// What overlaps, a sentence each with its mend; and what could not be compared.
pub(super) fn look(work: &RestoreWork) -> (Vec<String>, Vec<String>) {
    let (mut faults, mut unknown) = (Vec::new(), Vec::new());
    for own in work.components.iter().filter_map(|name| work.definition.component(name.as_str())) {
        for live in &work.live {
            for theirs in &live.definition.components {
                match overlap(own, theirs) {
                    Ok(None) => {}
                    Ok(Some(what)) => faults.push(destination::shown(
                        work,
                        &format!(
                            "component `{}` would go {what} of component `{}` of {}; choose another place, or say --overlap if it is meant",
                            own.name, theirs.name, live.name
                        ),
                    )),
                    Err(why) => unknown.push(format!(
                        "whether component `{}` of {} uses the same database cannot be seen: {why}",
                        theirs.name, live.name
                    )),
                }
            }
        }
    }
    unknown.sort();
    unknown.dedup();
    (faults, unknown)
}

/// How the places of two components overlap: `to /srv/a, which overlaps /srv`.
fn overlap(own: &Component, theirs: &Component) -> Result<Option<String>, String> {
    if let (Settings::Postgres { url: own }, Settings::Postgres { url: theirs }) = (&own.settings, &theirs.settings) {
        let own = source::read(own)?;
        let same = postgres::same_database(&own, &source::read(theirs)?).map_err(|error| error.to_string())?;
        return Ok(same.map(|address| format!("into the database {address}, which is that")));
    }
    let meets = |a: &Path, b: &Path| {
        let (a, b) = (place::real(a), place::real(b));
        a.starts_with(&b) || b.starts_with(&a)
    };
    let own_paths: Vec<_> = match &own.settings {
        // A file that holds a URL is read, not written.
        Settings::Postgres { .. } => Vec::new(),
        _ => own.paths(),
    };
    let pair =
        own_paths.iter().flat_map(|a| theirs.paths().into_iter().map(move |b| (*a, b))).find(|(a, b)| meets(a, b));
    Ok(pair.map(|(a, b)| format!("to {}, which overlaps {}", a.display(), b.display())))
}
