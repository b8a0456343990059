//! The dashboard's door: the same actions, bound to the person who is signed in.

use async_trait::async_trait;
use holdfast_app::{
    backend::{
        Asked, AuditAsked, AuditPage, Backend, CheckpointPage, CompareData, ComponentFacts, EnvironmentPage, FileAsked,
        FolderAsked, KeysPage, MembersPage, RowsAsked, RunPage, SessionsPage, TableAsked, ValueAsked,
    },
    error::AppError,
};
use holdfast_model::{
    access::Permission,
    diff::{FileView, TableRows},
    manifest::Manifest,
    plan::RestorePlan,
    request::{CreateCheckpoint, RestoreCheckpoint},
    view::{FolderView, Overview, ProjectView, RunView, TablePage, TablesView, VaultView},
};
use time::OffsetDateTime;

use super::{
    ActionError, Actions, ListAudit, ListCheckpoints, PlaceQuery, RowsQuery, TableQuery, TablesQuery, ValueQuery,
};
use crate::store::RunFilter;

/// The server as one signed-in caller sees it.
pub struct CallerBackend(pub Actions);

#[async_trait]
impl Backend for CallerBackend {
    async fn overview(&self) -> Result<Overview, AppError> {
        Ok(self.0.store().overview().await.map_err(ActionError::from)?)
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, AppError> {
        Ok(self.0.projects().await?)
    }

    async fn vaults(&self) -> Result<Vec<VaultView>, AppError> {
        Ok(self.0.list_vaults().await?)
    }

    async fn environment(&self, project: &str, name: &str) -> Result<EnvironmentPage, AppError> {
        let text = format!("{project}/{name}");
        let environment = self.0.environment(&text).await?;
        let query = ListCheckpoints { environment: Some(text), limit: Some(50), ..ListCheckpoints::default() };
        let filter = RunFilter { environment: Some(environment.id.clone()), limit: Some(20), ..RunFilter::default() };
        let projects = self.0.projects().await?;
        Ok(EnvironmentPage {
            now: OffsetDateTime::now_utc(),
            checkpoints: self.0.list_checkpoints(query).await?,
            runs: self.0.store().runs(&filter).await.map_err(ActionError::from)?,
            recovery_kit_confirmed: projects
                .iter()
                .any(|project| project.name == environment.project && project.recovery_kit_confirmed),
            environment,
        })
    }

    async fn checkpoint(&self, id: &str) -> Result<CheckpointPage, AppError> {
        let checkpoint = self.0.checkpoint(id).await?;
        let text = self.0.manifest(checkpoint.id.as_str()).await?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(ActionError::internal)?;
        let filter = RunFilter { checkpoint: Some(checkpoint.id.clone()), limit: Some(20), ..RunFilter::default() };
        Ok(CheckpointPage {
            now: OffsetDateTime::now_utc(),
            runs: self.0.store().runs(&filter).await.map_err(ActionError::from)?,
            may_delete: self.0.why_not_delete(&checkpoint.id).await?,
            components: manifest.components.iter().map(ComponentFacts::from).collect(),
            checkpoint,
        })
    }

    async fn run(&self, id: &str) -> Result<RunPage, AppError> {
        // The run first: an event that comes in between is in the list and newer than the run, never the other way.
        let run = self.0.run(id).await?;
        let events = self.0.events(&run.id).await?;
        Ok(RunPage { now: OffsetDateTime::now_utc(), run, events })
    }

    async fn activity(&self) -> Result<Vec<RunView>, AppError> {
        let filter = RunFilter { limit: Some(100), ..RunFilter::default() };
        Ok(self.0.store().runs(&filter).await.map_err(ActionError::from)?)
    }

    async fn back_up(&self, request: CreateCheckpoint) -> Result<RunView, AppError> {
        Ok(self.0.create(request).await?)
    }

    async fn verify(&self, id: &str) -> Result<RunView, AppError> {
        Ok(self.0.verify(id).await?)
    }

    async fn drill(&self, id: &str) -> Result<RunView, AppError> {
        Ok(self.0.drill(id).await?)
    }

    async fn restore(&self, id: &str, request: RestoreCheckpoint) -> Result<RunView, AppError> {
        Ok(self.0.restore(id, request).await?)
    }

    async fn restore_plan(&self, id: &str, request: RestoreCheckpoint) -> Result<RestorePlan, AppError> {
        Ok(self.0.restore_plan(id, request).await?)
    }

    async fn folder(&self, id: &str, asked: FolderAsked) -> Result<FolderView, AppError> {
        let FolderAsked { component, path, raw } = asked;
        Ok(self.0.folder(id, &PlaceQuery { component, path, raw }).await?)
    }

    async fn tables(&self, id: &str, component: &str) -> Result<TablesView, AppError> {
        Ok(self.0.tables(id, &TablesQuery { component: component.to_owned() }).await?)
    }

    async fn rows(&self, id: &str, asked: RowsAsked) -> Result<TablePage, AppError> {
        let RowsAsked { component, schema, table, from } = asked;
        Ok(self.0.table(id, &RowsQuery { component, schema, table, from }).await?)
    }

    async fn compare(&self, asked: Asked) -> Result<CompareData, AppError> {
        Ok(self.0.compare_page(asked).await?)
    }

    async fn compared_file(&self, asked: FileAsked) -> Result<FileView, AppError> {
        let FileAsked { pair, component, path, raw } = asked;
        let query = PlaceQuery { component, path, raw };
        Ok(self.0.diff_file(&pair.first, &pair.second, &query).await?)
    }

    async fn compared_table(&self, asked: TableAsked) -> Result<TableRows, AppError> {
        let TableAsked { pair, component, schema, table, after } = asked;
        let query = TableQuery { component, schema, table, after: usize::try_from(after).unwrap_or(usize::MAX) };
        Ok(self.0.diff_table(&pair.first, &pair.second, &query).await?)
    }

    async fn compared_value(&self, asked: ValueAsked) -> Result<(Option<String>, Option<String>), AppError> {
        let ValueAsked { pair, component, variable } = asked;
        let query = ValueQuery { component, variable };
        Ok(self.0.diff_value(&pair.first, &pair.second, &query).await?)
    }

    async fn compare_now(&self, first: &str) -> Result<RunView, AppError> {
        Ok(self.0.create_live(first).await?)
    }

    async fn cancel(&self, run: &str) -> Result<(), AppError> {
        self.0.cancel(run).await?;
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), AppError> {
        Ok(self.0.delete(id).await?)
    }

    async fn keys(&self) -> Result<KeysPage, AppError> {
        let access = &self.0.caller().access;
        self.0.allowed_somewhere(Permission::Keys)?;
        let projects = self.0.projects().await?.into_iter().map(|project| project.name);
        Ok(KeysPage {
            now: OffsetDateTime::now_utc(),
            keys: self.0.list_keys().await?,
            projects: projects.filter(|project| access.may(Some(project), Permission::Keys)).collect(),
            everywhere: access.may(None, Permission::Keys),
        })
    }

    async fn audit(&self, asked: AuditAsked) -> Result<AuditPage, AppError> {
        let AuditAsked { who, action, subject, since, before } = asked.clone();
        let query = ListAudit { who, action, subject, since, before, limit: None };
        let list = self.0.audit_lines(query).await?;
        Ok(AuditPage { asked, list, verified: self.0.verify_audit().await? })
    }

    async fn members(&self) -> Result<MembersPage, AppError> {
        Ok(MembersPage { now: OffsetDateTime::now_utc(), members: self.0.members().await? })
    }

    async fn sessions(&self) -> Result<SessionsPage, AppError> {
        Ok(self.0.sessions().await?)
    }

    async fn confirm_recovery_kit(&self, project: &str) -> Result<(), AppError> {
        Ok(self.0.confirm_recovery_kit(project, None).await?)
    }
}
