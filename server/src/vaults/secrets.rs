//! What opens a vault, as the catalogue keeps it: wrapped by the server key, each secret for its one purpose.

use holdfast_model::{id::VaultId, request::BucketAccess};
use holdfast_vault::Password;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Vaults, VaultsError, at, place::Place};
use crate::{
    keys::KeyError,
    store::{NewVault, VaultRow},
};

/// What a wrapped password is bound to.
fn purpose(id: &VaultId) -> String {
    format!("vault:{id}")
}

/// What the wrapped way into a bucket is bound to.
pub(super) fn access_purpose(id: &VaultId) -> String {
    format!("vault-access:{id}")
}

/// The way into a bucket as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    access: BucketAccess,
    /// Whether its endpoint was named by somebody who does not own the host, so that of private addresses only those
    /// that are listed are in reach.
    bound: bool,
}

/// As it is kept, or as older versions kept it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Kept(Kept),
    Older(BucketAccess),
}

/// The way into a bucket at this place, ready to be wrapped.
pub(super) fn plain(access: &BucketAccess, place: &Place) -> Result<Zeroizing<Vec<u8>>, VaultsError> {
    serde_json::to_vec(&Kept { access: access.clone(), bound: place.is_bound() })
        .map(Zeroizing::new)
        .map_err(|_| VaultsError::NotText("access"))
}

impl Vaults {
    /// The secrets of a vault as the catalogue keeps them.
    pub(super) fn wrapped(
        &self,
        id: &VaultId,
        password: &Password,
        access: Option<&[u8]>,
    ) -> Result<NewVault, KeyError> {
        let access = match access {
            Some(access) => Some(self.key.wrap(&access_purpose(id), access)?),
            None => None,
        };
        Ok(NewVault { password: self.key.wrap(&purpose(id), password.expose().as_bytes())?, access })
    }

    /// Where a vault of the catalogue lies.
    pub(super) fn place(&self, row: &VaultRow) -> Result<Place, VaultsError> {
        let kept = self.kept(row)?;
        let access = kept.as_ref().map(|kept| &kept.access);
        let place = Place::read(&row.location, access).map_err(|source| at(&row.location, source))?;
        Ok(if kept.is_some_and(|kept| kept.bound) { place.within(&self.networks) } else { place })
    }

    /// The way into a vault's bucket, where it is in one.
    pub(super) fn access(&self, row: &VaultRow) -> Result<Option<BucketAccess>, VaultsError> {
        Ok(self.kept(row)?.map(|kept| kept.access))
    }

    fn kept(&self, row: &VaultRow) -> Result<Option<Kept>, VaultsError> {
        let Some(wrapped) = &row.access else { return Ok(None) };
        let plain = self.key.unwrap(&access_purpose(&row.id), wrapped)?;
        Ok(Some(match serde_json::from_slice(&plain).map_err(|_| VaultsError::NotText("access"))? {
            Read::Kept(kept) => kept,
            Read::Older(access) => Kept { access, bound: false },
        }))
    }

    /// What opens it.
    pub(super) fn password(&self, row: &VaultRow) -> Result<Password, VaultsError> {
        let plain = self.key.unwrap(&purpose(&row.id), &row.password)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultsError::NotText("password"))?;
        Ok(Password::new(text.to_owned()))
    }
}
