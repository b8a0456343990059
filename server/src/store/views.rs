//! What the API answers and the dashboard draws, composed from rows.

use std::collections::BTreeMap;

use holdfast_model::{
    id::{CheckpointId, EnvironmentId, ProjectId},
    manifest::{Manifest, ManifestComponent},
    size,
    state::{ComponentType, RunState},
    view::{
        CheckpointView, ComponentSize, ComponentView, CopyRef, DrillView, EnvironmentView, ProjectView, RunView,
        SizeView,
    },
};

use super::{
    EnvironmentRow, RunFilter, Store, StoreError,
    value::{Columns as _, from_json},
};

/// How many of its newest sizes a component shows.
const SIZES: i64 = 12;

/// The group of the breakdown that a type belongs to.
const fn group(of: ComponentType) -> &'static str {
    match of {
        ComponentType::Container => "containers",
        other => other.as_str(),
    }
}

fn sizes(manifest: &Manifest) -> SizeView {
    let mut breakdown = BTreeMap::new();
    for component in &manifest.components {
        *breakdown.entry(group(component.kind.component_type()).to_owned()).or_insert(0) += component.size;
    }
    SizeView { total: manifest.total, stored: manifest.stored, display: size::display(manifest.total), breakdown }
}

fn component_size(component: &ManifestComponent) -> ComponentSize {
    ComponentSize {
        name: component.name.clone(),
        kind: component.kind,
        component_type: component.kind.component_type(),
        size: component.size,
        stored: component.stored,
        items: component.items,
    }
}

/// What a checkpoint's kinds do not cover, and what was left out of it.
fn not_covered(manifest: &Manifest) -> Vec<String> {
    let by_kind =
        manifest.components.iter().flat_map(|c| c.not_covered.iter().map(move |what| format!("{}: {what}", c.name)));
    let left_out = manifest.left_out.iter().map(|name| format!("{name}: left out of this checkpoint"));
    by_kind.chain(left_out).collect()
}

impl Store {
    /// One checkpoint, whole.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn checkpoint_view(&self, id: &CheckpointId) -> Result<CheckpointView, StoreError> {
        let row = self.checkpoint(id).await?;
        let manifest: Manifest = from_json("manifest", &self.manifest_text(id).await?)?;
        let repository: String = sqlx::query_scalar("select location from vault where id = $1")
            .bind(row.vault.as_str())
            .fetch_one(&self.pool)
            .await?;
        let drill = self.drills(id).await?.into_iter().next().map(DrillView::from);
        let ledger = manifest
            .components
            .iter()
            .filter_map(|c| Some((c.name.to_string(), c.ledger.as_ref()?.tables.clone())))
            .collect();
        Ok(CheckpointView {
            size: sizes(&manifest),
            components: manifest.components.iter().map(component_size).collect(),
            ledger,
            skipped: manifest.components.iter().flat_map(|c| c.skipped.clone()).collect(),
            not_covered: not_covered(&manifest),
            skew_ms: manifest.skew_ms,
            metadata: manifest.metadata,
            id: row.id,
            name: row.name,
            description: row.description,
            environment: row.environment,
            created_at: row.created_at,
            created_by: row.created_by,
            tags: row.tags,
            trigger: row.trigger,
            run: row.run,
            integrity: row.integrity,
            integrity_at: row.integrity_at,
            proof: row.proof,
            protection: row.protection,
            locked_until: row.locked_until,
            drill,
            vault: CopyRef { repository, snapshot: row.snapshot },
            copies: self.copies_of(id).await?.into_iter().map(|copy| copy.view).collect(),
        })
    }

    /// One environment, without secrets.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn environment_view(&self, id: &EnvironmentId) -> Result<EnvironmentView, StoreError> {
        let row = self.environment(id).await?;
        self.compose_environment(row).await
    }

    pub(crate) async fn compose_environment(&self, row: EnvironmentRow) -> Result<EnvironmentView, StoreError> {
        let sums = sqlx::query(
            "select count(*) as many, cast(coalesce(sum(total), 0) as bigint) as total, \
             cast(coalesce(sum(stored), 0) as bigint) as stored from checkpoint \
             where environment = $1 and deleted_at is null",
        )
        .bind(row.id.as_str())
        .fetch_one(&self.pool)
        .await?;
        let mut past = self.component_sizes(&row.id).await?;
        let components = row
            .view
            .components
            .iter()
            .map(|component| ComponentView {
                sizes: past.remove(component.name.as_str()).unwrap_or_default(),
                name: component.name.clone(),
                kind: component.kind,
                component_type: component.kind.component_type(),
                host: component.host.clone(),
                location: component.location.clone(),
                not_covered: component.not_covered.clone(),
                recoverable: component.recoverable.clone(),
            })
            .collect();
        Ok(EnvironmentView {
            latest: self.latest(&row.id).await?.map(super::CheckpointRow::summary),
            latest_proven: self.latest_proven(&row.id).await?.map(super::CheckpointRow::summary),
            recovery_ms: self.last_drill_ms(&row.id).await?,
            checkpoints: sums.count("many")?,
            total: sums.count("total")?,
            stored: sums.count("stored")?,
            running: self.going(&row.id).await?,
            components,
            id: row.id,
            name: row.name,
            project: row.project,
            address: row.view.address,
            not_in_force: row.view.not_in_force,
            applied_at: row.applied_at,
            to_confirm: row.to_confirm,
            warnings: row.view.warnings,
        })
    }

    /// The run that is going, or else the one that waits the longest; a part of another run is not shown for itself.
    async fn going(&self, environment: &EnvironmentId) -> Result<Option<RunView>, StoreError> {
        let states = vec![RunState::Queued, RunState::Running];
        let filter = RunFilter { environment: Some(environment.clone()), states, ..RunFilter::default() };
        let mut runs: Vec<RunView> = self.runs(&filter).await?.into_iter().filter(|run| run.parent.is_none()).collect();
        runs.reverse();
        let running = runs.iter().position(|run| run.state == RunState::Running).unwrap_or(0);
        Ok(runs.into_iter().nth(running))
    }

    /// Each component's size in the newest checkpoints, oldest first.
    async fn component_sizes(&self, environment: &EnvironmentId) -> Result<BTreeMap<String, Vec<u64>>, StoreError> {
        let rows = sqlx::query(
            "select k.name, k.size from checkpoint_component k join (select id, created_at from checkpoint \
             where environment = $1 and deleted_at is null order by created_at desc, id desc limit $2) c \
             on c.id = k.checkpoint order by c.created_at, c.id",
        )
        .bind(environment.as_str())
        .bind(SIZES)
        .fetch_all(&self.pool)
        .await?;
        let mut sizes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for row in &rows {
            sizes.entry(row.text("name")?).or_default().push(row.count("size")?);
        }
        Ok(sizes)
    }

    /// All projects.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project_views(&self) -> Result<Vec<ProjectView>, StoreError> {
        let environments = self.environments().await?;
        let mut views = Vec::new();
        for project in self.projects().await? {
            let sums = sqlx::query(
                "select count(*) as many, cast(coalesce(sum(c.total), 0) as bigint) as total from checkpoint c \
                 join environment e on e.id = c.environment where e.project = $1 and c.deleted_at is null",
            )
            .bind(project.id.as_str())
            .fetch_one(&self.pool)
            .await?;
            views.push(ProjectView {
                environments: environments
                    .iter()
                    .filter(|e| e.project_id == project.id)
                    .map(|e| e.name.clone())
                    .collect(),
                checkpoints: sums.count("many")?,
                total: sums.count("total")?,
                stored: self.stored_of(&project.id).await?,
                recovery_kit_confirmed: self.primary_vault(&project.id).await?.is_some_and(|v| v.kit_confirmed),
                id: project.id,
                name: project.name,
            });
        }
        Ok(views)
    }

    /// Bytes in a project's primary vault: its mirrors hold the same once more.
    async fn stored_of(&self, project: &ProjectId) -> Result<u64, StoreError> {
        Ok(self.primary_vault(project).await?.map_or(0, |vault| vault.stored))
    }
}
