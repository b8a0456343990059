//! What of a directory belongs to a `files` component: its patterns, and the places that others look after.

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdfast_model::definition::{Component, Definition, Settings};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::place::real;

/// The first letters of every trash folder of a restore; such a folder is in no capture.
pub(crate) const TRASH: &str = ".holdfast-trash-";

/// An absolute place that is left out, and why.
#[derive(Debug, Clone)]
pub(crate) struct LeftOut {
    pub path: PathBuf,
    pub why: String,
}

/// What is taken of a directory, or of the folder around a single file.
#[derive(Debug)]
pub(crate) struct Selection {
    root: PathBuf,
    /// Set where the component is one file of `root`.
    single: Option<PathBuf>,
    matcher: Gitignore,
    patterns: Vec<String>,
    /// Relative to `root`.
    left_out: Vec<(PathBuf, String)>,
}

impl Selection {
    /// `patterns` are in gitignore style, anchored at `path`; an absolute one under `path` means what it says.
    /// `is_file` says whether the component is a single file; without it, what stands at `path` does.
    ///
    /// # Errors
    /// A pattern that is not one, or a `path` in a forbidden place; the text names it and the mend.
    pub(crate) fn new(
        path: &Path,
        patterns: &[String],
        left_out: Vec<LeftOut>,
        forbidden: &[PathBuf],
        is_file: Option<bool>,
    ) -> Result<Self, String> {
        let own = real(path);
        let is_file = is_file.unwrap_or_else(|| fs::symlink_metadata(&own).is_ok_and(|meta| !meta.is_dir()));
        let (root, single) = match (is_file, own.parent(), own.file_name()) {
            (true, Some(folder), Some(name)) => (folder.to_path_buf(), Some(PathBuf::from(name))),
            _ => (own.clone(), None),
        };
        let matcher = matcher(&[&root, path], patterns)?;
        let mut relative = Vec::new();
        for place in forbidden {
            let place = real(place);
            if own.starts_with(&place) {
                return Err(format!(
                    "{} lies in Holdfast's own data directory, which is never captured; choose another path",
                    path.display()
                ));
            }
            if let Ok(inside) = place.strip_prefix(&root) {
                relative.push((inside.to_path_buf(), "it is Holdfast's own data directory".to_owned()));
            }
        }
        for LeftOut { path, why } in left_out {
            match real(&path).strip_prefix(&root) {
                Ok(inside) if !inside.as_os_str().is_empty() && single.is_none() => {
                    relative.push((inside.to_path_buf(), why));
                }
                _ => {}
            }
        }
        Ok(Self { root, single, matcher, patterns: patterns.to_vec(), left_out: relative })
    }

    /// The directory that is walked.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the component is one file of [`Selection::root`].
    pub(crate) const fn is_single_file(&self) -> bool {
        self.single.is_some()
    }

    /// The patterns as given.
    pub(crate) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether an entry belongs to the component; relative to [`Selection::root`].
    pub(crate) fn takes(&self, relative: &Path, is_dir: bool) -> bool {
        if let Some(single) = &self.single {
            return relative == single;
        }
        let is_trash = relative.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(TRASH.as_bytes()));
        !is_trash
            && !self.left_out.iter().any(|(place, _)| relative.starts_with(place))
            && !self.matcher.matched(relative, is_dir).is_ignore()
    }

    /// Whether the path is there and can be read.
    pub(crate) fn readable(&self) -> Result<(), String> {
        let target = self.single.as_ref().map_or_else(|| self.root.clone(), |name| self.root.join(name));
        let outcome = if self.single.is_some() {
            fs::symlink_metadata(&target).map(|_| ())
        } else {
            fs::read_dir(&target).map(|_| ())
        };
        outcome.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("{} does not exist; make it, or correct the path", target.display())
            }
            std::io::ErrorKind::PermissionDenied => format!(
                "{} cannot be read by this user; give it the right to, or run Holdfast as another user",
                target.display()
            ),
            _ => format!("{}: {error}", target.display()),
        })
    }

    /// What is not in the component, for people.
    pub(crate) fn not_covered(&self) -> Vec<String> {
        let patterns = self.patterns.iter().map(|pattern| format!("what matches `{pattern}`"));
        let places = self
            .left_out
            .iter()
            .filter(|(place, _)| fs::symlink_metadata(self.root.join(place)).is_ok())
            .map(|(place, why)| format!("`{}`: {why}", place.display()));
        patterns.chain(places).collect()
    }
}

/// Reads patterns. `bases` are absolute paths that all mean the directory whose relative paths are matched, the
/// directory itself first: a pattern that begins with one of them means what it says.
///
/// # Errors
/// A pattern that is not one; the text names it.
pub(crate) fn matcher(bases: &[&Path], patterns: &[String]) -> Result<Gitignore, String> {
    let mut builder = GitignoreBuilder::new(bases.first().unwrap_or(&Path::new("/")));
    for pattern in patterns {
        let wrong = |why: &str| format!("the pattern `{pattern}` cannot be used: {why}");
        let (negation, body) = match pattern.strip_prefix('!') {
            Some(rest) => ("!", rest),
            None => ("", pattern.as_str()),
        };
        if body.trim().is_empty() {
            return Err(wrong("it is empty"));
        }
        if body.starts_with('#') {
            return Err(wrong("it reads as a comment; write `\\#`"));
        }
        let anchored = bases.iter().find_map(|base| Path::new(body).strip_prefix(base).ok());
        let line = match anchored {
            Some(rest) if rest.as_os_str().is_empty() => {
                return Err(wrong("it leaves out the whole component; leave out the component instead"));
            }
            // `strip_prefix` forgets a trailing slash, which means "directories only".
            Some(rest) => {
                format!("{negation}/{}{}", rest.display(), if body.ends_with('/') { "/" } else { "" })
            }
            None => pattern.clone(),
        };
        builder.add_line(None, &line).map_err(|error| wrong(&error.to_string()))?;
    }
    builder.build().map_err(|error| format!("the patterns cannot be used together: {error}"))
}

/// The places inside `path` that other components of the definition capture, so that nothing is captured twice.
pub(crate) fn neighbours(definition: &Definition, own: &Component, path: &Path) -> Vec<LeftOut> {
    let root = real(path);
    let mut found = Vec::new();
    for other in definition.components.iter().filter(|other| other.name != own.name) {
        let by = format!("component `{}` captures it", other.name);
        match &other.settings {
            // A git component at the very same path looks after `.git`; the files are this component's.
            Settings::Git { path } if real(path) == root => {
                found.push(LeftOut { path: root.join(".git"), why: by });
            }
            Settings::Git { path } => found.push(LeftOut {
                path: path.clone(),
                why: format!("{by} (files that git ignores there are in no checkpoint)"),
            }),
            Settings::Files { path, .. } => found.push(LeftOut { path: path.clone(), why: by }),
            Settings::Sqlite { path } => {
                for suffix in ["", "-wal", "-shm", "-journal"] {
                    let mut name = path.clone().into_os_string();
                    name.push(suffix);
                    found.push(LeftOut { path: name.into(), why: by.clone() });
                }
            }
            Settings::Config { file: Some(file), .. } => found.push(LeftOut { path: file.clone(), why: by }),
            Settings::Config { .. } | Settings::Postgres { .. } | Settings::Unsupported(_) => {}
        }
    }
    found
}
