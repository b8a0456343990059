//! `holdfast version`.

use serde_json::json;

use super::{Ending, failure::Failure, session::Session};

/// Prints it.
pub fn run(session: &Session<'_>) -> Result<Ending, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if session.output.is_json() {
        session.output.json(&json!({ "version": version }))?;
    } else {
        session.output.line(format!("holdfast {version}"))?;
    }
    Ok(Ending::Done)
}
