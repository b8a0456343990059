//! What a definition may name on this host, and what of it may be shown.

use std::path::{Component as Part, Path, PathBuf};

use holdfast_model::{
    definition::{Command, Component, Definition, Settings as KindSettings, Source},
    problem::Fault,
};
use url::Url;

use super::ActionError;
use crate::{
    config::Settings,
    store::{AppliedComponent, AppliedView},
};

/// What a definition from a caller who does not own the host may not name. Empty when all is allowed.
pub(super) fn outside_allow_lists(definition: &Definition, settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    let allowed: Vec<PathBuf> = settings.allow_paths.iter().map(|path| real(path)).collect();
    for (at, path) in paths(definition) {
        if !allowed.iter().any(|folder| real(path).starts_with(folder)) {
            faults.push(Fault {
                at,
                message: format!(
                    "`{}` lies outside allow_paths of holdfast.toml; add its folder there, or apply with the host's own credential",
                    path.display()
                ),
            });
        }
    }
    for command in definition.commands() {
        if !settings.allow_commands.iter().any(|pattern| permits(pattern, command)) {
            faults.push(Fault {
                at: "restore".into(),
                message: format!(
                    "the command {command:?} is not in allow_commands of holdfast.toml; add it there, or apply with the host's own credential"
                ),
            });
        }
    }
    for (index, component) in definition.components.iter().enumerate() {
        if let Some(variable) = server_variable(component) {
            faults.push(Fault {
                at: format!("components[{index}]"),
                message: format!(
                    "the variable {variable} of the server may be named with the host's own credential only; give the value, or apply on the host"
                ),
            });
        }
    }
    faults
}

/// What nobody may name: Holdfast's own folders and variables.
pub(super) fn our_own(definition: &Definition, settings: &Settings) -> Vec<Fault> {
    let own = [&settings.data_dir, &settings.scratch_dir, &settings.key_file].map(|path| real(path));
    let mut faults: Vec<Fault> = paths(definition)
        .filter(|(_, path)| own.iter().any(|own| real(path).starts_with(own)))
        .map(|(at, path)| Fault {
            at,
            message: format!(
                "`{}` belongs to Holdfast itself and is never captured; name another path",
                path.display()
            ),
        })
        .collect();
    for (index, component) in definition.components.iter().enumerate() {
        if let Some(variable) = server_variable(component).filter(|name| name.starts_with("HOLDFAST_")) {
            faults.push(Fault {
                at: format!("components[{index}]"),
                message: format!("the variable {variable} belongs to Holdfast itself; name another one"),
            });
        }
    }
    faults
}

/// Why a path may not be written to; none where it may.
pub(super) fn place_fault(at: &str, path: &Path, settings: &Settings, owns_host: bool) -> Option<ActionError> {
    let own = [&settings.data_dir, &settings.scratch_dir, &settings.key_file].map(|path| real(path));
    let place = real(path);
    if own.iter().any(|own| place.starts_with(own)) {
        let why = format!("{at}: `{}` belongs to Holdfast itself; name another path", path.display());
        return Some(ActionError::invalid(at, why));
    }
    if owns_host || settings.allow_paths.iter().any(|folder| place.starts_with(real(folder))) {
        return None;
    }
    Some(ActionError::Forbidden(format!(
        "{at}: `{}` lies outside allow_paths of holdfast.toml; add its folder there, or ask with the host's own credential",
        path.display()
    )))
}

/// What may be shown of a definition; no secret is in it.
pub(super) fn view(definition: &Definition, settings: &Settings, warnings: Vec<String>) -> AppliedView {
    let address = definition.app.as_ref().and_then(|app| match (&app.hostname, app.port) {
        (Some(host), Some(port)) => Some(format!("{host}:{port}")),
        (Some(host), None) => Some(host.clone()),
        (None, Some(port)) => Some(format!("localhost:{port}")),
        (None, None) => None,
    });
    let components = definition.components.iter().map(|component| AppliedComponent {
        name: component.name.clone(),
        kind: component.kind(),
        host: component.host.clone(),
        location: location(component),
        not_covered: not_covered(component, definition, settings),
        recoverable: component.recoverable.clone(),
    });
    AppliedView {
        address,
        components: components.collect(),
        not_in_force: definition.not_in_force().into_iter().map(str::to_owned).collect(),
        warnings,
    }
}

fn paths(definition: &Definition) -> impl Iterator<Item = (String, &PathBuf)> {
    let components = definition.components.iter().enumerate();
    components.flat_map(|(index, component)| {
        component.paths().into_iter().map(move |path| (format!("components[{index}]"), path))
    })
}

/// The variable of the server's own environment that a component reads, if it reads one.
fn server_variable(component: &Component) -> Option<&str> {
    match &component.settings {
        KindSettings::Postgres { url: Source::Env(name) } => Some(name),
        KindSettings::Config { variables, .. } => {
            variables.iter().find(|variable| variable.value.is_none()).map(|variable| variable.name.as_str())
        }
        _ => None,
    }
}

/// Whether an entry of `allow_commands` is this command: the same list, where a last `*` stands for any more arguments.
fn permits(pattern: &[String], command: &Command) -> bool {
    match pattern.split_last() {
        Some((last, first)) if last == "*" && !first.is_empty() => command.starts_with(first),
        _ => !pattern.is_empty() && pattern == command.as_slice(),
    }
}

/// The path with links followed as far as it exists, and without `.` and `..` after that.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Part::Normal(name))) => real(parent).join(name),
        (Some(parent), Some(Part::ParentDir)) => {
            real(parent).parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
        }
        (Some(parent), _) => real(parent),
        (None, _) => path.to_owned(),
    }
}

fn location(component: &Component) -> String {
    match &component.settings {
        KindSettings::Files { path, .. } | KindSettings::Git { path } | KindSettings::Sqlite { path } => {
            path.display().to_string()
        }
        KindSettings::Config { file: Some(file), variables } if variables.is_empty() => file.display().to_string(),
        KindSettings::Config { file: Some(file), variables } => {
            format!("{} and {} variables", file.display(), variables.len())
        }
        KindSettings::Config { file: None, variables } => format!("{} variables", variables.len()),
        KindSettings::Postgres { url: Source::Given(url) } => database_address(url.expose()),
        KindSettings::Postgres { url } => format!("a database named by {}", url.origin()),
        KindSettings::Unsupported(kind) => kind.to_string(),
    }
}

/// `user@host:port/name`: only the parts of a URL that never hold a password.
fn database_address(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "a database".into();
    };
    let user = if url.username().is_empty() { String::new() } else { format!("{}@", url.username()) };
    let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{host}{port}{}", url.path())
}

fn not_covered(component: &Component, definition: &Definition, settings: &Settings) -> Vec<String> {
    match &component.settings {
        KindSettings::Files { path, exclude } => {
            let mut left_out: Vec<String> = exclude.iter().map(|pattern| format!("what matches {pattern}")).collect();
            let inside = |other: &Path| other != path && real(other).starts_with(real(path));
            for (other, inner) in definition.components.iter().flat_map(|o| o.paths().into_iter().map(move |p| (o, p)))
            {
                if other.name != component.name && inside(inner) {
                    left_out.push(format!("{}, which component {} takes", inner.display(), other.name));
                }
            }
            if inside(&settings.data_dir) {
                left_out.push("Holdfast's own data directory".into());
            }
            left_out
        }
        KindSettings::Git { .. } => {
            vec!["files that git ignores".into(), "configuration and hooks of the clone".into()]
        }
        KindSettings::Config { .. } => vec!["variables that are not listed".into()],
        KindSettings::Postgres { .. } => {
            vec!["roles' passwords, where the role is not a superuser".into(), "other databases of the server".into()]
        }
        KindSettings::Sqlite { .. } | KindSettings::Unsupported(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_pattern_permits_its_own_command_and_no_other() {
        assert!(permits(&words(&["systemctl", "stop", "shop"]), &words(&["systemctl", "stop", "shop"])));
        assert!(!permits(&words(&["systemctl", "stop"]), &words(&["systemctl", "stop", "shop"])));
        assert!(permits(&words(&["make", "*"]), &words(&["make", "index", "-j"])));
        assert!(!permits(&words(&["*"]), &words(&["rm"])), "a lone star would allow everything");
        assert!(!permits(&[], &Vec::new()));
    }

    #[test]
    fn links_and_dots_do_not_lead_out_of_an_allowed_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::os::unix::fs::symlink("/etc", inside.join("link")).unwrap();
        let inside = real(&inside);
        assert!(real(&inside.join("new/file")).starts_with(&inside));
        assert!(!real(&inside.join("link/passwd")).starts_with(&inside));
        assert!(!real(&inside.join("new/../../other")).starts_with(&inside));
    }

    #[test]
    fn an_address_never_holds_a_password() {
        let shown = database_address("postgres://shop:canary-pw@db.example:5433/shop?password=canary-pw2");
        assert_eq!(shown, "shop@db.example:5433/shop");
        assert_eq!(database_address("host=h password=canary"), "a database");
    }
}
