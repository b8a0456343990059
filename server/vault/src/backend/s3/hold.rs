//! Object lock: what is sealed cannot be removed before its time, by nobody, and what is removed leaves no version.
//!
//! A bucket with object lock keeps versions: a plain removal only hides an object behind a marker, and its bytes stay.
//! So we remove version by version. A version that is held refuses; then the object stays as it is, unless it is one of
//! those that may be hidden: locks, and what a newer file has replaced.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockEnabled, ObjectLockRetention, ObjectLockRetentionMode};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::S3Backend;
use super::fault::{Fault, Verb};
use super::store::{Store, WholeList};

/// How a bucket holds what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetentionMode {
    /// Whoever has the permission to bypass it may remove held versions.
    Governance,
    /// Nobody may, not even the account's owner.
    Compliance,
}

/// For how long a bucket with object lock holds what is written: config, keys, snapshots, index and packs, never locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retention {
    /// Who may break it.
    pub mode: RetentionMode,
    /// From the writing on; [`crate::Vault::retain`] holds for longer.
    pub period: Duration,
}

impl Retention {
    /// When what is written now becomes free.
    pub(super) fn until(&self) -> OffsetDateTime {
        let period = time::Duration::try_from(self.period).unwrap_or(time::Duration::MAX);
        OffsetDateTime::now_utc().checked_add(period).unwrap_or(LATEST)
    }
}

/// As late as the stores' dates go.
const LATEST: OffsetDateTime = PrimitiveDateTime::MAX.assume_utc();

/// One version of an object, or the marker that hides the older ones.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub key: String,
    pub id: String,
    /// Bytes and entity tag, unless it is a marker.
    pub content: Option<(u64, String)>,
    pub latest: bool,
    pub time: OffsetDateTime,
}

impl Version {
    pub(super) fn is_marker(&self) -> bool {
        self.content.is_none()
    }
}

/// What becomes of an object that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfHeld {
    /// It stays, and that is an error.
    Keep,
    /// A marker hides it; its bytes stay until their time.
    Hide,
}

/// What a bucket says of its object lock.
pub(super) struct LockSettings {
    pub enabled: bool,
    /// Everything that is written is held, unless it says otherwise.
    pub holds_all: bool,
}

/// Seconds, rounded up: dates of stores have no parts of them.
pub(super) fn date(until: OffsetDateTime) -> DateTime {
    DateTime::from_secs((until.unix_timestamp() + i64::from(until.nanosecond() > 0)).min(LATEST.unix_timestamp()))
}

fn time_of(date: &DateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(date.secs()).unwrap_or(LATEST)
}

impl Store {
    /// All versions and markers of the objects whose keys begin with `prefix`; of one object the newest come first.
    pub(super) async fn version_page(
        &self,
        prefix: &str,
        from: Option<(String, String)>,
    ) -> Result<(Vec<Version>, Option<(String, String)>), Fault> {
        let (key, id) = from.unzip();
        let request = self.client().list_object_versions().bucket(&self.options.bucket).prefix(prefix);
        let request = request.set_key_marker(key).set_version_id_marker(id.filter(|id| !id.is_empty()));
        let answer = Box::pin(request.customize().interceptor(WholeList("Result>")).send()).await;
        let answer = answer.map_err(|error| Fault::of(Verb::Versions, &error))?;
        let mut versions = Vec::with_capacity(answer.versions().len() + answer.delete_markers().len());
        let entry = |key: Option<&str>, id: Option<&str>, latest: Option<bool>, time: Option<&DateTime>| {
            let senseless = || Fault::passing("an entry of the list of versions was not asked for, or lacks something");
            Ok(Version {
                key: key.filter(|key| key.starts_with(prefix)).ok_or_else(senseless)?.to_owned(),
                id: id.ok_or_else(senseless)?.to_owned(),
                content: None,
                latest: latest == Some(true),
                time: time_of(time.ok_or_else(senseless)?),
            })
        };
        for of in answer.versions() {
            let size = of.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            let content = Some((size, of.e_tag().unwrap_or_default().to_owned()));
            versions.push(Version { content, ..entry(of.key(), of.version_id(), of.is_latest(), of.last_modified())? });
        }
        for of in answer.delete_markers() {
            versions.push(entry(of.key(), of.version_id(), of.is_latest(), of.last_modified())?);
        }
        let next = match (answer.is_truncated(), answer.next_key_marker()) {
            (Some(true), Some(key)) => {
                Some((key.to_owned(), answer.next_version_id_marker().unwrap_or_default().to_owned()))
            }
            (Some(true), None) => return Err(Fault::passing("a page of versions does not say how to go on")),
            _ => None,
        };
        Ok((versions, next))
    }

    /// Removes one version, for good. That it was not there is no error.
    pub(super) async fn delete_version(&self, key: &str, id: &str) -> Result<(), Fault> {
        let request = self.client().delete_object().bucket(&self.options.bucket).key(key).version_id(id);
        match Box::pin(request.send()).await {
            Ok(_) => Ok(()),
            Err(error) => match Fault::of(Verb::Delete, &error) {
                Fault::Missing => Ok(()),
                fault => Err(fault),
            },
        }
    }

    /// Until when an object, or one version of it, is held.
    pub(super) async fn held_until(&self, key: &str, id: Option<&str>) -> Result<Option<OffsetDateTime>, Fault> {
        let request = self.client().head_object().bucket(&self.options.bucket).key(key);
        let answer = Box::pin(request.set_version_id(id.map(str::to_owned)).send()).await;
        let answer = answer.map_err(|error| Fault::of(Verb::Head, &error))?;
        Ok(answer.object_lock_retain_until_date().map(time_of))
    }

    /// Holds an object until then. A store refuses to hold it for less long than before.
    pub(super) async fn hold(&self, key: &str, retention: Retention, until: OffsetDateTime) -> Result<(), Fault> {
        let mode = match retention.mode {
            RetentionMode::Governance => ObjectLockRetentionMode::Governance,
            RetentionMode::Compliance => ObjectLockRetentionMode::Compliance,
        };
        let hold = ObjectLockRetention::builder().mode(mode).retain_until_date(date(until)).build();
        let request = self.client().put_object_retention().bucket(&self.options.bucket).key(key).retention(hold);
        let sent = Box::pin(request.send()).await;
        sent.map(drop).map_err(|error| Fault::of(Verb::Hold, &error))
    }

    pub(super) async fn lock_settings(&self) -> Result<LockSettings, Fault> {
        let request = self.client().get_object_lock_configuration().bucket(&self.options.bucket);
        match Box::pin(request.send()).await {
            Ok(answer) => {
                let settings = answer.object_lock_configuration();
                let enabled = settings.and_then(|settings| settings.object_lock_enabled());
                Ok(LockSettings {
                    enabled: enabled == Some(&ObjectLockEnabled::Enabled),
                    holds_all: settings.is_some_and(|settings| settings.rule().is_some()),
                })
            }
            Err(error) => match Fault::of(Verb::Settings, &error) {
                Fault::Missing => Ok(LockSettings { enabled: false, holds_all: false }),
                fault => Err(fault),
            },
        }
    }
}

impl S3Backend {
    /// Every version and marker of the objects whose keys begin with `prefix`: all of them, or an error.
    pub(super) async fn versions(&self, prefix: &str) -> Result<Vec<Version>, Fault> {
        let (mut found, mut next) = (Vec::new(), None::<(String, String)>);
        loop {
            let (versions, more) = self.brief(|| self.store.version_page(prefix, next.clone())).await?;
            found.extend(versions);
            match more {
                None => return Ok(found),
                more if more == next => {
                    let what = "the list of versions goes round in circles";
                    return Err(Fault::Final(std::io::ErrorKind::InvalidData, what.into()));
                }
                more => next = more,
            }
        }
    }

    /// Removes the hidden objects below `prefix` that are held no more, and gives their number.
    pub(super) async fn erase_hidden(&self, prefix: &str) -> Result<u64, Fault> {
        let versions = self.versions(prefix).await?;
        let mut removed = 0;
        for marker in versions.iter().filter(|version| version.is_marker() && version.latest) {
            let mut free = true;
            for version in versions.iter().filter(|version| version.key == marker.key && !version.is_marker()) {
                let until = match self.brief(|| self.store.held_until(&version.key, Some(&version.id))).await {
                    Err(Fault::Missing) => None,
                    other => other?,
                };
                free &= until.is_none_or(|until| until < OffsetDateTime::now_utc());
            }
            if free {
                self.erase(&marker.key, IfHeld::Hide).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes an object with all that a bucket keeps of it.
    pub(super) async fn erase(&self, key: &str, if_held: IfHeld) -> Result<(), Fault> {
        let mut ours = None;
        if !self.versioned.load(Ordering::Relaxed) {
            ours = self.brief(|| self.store.delete(key)).await?;
            if ours.is_none() {
                return Ok(());
            }
            self.versioned.store(true, Ordering::Relaxed);
        }
        let versions = match self.versions(key).await {
            // May remove, but not look at versions: a lock that is hidden is in nobody's way.
            Err(Fault::Final(std::io::ErrorKind::PermissionDenied, _)) if if_held == IfHeld::Hide => {
                return self.brief(|| self.store.delete(key)).await.map(drop);
            }
            other => other?,
        };
        let (markers, objects): (Vec<Version>, Vec<Version>) =
            versions.into_iter().filter(|version| version.key == key).partition(Version::is_marker);
        let mut refused = None;
        for version in &objects {
            match self.brief(|| self.store.delete_version(key, &version.id)).await {
                Err(fault @ Fault::Final(std::io::ErrorKind::PermissionDenied, _)) => {
                    let until = self.brief(|| self.store.held_until(key, Some(&version.id))).await.unwrap_or(None);
                    let held = until.filter(|until| *until > OffsetDateTime::now_utc()).map(Fault::Held);
                    refused = Some(held.unwrap_or(fault));
                }
                other => other?,
            }
        }
        match (refused, if_held) {
            (None, _) => {
                for marker in &markers {
                    self.brief(|| self.store.delete_version(key, &marker.id)).await?;
                }
                Ok(())
            }
            (Some(_), IfHeld::Hide) if markers.iter().any(|marker| marker.latest) => Ok(()),
            (Some(_), IfHeld::Hide) => self.brief(|| self.store.delete(key)).await.map(drop),
            (Some(fault), IfHeld::Keep) => {
                // It is to be seen again, if it was we who hid it.
                if let Some(marker) = ours.filter(|marker| !marker.is_empty()) {
                    self.brief(|| self.store.delete_version(key, &marker)).await?;
                }
                Err(fault)
            }
        }
    }
}
