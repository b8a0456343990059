//! The catalogue's own copies: one that is asked for, and the kit by which one becomes a catalogue again.

use holdfast_model::{
    access::Permission,
    request::CopyCatalogue,
    view::{CatalogueCopied, CatalogueKit},
};

use super::{ActionError, Actions};
use crate::catalogue::CopyError;

impl Actions {
    /// Copies the catalogue into a vault now, and into the same one every day when it was named; audited.
    ///
    /// # Errors
    /// When there is no such vault, it cannot be written, or the catalogue is in a database server.
    pub async fn copy_catalogue(&self, request: CopyCatalogue) -> Result<CatalogueCopied, ActionError> {
        self.require(None, Permission::RecoveryKit)?;
        Ok(self.parts.desk.copy_catalogue(&self.caller.name, request.to.as_ref()).await?)
    }

    /// Everything that `holdfast recover` needs, the server key included; audited.
    ///
    /// # Errors
    /// When there is no vault yet, or it cannot be read.
    pub async fn catalogue_kit(&self) -> Result<CatalogueKit, ActionError> {
        self.require(None, Permission::RecoveryKit)?;
        let kit = self.parts.desk.vaults().catalogue_kit(&self.caller.name).await?;
        kit.ok_or_else(|| CopyError::NoVault.into())
    }
}

impl From<CopyError> for ActionError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Elsewhere | CopyError::NoVault => Self::Conflict(error.to_string()),
            CopyError::Vaults(error) => error.into(),
            CopyError::Store(error) => error.into(),
            CopyError::Image(_) | CopyError::Thread(_) => Self::Unavailable(error.to_string()),
        }
    }
}
