//! The catalogue's own copies: one a day, and when somebody asks.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_model::{name::Name, view::CatalogueCopied};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Desk, seal::hostname};
use crate::{
    catalogue::{
        CopyError, copies,
        image::{self, ImageError},
    },
    store::{ProjectRow, VaultRow},
    vaults::{VaultsError, blocking, place::period},
};

/// Between two copies: a day, with some room for the minute at which it is looked at.
const EVERY: time::Duration = time::Duration::hours(23);
/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(300);
/// After a copy that failed.
const LATER: Duration = Duration::from_secs(3600);
/// Images that are on their way into a vault lie in the scratch space, in folders of this name.
pub(super) const SCRATCH: &str = "catalogue-";

/// Makes the daily copies, until `stop`.
pub(crate) async fn keep(desk: Desk, stop: CancellationToken) {
    if desk.store().file().is_none() {
        return tracing::info!("the catalogue is in a database server, and not copied by Holdfast");
    }
    let mut wait = LOOK;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = if daily(&desk).await { LOOK } else { LATER },
        }
    }
}

/// Makes the copy of the day, unless there is one; whether nothing failed.
async fn daily(desk: &Desk) -> bool {
    let done = async {
        if desk.store().copy_is_due(EVERY).await? {
            let copied = copy(desk, "server", None).await?;
            tracing::info!(project = %copied.project, stored = copied.stored, "the catalogue was copied into a vault");
        }
        Ok::<(), CopyError>(())
    };
    if let Err(error) = done.await {
        tracing::error!(%error, "the catalogue could not be copied; in an hour again");
        return false;
    }
    true
}

/// Copies the catalogue into a vault now; audited. Copies that are superfluous by it are forgotten once it is sealed.
pub(crate) async fn copy(desk: &Desk, by: &str, to: Option<&Name>) -> Result<CatalogueCopied, CopyError> {
    let store = desk.store();
    let file = store.file().ok_or(CopyError::Elsewhere)?.to_owned();
    let (project, row) = destination(desk, to).await?;
    let open = desk.vaults().get(&row.id).await?;
    let (mark, scratch, at) = (desk.key().mark(), desk.settings().scratch.clone(), OffsetDateTime::now_utc());
    let written = mark.clone();
    let (sealed, size) = tokio::task::spawn_blocking(move || {
        let folder = room(&scratch)?;
        let taken = folder.path().join(copies::FILE);
        image::take(&file, &taken)?;
        let size = taken.metadata().map_err(|source| ImageError::Io { path: taken.clone(), source })?.len();
        let sealed = copies::write(&open.vault, &taken, &written, at, hostname())
            .map_err(|source| VaultsError::Vault { location: open.vault.location(), source })?;
        Ok::<_, CopyError>((sealed, size))
    })
    .await
    .map_err(|error| CopyError::Thread(error.to_string()))??;
    store.catalogue_copied(by, &row.id, at, &sealed.snapshot.to_string(), to.is_some()).await?;
    let open = desk.vaults().get(&row.id).await?;
    if let Some(lock) = open.lock {
        let until = at + period(lock);
        let held = blocking(open.vault.clone(), move |vault| copies::retain(vault, &sealed.snapshot, until)).await;
        if let Err(error) = held {
            tracing::warn!(%error, "a copy of the catalogue lies in its bucket, but is not locked");
        }
    }
    // The new copy stands; older ones that cannot go now go the next time.
    let forgotten = match blocking(open.vault, move |vault| copies::thin(vault, &mark)).await {
        Ok(forgotten) => forgotten,
        Err(error) => {
            tracing::warn!(%error, "older copies of the catalogue could not be forgotten yet");
            0
        }
    };
    Ok(CatalogueCopied {
        project: project.name,
        location: row.location,
        at,
        snapshot: sealed.snapshot.to_string(),
        size,
        stored: sealed.stored,
        forgotten,
    })
}

/// The vault that was asked for, or that copies go into.
async fn destination(desk: &Desk, to: Option<&Name>) -> Result<(ProjectRow, VaultRow), CopyError> {
    let store = desk.store();
    if let Some(name) = to {
        let project = store.find_project(name.as_str()).await?;
        let row = store.primary_vault(&project.id).await?.filter(|row| row.ready);
        return Ok((project, row.ok_or_else(|| VaultsError::None(name.clone()))?));
    }
    let row = store.vault_of_copies().await?.ok_or(CopyError::NoVault)?;
    Ok((store.project_of(&row).await?, row))
}

/// A folder for one image, for this user alone; it goes with the value.
fn room(scratch: &Path) -> Result<tempfile::TempDir, ImageError> {
    let io = |source| ImageError::Io { path: PathBuf::from(scratch), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch).map_err(io)?;
    tempfile::Builder::new().prefix(SCRATCH).tempdir_in(scratch).map_err(io)
}
