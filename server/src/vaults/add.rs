//! A vault at a place of one's choice, after its storage was tried.

use holdfast_model::{id::VaultId, name::Name, request::BucketAccess, view::Trial};
use holdfast_vault::{BackendError, Error as VaultError, Password};

use super::{OpenVault, Vaults, VaultsError, at, place::Place, secrets::plain};

impl Vaults {
    /// Makes a new vault at a place of one's choice, for a project that has none; its storage is tried first.
    ///
    /// # Errors
    /// [`VaultsError::Unfit`] with all that it was tried with; when the project has a vault already.
    pub(crate) async fn add(
        &self,
        by: &str,
        project: &Name,
        place: Place,
        access: Option<&BucketAccess>,
    ) -> Result<(OpenVault, Vec<Trial>), VaultsError> {
        let location = place.location();
        let access = access.map(|access| plain(access, &place)).transpose()?;
        let trials = self.try_out(place).await?;
        let password = Password::generate().map_err(|source| at(&location, source))?;
        let wrap = |id: &VaultId| self.wrapped(id, &password, access.as_ref().map(|plain| plain.as_slice()));
        let mut open = self.open.lock().await;
        let row = self.store.add_vault(by, project, &location, wrap).await?;
        let vault = self.enter(row).await?;
        open.insert(vault.id.clone(), vault.clone());
        Ok((vault, trials))
    }

    /// Tries whether a vault can be made at a place.
    pub(super) async fn try_out(&self, place: Place) -> Result<Vec<Trial>, VaultsError> {
        let location = place.location();
        let begun = self.store.vaults().await?.iter().any(|row| row.location == location && !row.ready);
        let (trials, taken) = tokio::task::spawn_blocking(move || {
            let trials = place.trials()?;
            let fit = trials.iter().all(|trial| trial.works || !trial.required);
            // Whoever adds a vault where one lies would be left with one that nothing opens.
            Ok::<_, BackendError>((trials, fit && !begun && place.is_taken()?))
        })
        .await
        .map_err(|error| VaultsError::Thread(error.to_string()))?
        .map_err(|error| at(&location, error.into()))?;
        if trials.iter().any(|trial| trial.required && !trial.works) {
            return Err(VaultsError::Unfit { location, trials });
        }
        if taken {
            let source = VaultError::AlreadyAVault { location: location.clone() };
            return Err(at(&location, source));
        }
        Ok(trials)
    }
}
