//! The catalogue's own way through a bad day: copies of it lie in a vault, and one of them becomes the catalogue of a
//! new host.
//!
//! | room | what it holds |
//! |---|---|
//! | [`image`] | the catalogue as one checked file |
//! | [`copies`] | such files as snapshots of a vault: written, thinned out, found and read again |
//! | [`recover`] | an empty data directory gets catalogue and key file |
//!
//! A copy is as secret as the vault that it lies in, and the passwords in it are wrapped by the server key, which lies in
//! no vault: whoever holds one project's recovery kit learns the others' names and history, and opens nothing of theirs.
//!
//! The catalogue is SQLite here. One in PostgreSQL is that server's to copy; the seam is [`image::take`], and the name of
//! the file in a copy ([`copies::FILE`]).

use time::OffsetDateTime;

use crate::{store::StoreError, vaults::VaultsError};

pub(crate) mod copies;
pub(crate) mod image;
pub(crate) mod recover;

/// Why the catalogue was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is not a file of ours.
    #[error(
        "the catalogue is in PostgreSQL: copy it with PostgreSQL's own tools, and keep the server key with the copy"
    )]
    Elsewhere,
    /// There is nowhere to put it.
    #[error("there is no vault yet to copy the catalogue into; a project's first checkpoint makes one")]
    NoVault,
    /// The file could not be copied, or the copy is not sound.
    #[error(transparent)]
    Image(#[from] image::ImageError),
    /// The vault.
    #[error(transparent)]
    Vaults(#[from] VaultsError),
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blocking thread was lost.
    #[error("a thread of the copy stopped: {0}")]
    Thread(String),
}

/// How old something is, in the largest unit that fits: `3 days`.
pub(crate) fn age(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let minutes = (now - at).whole_minutes().max(0);
    let (number, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
