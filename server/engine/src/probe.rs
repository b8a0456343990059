//! What `apply` looks at: everything that would make a capture, drill or restore fail later, found now.

use std::path::Path;

use holdfast_model::definition::{Component, Definition, Health, Settings, Source};

use crate::{
    accept::Accept,
    files::{self, neighbours},
    finding::Finding,
    git, place, postgres, restore, source, sqlite,
    tools::Tools,
};

/// Everything that is wrong with a definition on this host.
pub async fn probe(definition: &Definition, tools: &Tools) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        definition.mistakes().into_iter().map(|mistake| Finding::fatal(mistake.at, mistake.message)).collect();
    for (index, component) in definition.components.iter().enumerate() {
        let at = format!("components[{index}]");
        if component.host != "local" {
            found.push(Finding::fatal(
                format!("{at}.host"),
                format!("`{}` is another host; this version captures `local` only", component.host),
            ));
            continue;
        }
        // What is relative was said already, and would be looked for in the wrong place.
        if component.paths().iter().all(|path| path.is_absolute()) {
            look(definition, component, &at, tools, &mut found).await;
        }
    }
    plans(definition, &mut found);
    found
}

async fn look(definition: &Definition, component: &Component, at: &str, tools: &Tools, found: &mut Vec<Finding>) {
    match &component.settings {
        Settings::Files { path, exclude } => {
            let left_out = neighbours(definition, component, path);
            if let Err(failure) = files::prepare(path, exclude, left_out, &[], None) {
                let key = if failure.to_string().starts_with("the pattern") { "exclude" } else { "path" };
                found.push(Finding::fatal(format!("{at}.{key}"), failure.to_string()));
            }
            restorable(path, at, found);
        }
        Settings::Git { path } => {
            if let Err(why) = tools.git_version() {
                found.push(Finding::fatal(format!("{at}.kind"), why));
            }
            if let Err(failure) = git::prepare(path, tools.git(), path, Vec::new(), &[]) {
                found.push(Finding::fatal(format!("{at}.path"), failure.to_string()));
            }
            restorable(path, at, found);
        }
        Settings::Config { file, variables } => {
            if let Some(file) = file {
                match std::fs::File::open(file) {
                    Ok(_) => restorable(file, at, found),
                    Err(error) => found.push(Finding::fatal(
                        format!("{at}.file"),
                        format!("{} cannot be read: {error}; make it, or correct the path", file.display()),
                    )),
                }
            }
            for (number, variable) in variables.iter().enumerate().filter(|(_, variable)| variable.value.is_none()) {
                if let Err(why) = source::variable(&variable.name) {
                    found.push(Finding::fatal(format!("{at}.variables[{number}]"), why));
                }
            }
        }
        Settings::Postgres { url } => {
            let key = match url {
                Source::Given(_) => "url",
                Source::Env(_) => "url_env",
                Source::File(_) => "url_file",
            };
            let at = format!("{at}.{key}");
            match source::read(url) {
                Ok(url) => found.extend(postgres::probe(&at, &url, tools).await),
                Err(why) => found.push(Finding::fatal(at, why)),
            }
        }
        Settings::Sqlite { path } => {
            if let Err(failure) = sqlite::look(path) {
                found.push(Finding::fatal(format!("{at}.path"), failure.to_string()));
            }
            restorable(path, at, found);
        }
        Settings::Unsupported(_) => {}
    }
}

fn restorable(path: &Path, at: &str, found: &mut Vec<Finding>) {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    if !place::writable(folder) {
        found.push(Finding::warning(
            format!("{at}.path"),
            format!(
                "{} cannot be written by this user, so a restore would be refused; give it the right to",
                folder.display()
            ),
        ));
    }
}

fn plans(definition: &Definition, found: &mut Vec<Finding>) {
    if let Err(why) = Accept::new(&definition.drill.accept) {
        found.push(Finding::fatal("drill.accept", why));
    }
    for command in definition.commands() {
        let Some(program) = command.first() else { continue };
        if !restore::can_be_run(program) {
            found.push(Finding::warning(
                "restore",
                format!("the command `{program}` is not there or cannot be run; install it, or correct the definition"),
            ));
        }
    }
    let open_databases = definition.components.iter().any(|c| matches!(c.settings, Settings::Sqlite { .. }));
    if open_databases && definition.restore.stop.is_none() {
        found.push(Finding::warning(
            "restore.stop",
            "a SQLite database can only be put back while nobody has it open; give the command that stops the application",
        ));
    }
    for (index, health) in definition.restore.health.iter().enumerate() {
        if let Health::Http { http } = health
            && url::Url::parse(http).is_err()
        {
            found.push(Finding::fatal(format!("restore.health[{index}].http"), format!("`{http}` is not an address")));
        }
    }
}
