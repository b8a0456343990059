//! The one way to stdout and stderr: lines for people, or one JSON value; a pipe that was closed is never an error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;

/// Where a command's words go.
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// With `json`, lines for people go to stderr and stdout waits for its one value.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether stdout is kept for one JSON value.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// A line of the answer.
    ///
    /// # Errors
    /// When it cannot be written, for example because the disk is full.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { self.note(text) } else { write(&mut io::stdout().lock(), text.as_ref().as_bytes(), true) }
    }

    /// A line beside the answer: progress, warnings, totals that must not be taken for a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        write(&mut io::stderr().lock(), text.as_ref().as_bytes(), true)
    }

    /// The one value.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::Io { what: "writing JSON".into(), source: io::Error::other(error) })?;
        write(&mut io::stdout().lock(), text.as_bytes(), true)
    }

    /// Bytes as they are. False once nobody reads them any more.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> Result<bool, Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(source) => Err(Failure::Io { what: "writing to stdout".into(), source }),
        }
    }

    /// Whether lines of the answer are read by a person.
    pub fn is_terminal(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Whether progress may be drawn.
    pub fn can_draw(&self) -> bool {
        io::stderr().is_terminal() && console::Term::stderr().features().is_attended()
    }

    /// Whether somebody is there to be asked.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

fn write(to: &mut impl Write, bytes: &[u8], newline: bool) -> Result<(), Failure> {
    let end: &[u8] = if newline { b"\n" } else { b"" };
    match to.write_all(bytes).and_then(|()| to.write_all(end)).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Io { what: "writing the answer".into(), source: error })
        }
        _ => Ok(()),
    }
}
