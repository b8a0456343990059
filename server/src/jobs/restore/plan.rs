//! The dry run: the engine's look at everything, with what only the catalogue knows.

use std::time::Instant;

use holdfast_engine::{Context, Destination, restore::look};
use holdfast_model::{
    id::{EnvironmentId, RunId},
    plan::{PlanItem, PlanStep, PlanTarget, RestorePlan},
    request::RestoreCheckpoint,
    state::{RunKind, RunState},
    view::EnvironmentRef,
};

use super::{
    super::{Desk, DeskError, job::JobError},
    SAFETY, safety_is_taken,
    work::{Goal, Told, compose, destination},
};
use crate::store::{CheckpointRow, RunFilter, fresh};

impl Desk {
    /// Everything that such a restore would do, as it may be told to whoever asks. Nothing is touched.
    ///
    /// # Errors
    /// When the catalogue or the vault cannot be read; what stands against the restore itself is a part of the plan.
    pub(crate) async fn plan_restore(
        &self,
        row: &CheckpointRow,
        request: &RestoreCheckpoint,
        goal: &Goal,
        told: &Told,
    ) -> Result<RestorePlan, DeskError> {
        let (ctx, _end) = Context::untold();
        let scratch = self.settings().scratch.clone();
        let id = fresh(self.store().now().await?, RunId::from_parts)?;
        let composed = compose(self, row, request, goal, told, id, scratch).await;
        let begun = Instant::now();
        let (planned, created_at, mut warnings) = match composed {
            Ok((work, warnings)) => {
                let created_at = work.manifest.created_at;
                let tools = self.tools().clone();
                // A task of its own: when the asker has gone it is told to end, and takes away what it has made.
                let looking = tokio::spawn(async move { look(work, &tools, &ctx).await });
                let looked = looking.await.map_err(|error| DeskError::Unfit(error.to_string()))?;
                let looked = looked.map_err(|error| DeskError::Unfit(error.to_string()))?;
                (looked.plan(), created_at, warnings)
            }
            Err(JobError::Store(error)) => return Err(error.into()),
            Err(JobError::Vaults(error)) => return Err(error.into()),
            Err(error) => return Err(DeskError::Unfit(error.to_string())),
        };
        warnings.extend(planned.warnings);
        let skipped = safety_is_taken(request, goal.is_own(row), planned.stands).err();
        let mut steps = planned.steps;
        let title = "Safety checkpoint taken".to_owned();
        let safety = skipped.is_none();
        steps.insert(1.min(steps.len()), PlanStep { step: SAFETY.to_owned(), title, skipped });
        let (expected_ms, expected_from) = if request.tables.is_empty() {
            self.expected(row, goal, &planned.items).await?
        } else {
            // They are compared once more, and what comes back is a part of what was compared.
            let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            (Some(took.saturating_mul(2)), Some("twice what comparing the tables took just now".to_owned()))
        };
        Ok(RestorePlan {
            checkpoint: row.id.clone(),
            created_at,
            target: target(row, request, goal, &planned.items),
            items: planned.items,
            refused: planned.refused,
            warnings,
            would_lose: planned.would_lose,
            safety,
            steps,
            space: planned.space,
            expected_ms,
            expected_from,
        })
    }

    /// How long it takes, by what was measured last.
    async fn expected(
        &self,
        row: &CheckpointRow,
        goal: &Goal,
        items: &[PlanItem],
    ) -> Result<(Option<u64>, Option<String>), DeskError> {
        let store = self.store();
        if let Some(drill) = store.checkpoint_view(&row.id).await?.drill {
            let parts = drill.report.components.iter();
            let chosen = parts.filter(|part| items.iter().any(|item| item.component == part.name));
            return Ok((
                Some(chosen.map(|part| part.duration_ms).sum()),
                Some("the last drill of this checkpoint".to_owned()),
            ));
        }
        if let Some(ms) = store.environment_view(&row.environment.id).await?.recovery_ms {
            return Ok((Some(ms), Some(format!("the last drill of {}, whole", row.environment.name))));
        }
        let environment = Some(goal.id.as_ref().unwrap_or(&row.environment.id).clone());
        let states = vec![RunState::Succeeded, RunState::Warning];
        let runs = store.runs(&RunFilter { environment, states, ..RunFilter::default() }).await?;
        let last = runs.iter().find(|run| run.kind == RunKind::Restore).and_then(|run| {
            let took = run.ended_at? - run.started_at?;
            u64::try_from(took.whole_milliseconds()).ok()
        });
        Ok((last, last.map(|_| format!("the last restore of {}", row.environment.name))))
    }
}

fn target(row: &CheckpointRow, request: &RestoreCheckpoint, goal: &Goal, items: &[PlanItem]) -> PlanTarget {
    match destination(request) {
        Destination::Folder(path) => PlanTarget::Folder { path: path.display().to_string() },
        Destination::Database { .. } => PlanTarget::Database {
            address: items.first().map(|item| item.place.clone()).unwrap_or_else(|| "the given database".to_owned()),
        },
        Destination::Definition => PlanTarget::Environment {
            environment: EnvironmentRef {
                id: goal.id.clone().unwrap_or_else(|| EnvironmentId::from_parts(0, 0)),
                name: goal.definition.environment.clone(),
                project: goal.definition.project.clone(),
            },
            own: goal.is_own(row),
            new: goal.id.is_none(),
        },
    }
}
