//! An empty data directory gets the catalogue and the key file of a host that is lost.
//!
//! Everything happens in a folder beside their places first: the newest copy that is sound, what ends with its host, and
//! what lies in the vaults and is newer than the copy. Then the key file and, last, the catalogue take their places; a
//! failure before that leaves neither.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_engine::Tools;
use holdfast_model::{
    request::BucketAccess,
    state::VaultRole,
    view::{MissingVault, Recovered},
};
use holdfast_vault::{Password, Snapshot, Vault};
use time::format_description::well_known::Rfc3339;

use super::{
    copies,
    image::{self, ImageError},
};
use crate::{
    actions::{ActionError, Actions},
    auth::{Caller, owner},
    config::{PlaceError, Settings},
    keys::{KeyError, ServerKey},
    serve,
    store::{Store, StoreError, VaultRow},
    vaults::{VaultsError, blocking, open_place, place::Place},
};

/// How the folder of a recovery that goes on is called.
const ROOM: &str = ".recover-";

/// Why nothing was recovered. The data directory has no catalogue then.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// It is no empty data directory.
    #[error(
        "there is a catalogue already, {}: start it with `holdfast serve`, or, to recover a copy in its place, move it \
         and the key file away first, or name another data directory by HOLDFAST_DATA_DIR",
        .0.display()
    )]
    Exists(PathBuf),
    /// The catalogue is to be in a database server.
    #[error(
        "HOLDFAST_DATABASE_URL names a database server; a copy becomes a catalogue in the data directory only: unset it"
    )]
    Elsewhere,
    /// No copy for this key.
    #[error(
        "{location} holds {many} copies of a catalogue, but none that was made with this server key; give the kit or \
         the key file of the server that made them"
    )]
    OtherKey {
        /// The vault.
        location: String,
        /// How many there are.
        many: usize,
    },
    /// No copy at all.
    #[error(
        "{location} holds no copy of a catalogue{}; its checkpoints come back with: holdfast vault adopt",
        listed(.unread)
    )]
    NoCopy {
        /// The vault.
        location: String,
        /// Snapshots that could not be read.
        unread: Vec<String>,
    },
    /// None can be used.
    #[error("no copy of the catalogue in {location} can be used{}", listed(.why))]
    AllDamaged {
        /// The vault.
        location: String,
        /// Each with what is wrong with it.
        why: Vec<String>,
    },
    /// A file of the data directory.
    #[error("{}: {source}; correct its rights, or free some space", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory itself.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The vault.
    #[error(transparent)]
    Vaults(#[from] VaultsError),
    /// The key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The recovered file.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The recovered catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn listed(why: &[String]) -> String {
    why.iter().map(|why| format!("\n  {why}")).collect()
}

/// What a recovery starts from.
pub(crate) struct Kit {
    /// The vault that holds the copies.
    pub(crate) place: Place,
    /// The way into it, where it is a bucket.
    pub(crate) access: Option<BucketAccess>,
    /// What opens it.
    pub(crate) password: Password,
    /// restic's key file: name and content; put back where the vault has lost it.
    pub(crate) key_file: (String, Vec<u8>),
    /// The key of the server that made the copies.
    pub(crate) server_key: ServerKey,
}

/// Writes catalogue and key file into an empty data directory.
///
/// # Errors
/// [`RecoverError`] says what to do; nothing was recovered then.
pub(crate) async fn recover(settings: &Settings, kit: Kit) -> Result<Recovered, RecoverError> {
    let catalogue = settings.data_dir.join(copies::FILE);
    refuse_what_is_there(settings, &catalogue, &kit.server_key)?;
    let vault =
        open_place(&kit.place, &kit.password, Some(kit.key_file.clone()), serve::vault_options(settings)).await?;
    let candidates = candidates(&vault, &kit.server_key).await?;

    let _lock = settings.take_places()?;
    refuse_what_is_there(settings, &catalogue, &kit.server_key)?;
    let room =
        room(&settings.data_dir).map_err(|source| RecoverError::Io { path: settings.data_dir.clone(), source })?;
    let image = room.path().join(copies::FILE);
    let (copy, passed_over) = newest_sound(&vault, candidates, &kit.server_key, &image).await?;
    let store = Store::open(&Store::sqlite_url(&image)).await?;
    let done = go_on(settings, &store, &kit, &copy, passed_over).await;
    store.close().await;
    let recovered = done?;
    take_places(settings, &kit.server_key, &image, &catalogue)?;
    Ok(recovered)
}

/// A folder beside the catalogue's place; what an earlier recovery left of its own, which did not come to its end, goes.
fn room(data_dir: &Path) -> std::io::Result<tempfile::TempDir> {
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(ROOM) && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    tempfile::Builder::new().prefix(ROOM).tempdir_in(data_dir)
}

fn refuse_what_is_there(settings: &Settings, catalogue: &Path, key: &ServerKey) -> Result<(), RecoverError> {
    if settings.database_url.is_some() {
        return Err(RecoverError::Elsewhere);
    }
    if catalogue.symlink_metadata().is_ok() {
        return Err(RecoverError::Exists(catalogue.to_owned()));
    }
    // The same key may be there: whoever saved it put it where it belongs.
    if settings.key_file.symlink_metadata().is_ok() {
        let there = ServerKey::load_or_create(&settings.key_file)?;
        if there.check_value() != key.check_value() {
            return Err(KeyError::Another(settings.key_file.clone()).into());
        }
    }
    Ok(())
}

/// The copies of this server key, newest first; at least one.
async fn candidates(vault: &Vault, key: &ServerKey) -> Result<Vec<Snapshot>, RecoverError> {
    let (mark, location) = (key.mark(), vault.location());
    let found = blocking(vault.clone(), move |vault| copies::find(vault, &mark)).await?;
    match (found.ours.is_empty(), found.others) {
        (false, _) => Ok(found.ours),
        (true, 0) => Err(RecoverError::NoCopy { location, unread: found.unread }),
        (true, many) => Err(RecoverError::OtherKey { location, many }),
    }
}

/// Reads the newest copy that is sound into `image`; gives it, and why newer ones were passed over.
async fn newest_sound(
    vault: &Vault,
    candidates: Vec<Snapshot>,
    key: &ServerKey,
    image: &Path,
) -> Result<(Snapshot, Vec<String>), RecoverError> {
    let mut passed_over = Vec::new();
    for copy in candidates {
        let (snapshot, path, check) = (copy.clone(), image.to_owned(), key.check_value());
        let read = blocking(vault.clone(), move |vault| {
            // What an earlier one left.
            let _ = std::fs::remove_file(&path);
            copies::read(vault, &snapshot, &path)?;
            Ok(image::check(&path, Some(&check)))
        });
        let why = match read.await {
            Ok(Ok(())) => return Ok((copy, passed_over)),
            Ok(Err(error)) => error.to_string(),
            Err(VaultsError::Vault { source, .. }) => source.to_string(),
            Err(error) => return Err(error.into()),
        };
        let taken = copy.time.format(&Rfc3339).unwrap_or_default();
        passed_over.push(format!("the copy of {taken} (snapshot {}): {why}", copy.id));
    }
    Err(RecoverError::AllDamaged { location: vault.location(), why: passed_over })
}

/// Makes the copy a catalogue of this host, and brings in what the vaults know beyond it.
async fn go_on(
    settings: &Settings,
    store: &Store,
    kit: &Kit,
    copy: &Snapshot,
    passed_over: Vec<String>,
) -> Result<Recovered, RecoverError> {
    let caller = Caller::host(owner());
    let tools = Arc::new(Tools::find(&serve::tool_settings(settings)).await);
    let desk = serve::desk(settings, store, &kit.server_key, &tools);
    let home = desk.vaults().found_at(&caller.name, &kit.password, &kit.place, kit.access.as_ref()).await?;
    let home = home.as_ref().map(|row| &row.id);
    let ended_runs = store.begin_anew(&caller.name, home, &copy.id.to_string(), copy.time).await?;
    let mut recovered = Recovered {
        data_dir: settings.data_dir.display().to_string(),
        copied_at: copy.time,
        snapshot: copy.id.to_string(),
        passed_over,
        environments: Vec::new(),
        checkpoints: 0,
        new_checkpoints: 0,
        new_drills: 0,
        ended_runs,
        missing_vaults: Vec::new(),
        problems: Vec::new(),
    };
    let actions = Actions::new(desk, kit.server_key.clone(), tools, settings.clone());
    let mut vaults = store.vaults().await?;
    vaults.retain(|row| row.ready && row.role != VaultRole::Former);
    vaults.sort_by_key(|row| row.role);
    for row in vaults {
        take_in(&actions, row, &mut recovered).await?;
    }
    recovered.environments = store.environments().await?.iter().map(|row| row.reference()).collect();
    recovered.checkpoints = store.project_views().await?.iter().map(|project| project.checkpoints).sum();
    Ok(recovered)
}

/// What the copy does not know of one vault; a vault that is not there keeps nothing else from coming back.
async fn take_in(actions: &Actions, row: VaultRow, recovered: &mut Recovered) -> Result<(), RecoverError> {
    let project = actions.store().project_of(&row).await?;
    match actions.take_in(&project, &row).await {
        Ok(taken) => {
            recovered.new_checkpoints += taken.new_checkpoints;
            recovered.new_drills += taken.new_drills;
            recovered
                .problems
                .extend(taken.problems.into_iter().map(|what| format!("vault of {}: {what}", project.name)));
        }
        Err(error) => {
            let reason = match error {
                ActionError::Internal(source) => source.to_string(),
                other => other.to_string(),
            };
            recovered.missing_vaults.push(MissingVault { project: project.name, location: row.location, reason });
        }
    }
    Ok(())
}

/// The key file first, the catalogue last: with it the recovery has happened.
fn take_places(settings: &Settings, key: &ServerKey, image: &Path, catalogue: &Path) -> Result<(), RecoverError> {
    image::close(image)?;
    let new_key = key.put(&settings.key_file)?;
    let placed = std::fs::rename(image, catalogue)
        .and_then(|()| std::fs::File::open(&settings.data_dir)?.sync_all())
        .map_err(|source| RecoverError::Io { path: catalogue.to_owned(), source });
    if placed.is_err() && new_key {
        let _ = std::fs::remove_file(&settings.key_file);
    }
    placed
}
