//! What the dashboard asks of the server: one trait, put into leptos' context as `Arc<dyn Backend>` for each request.

#[cfg(feature = "ssr")]
use async_trait::async_trait;
#[cfg(feature = "ssr")]
use holdfast_model::{
    diff::{FileView, TableRows},
    plan::RestorePlan,
    request::{CreateCheckpoint, RestoreCheckpoint},
    view::{FolderView, Overview, ProjectView, RunView, TablePage, TablesView, VaultView},
};

#[cfg(feature = "ssr")]
use crate::error::AppError;

#[cfg(feature = "ssr")]
mod compare;
mod pages;
#[cfg(feature = "ssr")]
mod reference;
#[cfg(feature = "ssr")]
mod settings;
#[cfg(feature = "ssr")]
mod tables;
#[cfg(feature = "ssr")]
pub use compare::{Asked, CompareData, ComparePage, FileAsked, FolderAsked, Pair, TableAsked, ValueAsked};
pub use pages::{CheckpointPage, ComponentFacts, EnvironmentPage, RunPage};
#[cfg(feature = "ssr")]
pub use reference::{ApiAnswer, ApiField, ApiGroup, ApiOperation, ApiReference, ApiType};
#[cfg(feature = "ssr")]
pub use settings::{AuditAsked, AuditPage, GlassOpen, KeysPage, MembersPage, SessionLine, SessionsPage};
#[cfg(feature = "ssr")]
pub use tables::RowsAsked;

/// Where the built site lies; put into leptos' context by the server. A file that was not built is an empty text.
#[cfg(feature = "ssr")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteAssets {
    /// Address of the style sheet: `/pkg/<hash>/holdfast.css`.
    pub css: String,
    /// Address of the module that loads the wasm: `/pkg/<hash>/holdfast.js`.
    pub js: String,
    /// Address of the wasm: `/pkg/<hash>/holdfast.wasm`.
    pub wasm: String,
    /// Address of the icon: `/pkg/<hash>/holdfast.svg`.
    pub icon: String,
}

/// The server as one signed-in caller sees it. Each method checks that the caller may do it.
#[cfg(feature = "ssr")]
#[async_trait]
pub trait Backend: Send + Sync {
    /// Everything that the first page says.
    async fn overview(&self) -> Result<Overview, AppError>;
    /// All projects, by name.
    async fn projects(&self) -> Result<Vec<ProjectView>, AppError>;
    /// All vaults, by project, the primary one of each first.
    async fn vaults(&self) -> Result<Vec<VaultView>, AppError>;
    /// One environment by its project's and its own name.
    async fn environment(&self, project: &str, name: &str) -> Result<EnvironmentPage, AppError>;
    /// One checkpoint by its id.
    async fn checkpoint(&self, id: &str) -> Result<CheckpointPage, AppError>;
    /// One run by its id, with its events.
    async fn run(&self, id: &str) -> Result<RunPage, AppError>;
    /// The newest runs, newest first.
    async fn activity(&self) -> Result<Vec<RunView>, AppError>;
    /// Asks for a checkpoint; answers with the run that takes it.
    async fn back_up(&self, request: CreateCheckpoint) -> Result<RunView, AppError>;
    /// Asks for the sealed copy to be read back.
    async fn verify(&self, id: &str) -> Result<RunView, AppError>;
    /// Asks for a drill.
    async fn drill(&self, id: &str) -> Result<RunView, AppError>;
    /// Asks for a restore to where it came from.
    async fn restore(&self, id: &str, request: RestoreCheckpoint) -> Result<RunView, AppError>;
    /// Everything that such a restore would do; nothing is touched.
    async fn restore_plan(&self, id: &str, request: RestoreCheckpoint) -> Result<RestorePlan, AppError>;
    /// One folder of a checkpoint's files.
    async fn folder(&self, id: &str, asked: FolderAsked) -> Result<FolderView, AppError>;
    /// The tables of a database component.
    async fn tables(&self, id: &str, component: &str) -> Result<TablesView, AppError>;
    /// Some rows of a table; audited.
    async fn rows(&self, id: &str, asked: RowsAsked) -> Result<TablePage, AppError>;
    /// What changed between two checkpoints, or the run that takes the second.
    async fn compare(&self, asked: Asked) -> Result<CompareData, AppError>;
    /// One file of a comparison.
    async fn compared_file(&self, asked: FileAsked) -> Result<FileView, AppError>;
    /// The changed rows of one table of a comparison.
    async fn compared_table(&self, asked: TableAsked) -> Result<TableRows, AppError>;
    /// Both values of a variable; audited.
    async fn compared_value(&self, asked: ValueAsked) -> Result<(Option<String>, Option<String>), AppError>;
    /// Asks for a checkpoint of how the first one's environment is now, to compare with; answers with its run.
    async fn compare_now(&self, first: &str) -> Result<RunView, AppError>;
    /// Asks a run to stop.
    async fn cancel(&self, run: &str) -> Result<(), AppError>;
    /// Deletes a checkpoint, if the rules allow it.
    async fn delete(&self, id: &str) -> Result<(), AppError>;
    /// The keys that the caller decides for.
    async fn keys(&self) -> Result<KeysPage, AppError>;
    /// A page of the audit log, and whether the log is whole.
    async fn audit(&self, asked: AuditAsked) -> Result<AuditPage, AppError>;
    /// Who may do what, as far as the caller sees it.
    async fn members(&self) -> Result<MembersPage, AppError>;
    /// The caller's own open sessions.
    async fn sessions(&self) -> Result<SessionsPage, AppError>;
    /// Notes that somebody has stored the project's recovery kit.
    async fn confirm_recovery_kit(&self, project: &str) -> Result<(), AppError>;

    /// Runs that are going or waiting, newest first.
    async fn running(&self) -> Result<Vec<RunView>, AppError> {
        Ok(self.activity().await?.into_iter().filter(|run| !run.state.is_final()).collect())
    }
}
