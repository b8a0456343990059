//! The file `config`: that this is a vault, which version, and which one.

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, BackendError, FileKind};
use crate::crypto::{Key, fill_random};
use crate::{Error, polynomial};

/// The JSON of `config`. It is encrypted, and alone among the files never compressed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    pub version: u32,
    pub id: String,
    pub chunker_polynomial: String,
}

impl Config {
    pub(crate) fn random() -> Result<Config, Error> {
        let mut id = [0; 32];
        fill_random(&mut id)?;
        Ok(Config { version: 2, id: hex::encode(id), chunker_polynomial: format!("{:x}", polynomial::random()?) })
    }

    pub(crate) fn write(&self, backend: &dyn Backend, key: &Key) -> Result<(), Error> {
        let json = serde_json::to_vec(self).map_err(|error| Error::Refused(error.to_string()))?;
        Ok(backend.write(FileKind::Config, "config", &key.sealed(&json)?)?)
    }

    /// The bytes of `config` as they stand.
    pub(crate) fn load(backend: &dyn Backend) -> Result<Vec<u8>, Error> {
        backend.read(FileKind::Config, "config").map_err(|error| match error {
            BackendError::NotFound { .. } => Error::NotAVault { location: backend.location() },
            other => other.into(),
        })
    }

    /// Opens what [`Config::load`] gave.
    pub(crate) fn open(key: &Key, mut sealed: Vec<u8>) -> Result<Config, Error> {
        let json = key.open(&mut sealed).map_err(|_| Error::damaged("config does not open with the vault's key"))?;
        let config: Config =
            serde_json::from_slice(json).map_err(|error| Error::damaged(format!("config: {error}")))?;
        if config.version != 2 {
            return Err(Error::Refused(format!(
                "repository format version {} instead of 2; `restic migrate upgrade_repo_v2` brings a version 1 up",
                config.version
            )));
        }
        config.seed()?;
        Ok(config)
    }

    /// The polynomial as a number.
    pub(crate) fn seed(&self) -> Result<u64, Error> {
        u64::from_str_radix(&self.chunker_polynomial, 16)
            .ok()
            .filter(|polynomial| polynomial::is_irreducible(*polynomial))
            .ok_or_else(|| Error::damaged("config: the chunker polynomial is not one"))
    }
}
