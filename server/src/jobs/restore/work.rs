//! What the engine is given for a restore: composed in one place, for the plan and for the run alike.

use std::path::PathBuf;

use holdfast_engine::{Destination, Live, RestoreWork};
use holdfast_model::{
    access::Access,
    definition::Definition,
    id::{EnvironmentId, RunId},
    manifest::Manifest,
    name::Name,
    request::RestoreCheckpoint,
    state::Kind,
};

use super::super::{Desk, choose::choose, job::JobError};
use crate::store::CheckpointRow;

/// The environment that a restore goes to, or that it is asked of where it goes elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    /// None where it does not exist yet and would be made.
    pub(crate) id: Option<EnvironmentId>,
    /// Its definition.
    pub(crate) definition: Definition,
}

impl Goal {
    /// An environment as it is applied now.
    pub(crate) async fn applied(desk: &Desk, id: &EnvironmentId) -> Result<Self, JobError> {
        Ok(Self { id: Some(id.clone()), definition: definition(desk, id).await? })
    }

    /// Whether the checkpoint was taken of it.
    pub(crate) fn is_own(&self, row: &CheckpointRow) -> bool {
        self.id.as_ref() == Some(&row.environment.id)
    }
}

/// Which projects' environments may be named to whoever reads what comes of it.
pub(crate) enum Told {
    /// Those that the caller sees.
    To(Access),
    /// A run's log is read by all who see its project: those of that project, and of the one that it goes to.
    InALog([Name; 2]),
}

impl Told {
    /// What may stand in the log of a run.
    pub(crate) fn in_a_log(row: &CheckpointRow, goal: &Goal) -> Self {
        Self::InALog([row.environment.project.clone(), goal.definition.project.clone()])
    }

    fn sees(&self, project: &Name) -> bool {
        match self {
            Self::To(access) => access.role(Some(project)).is_some(),
            Self::InALog(projects) => projects.contains(project),
        }
    }
}

/// A definition as it is applied now, with its secrets.
async fn definition(desk: &Desk, id: &EnvironmentId) -> Result<Definition, JobError> {
    let raw = desk.store().raw_definition(desk.key(), id).await?;
    // The error's text could quote the definition; it says no more than the place.
    serde_json::from_slice(&raw).map_err(|error| {
        JobError::Failed(format!(
            "the stored definition cannot be read (line {}, column {}); apply it again",
            error.line(),
            error.column()
        ))
    })
}

/// Where it goes.
pub(crate) fn destination(request: &RestoreCheckpoint) -> Destination {
    match (&request.to_dir, &request.to_url) {
        (Some(folder), _) => Destination::Folder(folder.clone()),
        (None, Some(url)) => Destination::Database { url: url.secret().clone(), replace: request.replace_database },
        (None, None) => Destination::Definition,
    }
}

/// The engine's work, and things to know about it.
pub(crate) async fn compose(
    desk: &Desk,
    row: &CheckpointRow,
    request: &RestoreCheckpoint,
    goal: &Goal,
    told: &Told,
    run: RunId,
    scratch: PathBuf,
) -> Result<(RestoreWork, Vec<String>), JobError> {
    let manifest = desk.store().manifest(&row.id).await?;
    let mut warnings = Vec::new();
    let destination = destination(request);
    let components = components(&manifest, request, goal, row, &mut warnings)?;
    let copy = desk.store().copy_to_read(&row.id).await?;
    if copy.vault != row.vault {
        warnings.push(format!("the first copy is damaged; this one is read: {}", copy.view.repository));
    }
    // Where it came from, an environment may overlap with another one: its definitions said so.
    let apart = !matches!(destination, Destination::Definition) || !goal.is_own(row);
    let live = if apart { live(desk, goal, &destination, told, &mut warnings).await? } else { Vec::new() };
    let work = RestoreWork {
        vault: desk.vaults().get(&copy.vault).await?.vault,
        root: copy.tree.parse().map_err(|_| JobError::Failed(format!("`{}` is not the id of a tree", copy.tree)))?,
        manifest,
        definition: goal.definition.clone(),
        destination,
        live,
        overlap: request.overlap,
        paths: request.paths.clone(),
        tables: request.tables.clone(),
        table_mode: request.mode.unwrap_or_default(),
        privileged: request.privileged,
        components,
        run,
        forbidden: desk.forbidden().await?,
        safety_sealed: request.backup,
        scratch,
        allow: desk.settings().allow.clone(),
    };
    Ok((work, warnings))
}

/// The chosen components: with paths those of files, in another environment those that it has.
fn components(
    manifest: &Manifest,
    request: &RestoreCheckpoint,
    goal: &Goal,
    row: &CheckpointRow,
    warnings: &mut Vec<String>,
) -> Result<Vec<Name>, JobError> {
    let mut known: Vec<(Name, Kind)> = manifest.components.iter().map(|c| (c.name.clone(), c.kind)).collect();
    if request.components.is_empty() {
        if !request.tables.is_empty() {
            known.retain(|(_, kind)| *kind == Kind::Postgres);
            if known.is_empty() {
                return Err(JobError::Failed(
                    "the checkpoint has no PostgreSQL database that tables could be of".into(),
                ));
            }
        }
        if !request.paths.is_empty() {
            known.retain(|(_, kind)| *kind == Kind::Files);
            if known.is_empty() {
                return Err(JobError::Failed("the checkpoint has no component of files that paths could be of".into()));
            }
        }
        if matches!(destination(request), Destination::Definition) && !goal.is_own(row) {
            let definition = &goal.definition;
            let (here, missing): (Vec<_>, Vec<_>) =
                known.into_iter().partition(|(name, _)| definition.component(name.as_str()).is_some());
            if here.is_empty() {
                return Err(JobError::Failed(format!(
                    "no component of {}/{} has the name of one in this checkpoint; name them alike in its definition",
                    definition.project, definition.environment
                )));
            }
            warnings.extend(missing.iter().map(|(name, _)| {
                format!(
                    "component `{name}` is left out: {}/{} has none of that name",
                    definition.project, definition.environment
                )
            }));
            known = here;
        }
    }
    choose(&known, &request.components, &[]).map_err(JobError::Failed)
}

/// Every other environment as it is applied now; those that are not seen have no name.
async fn live(
    desk: &Desk,
    goal: &Goal,
    destination: &Destination,
    told: &Told,
    warnings: &mut Vec<String>,
) -> Result<Vec<Live>, JobError> {
    let mut live = Vec::new();
    for other in desk.store().environments().await? {
        if matches!(destination, Destination::Definition) && goal.id.as_ref() == Some(&other.id) {
            continue;
        }
        let name = told.sees(&other.project).then(|| format!("{}/{}", other.project, other.name));
        match definition(desk, &other.id).await {
            Ok(definition) => live.push(Live { name, definition }),
            Err(JobError::Failed(why)) => warnings.push(match name {
                Some(name) => format!("whether it overlaps with {name} cannot be seen: {why}"),
                None => "whether it overlaps with an environment of another project cannot be seen".to_owned(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(live)
}
