//! Running `git` so that nothing of the repository's own making runs with it: no hooks, no prompts, no settings of
//! the host, no background work, and no lock that could disturb the repository's owner.

use std::{
    ffi::{OsStr, OsString},
    io::{Read, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use holdfast_vault::Cancel;

use crate::failure::Failure;

/// Settings that take away every way in which a repository could make git run a program.
const SAFE: [&str; 13] = [
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "core.alternateRefsCommand=true",
    "core.fsync=all",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "protocol.file.allow=always",
    "fetch.recurseSubmodules=no",
    "advice.detachedHead=false",
];
/// What is kept of a failing program's words.
const WORDS: u64 = 16 * 1024;

/// A `git` with its surroundings.
#[derive(Clone)]
pub(crate) struct Git {
    program: PathBuf,
    surroundings: Vec<(&'static str, OsString)>,
    settings: Vec<String>,
    folder: PathBuf,
    cancel: Cancel,
}

/// What a run of git gave.
pub(crate) struct Answer {
    pub out: Vec<u8>,
    pub err: String,
    pub ok: bool,
}

impl Git {
    pub(crate) fn new(program: &Path, git_dir: &Path, cancel: &Cancel) -> Self {
        let git = Self {
            program: program.to_path_buf(),
            surroundings: Vec::new(),
            settings: Vec::new(),
            folder: PathBuf::from("/"),
            cancel: cancel.clone(),
        };
        git.with("GIT_DIR", git_dir)
    }

    /// The same git with one more variable.
    #[must_use]
    pub(crate) fn with(mut self, variable: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.surroundings.push((variable, value.as_ref().to_owned()));
        self
    }

    /// The same git with one more setting, `name=value`.
    #[must_use]
    pub(crate) fn set(mut self, setting: String) -> Self {
        self.settings.push(setting);
        self
    }

    /// The same git, run in a folder; commands that look at a work tree must be run in it.
    #[must_use]
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.folder = folder.to_path_buf();
        self
    }

    /// Runs it; any exit status but 0 is an error with git's own words.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        self.feed(arguments, b"")
    }

    /// The same, with bytes on its standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Failure> {
        let answer = self.ask(arguments, input)?;
        if answer.ok {
            return Ok(answer.out);
        }
        let what = arguments.first().copied().unwrap_or_default();
        Err(Failure::Said(format!("git {what} failed: {}", answer.err.trim())))
    }

    /// One line of text.
    pub(crate) fn line(&self, arguments: &[&str]) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&self.run(arguments)?).trim().to_owned())
    }

    /// Runs it and hands its standard output to `read` while it comes; any exit status but 0 is an error then. The child
    /// ends with the reader.
    pub(super) fn piped<T>(
        &self,
        arguments: &[&str],
        read: impl FnOnce(std::process::ChildStdout) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.cancel.check()?;
        let said =
            |error: std::io::Error| Failure::Said(format!("`{}` cannot be run: {error}", self.program.display()));
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(said)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let words = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = stderr {
                let _ = (&mut pipe).take(WORDS).read_to_end(&mut bytes);
                let _ = std::io::copy(&mut pipe, &mut std::io::sink());
            }
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let outcome = match stdout {
            Some(stdout) => read(stdout),
            None => Err(Failure::Said("git has no output".to_owned())),
        };
        if outcome.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(said)?;
        let words = words.join().unwrap_or_default();
        match outcome {
            Ok(value) if status.success() => Ok(value),
            Ok(_) => {
                let what = arguments.first().copied().unwrap_or_default();
                Err(Failure::Said(format!("git {what} failed: {}", words.trim())))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Runs it and gives what came of it, whatever its exit status.
    pub(crate) fn ask(&self, arguments: &[&str], input: &[u8]) -> Result<Answer, Failure> {
        self.cancel.check()?;
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let said =
            |error: std::io::Error| Failure::Said(format!("`{}` cannot be run: {error}", self.program.display()));
        let mut child = command.spawn().map_err(said)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A git that has read enough closes the pipe; its exit status tells what it thinks.
                stdin.map(|mut pipe| pipe.write_all(input))
            });
            let out = scope.spawn(move || {
                let mut bytes = Vec::new();
                stdout.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes)).map(|_| bytes)
            });
            let err = scope.spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut pipe) = stderr {
                    let _ = (&mut pipe).take(WORDS).read_to_end(&mut bytes);
                    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
                }
                String::from_utf8_lossy(&bytes).into_owned()
            });
            let mut pause = Duration::from_millis(1);
            let status = loop {
                if let Some(status) = child.try_wait().map_err(said)? {
                    break status;
                }
                if self.cancel.is_cancelled() {
                    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                    if let Some(group) = group {
                        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                    }
                    let _ = child.wait();
                    return Err(Failure::Cancelled);
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            };
            let lost = || Failure::Said("the output of git could not be read".to_owned());
            Ok(Answer {
                out: out.join().map_err(|_| lost())?.map_err(said)?,
                err: err.join().map_err(|_| lost())?,
                ok: status.success(),
            })
        })
    }

    /// The program with its surroundings and settings, a process group of its own.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        for (variable, value) in [
            ("LC_ALL", "C"),
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
        ] {
            command.env(variable, value);
        }
        for (variable, value) in &self.surroundings {
            command.env(variable, value);
        }
        for setting in SAFE.iter().copied().chain(self.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        command.args(arguments).current_dir(&self.folder).process_group(0);
        command
    }
}

/// Entries of NUL-separated output.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

/// Adds an entry to NUL-separated input.
pub(crate) fn push(list: &mut Vec<u8>, entry: &[u8]) {
    list.extend_from_slice(entry);
    list.push(0);
}
