//! Projects, environments and their components.

use holdfast_model::{
    id::{ComponentId, EnvironmentId, ProjectId},
    name::Name,
};
use sqlx::any::AnyRow;
use zeroize::Zeroizing;

use super::{
    AppliedDefinition, EnvironmentRow, ProjectRow, Store, StoreError, VaultRow,
    sight::seen,
    value::{Columns as _, fresh, from_json, json},
    write::Write,
};
use crate::keys::ServerKey;

/// The one organization of an installation.
const ORGANIZATION: &str = "org_00000000000000000000";

macro_rules! select_environment {
    ($rest:literal) => {
        concat!(
            "select e.id, e.name, e.shown, e.applied_at, e.applied_by, e.to_confirm, p.id as project_id, p.name as project_name \
             from environment e join project p on p.id = e.project and ",
            seen!(),
            $rest
        )
    };
}

fn environment_row(row: &AnyRow) -> Result<EnvironmentRow, StoreError> {
    Ok(EnvironmentRow {
        id: row.word("id")?,
        name: row.word("name")?,
        project: row.word("project_name")?,
        project_id: row.word("project_id")?,
        view: from_json("environment", &row.text("shown")?)?,
        applied_at: row.at("applied_at")?,
        applied_by: row.text("applied_by")?,
        to_confirm: row.number("to_confirm")? != 0,
    })
}

/// What a definition is wrapped for.
fn purpose(id: &EnvironmentId) -> String {
    format!("definition:{id}")
}

impl Store {
    /// Makes or replaces an environment's definition, and its project where there is none; audited.
    ///
    /// # Errors
    /// When the database or the random source fails.
    pub async fn apply(
        &self,
        key: &ServerKey,
        caller: &str,
        definition: AppliedDefinition,
    ) -> Result<EnvironmentId, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let project = project(&mut write, &definition.project).await?;
        let known = environment_id(&mut write, &project, &definition.environment).await?;
        let id = match &known {
            Some(id) => id.clone(),
            None => fresh(now, EnvironmentId::from_parts)?,
        };
        write_definition(&mut write, key, caller, &project, &id, &definition, false).await?;
        let action = if known.is_some() { "environment.update" } else { "environment.create" };
        let names: Vec<&str> = definition.view.components.iter().map(|c| c.name.as_str()).collect();
        write.audit(caller, action, id.as_str(), &names.join(", ")).await?;
        write.commit().await?;
        Ok(id)
    }

    /// All projects, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        let rows = sqlx::query(concat!("select p.id, p.name from project p where ", seen!(), " order by p.name"))
            .bind(self.sight.bound())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(ProjectRow { id: row.word("id")?, name: row.word("name")? })).collect()
    }

    /// A project by its name or `prj_…`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn find_project(&self, text: &str) -> Result<ProjectRow, StoreError> {
        self.projects()
            .await?
            .into_iter()
            .find(|project| project.name.as_str() == text || project.id.as_str() == text)
            .ok_or_else(|| StoreError::not_found("project", text))
    }

    /// The project that owns a vault.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project_of(&self, vault: &VaultRow) -> Result<ProjectRow, StoreError> {
        let found = self.projects().await?.into_iter().find(|project| project.id == vault.project);
        found.ok_or_else(|| StoreError::not_found("project", vault.project.as_str()))
    }

    /// All environments, by project and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn environments(&self) -> Result<Vec<EnvironmentRow>, StoreError> {
        let rows = sqlx::query(select_environment!(" order by p.name, e.name"))
            .bind(self.sight.bound())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(environment_row).collect()
    }

    /// One environment.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn environment(&self, id: &EnvironmentId) -> Result<EnvironmentRow, StoreError> {
        let row = sqlx::query(select_environment!(" where e.id = $2"))
            .bind(self.sight.bound())
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        environment_row(&row.ok_or_else(|| StoreError::not_found("environment", id.as_str()))?)
    }

    /// An environment by `name`, `project/name`, `project~name` or `env_…`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Ambiguous`] with each as `project/name`.
    pub async fn find_environment(&self, text: &str) -> Result<EnvironmentRow, StoreError> {
        if let Ok(id) = text.parse() {
            return self.environment(&id).await;
        }
        let (project, name) = match text.split_once(['/', '~']) {
            Some((project, name)) => (Some(project.to_owned()), name),
            None => (None, text),
        };
        let rows =
            sqlx::query(select_environment!(" where e.name = $2 and ($3 is null or p.name = $3) order by p.name"))
                .bind(self.sight.bound())
                .bind(name)
                .bind(project)
                .fetch_all(&self.pool)
                .await?;
        match rows.as_slice() {
            [] => Err(StoreError::not_found("environment", text)),
            [row] => environment_row(row),
            many => Err(StoreError::Ambiguous {
                what: "environment",
                text: text.to_owned(),
                candidates: many
                    .iter()
                    .map(|row| Ok(format!("{}/{}", row.text("project_name")?, row.text("name")?)))
                    .collect::<Result<_, StoreError>>()?,
            }),
        }
    }

    /// Somebody has looked at a definition that came from a vault, and it holds from now on; audited.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm_environment(&self, id: &EnvironmentId, by: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update environment set to_confirm = 0 where id = $1")
            .bind(id.as_str())
            .execute(write.on())
            .await?;
        write.audit(by, "environment.confirm", id.as_str(), "").await?;
        write.commit().await
    }

    /// The definition's JSON as it was applied, with its secrets.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Key`] when another server key wrapped it.
    pub async fn raw_definition(&self, key: &ServerKey, id: &EnvironmentId) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let wrapped: Option<String> = sqlx::query_scalar("select definition from environment where id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let wrapped = wrapped.ok_or_else(|| StoreError::not_found("environment", id.as_str()))?;
        Ok(key.unwrap(&purpose(id), &wrapped)?)
    }
}

/// The project of that name; made where there is none.
pub(super) async fn project(write: &mut Write, name: &Name) -> Result<ProjectId, StoreError> {
    let now = write.now();
    sqlx::query(
        "insert into project (id, organization, name, created_at) values ($1, $2, $3, $4) \
         on conflict (organization, name) do nothing",
    )
    .bind(fresh(now, ProjectId::from_parts)?.as_str())
    .bind(ORGANIZATION)
    .bind(name.as_str())
    .bind(now)
    .execute(write.on())
    .await?;
    let id: String = sqlx::query_scalar("select id from project where organization = $1 and name = $2")
        .bind(ORGANIZATION)
        .bind(name.as_str())
        .fetch_one(write.on())
        .await?;
    id.parse().map_err(|error| StoreError::corrupt("project id", error))
}

/// The environment of that name in a project, if there is one.
pub(super) async fn environment_id(
    write: &mut Write,
    project: &ProjectId,
    name: &Name,
) -> Result<Option<EnvironmentId>, StoreError> {
    let known: Option<String> = sqlx::query_scalar("select id from environment where project = $1 and name = $2")
        .bind(project.as_str())
        .bind(name.as_str())
        .fetch_optional(write.on())
        .await?;
    known.map(|id| id.parse().map_err(|error| StoreError::corrupt("environment id", error))).transpose()
}

/// Makes or replaces an environment's definition and its components.
pub(super) async fn write_definition(
    write: &mut Write,
    key: &ServerKey,
    caller: &str,
    project: &ProjectId,
    id: &EnvironmentId,
    definition: &AppliedDefinition,
    to_confirm: bool,
) -> Result<(), StoreError> {
    let now = write.now();
    // The id is bound into the wrapped text, so two first applications at once cannot both win: the second one
    // meets the unique name and is told so.
    sqlx::query(
        "insert into environment (id, project, name, definition, shown, applied_at, applied_by, created_at, \
         to_confirm) values ($1, $2, $3, $4, $5, $6, $7, $6, $8) on conflict (id) do update set definition = excluded.definition, \
         shown = excluded.shown, applied_at = excluded.applied_at, applied_by = excluded.applied_by, \
         to_confirm = excluded.to_confirm",
    )
    .bind(id.as_str())
    .bind(project.as_str())
    .bind(definition.environment.as_str())
    .bind(key.wrap(&purpose(id), &definition.raw)?)
    .bind(json("environment", &definition.view)?)
    .bind(now)
    .bind(caller)
    .bind(i64::from(to_confirm))
    .execute(write.on())
    .await?;
    sqlx::query("update component set removed_at = $1 where environment = $2 and removed_at is null")
        .bind(now)
        .bind(id.as_str())
        .execute(write.on())
        .await?;
    for (position, component) in (0_i64..).zip(&definition.view.components) {
        sqlx::query(
            "insert into component (id, environment, position, name, kind, host) values ($1, $2, $3, $4, $5, $6) \
             on conflict (environment, name) do update set position = excluded.position, kind = excluded.kind, \
             host = excluded.host, removed_at = null",
        )
        .bind(fresh(now, ComponentId::from_parts)?.as_str())
        .bind(id.as_str())
        .bind(position)
        .bind(component.name.as_str())
        .bind(component.kind.as_str())
        .bind(&component.host)
        .execute(write.on())
        .await?;
    }
    Ok(())
}
