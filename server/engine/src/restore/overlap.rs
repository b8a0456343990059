//! Places that another environment uses: nothing is put over them unless somebody says that it is meant.

use std::path::Path;

use holdfast_model::definition::{Component, Definition, Settings};

use super::{RestoreWork, destination};
use crate::{place, postgres, source};

/// Another environment as it is applied now.
#[derive(Debug, Clone)]
pub struct Live {
    /// `project/name`; none where whoever asks does not see it: then neither its places nor its components are told.
    pub name: Option<String>,
    /// Its definition.
    pub definition: Definition,
}

/// What overlaps, a sentence each with its mend; and what could not be compared.
pub(super) fn look(work: &RestoreWork) -> (Vec<String>, Vec<String>) {
    let (mut faults, mut unknown) = (Vec::new(), Vec::new());
    for own in work.components.iter().filter_map(|name| work.definition.component(name.as_str())) {
        for live in &work.live {
            for theirs in &live.definition.components {
                let told = match overlap(own, theirs) {
                    Ok(None) => continue,
                    Ok(Some(what)) => Ok(fault(own, theirs, live, &what)),
                    Err(why) => Err(not_seen(theirs, live, &why)),
                };
                match told {
                    Ok(fault) => faults.push(destination::shown(work, &fault)),
                    Err(why) => unknown.push(why),
                }
            }
        }
    }
    faults.dedup();
    unknown.sort();
    unknown.dedup();
    (faults, unknown)
}

fn fault(own: &Component, theirs: &Component, live: &Live, what: &Overlap) -> String {
    let mend = "choose another place, or say --overlap if it is meant";
    match &live.name {
        Some(name) => {
            let Overlap { to, of } = what;
            format!(
                "component `{}` would go {to}, which {of} of component `{}` of {name}; {mend}",
                own.name, theirs.name
            )
        }
        None => {
            format!(
                "component `{}` would go {}, which an environment of another project uses; {mend}",
                own.name, what.to
            )
        }
    }
}

fn not_seen(theirs: &Component, live: &Live, why: &str) -> String {
    match &live.name {
        Some(name) => {
            format!("whether component `{}` of {name} uses the same database cannot be seen: {why}", theirs.name)
        }
        None => "whether an environment of another project uses the same database cannot be seen".to_owned(),
    }
}

/// Where ours would go, and what theirs is to that.
struct Overlap {
    /// `to /srv/a`
    to: String,
    /// `overlaps /srv`
    of: String,
}

/// How the places of two components overlap.
fn overlap(own: &Component, theirs: &Component) -> Result<Option<Overlap>, String> {
    if let (Settings::Postgres { url: own }, Settings::Postgres { url: theirs }) = (&own.settings, &theirs.settings) {
        let own = source::read(own)?;
        let same = postgres::same_database(&own, &source::read(theirs)?).map_err(|error| error.to_string())?;
        return Ok(same.map(|address| Overlap { to: format!("into the database {address}"), of: "is that".into() }));
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
    Ok(pair.map(|(a, b)| Overlap { to: format!("to {}", a.display()), of: format!("overlaps {}", b.display()) }))
}
