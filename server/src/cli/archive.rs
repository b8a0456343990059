//! Archives that go out of a server or into one: how they are named, and how bytes get from an async connection to code
//! that reads and writes, and back.

use std::io;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_util::bytes::Bytes;

use super::{client::Client, failure::Failure};

/// What an encrypted archive's name ends with.
pub const AGE: &str = ".age";

/// The form that a name asks for, as the REST API calls it; none where it names no archive.
#[must_use]
pub fn form(name: &str) -> Option<&'static str> {
    let name = name.strip_suffix(AGE).unwrap_or(name);
    [(".tar.gz", "tar.gz"), (".tgz", "tar.gz"), (".tar.zst", "tar.zst"), (".tar", "tar")]
        .into_iter()
        .find_map(|(ending, form)| name.ends_with(ending).then_some(form))
}

/// Pieces of bytes on their way between the async side and a thread.
pub type Piece = io::Result<Bytes>;
/// Pieces on their way at once.
pub const PIECES: usize = 8;

/// Hands an answer's bytes on until it ends, breaks off, or Ctrl-C is pressed: then the reader gets an error, so that it
/// takes nothing half for whole. `told` hears how many bytes have come.
///
/// # Errors
/// When the connection broke off, or the person left.
pub async fn pump(
    client: &Client,
    response: Response,
    sender: mpsc::Sender<Piece>,
    mut told: impl FnMut(u64),
) -> Result<(), Failure> {
    let mut bytes = response.bytes_stream();
    let mut count = 0_u64;
    loop {
        let next = tokio::select! {
            next = bytes.next() => next,
            _ = tokio::signal::ctrl_c() => {
                let left = || io::Error::new(io::ErrorKind::Interrupted, "interrupted");
                let _ = sender.send(Err(io::Error::other(left()))).await;
                return Err(Failure::Io { what: "nothing was kept".into(), source: left() });
            }
        };
        match next {
            None => return Ok(()),
            Some(Ok(piece)) => {
                count += piece.len() as u64;
                told(count);
                if sender.send(Ok(piece)).await.is_err() {
                    // The reader has ended and says why.
                    return Ok(());
                }
            }
            Some(Err(error)) => {
                let _ = sender.send(Err(io::Error::other(error.to_string()))).await;
                return Err(client.broken(&error));
            }
        }
    }
}

/// A moving line for bytes that pass, where somebody watches.
pub fn moving(shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let style = styled("  {spinner} {msg} … {decimal_bytes} {decimal_bytes_per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}

/// The same where it is known how many there will be.
pub fn measured() -> ProgressStyle {
    styled("  {spinner} {msg} … {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}")
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
