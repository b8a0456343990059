//! Vaults: the recovery kit.

use holdfast_model::view::RecoveryKit;

use super::{ActionError, Actions};
use crate::auth::Caller;

impl Actions {
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
