//! Vaults: which there are, one at a place of one's choice, what is done with one as a whole, the recovery kit.

use std::path::Path;

use holdfast_model::{
    access::Permission,
    id::VaultId,
    name::Name,
    request::{AddVault, BucketAccess, CheckVault, CopyVault, Depth, PruneVault, RepairVault},
    state::{RunKind, VaultRole},
    view::{AddedVault, RecoveryKit, RunView, StartedCopy, VaultView},
};
use serde::Serialize;

use super::{ActionError, Actions, adopt::refused, checkpoints::asked_by, definition::place_fault};
use crate::{
    jobs::CopyAsked,
    store::{NewRun, On, StoreError, VaultRow},
    vaults::{VaultsError, place::Place},
};

impl Actions {
    /// All vaults, by project.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn list_vaults(&self) -> Result<Vec<VaultView>, ActionError> {
        Ok(self.store().vault_views().await?)
    }

    /// Makes the vault of a project that has none yet, in a bucket or in a folder of this host, after its storage was
    /// tried.
    ///
    /// # Errors
    /// [`ActionError::Unprocessable`] when the storage cannot hold a vault, with all that failed;
    /// [`ActionError::Conflict`] when the project has a vault.
    pub async fn add_vault(&self, project: &str, request: AddVault) -> Result<AddedVault, ActionError> {
        let project: Name = project
            .parse()
            .map_err(|error: holdfast_model::name::InvalidName| ActionError::invalid("project", error.to_string()))?;
        self.require(Some(&project), Permission::Vaults)?;
        let place = self.place_for_vault(&request.location, request.bucket.as_ref()).await?;
        let location = place.location();
        let vaults = self.parts.desk.vaults();
        let (_, trials) =
            vaults.add(&self.caller.name, &project, place, request.bucket.as_ref()).await.map_err(refused)?;
        let vault = VaultView {
            project,
            location,
            role: VaultRole::Primary,
            stored: 0,
            free: None,
            checkpoints: (0, 0),
            checked_at: None,
            damaged: 0,
            recovery_kit_confirmed: false,
        };
        Ok(AddedVault { vault, trials })
    }

    /// Asks that what no checkpoint needs any more is taken out of a vault.
    ///
    /// # Errors
    /// When there is no such project, or it has no such vault yet.
    pub async fn prune_vault(&self, project: &str, request: PruneVault) -> Result<RunView, ActionError> {
        let vault = self.vault_to(Permission::Vaults, project, request.location.as_deref()).await?;
        self.work_with(RunKind::Prune, vault.id, &request).await
    }

    /// Asks that a vault is checked.
    ///
    /// # Errors
    /// As [`Actions::prune_vault`]; when there is no such share.
    pub async fn check_vault(&self, project: &str, request: CheckVault) -> Result<RunView, ActionError> {
        if let Depth::Part { part, of } = request.depth
            && !(1..=of).contains(&part)
        {
            return Err(ActionError::invalid("depth", format!("there is no part {part} of {of}; count from 1")));
        }
        let vault = self.vault_to(Permission::Drill, project, request.location.as_deref()).await?;
        self.work_with(RunKind::Check, vault.id, &request).await
    }

    /// Asks that a vault's index is made anew from its packs.
    ///
    /// # Errors
    /// As [`Actions::prune_vault`].
    pub async fn repair_vault(&self, project: &str, request: RepairVault) -> Result<RunView, ActionError> {
        let vault = self.vault_to(Permission::Vaults, project, request.location.as_deref()).await?;
        self.work_with(RunKind::Repair, vault.id, &request).await
    }

    /// Asks that every checkpoint of a project is copied into another vault, made after its storage was tried where the
    /// project has none there; from then on it is kept as a mirror, or takes the primary one's place.
    ///
    /// # Errors
    /// As [`Actions::prune_vault`]; [`ActionError::Unprocessable`] when the storage cannot hold a vault;
    /// [`ActionError::Conflict`] when the project's own vault lies there.
    pub async fn copy_vault(&self, project: &str, request: CopyVault) -> Result<StartedCopy, ActionError> {
        let row = self.project_to(Permission::Vaults, project).await?;
        self.vault_to(Permission::Vaults, project, None).await?;
        let vaults = self.parts.desk.vaults();
        let (open, trials) = match self.store().vault_of(&row.id, Some(&request.location)).await {
            // One that is known needs no credential again.
            Ok(known) if known.ready => (vaults.mirror_again(&self.caller.name, &known).await?, Vec::new()),
            Ok(_) | Err(StoreError::NotFound { .. }) => {
                let place = self.place_for_vault(&request.location, request.bucket.as_ref()).await?;
                vaults.mirror(&self.caller.name, &row, place, request.bucket.as_ref()).await.map_err(refused)?
            }
            Err(error) => return Err(error.into()),
        };
        let run = self.work_with(RunKind::Copy, open.id, &CopyAsked { moves: request.moves }).await?;
        Ok(StartedCopy { trials, run })
    }

    /// The place that somebody names for a vault. Whoever does not own the host names folders below `allow_paths`, and
    /// endpoints that are public or in `allow_networks`.
    pub(super) async fn place_for_vault(
        &self,
        location: &str,
        access: Option<&BucketAccess>,
    ) -> Result<Place, ActionError> {
        let wrong = |message: String| ActionError::invalid("location", message);
        let place = Place::read(location, access).map_err(|error| wrong(error.to_string()))?;
        let owns_host = self.caller.owns_host();
        let place = if owns_host { place } else { place.within(&self.settings().allow_networks) };
        if let Place::Folder(folder) = &place
            && !owns_host
            && let Some(refusal) = place_fault("location", Path::new(folder), self.settings(), owns_host)
        {
            return Err(refusal);
        }
        place.check_reach().await.map_err(wrong)?;
        Ok(place)
    }

    async fn vault_to(
        &self,
        permission: Permission,
        project: &str,
        location: Option<&str>,
    ) -> Result<VaultRow, ActionError> {
        let row = self.project_to(permission, project).await?;
        let vault = match self.store().vault_of(&row.id, location).await {
            Err(StoreError::NotFound { .. }) if location.is_none() => None,
            found => Some(found?),
        };
        Ok(vault.filter(|vault| vault.ready).ok_or(VaultsError::None(row.name))?)
    }

    async fn work_with(
        &self,
        kind: RunKind,
        vault: VaultId,
        request: &(impl Serialize + Sync),
    ) -> Result<RunView, ActionError> {
        self.enqueue(NewRun {
            kind,
            on: On::Vault(vault),
            checkpoint: None,
            request: serde_json::to_value(request).map_err(ActionError::internal)?,
            created_by: self.caller.name.clone(),
            trigger: asked_by(&self.caller),
            slot: None,
        })
        .await
    }

    /// Everything that opens one of the project's vaults without Holdfast, the primary one's when no location is given;
    /// audited.
    ///
    /// # Errors
    /// When there is no such project, or it has no such vault yet.
    pub async fn recovery_kit(&self, project: &str, location: Option<&str>) -> Result<RecoveryKit, ActionError> {
        let row = self.project_to(Permission::RecoveryKit, project).await?;
        let vault = self.vault_to(Permission::RecoveryKit, project, location).await?;
        Ok(self.parts.desk.vaults().recovery_kit_of(&row, vault, &self.caller.name).await?)
    }

    /// Notes that somebody has stored a recovery kit; audited.
    ///
    /// # Errors
    /// As [`Actions::recovery_kit`].
    pub async fn confirm_recovery_kit(&self, project: &str, location: Option<&str>) -> Result<(), ActionError> {
        let vault = self.vault_to(Permission::RecoveryKit, project, location).await?;
        Ok(self.store().confirm_kit(&vault.id, &self.caller.name).await?)
    }
}
