//! Values that are read on the capturing host, at the time of the capture.

use std::fs;

use holdfast_model::{definition::Source, secret::Secret};

/// The value; a file's trailing newline does not count.
///
/// # Errors
/// The variable or file is not there or is not text; the text names it, never a value.
pub(crate) fn read(source: &Source<Secret>) -> Result<Secret, String> {
    match source {
        Source::Given(secret) => Ok(secret.clone()),
        Source::Env(name) => variable(name),
        Source::File(path) => fs::read_to_string(path)
            .map(|text| Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
            .map_err(|error| format!("the file {} cannot be read: {error}", path.display())),
    }
}

/// A variable of this process.
///
/// # Errors
/// It is not set, or is not text.
pub(crate) fn variable(name: &str) -> Result<Secret, String> {
    std::env::var(name).map(Secret::new).map_err(|error| match error {
        std::env::VarError::NotPresent => {
            format!("the variable {name} is not set on the capturing host; set it for the server and start it again")
        }
        std::env::VarError::NotUnicode(_) => format!("the variable {name} of the capturing host is not UTF-8 text"),
    })
}
