//! A git directory of our own beside the repository: its index and new objects are ours, the repository is only read.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use holdfast_vault::Cancel;
use time::OffsetDateTime;

use super::{
    repository::Repository,
    run::{Git, fields, push},
};
use crate::{failure::Failure, files::TRASH, place::shown};

/// A desk for one repository.
pub(super) struct Desk {
    pub dir: PathBuf,
    pub index: PathBuf,
    program: PathBuf,
    cancel: Cancel,
    /// The object format, where it is not SHA-1.
    pub format: Option<String>,
    /// The remote that a partial clone leaves objects with.
    pub partial: Option<String>,
    stores: Vec<PathBuf>,
    work_tree: Option<PathBuf>,
    objects: Option<PathBuf>,
    ignore_file: Option<String>,
}

/// Uncommitted work as trees.
pub(super) struct Work {
    /// What is staged; none while there are merge conflicts.
    pub index: Option<String>,
    /// What is in the work tree, untracked files included, ignored ones not.
    pub work_tree: String,
    /// Path, reason, message of what could not be read.
    pub skipped: Vec<(String, String, String)>,
    /// Repositories within the repository.
    pub nested: Vec<String>,
}

impl Desk {
    /// Makes the directory, with a copy of the repository's index; new objects go into it.
    pub(super) fn set_up(
        dir: &Path,
        repository: &Repository,
        program: &Path,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let said = |error: std::io::Error| Failure::io(dir, &error);
        for folder in ["objects/info", "objects/pack", "refs", "info"] {
            fs::create_dir_all(dir.join(folder)).map_err(said)?;
        }
        fs::write(dir.join("HEAD"), "ref: refs/heads/holdfast\n").map_err(said)?;
        // Bytes are captured as they stand: no filter, no line ending and no keyword is translated.
        fs::write(dir.join("info/attributes"), "* -text -eol -ident -filter -working-tree-encoding\n").map_err(said)?;
        let exclude = fs::read(repository.common_dir.join("info/exclude")).unwrap_or_default();
        fs::write(dir.join("info/exclude"), exclude).map_err(said)?;
        let mut stores = vec![repository.common_dir.join("objects")];
        stores.extend(repository.borrowed());
        let mut desk = Self {
            dir: dir.to_path_buf(),
            index: dir.join("index"),
            program: program.to_path_buf(),
            cancel: cancel.clone(),
            format: None,
            partial: None,
            stores,
            work_tree: repository.work_tree.clone(),
            objects: None,
            ignore_file: None,
        };
        let settings = repository.common_dir.join("config");
        desk.format = desk.setting(&settings, "extensions.objectformat")?;
        desk.partial = desk.setting(&settings, "extensions.partialclone")?;
        desk.ignore_file = desk.setting(&settings, "core.excludesfile")?;
        fs::write(dir.join("config"), desk.config()).map_err(said)?;
        if let Ok(shallow) = fs::read(repository.common_dir.join("shallow")) {
            fs::write(dir.join("shallow"), shallow).map_err(said)?;
        }
        match fs::copy(repository.git_dir.join("index"), &desk.index) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(&repository.git_dir.join("index"), &error)),
        }
        // A split index keeps most of itself in a second file.
        for entry in fs::read_dir(&repository.git_dir).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"sharedindex.") {
                let _ = fs::copy(entry.path(), dir.join(entry.file_name()));
            }
        }
        Ok(desk)
    }

    /// The same desk, with new objects going elsewhere.
    #[must_use]
    pub(super) fn with_objects(mut self, store: PathBuf) -> Self {
        self.objects = Some(store);
        self
    }

    /// Reads one setting from a file, without the files that it includes.
    pub(super) fn setting(&self, file: &Path, name: &str) -> Result<Option<String>, Failure> {
        let Some(file) = file.to_str() else { return Ok(None) };
        let answer =
            Git::new(&self.program, &self.dir, &self.cancel).ask(&["config", "--file", file, "--get", name], b"")?;
        let value = String::from_utf8_lossy(&answer.out).trim().to_owned();
        Ok((answer.ok && !value.is_empty()).then_some(value))
    }

    /// Settings of a bare repository that holds what the source holds.
    pub(super) fn config(&self) -> String {
        let version = u8::from(self.format.is_some() || self.partial.is_some());
        let mut text = format!("[core]\n\trepositoryformatversion = {version}\n\tbare = true\n");
        if let Some(format) = &self.format {
            text.push_str(&format!("[extensions]\n\tobjectformat = {format}\n"));
        }
        if let Some(remote) = &self.partial {
            text.push_str(&format!(
                "[extensions]\n\tpartialclone = {remote}\n[remote \"{remote}\"]\n\tpromisor = true\n"
            ));
        }
        text
    }

    /// git at this desk: reads the repository's objects and work tree, writes here.
    pub(super) fn git(&self) -> Git {
        let mut stores = OsString::new();
        for (index, store) in self.stores.iter().enumerate() {
            if index > 0 {
                stores.push(":");
            }
            stores.push(quoted(store));
        }
        let mut git = Git::new(&self.program, &self.dir, &self.cancel)
            .with("GIT_INDEX_FILE", &self.index)
            .with("GIT_ALTERNATE_OBJECT_DIRECTORIES", stores);
        if let Some(store) = &self.objects {
            git = git.with("GIT_OBJECT_DIRECTORY", store);
        }
        if let Some(tree) = &self.work_tree {
            git = git.with("GIT_WORK_TREE", tree).within(tree).set("core.bare=false".to_owned());
        }
        if let Some(file) = &self.ignore_file {
            git = git.set(format!("core.excludesFile={file}"));
        }
        git
    }

    /// The staged tree and the tree of the work tree. `skip` says which untracked paths belong to somebody else.
    pub(super) fn work(&self, skip: &dyn Fn(&Path) -> bool) -> Result<Option<Work>, Failure> {
        let Some(root) = &self.work_tree else { return Ok(None) };
        let git = self.git();
        // Unmerged entries have no tree; what is in the work tree is kept all the same.
        let staged = git.ask(&["write-tree"], b"")?;
        let index = staged.ok.then(|| String::from_utf8_lossy(&staged.out).trim().to_owned());
        let mut work = Work { index, work_tree: String::new(), skipped: Vec::new(), nested: Vec::new() };
        let mut list = Vec::new();
        let changed = git.run(&["diff-files", "--name-only", "-z", "--ignore-submodules=all"])?;
        let untracked = git.run(&["ls-files", "-o", "--exclude-standard", "-z"])?;
        let tracked = fields(&changed).map(|path| (path, true));
        for (bytes, tracked) in tracked.chain(fields(&untracked).map(|path| (path, false))) {
            self.cancel.check()?;
            let path = Path::new(OsStr::from_bytes(bytes));
            if bytes.ends_with(b"/") {
                work.nested.push(shown(path));
                continue;
            }
            let is_trash = path.iter().any(|part| part.as_encoded_bytes().starts_with(TRASH.as_bytes()));
            if !tracked && (is_trash || skip(&root.join(path))) {
                continue;
            }
            match readable(&root.join(path)) {
                // Gone meanwhile, or deleted: git notes a deletion for a tracked path.
                Ok(()) => push(&mut list, bytes),
                Err(error) => work.skipped.push((shown(path), "unreadable".to_owned(), error.to_string())),
            }
        }
        git.feed(&["update-index", "--add", "--remove", "--replace", "-z", "--stdin"], &list)?;
        work.work_tree = git.line(&["write-tree"])?;
        Ok(Some(work))
    }

    /// A commit of `tree` on `parents`, by Holdfast, at `when`.
    pub(super) fn commit(
        &self,
        tree: &str,
        parents: &[&str],
        when: OffsetDateTime,
        message: &str,
    ) -> Result<String, Failure> {
        let date = format!("@{} +0000", when.unix_timestamp());
        let mut git = self.git();
        for (name, email) in [("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"), ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")] {
            git = git.with(name, "Holdfast").with(email, "holdfast@localhost");
        }
        git = git.with("GIT_AUTHOR_DATE", &date).with("GIT_COMMITTER_DATE", &date);
        let mut arguments = vec!["commit-tree", tree, "-m", message];
        for parent in parents {
            arguments.extend(["-p", *parent]);
        }
        git.line(&arguments)
    }
}

fn readable(path: &Path) -> std::io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(error) => Err(error),
        Ok(facts) if facts.is_file() => fs::File::open(path).map(drop),
        Ok(_) => Ok(()),
    }
}

/// As git reads an entry of a `:`-separated list.
fn quoted(path: &Path) -> OsString {
    let plain = path.as_os_str();
    if !plain.as_bytes().iter().any(|byte| matches!(byte, b':' | b'"' | b'\\' | b'\n')) {
        return plain.to_owned();
    }
    let mut text = b"\"".to_vec();
    for byte in plain.as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
    OsStr::from_bytes(&text).to_owned()
}
