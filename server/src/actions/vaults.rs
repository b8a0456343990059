//! Vaults: which there are, one at a place of one's choice, the recovery kit.

use holdfast_model::{
    name::Name,
    request::AddVault,
    view::{AddedVault, Pruned, RecoveryKit, VaultView},
};

use super::{
    ActionError, Actions,
    adopt::{place, refused},
};
use crate::{auth::Caller, jobs::told, vaults::VaultsError};

impl Actions {
    /// All vaults, by project.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn list_vaults(&self) -> Result<Vec<VaultView>, ActionError> {
        let projects = self.store().projects().await?;
        let mut views: Vec<VaultView> = self
            .store()
            .vaults()
            .await?
            .into_iter()
            .filter_map(|row| {
                let project = projects.iter().find(|project| project.id == row.project)?;
                Some(VaultView {
                    project: project.name.clone(),
                    location: row.location,
                    stored: row.stored,
                    recovery_kit_confirmed: row.kit_confirmed,
                })
            })
            .collect();
        views.sort_by(|a, b| (&a.project, &a.location).cmp(&(&b.project, &b.location)));
        Ok(views)
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
        let vault = VaultView { project, location, stored: 0, recovery_kit_confirmed: false };
        Ok(AddedVault { vault, trials })
    }

    /// Takes out of the project's vault what no checkpoint needs any more.
    ///
    /// # Errors
    /// When there is no such project, it has no vault yet, or the vault lacks what the catalogue knows to be there.
    pub async fn prune(&self, caller: &Caller, project: &str) -> Result<Pruned, ActionError> {
        let row = self.store().find_project(project).await?;
        let vault = self.store().primary_vault(&row.id).await?.filter(|vault| vault.ready);
        let vault = vault.ok_or_else(|| VaultsError::None(row.name.clone()))?;
        let report = self.0.desk.prune(&vault.id, &caller.name).await?;
        Ok(Pruned {
            whole: report.is_done(),
            freed: report.bytes_removed,
            waiting: report.bytes_waiting,
            next: report.next_removal,
            used: report.bytes_used,
            damaged: report.damaged.iter().map(|problem| problem.what.clone()).collect(),
            message: told(&report),
        })
    }

    /// Everything that opens the project's vault without Holdfast; audited.
    ///
    /// # Errors
    /// When there is no such project, or it has no vault yet.
    pub async fn recovery_kit(&self, caller: &Caller, project: &str) -> Result<RecoveryKit, ActionError> {
        let row = self.store().find_project(project).await?;
        Ok(self.0.desk.vaults().recovery_kit(&row, &caller.name).await?)
    }

    /// Notes that somebody has stored the recovery kit; audited.
    ///
    /// # Errors
    /// As [`Actions::recovery_kit`].
    pub async fn confirm_recovery_kit(&self, caller: &Caller, project: &str) -> Result<(), ActionError> {
        let row = self.store().find_project(project).await?;
        Ok(self.0.desk.vaults().confirm_kit(&row, &caller.name).await?)
    }
}
