//! Where a vault lies, and how to get there: a folder on a disk of this host, or a place in a bucket.

use std::sync::Arc;

use holdfast_model::{request::BucketAccess, state::Checksum, view::Trial};
use holdfast_vault::{
    Backend, BackendError, Checksum as Mode, Error as VaultError, FileKind, LocalBackend, S3Backend, S3Options,
    SecretKey,
};

/// A location as it was asked for or is stored.
#[derive(Clone)]
pub(crate) enum Place {
    /// A folder.
    Folder(String),
    /// A bucket, with the way into it.
    Bucket(Box<S3Options>),
}

impl Place {
    /// Reads a location; whether anything is there is another question.
    pub(crate) fn read(location: &str, access: Option<&BucketAccess>) -> Result<Self, VaultError> {
        if !location.starts_with("s3:") {
            if !location.starts_with('/') {
                let what =
                    format!("`{location}` is neither s3://bucket/prefix nor an absolute path on the server's host");
                return Err(VaultError::Refused(what));
            }
            return Ok(Self::Folder(location.to_owned()));
        }
        let access = access.ok_or_else(|| {
            VaultError::Refused(
                "a bucket needs the id and the secret of an access key that may read and write it".into(),
            )
        })?;
        let secret = SecretKey::new(access.secret_key.as_str());
        let (endpoint, region) = (access.endpoint.as_deref(), access.region.as_deref());
        let mut options = S3Options::new(location, endpoint, region, access.access_key.as_str(), secret)
            .map_err(|error| VaultError::Refused(error.to_string()))?;
        if let Some(path_style) = access.path_style {
            options.path_style = path_style;
        }
        if let Some(checksum) = access.checksum {
            options.checksum = mode(checksum);
        }
        options.ca.clone_from(&access.ca);
        Ok(Self::Bucket(Box::new(options)))
    }

    /// In restic's syntax: what is stored and shown.
    pub(crate) fn location(&self) -> String {
        match self {
            Self::Folder(path) => path.clone(),
            Self::Bucket(options) => options.location(),
        }
    }

    /// The storage of a vault that is there.
    pub(crate) fn open(&self) -> Result<Arc<dyn Backend>, BackendError> {
        Ok(match self {
            Self::Folder(path) => Arc::new(LocalBackend::open(path)?),
            Self::Bucket(options) => Arc::new(S3Backend::new(options.as_ref().clone())?),
        })
    }

    /// The storage for a vault that is to be made, or was begun.
    pub(crate) fn create(&self) -> Result<Arc<dyn Backend>, BackendError> {
        Ok(match self {
            Self::Folder(path) => Arc::new(LocalBackend::create(path)?),
            Self::Bucket(options) => Arc::new(S3Backend::new(options.as_ref().clone())?),
        })
    }

    /// Whether a vault lies there already.
    pub(crate) fn is_taken(&self) -> Result<bool, BackendError> {
        match self.open() {
            Ok(storage) => Ok(!storage.list(FileKind::Config)?.is_empty()),
            Err(BackendError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tries whether the storage does what a vault needs. A disk is tried by using it.
    pub(crate) fn trials(&self) -> Result<Vec<Trial>, BackendError> {
        let Self::Bucket(options) = self else { return Ok(Vec::new()) };
        let seen = S3Backend::new(options.as_ref().clone())?.self_test()?;
        Ok(seen
            .into_iter()
            .map(|seen| Trial {
                name: seen.name.to_owned(),
                works: seen.ok,
                required: seen.required,
                message: match seen.mend {
                    Some(mend) => format!("{}; {mend}", seen.what),
                    None => seen.what,
                },
            })
            .collect())
    }
}

const fn mode(checksum: Checksum) -> Mode {
    match checksum {
        Checksum::None => Mode::None,
        Checksum::Md5 => Mode::Md5,
        Checksum::Crc32 => Mode::Crc32,
        Checksum::Crc32c => Mode::Crc32c,
        Checksum::Sha256 => Mode::Sha256,
    }
}
