//! Vaults: which there are, one at a place of one's choice, what is done with one as a whole, the recovery kit.

use holdfast_model::{
    id::VaultId,
    name::Name,
    request::{AddVault, CheckVault, CopyVault, Depth, PruneVault, RepairVault},
    state::{RunKind, VaultRole},
    view::{AddedVault, RecoveryKit, RunView, StartedCopy, VaultView},
};
use serde::Serialize;

use super::{
    ActionError, Actions,
    adopt::{place, refused},
    checkpoints::asked_by,
};
use crate::{
    auth::Caller,
    jobs::CopyAsked,
    store::{NewRun, On, StoreError, VaultRow},
    vaults::VaultsError,
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
    pub async fn add_vault(
        &self,
        caller: &Caller,
        project: &str,
        request: AddVault,
    ) -> Result<AddedVault, ActionError> {
        let project: Name = project
            .parse()
            .map_err(|error: holdfast_model::name::InvalidName| ActionError::invalid("project", error.to_string()))?;
        let place = place(&request.location, request.bucket.as_ref())?;
        let location = place.location();
        let vaults = self.0.desk.vaults();
        let (_, trials) = vaults.add(&caller.name, &project, place, request.bucket.as_ref()).await.map_err(refused)?;
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
    pub async fn prune_vault(
        &self,
        caller: &Caller,
        project: &str,
        request: PruneVault,
    ) -> Result<RunView, ActionError> {
        let vault = self.vault_of(project, request.location.as_deref()).await?;
        self.work_with(caller, RunKind::Prune, vault.id, &request).await
    }

    /// Asks that a vault is checked.
    ///
    /// # Errors
    /// As [`Actions::prune_vault`]; when there is no such share.
    pub async fn check_vault(
        &self,
        caller: &Caller,
        project: &str,
        request: CheckVault,
    ) -> Result<RunView, ActionError> {
        if let Depth::Part { part, of } = request.depth
            && !(1..=of).contains(&part)
        {
            return Err(ActionError::invalid("depth", format!("there is no part {part} of {of}; count from 1")));
        }
        let vault = self.vault_of(project, request.location.as_deref()).await?;
        self.work_with(caller, RunKind::Check, vault.id, &request).await
    }

    /// Asks that a vault's index is made anew from its packs.
    ///
    /// # Errors
    /// As [`Actions::prune_vault`].
    pub async fn repair_vault(
        &self,
        caller: &Caller,
        project: &str,
        request: RepairVault,
    ) -> Result<RunView, ActionError> {
        let vault = self.vault_of(project, request.location.as_deref()).await?;
        self.work_with(caller, RunKind::Repair, vault.id, &request).await
    }

    /// Asks that every checkpoint of a project is copied into another vault, made after its storage was tried where the
    /// project has none there; from then on it is kept as a mirror, or takes the primary one's place.
    ///
    /// # Errors
    /// As [`Actions::prune_vault`]; [`ActionError::Unprocessable`] when the storage cannot hold a vault;
    /// [`ActionError::Conflict`] when the project's own vault lies there.
    pub async fn copy_vault(
        &self,
        caller: &Caller,
        project: &str,
        request: CopyVault,
    ) -> Result<StartedCopy, ActionError> {
        let row = self.store().find_project(project).await?;
        self.vault_of(project, None).await?;
        let vaults = self.0.desk.vaults();
        let (open, trials) = match self.store().vault_of(&row.id, Some(&request.location)).await {
            // One that is known needs no credential again.
            Ok(known) if known.ready => (vaults.mirror_again(&caller.name, &known).await?, Vec::new()),
            Ok(_) | Err(StoreError::NotFound { .. }) => {
                let place = place(&request.location, request.bucket.as_ref())?;
                vaults.mirror(&caller.name, &row, place, request.bucket.as_ref()).await.map_err(refused)?
            }
            Err(error) => return Err(error.into()),
        };
        let run = self.work_with(caller, RunKind::Copy, open.id, &CopyAsked { moves: request.moves }).await?;
        Ok(StartedCopy { trials, run })
    }

    async fn vault_of(&self, project: &str, location: Option<&str>) -> Result<VaultRow, ActionError> {
        let row = self.store().find_project(project).await?;
        let vault = match self.store().vault_of(&row.id, location).await {
            Err(StoreError::NotFound { .. }) if location.is_none() => None,
            found => Some(found?),
        };
        Ok(vault.filter(|vault| vault.ready).ok_or(VaultsError::None(row.name))?)
    }

    async fn work_with(
        &self,
        caller: &Caller,
        kind: RunKind,
        vault: VaultId,
        request: &(impl Serialize + Sync),
    ) -> Result<RunView, ActionError> {
        self.enqueue(NewRun {
            kind,
            on: On::Vault(vault),
            checkpoint: None,
            request: serde_json::to_value(request).map_err(ActionError::internal)?,
            created_by: caller.name.clone(),
            trigger: asked_by(caller),
            slot: None,
        })
        .await
    }

    /// Everything that opens one of the project's vaults without Holdfast, the primary one's when no location is given;
    /// audited.
    ///
    /// # Errors
    /// When there is no such project, or it has no such vault yet.
    pub async fn recovery_kit(
        &self,
        caller: &Caller,
        project: &str,
        location: Option<&str>,
    ) -> Result<RecoveryKit, ActionError> {
        let row = self.store().find_project(project).await?;
        let vault = self.vault_of(project, location).await?;
        Ok(self.0.desk.vaults().recovery_kit_of(&row, vault, &caller.name).await?)
    }

    /// Notes that somebody has stored a recovery kit; audited.
    ///
    /// # Errors
    /// As [`Actions::recovery_kit`].
    pub async fn confirm_recovery_kit(
        &self,
        caller: &Caller,
        project: &str,
        location: Option<&str>,
    ) -> Result<(), ActionError> {
        let vault = self.vault_of(project, location).await?;
        Ok(self.store().confirm_kit(&vault.id, &caller.name).await?)
    }
}
