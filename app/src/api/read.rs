//! What pages read, on the server; and the one read that the browser makes by itself.

use holdfast_model::{
    access::Permission,
    diff::{FileView, TableRows},
    plan::RestorePlan,
    request::RestoreCheckpoint,
    state::Kind,
    view::{
        CheckpointView, EnvironmentView, FolderView, Overview, ProjectView, RunView, StorageSeries, TablePage,
        TablesView, VaultView,
    },
};
use leptos::{
    prelude::server,
    server_fn::codec::{GetUrl, Json},
};
use time::OffsetDateTime;

use super::door::{answer, backend};
use crate::{
    backend::{
        Asked, AuditAsked, AuditPage, CheckpointPage, CompareData, EnvironmentPage, FileAsked, FolderAsked, KeysPage,
        MembersPage, RowsAsked, RunPage, SessionsPage, TableAsked, ValueAsked,
    },
    error::AppError,
    may::{may, who_may},
};

/// The list of projects.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectsPage {
    /// All of them, by name.
    pub projects: Vec<ProjectView>,
}

/// The page of one project.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectPage {
    /// When it was read.
    pub now: OffsetDateTime,
    /// The project.
    pub project: ProjectView,
    /// Its environments.
    pub environments: Vec<EnvironmentView>,
    /// Its storage by day.
    pub storage: Vec<StorageSeries>,
    /// Its vaults, the primary one first.
    pub vaults: Vec<VaultView>,
}

/// The page of an environment, and the run that is going on in it.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentData {
    /// The page.
    pub page: EnvironmentPage,
    /// The run that is going or waiting, with its events.
    pub live: Option<RunPage>,
}

/// The page of a checkpoint, and the run that is going on with it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointData {
    /// The page.
    pub page: CheckpointPage,
    /// The run that is going or waiting, with its events.
    pub live: Option<RunPage>,
}

/// The page of a restore: what is asked, and what would come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreData {
    /// The checkpoint.
    pub page: CheckpointPage,
    /// What is asked.
    pub request: RestoreCheckpoint,
    /// Everything that it would do, or why that cannot be said.
    pub plan: Result<RestorePlan, AppError>,
}

/// The page of a run, and the runs that are parts of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunData {
    /// The page.
    pub page: RunPage,
    /// Its children: the safety checkpoint of a restore.
    pub children: Vec<RunView>,
}

/// The newest runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityPage {
    /// When it was read.
    pub now: OffsetDateTime,
    /// Newest first.
    pub runs: Vec<RunView>,
}

/// The keys of programs.
pub async fn read_keys() -> Result<KeysPage, AppError> {
    answer(async { backend()?.keys().await }.await)
}

/// Who may do what.
pub async fn read_members() -> Result<MembersPage, AppError> {
    answer(async { backend()?.members().await }.await)
}

/// One's own open sessions.
pub async fn read_sessions() -> Result<SessionsPage, AppError> {
    answer(async { backend()?.sessions().await }.await)
}

/// A page of the audit log.
pub async fn read_audit(asked: AuditAsked) -> Result<AuditPage, AppError> {
    answer(async { backend()?.audit(asked).await }.await)
}

/// The first page.
pub async fn read_overview() -> Result<Overview, AppError> {
    answer(async { backend()?.overview().await }.await)
}

/// The list of projects.
pub async fn read_projects() -> Result<ProjectsPage, AppError> {
    answer(async { Ok(ProjectsPage { projects: backend()?.projects().await? }) }.await)
}

/// One project by its name.
pub async fn read_project(project: String) -> Result<ProjectPage, AppError> {
    let read = async {
        let backend = backend()?;
        let found = backend.projects().await?.into_iter().find(|p| p.name.as_str() == project);
        let found = found.ok_or_else(|| AppError::NotFound(format!("There is no project named {project}.")))?;
        let overview = backend.overview().await?;
        let vaults = backend.vaults().await?;
        Ok(ProjectPage {
            vaults: vaults.into_iter().filter(|v| v.project == found.name).collect(),
            now: overview.now,
            environments: overview.environments.into_iter().filter(|e| e.project == found.name).collect(),
            storage: overview.storage.into_iter().filter(|s| s.project == found.name).collect(),
            project: found,
        })
    };
    answer(read.await)
}

/// One environment by its project's and its own name.
pub async fn read_environment(project: String, name: String) -> Result<EnvironmentData, AppError> {
    let read = async {
        let backend = backend()?;
        let page = backend.environment(&project, &name).await?;
        let live = match &page.environment.running {
            Some(run) => Some(backend.run(run.id.as_str()).await?),
            None => None,
        };
        Ok(EnvironmentData { page, live })
    };
    answer(read.await)
}

/// One checkpoint by its id.
pub async fn read_checkpoint(id: String) -> Result<CheckpointData, AppError> {
    let read = async {
        let backend = backend()?;
        let page = backend.checkpoint(&id).await?;
        let live = match page.runs.iter().find(|run| !run.state.is_final()) {
            Some(run) => Some(backend.run(run.id.as_str()).await?),
            None => None,
        };
        Ok(CheckpointData { page, live })
    };
    answer(read.await)
}

/// A checkpoint and the plan of its restore; nothing is touched.
pub async fn read_restore(id: String, request: RestoreCheckpoint) -> Result<RestoreData, AppError> {
    let read = async {
        let backend = backend()?;
        let page = backend.checkpoint(&id).await?;
        let project = &page.checkpoint.environment.project;
        if !may(project, Permission::Restore) {
            return Err(AppError::Forbidden(who_may(project, Permission::Restore, "Putting back")));
        }
        let request = fitting(request, &page.checkpoint);
        let plan = backend.restore_plan(&id, request.clone()).await;
        Ok(RestoreData { page, request, plan })
    };
    answer(read.await)
}

/// Who names tables or files means the components that have any: the others are not chosen.
fn fitting(mut request: RestoreCheckpoint, checkpoint: &CheckpointView) -> RestoreCheckpoint {
    let kind = match (request.tables.is_empty(), request.paths.is_empty()) {
        (false, _) => Kind::Postgres,
        (true, false) => Kind::Files,
        (true, true) => return request,
    };
    let has = |name: &String| checkpoint.components.iter().any(|part| part.name.as_str() == name && part.kind == kind);
    request.components.retain(has);
    request
}

/// One run by its id.
pub async fn read_run(id: String) -> Result<RunData, AppError> {
    let read = async {
        let backend = backend()?;
        let page = backend.run(&id).await?;
        let all = backend.activity().await?;
        let children = all.into_iter().filter(|run| run.parent.as_ref() == Some(&page.run.id)).collect();
        Ok(RunData { page, children })
    };
    answer(read.await)
}

/// The newest runs.
pub async fn read_activity() -> Result<ActivityPage, AppError> {
    let read = async { Ok(ActivityPage { now: OffsetDateTime::now_utc(), runs: backend()?.activity().await? }) };
    answer(read.await)
}

/// One folder of a checkpoint's files, and the checkpoint.
pub async fn read_folder(id: String, asked: FolderAsked) -> Result<(CheckpointPage, FolderView), AppError> {
    let read = async {
        let backend = backend()?;
        Ok((backend.checkpoint(&id).await?, backend.folder(&id, asked).await?))
    };
    answer(read.await)
}

/// The tables of a checkpoint's database, and the checkpoint.
pub async fn read_tables(id: String, component: String) -> Result<(CheckpointPage, TablesView), AppError> {
    let read = async {
        let backend = backend()?;
        Ok((backend.checkpoint(&id).await?, backend.tables(&id, &component).await?))
    };
    answer(read.await)
}

/// Some rows of a table of it, and the checkpoint.
pub async fn read_rows(id: String, asked: RowsAsked) -> Result<(CheckpointPage, TablePage), AppError> {
    let read = async {
        let backend = backend()?;
        Ok((backend.checkpoint(&id).await?, backend.rows(&id, asked).await?))
    };
    answer(read.await)
}

/// What changed between two checkpoints.
pub async fn read_compare(asked: Asked) -> Result<CompareData, AppError> {
    answer(async { backend()?.compare(asked).await }.await)
}

/// One file of a comparison.
pub async fn read_compared_file(asked: FileAsked) -> Result<FileView, AppError> {
    answer(async { backend()?.compared_file(asked).await }.await)
}

/// The changed rows of one table of a comparison.
pub async fn read_compared_table(asked: TableAsked) -> Result<TableRows, AppError> {
    answer(async { backend()?.compared_table(asked).await }.await)
}

/// Both values of one variable.
pub async fn read_compared_value(asked: ValueAsked) -> Result<(Option<String>, Option<String>), AppError> {
    answer(async { backend()?.compared_value(asked).await }.await)
}

/// Runs that are going or waiting. Nobody signed in is no error here: the page itself says so.
pub async fn read_running() -> Result<Vec<RunView>, AppError> {
    backend()?.running().await
}

/// One run as it is now: what the browser asks when a stream has told it of the end.
#[server(name = ReadRun, prefix = "/ui", endpoint = "run", input = GetUrl, output = Json)]
pub async fn run_now(id: String) -> Result<RunView, AppError> {
    answer(async { Ok(backend()?.run(&id).await?.run) }.await)
}
