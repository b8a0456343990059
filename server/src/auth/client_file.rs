//! `client.json`: by it the command line on this machine finds the server and a credential.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use holdfast_model::secret::Secret;
use serde::Deserialize;

use super::{new_token, owner, token_hash};
use crate::store::{Store, StoreError};

/// Its content.
#[derive(Deserialize)]
pub struct ClientFile {
    /// Where the server listens: `http://127.0.0.1:3000`.
    pub url: String,
    /// The host's own credential.
    pub token: Secret,
}

/// Why a credential cannot be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be read or written.
    #[error("{} cannot be used: {source}; correct its rights, or remove it and a new one is made", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a client file ({source}); remove it and a new one is made", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClientFile {
    /// Reads it.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let text = std::fs::read(path).map_err(|source| AccessError::File { path: path.to_owned(), source })?;
        serde_json::from_slice(&text).map_err(|source| AccessError::Content { path: path.to_owned(), source })
    }

    /// Writes it whole or not at all, readable by its owner only.
    fn write(&self, path: &Path) -> Result<(), AccessError> {
        let failed = |source| AccessError::File { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".client-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(failed)?;
        let content = serde_json::json!({ "url": self.url, "token": self.token.expose() });
        file.write_all(format!("{content:#}\n").as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Makes the host's credential where there is none, and writes down where the server listens now.
///
/// # Errors
/// When the file or the catalogue cannot be written.
pub async fn host_credential(store: &Store, path: &Path, url: &str) -> Result<(), AccessError> {
    let token = if path.exists() { ClientFile::read(path)?.token } else { new_token("hfk")? };
    store.put_credential(&token_hash(token.expose()), &owner()).await?;
    ClientFile { url: url.to_owned(), token }.write(path)
}
