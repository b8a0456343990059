//! Mirrors: further vaults of a project, which its checkpoints are copied to.

use holdfast_model::{request::BucketAccess, view::Trial};
use holdfast_vault::Password;

use super::{OpenVault, Vaults, VaultsError, at, place::Place, secrets::plain};
use crate::store::{ProjectRow, VaultRow};

impl Vaults {
    /// A new vault that the project's checkpoints are to be copied to; its storage is tried first. One that was begun
    /// there and not completed goes on.
    ///
    /// # Errors
    /// [`VaultsError::Unfit`] with all that its storage was tried with; when another vault lies there.
    pub(crate) async fn mirror(
        &self,
        by: &str,
        project: &ProjectRow,
        place: Place,
        access: Option<&BucketAccess>,
    ) -> Result<(OpenVault, Vec<Trial>), VaultsError> {
        let location = place.location();
        let known = self.store.vaults().await?.into_iter().find(|row| row.location == location && row.ready);
        if let Some(known) = known.filter(|known| known.project == project.id) {
            return Ok((self.mirror_again(by, &known).await?, Vec::new()));
        }
        let access = access.map(|access| plain(access, &place)).transpose()?;
        let trials = self.try_out(place).await?;
        let password = Password::generate().map_err(|source| at(&location, source))?;
        let wrap = |id: &_| self.wrapped(id, &password, access.as_ref().map(|plain| plain.as_slice()));
        let mut open = self.open.lock().await;
        let row = self.store.begin_mirror(by, &project.id, &location, wrap).await?;
        let vault = self.enter(row).await?;
        open.insert(vault.id.clone(), vault.clone());
        Ok((vault, trials))
    }

    /// A vault of the project that is there already; a former one is a mirror again.
    ///
    /// # Errors
    /// When it is the primary one, or cannot be opened.
    pub(crate) async fn mirror_again(&self, by: &str, known: &VaultRow) -> Result<OpenVault, VaultsError> {
        self.store.mirror_again(by, &known.id).await?;
        self.get(&known.id).await
    }
}
