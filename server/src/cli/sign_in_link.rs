//! `holdfast sign-in-link`: a new link that signs one browser in, once.

use super::{Ending, failure::Failure, print::times, session::Session};

/// Prints the link alone on stdout.
pub async fn run(session: &Session<'_>) -> Result<Ending, Failure> {
    let link = session.client()?.sign_in_link().await?;
    let output = session.output;
    if output.is_json() {
        output.json(&link)?;
    } else {
        output.line(&link.url)?;
        output.note(format!("It works once, until {}.", times::moment(link.expires_at)))?;
    }
    Ok(Ending::Done)
}
