//! One run in a worker's hands: what every kind of work begins with, and how it may end.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_engine::{CaptureError, DrillError, RestoreError};
use holdfast_model::{
    definition::Definition,
    event::{EventBody, Level, StepState},
    id::{EnvironmentId, VaultId},
    state::{Kind, RunState},
};
use holdfast_vault::{Error as VaultError, Meter};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::{Desk, hold::Hold};
use crate::{
    store::{ATTEMPTS, Claim, EnvironmentRow, StoreError},
    vaults::{OpenVault, VaultsError},
};

/// How often progress is told.
const TELL: Duration = Duration::from_millis(300);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) state: RunState,
    pub(crate) message: Option<String>,
    /// For what has a gate and no drill spoke.
    pub(crate) gate_open: Option<bool>,
}

impl Ending {
    pub(crate) const fn well(message: Option<String>) -> Self {
        Self { state: RunState::Succeeded, message, gate_open: None }
    }
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// It was told to end; the hold knows why.
    #[error("cancelled")]
    Cancelled,
    /// Under this writer the vault changed: what it relied on may be gone, and nothing was sealed.
    #[error("{0}")]
    VaultChanged(String),
    /// What a user reads.
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vaults(VaultsError),
}

impl From<VaultsError> for JobError {
    fn from(error: VaultsError) -> Self {
        match error {
            VaultsError::Vault { source: VaultError::Cancelled, .. } => Self::Cancelled,
            other => Self::Vaults(other),
        }
    }
}

impl From<CaptureError> for JobError {
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::Cancelled => Self::Cancelled,
            CaptureError::Vault(changed @ VaultError::VaultChanged { .. }) => Self::VaultChanged(changed.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<DrillError> for JobError {
    fn from(error: DrillError) -> Self {
        match error {
            DrillError::Cancelled => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<RestoreError> for JobError {
    fn from(error: RestoreError) -> Self {
        // A cancelled restore says what state the application is in, so its text is kept.
        Self::Failed(error.to_string())
    }
}

/// One run in a worker's hands.
pub(crate) struct Job {
    pub(crate) desk: Desk,
    pub(crate) claim: Claim,
    pub(crate) hold: Hold,
    pub(crate) worker: String,
    pub(crate) scratch: Scratch,
}

/// An environment as it is applied now.
pub(crate) struct Applied {
    pub(crate) row: EnvironmentRow,
    pub(crate) raw: Zeroizing<Vec<u8>>,
    pub(crate) definition: Definition,
}

impl Applied {
    /// Names and kinds of its components, in order.
    pub(crate) fn known(&self) -> Vec<(holdfast_model::name::Name, Kind)> {
        self.definition.components.iter().map(|c| (c.name.clone(), c.kind())).collect()
    }
}

impl Job {
    pub(crate) fn environment(&self) -> Result<&EnvironmentId, JobError> {
        let environment = self.claim.run.view.subject.environment();
        environment.map(|known| &known.id).ok_or_else(|| JobError::Failed("the run names no environment".into()))
    }

    /// The request as it was asked.
    pub(crate) fn request<T: serde::de::DeserializeOwned>(&self) -> Result<T, JobError> {
        serde_json::from_value(self.claim.run.request.clone())
            .map_err(|error| JobError::Failed(format!("the stored request cannot be read: {error}")))
    }

    /// The definition as it is applied now, with its secrets.
    pub(crate) async fn applied(&self) -> Result<Applied, JobError> {
        let store = self.desk.store();
        let row = store.environment(self.environment()?).await?;
        let raw = store.raw_definition(self.desk.key(), self.environment()?).await?;
        // The error's text could quote the definition; it says no more than the place.
        let definition = serde_json::from_slice(&raw).map_err(|error| {
            JobError::Failed(format!(
                "the stored definition cannot be read (line {}, column {}); apply it again",
                error.line(),
                error.column()
            ))
        })?;
        Ok(Applied { row, raw, definition })
    }

    /// The vault that the environment's project writes to.
    pub(crate) async fn vault(&self) -> Result<OpenVault, JobError> {
        let project = self.desk.store().find_project(self.claim.run.view.subject.project().as_str()).await?;
        let vaults = self.desk.vaults();
        if vaults.is_open(&project).await? {
            return Ok(vaults.of_project(&project).await?);
        }
        let ctx = &self.hold.ctx;
        ctx.step("vault", "Vault opened", StepState::Started, None, None);
        let open = vaults.of_project(&project).await;
        match &open {
            Ok(open) => ctx.step("vault", "Vault opened", StepState::Done, None, Some(open.vault.location())),
            Err(error) => ctx.step("vault", "Vault opened", StepState::Failed, None, Some(error.to_string())),
        }
        Ok(open?)
    }

    /// The vault that the run works on as a whole.
    pub(crate) fn vault_id(&self) -> Result<&VaultId, JobError> {
        let vault = self.claim.run.view.subject.vault();
        vault.map(|known| &known.id).ok_or_else(|| JobError::Failed("the run names no vault".into()))
    }

    /// What only reads, or can be begun anew, is not begun for ever.
    pub(crate) fn refuse_worn_out(&self) -> Result<(), JobError> {
        if self.claim.attempt > ATTEMPTS {
            return Err(JobError::Failed("the server stopped during this run too often; start it again".into()));
        }
        Ok(())
    }

    /// Tells how far a step is, until it is dropped.
    pub(crate) fn telling(&self, step: &'static str, meter: &Meter) -> AbortOnDropHandle<()> {
        let (events, meter) = (self.hold.ctx.events.clone(), meter.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(TELL).await;
                events.emit(EventBody::Progress {
                    step: step.into(),
                    component: None,
                    files: meter.files(),
                    bytes: meter.bytes(),
                    total: None,
                    stored: meter.stored(),
                    tables: 0,
                    current: Some(meter.current()).filter(|current| !current.is_empty()),
                });
            }
        }))
    }

    /// A line of the run's own log.
    pub(crate) fn log(&self, level: Level, message: impl Into<String>) {
        self.hold.ctx.log(level, None, message);
    }

    /// What is never captured and never written by a restore.
    pub(crate) async fn forbidden(&self) -> Result<Vec<PathBuf>, JobError> {
        Ok(self.desk.forbidden().await?)
    }
}

/// A folder of one attempt, removed when it ends.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn make(under: &Path, claim: &Claim) -> Result<Self, JobError> {
        let path = under.join(format!("{}-{}", claim.id(), claim.fence));
        make_scratch(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// Empties it for work that is begun anew.
    pub(crate) fn renew(&self) -> Result<(), JobError> {
        self.clear();
        make_scratch(&self.0)
    }

    /// Removes it with all that is in it; what has gone already is fine.
    pub(crate) fn clear(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "scratch space could not be removed");
        }
    }
}

fn make_scratch(path: &Path) -> Result<(), JobError> {
    use std::os::unix::fs::DirBuilderExt as _;
    // Others may pass through, not look: a throwaway server runs as another user.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(path)
        .map_err(|error| JobError::Failed(format!("the scratch folder {}: {error}", path.display())))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}
