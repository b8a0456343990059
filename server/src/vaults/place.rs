//! Where a vault lies, and how to get there: a folder on a disk of this host, or a place in a bucket.

use std::{sync::Arc, time::Duration};

use holdfast_model::{
    request::{BucketAccess, ObjectLock},
    state::{Checksum, LockMode},
    view::Trial,
};
use holdfast_vault::{
    Backend, BackendError, Checksum as Mode, Error as VaultError, FileKind, LocalBackend, Reach, Retention,
    RetentionMode, S3Backend, S3Options, SecretKey, Undeleted,
};
use ipnet::IpNet;
use url::Url;

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
        options.retention = access.lock.map(retention);
        Ok(Self::Bucket(Box::new(options)))
    }

    /// The same, where it was not named by whoever owns the host: of private addresses only these are in reach.
    pub(crate) fn within(mut self, networks: &[IpNet]) -> Self {
        if let Self::Bucket(options) = &mut self {
            options.reach = Reach::Listed(networks.to_vec());
        }
        self
    }

    /// Whether its endpoint is in reach now; each connection asks again.
    pub(crate) async fn check_reach(&self) -> Result<(), String> {
        let Self::Bucket(options) = self else { return Ok(()) };
        let endpoint = Url::parse(&options.endpoint).map_err(|error| error.to_string())?;
        let host = endpoint.host_str().unwrap_or_default();
        match options.reach.resolve(host.trim_start_matches('[').trim_end_matches(']')).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{host}: {error}")),
        }
    }

    /// Whether its reach is bound to what is listed.
    pub(crate) fn is_bound(&self) -> bool {
        matches!(self, Self::Bucket(options) if options.reach != Reach::Anywhere)
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

    /// Makes visible again what was removed from a bucket that keeps versions.
    pub(crate) fn undelete(&self) -> Result<Undeleted, VaultError> {
        match self {
            Self::Folder(_) => Err(VaultError::Refused("a disk keeps nothing of what was removed".into())),
            Self::Bucket(options) => Ok(S3Backend::new(options.as_ref().clone())?.undelete(None)?),
        }
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

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Days by which a file is locked for longer than its checkpoint needs, for each four of these: a file that checkpoint
/// after checkpoint relies on has its lock extended only every so many days.
const MARGIN: u32 = 4;

/// What each new file is locked for: the period and its margin.
fn retention(lock: ObjectLock) -> Retention {
    let mode = match lock.mode {
        LockMode::Compliance => RetentionMode::Compliance,
        LockMode::Governance => RetentionMode::Governance,
    };
    Retention { mode, period: period(lock) + margin(lock) }
}

/// For how long a checkpoint is locked from its seal on.
pub(crate) fn period(lock: ObjectLock) -> Duration {
    DAY * u32::from(lock.days)
}

/// What is added to that where a lock is set, so that it need not be extended each time.
pub(crate) fn margin(lock: ObjectLock) -> Duration {
    period(lock) / MARGIN
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
