//! What somebody did with a credential to a bucket whose objects are held: undone.
//!
//! Held versions cannot be removed, but they can be hidden behind markers, and be overwritten by newer versions. So the
//! bytes are all there, and the vault looks empty or damaged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use time::OffsetDateTime;

use super::fault::Fault;
use super::hold::Version;
use super::{S3Backend, dir};
use crate::Id;
use crate::backend::{Backend as _, BackendError, FileKind};

/// What was undone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undeleted {
    /// Objects that are seen again.
    pub seen_again: Vec<String>,
    /// Objects that had been overwritten, and are what they were.
    pub written_again: Vec<String>,
    /// Objects of which no version is what its name says.
    pub lost: Vec<String>,
}

enum Done {
    Nothing,
    Seen,
    Written,
    Lost,
}

impl S3Backend {
    /// Makes visible again what was hidden in this vault's place, and writes again what was overwritten; what is as it
    /// should be is not touched. Then check the vault.
    ///
    /// With `since`, only what was hidden or overwritten at that time or later: index files that a prune replaced
    /// before are then left alone. Without it they come back too, and the next prune takes them out again.
    ///
    /// The credential must be allowed to list versions and to remove them (`s3:ListBucketVersions`,
    /// `s3:DeleteObjectVersion`): an administrator's, not the one that was stolen.
    ///
    /// # Errors
    /// When the versions cannot be listed, or a request fails for good. Doing it again is harmless.
    pub fn undelete(&self, since: Option<OffsetDateTime>) -> Result<Undeleted, BackendError> {
        let failed = |fault: Fault| fault.into_error("undelete".into(), &self.location());
        let mut objects: BTreeMap<String, (FileKind, Vec<Version>)> = BTreeMap::new();
        for kind in [FileKind::Config, FileKind::Key, FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
            let prefix = if kind == FileKind::Config { self.key(kind, "") } else { self.store.key(dir(kind)) };
            for version in self.wait(FileKind::Config, self.versions(&prefix)).map_err(failed)? {
                let name = version.key.rsplit('/').next().unwrap_or_default();
                let ours = kind == FileKind::Config || name.parse::<Id>().is_ok();
                if ours && self.key(kind, name) == version.key {
                    objects.entry(version.key.clone()).or_insert((kind, Vec::new())).1.push(version);
                }
            }
        }
        let objects: Vec<(String, (FileKind, Vec<Version>))> = objects
            .into_iter()
            .filter(|(_, (_, versions))| {
                let newest = versions.iter().find(|version| version.latest);
                newest.is_none_or(|newest| since.is_none_or(|since| newest.time >= since))
            })
            .collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut undone = Undeleted::default();
            while let Some((key, (kind, versions))) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.wait(FileKind::Config, self.undo(*kind, key, versions)).map_err(failed)? {
                    Done::Nothing => {}
                    Done::Seen => undone.seen_again.push(key.clone()),
                    Done::Written => undone.written_again.push(key.clone()),
                    Done::Lost => undone.lost.push(key.clone()),
                }
            }
            Ok(undone)
        };
        std::thread::scope(|scope| {
            let threads = self.connections().min(objects.len());
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut all = Undeleted::default();
            for worker in workers {
                let died = |_| failed(Fault::Final(std::io::ErrorKind::Other, "a thread died".into()));
                let undone = worker.join().map_err(died)??;
                all.seen_again.extend(undone.seen_again);
                all.written_again.extend(undone.written_again);
                all.lost.extend(undone.lost);
            }
            Ok(all)
        })
    }

    async fn undo(&self, kind: FileKind, key: &str, versions: &[Version]) -> Result<Done, Fault> {
        let (markers, mut contents): (Vec<&Version>, Vec<&Version>) =
            versions.iter().partition(|version| version.is_marker());
        let hidden = markers.iter().any(|marker| marker.latest);
        // Newest first; `latest` decides between those of one second.
        contents.sort_by_key(|version| std::cmp::Reverse((version.latest, version.time)));
        let Some(newest) = contents.first() else { return Ok(Done::Nothing) };
        let unequal = contents.iter().any(|version| version.content != newest.content);
        let right = if unequal { self.right_version(kind, key, &contents).await? } else { Some((0, None)) };
        let Some((at, content)) = right else { return Ok(Done::Lost) };
        let overwritten = contents.get(at).is_some_and(|right| right.content != newest.content);
        if overwritten && let Some(content) = content {
            let name = key.rsplit('/').next().and_then(|name| name.parse().ok());
            self.put(key, content, name, self.store.options.retention).await?;
            return Ok(Done::Written);
        }
        if !hidden {
            return Ok(Done::Nothing);
        }
        for marker in markers {
            self.brief(|| self.store.delete_version(key, &marker.id)).await?;
        }
        Ok(Done::Seen)
    }

    /// The newest version that is what its name says, with its content; of `config` the oldest, for it is written once.
    async fn right_version(
        &self,
        kind: FileKind,
        key: &str,
        contents: &[&Version],
    ) -> Result<Option<(usize, Option<Bytes>)>, Fault> {
        let oldest = contents.len().saturating_sub(1);
        for (at, version) in contents.iter().enumerate() {
            if kind == FileKind::Config && at < oldest {
                continue;
            }
            let time = self.store.options.patience;
            let bytes = self.tries(time, || self.store.get_version(key, Some(&version.id), None)).await?;
            if kind == FileKind::Config || key.ends_with(&Id::of(&bytes).to_string()) {
                return Ok(Some((at, Some(bytes.into()))));
            }
        }
        Ok(None)
    }
}
