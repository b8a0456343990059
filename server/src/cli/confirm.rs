//! Questions to a person. Without a terminal nothing is asked: the command says which option answers instead.

use std::io::{self, BufRead};

use super::{failure::Failure, output::Output};

/// Asks for the word `yes`; anything else is no.
///
/// # Errors
/// [`Failure::Unconfirmed`] when nobody can be asked: `mend` says which option answers.
pub async fn typed_yes(output: &Output, question: &str, mend: &str) -> Result<bool, Failure> {
    if !output.can_ask() {
        return Err(Failure::Unconfirmed { mend: mend.into() });
    }
    Ok(ask(format!("{question} Type yes to confirm: ")).await?.trim() == "yes")
}

/// Asks, and takes an empty answer for `default`.
///
/// # Errors
/// When the terminal cannot be read.
pub async fn yes_or_no(question: &str, default: bool) -> Result<bool, Failure> {
    let choice = if default { "[Y/n]" } else { "[y/N]" };
    let answer = ask(format!("{question} {choice} ")).await?;
    Ok(match answer.trim().to_ascii_lowercase().as_str() {
        "" => default,
        "y" | "yes" => true,
        _ => false,
    })
}

/// Waits for one line on a thread of its own, so that signals are still heard. The end of the input is an empty line.
async fn ask(question: String) -> Result<String, Failure> {
    let failed = |source| Failure::Io { what: "reading your answer".into(), source };
    console::Term::stderr().write_str(&question).map_err(failed)?;
    tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    })
    .await
    .map_err(|error| failed(io::Error::other(error)))?
    .map_err(failed)
}
