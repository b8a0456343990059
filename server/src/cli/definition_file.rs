//! Reads `holdfast.yaml`: every mistake with its line and column, then the same text as JSON with absolute paths.
//!
//! Text stays as it was written: `${ENV_NAME}` in a hook is the business of whoever runs the hook.

use std::{fs, io::Read, path::Path};

use holdfast_model::{definition::Definition, problem::Fault};
use serde_json::Value;

use super::failure::Failure;

mod absolute;
mod places;

use places::Places;

/// A definition that can be sent.
#[derive(Debug)]
pub struct DefinitionFile {
    /// The whole of it, paths made absolute. It holds secrets.
    pub definition: Value,
    file: String,
    places: Places,
}

/// Reads and checks the file; `-` is the standard input, whose relative paths count from the working directory.
///
/// # Errors
/// [`Failure::Definition`] with one line a fault, [`Failure::Io`] when it cannot be read.
pub fn read(path: &Path) -> Result<DefinitionFile, Failure> {
    let stdin = path.as_os_str() == "-";
    let file = if stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let io = |source| Failure::Io { what: format!("reading {file}"), source };
    let text = if stdin {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    }
    .map_err(io)?;
    let here = if stdin { Path::new("./-") } else { path };
    let folder = std::path::absolute(here).map_err(io)?.parent().unwrap_or(Path::new("/")).to_owned();
    parse(&file, &text, &folder)
}

/// Parses `text`, which lies in `folder` and is called `file` in what is said about it.
fn parse(file: &str, text: &str, folder: &Path) -> Result<DefinitionFile, Failure> {
    let options = || {
        serde_saphyr::options! {
            // What the server reads is JSON, where a number is no text and `yes` no truth: say so here, with the place.
            no_schema: true,
            strict_booleans: true,
            // A snippet would show the secrets of the lines around the place.
            with_snippet: false,
        }
    };
    let wrong = |error: &serde_saphyr::Error| Failure::Definition {
        file: file.to_owned(),
        faults: vec![places::positioned(file, error)],
    };
    serde_saphyr::from_str_with_options::<Definition>(text, options()).map_err(|error| wrong(&error))?;
    let mut definition: Value = serde_saphyr::from_str_with_options(
        text,
        serde_saphyr::options! { strict_booleans: true, with_snippet: false },
    )
    .map_err(|error| wrong(&error))?;
    let places = Places::of(text);
    absolute::make(&mut definition, folder);
    let read = DefinitionFile { definition, file: file.to_owned(), places };
    // The server reads the JSON: whatever it would find wrong with it on its own is found here first.
    let mistakes = match serde_json::from_value::<Definition>(read.definition.clone()) {
        Ok(definition) => definition.mistakes(),
        Err(error) => {
            return Err(Failure::Definition { file: file.to_owned(), faults: vec![format!("{file}: {error}")] });
        }
    };
    if mistakes.is_empty() {
        return Ok(read);
    }
    let faults = mistakes.iter().map(|mistake| read.place(&mistake.at, &mistake.message)).collect();
    Err(Failure::Definition { file: read.file, faults })
}

impl DefinitionFile {
    /// `holdfast.yaml:12:5: components[2].url: …`, for a place as the server names it.
    pub fn place(&self, at: &str, message: &str) -> String {
        let shown = if at.is_empty() { String::new() } else { format!("{at}: ") };
        match self.places.find(at) {
            Some((line, column)) => format!("{}:{line}:{column}: {shown}{message}", self.file),
            None => format!("{}: {shown}{message}", self.file),
        }
    }

    /// The server's refusal in terms of this file, when it names places of it.
    pub fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Problem(problem) if matches!(problem.status, 400 | 422) && !problem.errors.is_empty() => {
                let line = |fault: &Fault| self.place(&fault.at, &fault.message);
                Failure::Definition { file: self.file.clone(), faults: problem.errors.iter().map(line).collect() }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        match parse("holdfast.yaml", text, Path::new("/srv/app")) {
            Err(Failure::Definition { faults, .. }) => faults,
            other => panic!("expected faults, got {other:?}"),
        }
    }

    const HEAD: &str = "project: shop\nenvironment: production\n";

    #[test]
    fn a_mistake_is_named_with_its_line_and_column() {
        for (text, place, word) in [
            ("project: Shop\nenvironment: a\ncomponents: []\n", "holdfast.yaml:1:10: ", "`Shop` cannot be a name"),
            (&format!("{HEAD}componets: []\n"), "holdfast.yaml:3:1: ", "componets"),
            (
                &format!(
                    "{HEAD}components:\n  - {{name: a, kind: files, path: .}}\n  - {{name: b, kind: flies, path: .}}\n"
                ),
                "holdfast.yaml:5:",
                "flies",
            ),
            (
                &format!("{HEAD}components:\n  - name: a\n    kind: git\n    exclude: [x]\n    path: .\n"),
                "holdfast.yaml:4:",
                "exclude",
            ),
            (&format!("{HEAD}components:\n  - name: a\n\tkind: git\n"), "holdfast.yaml:4:11: ", "tab"),
            (&format!("{HEAD}components: [\n"), "holdfast.yaml:", ""),
            (&format!("{HEAD}components: []\n"), "holdfast.yaml:3:13: ", "is empty"),
            (
                &format!(
                    "{HEAD}components:\n  - {{name: a, kind: git, path: .}}\n  - {{name: a, kind: git, path: x}}\n"
                ),
                "holdfast.yaml:5:12: ",
                "used twice",
            ),
            (
                &format!(
                    "{HEAD}components:\n  - {{name: a, kind: git, path: .}}\ndrill:\n  smoke:\n    - {{component: db, sql: select 1}}\n"
                ),
                "holdfast.yaml:7:19: ",
                "not a database component",
            ),
            (
                &format!("{HEAD}components:\n  - {{name: a, kind: git, path: .}}\nrestore: {{stop: [sleep, 5]}}\n"),
                "holdfast.yaml:5:25: ",
                "quotes",
            ),
            (
                &format!(
                    "{HEAD}components:\n  - {{name: a, kind: git, path: .}}\nrestore:\n  health:\n    - {{htp: x}}\n"
                ),
                "holdfast.yaml:7:7: ",
                "give `http: ADDRESS`",
            ),
            (&format!("{HEAD}project: x\ncomponents: []\n"), "holdfast.yaml:3:1: duplicate mapping key: project", ""),
        ] {
            let faults = faults(text);
            assert!(faults[0].starts_with(place), "{text}\n{faults:?}");
            assert!(faults[0].contains(word), "{text}\n{faults:?}");
            assert!(!faults[0].contains('\n'), "{faults:?}");
        }
    }

    #[test]
    fn paths_count_from_the_folder_of_the_file_and_hooks_stay_as_they_are() {
        let text = format!(
            "{HEAD}components:
  - {{name: a, kind: files, path: ./uploads/./x, exclude: [\"./tmp\"]}}
  - {{name: b, kind: config, file: .env}}
  - {{name: c, kind: postgres, url_file: secrets/url}}
  - {{name: d, kind: git, path: .}}
  - {{name: e, kind: sqlite, path: /var/e.db}}
restore: {{stop: [./bin/stop, ./now], start: [systemctl, start, shop], after: [{{cmd: [bin/warm]}}]}}
hooks: {{pre_deploy: ['holdfast checkpoint create ${{ENV_NAME}}']}}
"
        );
        let read = parse("holdfast.yaml", &text, Path::new("/srv/app")).unwrap().definition;
        assert_eq!(read["components"][0]["path"], "/srv/app/uploads/x");
        assert_eq!(read["components"][0]["exclude"][0], "./tmp");
        assert_eq!(read["components"][1]["file"], "/srv/app/.env");
        assert_eq!(read["components"][2]["url_file"], "/srv/app/secrets/url");
        assert_eq!(read["components"][3]["path"], "/srv/app");
        assert_eq!(read["components"][4]["path"], "/var/e.db");
        assert_eq!(read["restore"]["stop"][0], "/srv/app/bin/stop");
        assert_eq!(read["restore"]["stop"][1], "./now");
        assert_eq!(read["restore"]["start"][0], "systemctl");
        assert_eq!(read["restore"]["after"][0]["cmd"][0], "/srv/app/bin/warm");
        assert_eq!(read["hooks"]["pre_deploy"][0], "holdfast checkpoint create ${ENV_NAME}");
    }

    #[test]
    fn a_path_above_the_folder_is_the_one_that_the_system_would_open() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("releases/42")).unwrap();
        std::os::unix::fs::symlink("releases/42", top.join("current")).unwrap();
        let text = format!(
            "{HEAD}components:\n  - {{name: a, kind: files, path: ../shared}}\n  - {{name: b, kind: git, path: .}}\n"
        );
        let read = parse("holdfast.yaml", &text, &top.join("current")).unwrap().definition;
        assert_eq!(read["components"][0]["path"], top.join("releases/shared").to_str().unwrap());
        // A link that each deploy turns is kept as a link.
        assert_eq!(read["components"][1]["path"], top.join("current").to_str().unwrap());
    }

    #[test]
    fn a_refusal_of_the_server_is_put_at_its_place() {
        let text = format!("{HEAD}components:\n  - name: db\n    kind: postgres\n    url: 'postgres://u:canary@h/d'\n");
        let read = parse("holdfast.yaml", &text, Path::new("/srv/app")).unwrap();
        assert_eq!(
            read.place("components[0].url", "wrong password"),
            "holdfast.yaml:6:10: components[0].url: wrong password"
        );
        assert_eq!(read.place("components[0].gone", "x"), "holdfast.yaml:4:5: components[0].gone: x");
        assert_eq!(read.place("", "x"), "holdfast.yaml: x");
    }
}
