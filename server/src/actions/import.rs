//! A checkpoint on its way into Holdfast.

use std::io::Read;

use holdfast_engine::{ImportError, Incoming};
use holdfast_model::{access::Permission, view::RunView};
use holdfast_vault::Cancel;
use tokio_util::sync::CancellationToken;

use super::{ActionError, Actions, checkpoints::refuse_unconfirmed};
use crate::store::StoreError;

impl Actions {
    /// Takes an archive as it comes, into `environment`, or else the one that its metadata names. Comes back once it is
    /// sealed or has failed; audited. `cancel` ends the input's waiting.
    ///
    /// # Errors
    /// [`ActionError::Unprocessable`] when it is no archive of an export, or of a newer format;
    /// [`ActionError::NotFound`] when there is no such environment here.
    pub async fn import(
        &self,
        environment: Option<&str>,
        input: impl Read + Send + 'static,
        cancel: Cancel,
        stop: CancellationToken,
    ) -> Result<RunView, ActionError> {
        let incoming = tokio::task::spawn_blocking(move || Incoming::open(input))
            .await
            .map_err(ActionError::internal)?
            .map_err(refused)?;
        let wanted = environment.map_or_else(|| incoming.environment(), str::to_owned);
        let row = match self.store().find_environment(&wanted).await {
            Err(StoreError::NotFound { .. }) if environment.is_none() => {
                return Err(ActionError::NotFound(format!(
                    "it was made of `{wanted}`, which is no environment here: make it (holdfast apply), or name another \
                     one (--env)"
                )));
            }
            found => found?,
        };
        self.require(Some(&row.project), Permission::Import)?;
        refuse_unconfirmed(&row)?;
        Ok(self.parts.desk.import(incoming, &row, &self.caller.name, cancel, stop).await?)
    }
}

fn refused(error: ImportError) -> ActionError {
    match error {
        ImportError::Vault(error) => ActionError::Unavailable(format!("the vault: {error}")),
        other => ActionError::Unprocessable { message: format!("nothing was imported: {other}"), errors: Vec::new() },
    }
}
