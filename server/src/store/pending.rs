//! Signatures whose bodies are on their way.
#![allow(clippy::todo, clippy::unused_async, unused_variables, missing_docs, clippy::missing_errors_doc)]
use super::*;
use crate::keys::ServerKey;
use holdfast_model::{drill::DrillReport, event::Event, id::*, view::*};
use time::OffsetDateTime;

impl Store {
    // definitions
    /// Makes or replaces an environment's definition (and its project); audited.
    pub async fn apply(
        &self,
        key: &ServerKey,
        caller: &str,
        definition: AppliedDefinition,
    ) -> Result<EnvironmentId, StoreError> {
        todo!()
    }
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        todo!()
    }
    /// By name or `prj_…`.
    pub async fn find_project(&self, text: &str) -> Result<ProjectRow, StoreError> {
        todo!()
    }
    pub async fn environments(&self) -> Result<Vec<EnvironmentRow>, StoreError> {
        todo!()
    }
    pub async fn environment(&self, id: &EnvironmentId) -> Result<EnvironmentRow, StoreError> {
        todo!()
    }
    /// `name`, `project/name`, `project~name` or `env_…`.
    pub async fn find_environment(&self, text: &str) -> Result<EnvironmentRow, StoreError> {
        todo!()
    }
    /// The raw JSON as it was applied, with secrets.
    pub async fn raw_definition(
        &self,
        key: &ServerKey,
        id: &EnvironmentId,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, StoreError> {
        todo!()
    }

    // runs
    pub async fn enqueue(&self, run: NewRun) -> Result<RunId, StoreError> {
        todo!()
    }
    pub async fn run(&self, id: &RunId) -> Result<RunView, StoreError> {
        todo!()
    }
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunView>, StoreError> {
        todo!()
    }
    /// By id or unique prefix, with or without `run_`.
    pub async fn find_run(&self, text: &str) -> Result<RunView, StoreError> {
        todo!()
    }
    pub async fn request_cancel(&self, id: &RunId, by: &str) -> Result<(), StoreError> {
        todo!()
    }

    // events
    /// Stored events after `after`, oldest first.
    pub async fn events(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        todo!()
    }
    pub async fn logs(
        &self,
        environment: &EnvironmentId,
        component: Option<&str>,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError> {
        todo!()
    }

    // checkpoints
    pub async fn checkpoint(&self, id: &CheckpointId) -> Result<CheckpointRow, StoreError> {
        todo!()
    }
    /// Id, unique prefix (with or without `chk_`), `ENV@latest`, `latest`, or an exact name.
    pub async fn find_checkpoint(&self, text: &str) -> Result<CheckpointRow, StoreError> {
        todo!()
    }
    pub async fn checkpoints(&self, filter: &CheckpointFilter) -> Result<CheckpointList, StoreError> {
        todo!()
    }
    /// The exact text of `manifest.json`.
    pub async fn manifest_text(&self, id: &CheckpointId) -> Result<String, StoreError> {
        todo!()
    }
    /// Why it may not be deleted now; none when it may.
    pub async fn may_delete(&self, id: &CheckpointId) -> Result<Result<(), Refusal>, StoreError> {
        todo!()
    }
    pub async fn drills(&self, id: &CheckpointId) -> Result<Vec<DrillReport>, StoreError> {
        todo!()
    }

    // views
    pub async fn checkpoint_view(&self, id: &CheckpointId) -> Result<CheckpointView, StoreError> {
        todo!()
    }
    pub async fn environment_view(&self, id: &EnvironmentId) -> Result<EnvironmentView, StoreError> {
        todo!()
    }
    pub async fn project_views(&self) -> Result<Vec<ProjectView>, StoreError> {
        todo!()
    }
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        todo!()
    }

    // access
    /// Refuses a key file that did not make this catalogue; remembers the first.
    pub async fn check_key(&self, key: &ServerKey) -> Result<(), StoreError> {
        todo!()
    }
    /// `hash`: SHA-256 of the token, hexadecimal. The same hash twice is no error.
    pub async fn put_credential(&self, hash: &str, name: &str, kind: &str) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn credential(&self, hash: &str) -> Result<Option<CredentialRow>, StoreError> {
        todo!()
    }
    pub async fn put_link(&self, hash: &str, created_by: &str, expires_at: OffsetDateTime) -> Result<(), StoreError> {
        todo!()
    }
    /// Whether the link was there, not expired and not used; it is used from now on.
    pub async fn take_link(&self, hash: &str) -> Result<bool, StoreError> {
        todo!()
    }
    /// `id`: hash of the session's id; `data`: JSON text.
    pub async fn put_session(&self, id: &str, data: &str, expires_at: OffsetDateTime) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn session(&self, id: &str) -> Result<Option<String>, StoreError> {
        todo!()
    }
    pub async fn delete_session(&self, id: &str) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn delete_expired_sessions(&self) -> Result<u64, StoreError> {
        todo!()
    }
    /// A line in the audit log: who did what to what.
    pub async fn audit(&self, who: &str, action: &str, subject: &str, detail: &str) -> Result<(), StoreError> {
        todo!()
    }
    /// `select 1`, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!()
    }
}
