//! The first page: numbers, lists, and what needs a person.

use holdfast_model::{
    state::{Integrity, Proof, RunKind, RunState},
    view::{Attention, EnvironmentView, Overview, ProjectView},
};
use time::OffsetDateTime;

use super::{
    CheckpointFilter, RunFilter, Store, StoreError,
    sight::seen,
    value::{Columns as _, moment},
};

/// How many checkpoints the first page lists.
const LAST: u32 = 8;

impl Store {
    /// Everything that the first page says.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        let now = moment(self.now().await?)?;
        let mut environments = Vec::new();
        let mut attention = Vec::new();
        for row in self.environments().await? {
            let view = self.compose_environment(row).await?;
            if let Some(failed) = self.failed_since_latest(&view).await? {
                attention.push(failed);
            }
            attention.extend(wants(&view));
            environments.push(view);
        }
        let projects = self.project_views().await?;
        attention.extend(projects.iter().filter_map(kit));
        attention.extend(self.vaults_want().await?);
        attention.extend(self.copies_want().await?);
        attention.sort_by_key(|a| !a.urgent);
        Ok(Overview {
            now,
            proven: u64::try_from(environments.iter().filter(|e| e.is_proven()).count()).unwrap_or(u64::MAX),
            oldest_proof: self.oldest_proof().await?,
            total: projects.iter().map(|p| p.total).sum(),
            stored: projects.iter().map(|p| p.stored).sum(),
            storage: self.storage().await?,
            attention,
            running: self.open_runs().await?.into_iter().filter(|run| run.parent.is_none()).collect(),
            last: self.checkpoints(&CheckpointFilter { limit: Some(LAST), ..CheckpointFilter::default() }).await?.items,
            environments,
        })
    }

    /// The environment whose newest proof is the oldest.
    async fn oldest_proof(&self) -> Result<Option<(holdfast_model::name::Name, OffsetDateTime)>, StoreError> {
        let row = sqlx::query(concat!(
            "select e.name, max(c.proof_at) as proof_at from checkpoint c join environment e on e.id = c.environment \
             join project p on p.id = e.project where ",
            seen!(),
            " and c.proof = 'proven' and c.deleted_at is null and exists (select 1 from checkpoint_copy s \
             where s.checkpoint = c.id and s.integrity <> 'damaged') group by e.id, e.name order by max(c.proof_at) limit 1",
        ))
        .bind(self.sight.bound())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok((row.word("name")?, row.at("proof_at")?))).transpose()
    }

    /// A create that failed after the newest checkpoint: what people believe to be there is not.
    async fn failed_since_latest(&self, view: &EnvironmentView) -> Result<Option<Attention>, StoreError> {
        let states = vec![RunState::Succeeded, RunState::Warning, RunState::Failed];
        let filter = RunFilter { environment: Some(view.id.clone()), states, ..RunFilter::default() };
        let newest = self.runs(&filter).await?.into_iter().find(|r| r.kind == RunKind::Create && r.parent.is_none());
        Ok(newest.filter(|run| run.state == RunState::Failed && !run.sealed).map(|run| Attention {
            message: format!(
                "The last checkpoint of {} failed: {}",
                view.name,
                run.message.as_deref().unwrap_or("the run says why")
            ),
            action: "Read the run's log, mend the cause, back up again".into(),
            href: format!("/runs/{}", run.id),
            urgent: true,
        }))
    }
}

fn kit(project: &ProjectView) -> Option<Attention> {
    (project.checkpoints > 0 && !project.recovery_kit_confirmed).then(|| Attention {
        message: format!(
            "Nobody has confirmed to have the recovery kit of {}: without it a lost server loses its checkpoints",
            project.name
        ),
        action: "Print the recovery kit, store it elsewhere, confirm it".into(),
        href: format!("/projects/{}", project.name),
        urgent: false,
    })
}

/// What an environment's own facts ask for, most urgent first.
fn wants(view: &EnvironmentView) -> Vec<Attention> {
    let page = format!("/projects/{}/{}", view.project, view.name);
    let mut wants = Vec::new();
    match &view.latest {
        None => wants.push(Attention {
            message: format!("{} has no checkpoint yet", view.name),
            action: "Back up now".into(),
            href: page.clone(),
            urgent: false,
        }),
        Some(latest) => {
            let href = format!("/checkpoints/{}", latest.id);
            if latest.integrity == Integrity::Damaged {
                wants.push(Attention {
                    message: format!("The newest checkpoint of {} is damaged in its vault", view.name),
                    action: "Back up now, then look at the disk that holds the vault".into(),
                    href: href.clone(),
                    urgent: true,
                });
            }
            let (message, action, urgent) = match latest.proof {
                Proof::Proven => return with_blocks(view, page, wants),
                Proof::Failed => ("failed its drill", "Read what was not equal, then back up again", true),
                Proof::Unproven => ("has not been proven", "Drill it", false),
                Proof::Partial => ("is proven only in part", "Read what could not be compared", false),
                Proof::Stale => ("was proven too long ago", "Drill it again", false),
            };
            wants.push(Attention {
                message: format!("The newest checkpoint of {} {message}", view.name),
                action: action.into(),
                href,
                urgent,
            });
        }
    }
    with_blocks(view, page, wants)
}

fn with_blocks(view: &EnvironmentView, page: String, mut wants: Vec<Attention>) -> Vec<Attention> {
    if view.to_confirm {
        wants.push(Attention {
            message: format!(
                "The definition of {} came with a vault: nothing is captured or put back before somebody has looked at it",
                view.name
            ),
            action: "Look at it, and confirm it on the server's host".into(),
            href: page.clone(),
            urgent: true,
        });
    }
    if !view.not_in_force.is_empty() {
        wants.push(Attention {
            message: format!("{}: {} is stored but not in force", view.name, view.not_in_force.join(", ")),
            action: "Do not rely on it: this version does not act upon it".into(),
            href: page,
            urgent: false,
        });
    }
    wants
}
