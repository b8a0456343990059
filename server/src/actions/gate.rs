//! The gate for pipelines: one request takes a checkpoint and is answered when that is proven, or never will be.
//!
//! A gate opens by what the catalogue holds and by nothing else: the run has ended, its own drill has opened its gate,
//! and the checkpoint is there, intact as far as is known, and proven. Whatever is missing keeps it shut.

use std::time::Duration;

use holdfast_model::{
    access::Permission,
    event::EventBody,
    gate::{GateAnswer, GateRequest},
    id::RunId,
    request::CreateCheckpoint,
    state::{Integrity, Proof, RunKind, RunState, Trigger},
    view::{CheckpointView, RunView},
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{ActionError, Actions, checkpoints::refuse_unconfirmed, request::check_tag};
use crate::store::{GateAsked, NewRun, On, StoreError};

/// How often the catalogue is read even though nothing was heard: another server process may do the work.
const LOOK: Duration = Duration::from_secs(2);
/// Longest `Idempotency-Key`, in characters.
const KEY: usize = 255;

/// How long a gate is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience<'a> {
    /// At most so long.
    pub wait: Duration,
    /// Ends every wait at once, because this server stops.
    pub stopping: &'a CancellationToken,
}

impl Actions {
    /// Takes a checkpoint with this tag, or joins the run of an equal request, and waits for the verdict. `base` is the
    /// address by which people reach the server. Whoever stops waiting leaves the run as it is.
    ///
    /// # Errors
    /// When the environment is unknown, ambiguous or unconfirmed, the tag or key cannot be taken, or the key was used
    /// for something else. Not proven is no error but an answer.
    pub async fn gate(
        &self,
        request: GateRequest,
        key: Option<String>,
        patience: Patience<'_>,
        base: &Url,
    ) -> Result<GateAnswer, ActionError> {
        check_tag("tag", &request.tag)?;
        check_key(key.as_deref())?;
        let environment = self.environment_to(Permission::Create, &request.database).await?;
        refuse_unconfirmed(&environment)?;
        let create = CreateCheckpoint {
            environment: request.database,
            tags: vec![request.tag.clone()],
            drill: true,
            trigger: Some(Trigger::Ci),
            ..CreateCheckpoint::default()
        };
        let run = NewRun {
            kind: RunKind::Create,
            on: On::Environment(environment.id),
            checkpoint: None,
            request: serde_json::to_value(&create).map_err(ActionError::internal)?,
            created_by: self.caller.name.clone(),
            trigger: Trigger::Ci,
            slot: None,
        };
        let asked = GateAsked { caller: self.caller.subject.clone(), tag: request.tag.clone(), key };
        let run = self.store().enqueue_or_join(&asked, run).await?;
        let run = self.ended(&run, patience).await?;
        let sealed = self.sealed(&run).await?;
        Ok(answer(&run, sealed.as_ref(), request.tag, base))
    }

    /// The run as it is when it has ended, or when the patience has.
    async fn ended(&self, id: &RunId, patience: Patience<'_>) -> Result<RunView, ActionError> {
        // Heard first, read second: an end in between is then known twice instead of never.
        let mut live = self.subscribe();
        let mut look = tokio::time::interval(LOOK);
        let deadline = tokio::time::sleep(patience.wait);
        tokio::pin!(deadline);
        let mut over = false;
        loop {
            let run = self.store().run(id).await?;
            if over || run.state.is_final() {
                return Ok(run);
            }
            look.reset();
            loop {
                let heard = tokio::select! {
                    () = patience.stopping.cancelled() => { over = true; break }
                    () = &mut deadline => { over = true; break }
                    _ = look.tick() => break,
                    heard = live.recv() => heard,
                };
                match heard {
                    Ok((run, event)) if run == *id && is_end(&event.body) => break,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => {
                        over = true;
                        break;
                    }
                }
            }
        }
    }

    /// The checkpoint that the run has sealed, if it has and it is still there.
    async fn sealed(&self, run: &RunView) -> Result<Option<CheckpointView>, ActionError> {
        let Some(id) = run.checkpoint.as_ref().filter(|_| run.sealed) else { return Ok(None) };
        match self.store().checkpoint_view(id).await {
            Ok(view) => Ok(Some(view)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

const fn is_end(body: &EventBody) -> bool {
    matches!(body, EventBody::State { state, .. } if state.is_final())
}

pub(super) fn check_key(key: Option<&str>) -> Result<(), ActionError> {
    match key {
        Some(key) if key.is_empty() || key.chars().count() > KEY => Err(ActionError::invalid(
            "Idempotency-Key",
            format!("Idempotency-Key: give 1 to {KEY} characters, or leave the header out"),
        )),
        _ => Ok(()),
    }
}

/// The only place that opens a gate.
fn opens(run: &RunView, sealed: Option<&CheckpointView>) -> bool {
    // What a warning is about never decides: the drill does.
    matches!(run.state, RunState::Succeeded | RunState::Warning)
        && run.gate_open == Some(true)
        && sealed.is_some_and(|view| view.proof.opens_gate() && view.integrity != Integrity::Damaged)
}

fn answer(run: &RunView, sealed: Option<&CheckpointView>, tag: String, base: &Url) -> GateAnswer {
    let ok = opens(run, sealed);
    let page = match sealed {
        Some(view) => format!("/checkpoints/{}", view.id),
        None => format!("/runs/{}", run.id),
    };
    let place = run.subject.environment();
    GateAnswer {
        ok,
        tag,
        size: sealed.map(|view| view.size.display.clone()),
        restore_drill: sealed.filter(|_| run.state.is_final()).map(|view| view.proof),
        state: run.state,
        reason: (!ok && run.state.is_final()).then(|| reason(run, sealed)),
        environment: place.map(|place| format!("{}/{}", place.project, place.name)).unwrap_or_default(),
        checkpoint: sealed.map(|view| view.id.clone()),
        run: run.id.clone(),
        url: base.join(&page).map_or(page, Into::into),
        duration_ms: run.ended_at.map(|end| (end - run.created_at).whole_milliseconds().try_into().unwrap_or(0)),
    }
}

/// Why a run that has ended leaves the gate shut, in one sentence.
fn reason(run: &RunView, sealed: Option<&CheckpointView>) -> String {
    let said = run.message.clone();
    match (run.state, sealed) {
        (RunState::Cancelled, _) => match said {
            Some(said) if said.starts_with("cancelled") => format!("the checkpoint was {said}"),
            Some(said) => format!("the checkpoint was cancelled: {said}"),
            None => "the checkpoint was cancelled".into(),
        },
        (RunState::Failed, _) => {
            format!("the checkpoint failed: {}", said.unwrap_or_else(|| "the run says no more; see its log".into()))
        }
        (_, None) if run.sealed => "the checkpoint was sealed, but it is not there any more".into(),
        (_, None) => said.unwrap_or_else(|| "nothing was sealed".into()),
        (_, Some(view)) if view.integrity == Integrity::Damaged => "the sealed copy was found to be damaged".into(),
        (_, Some(view)) => of_drill(view).or(said).unwrap_or_else(|| format!("the checkpoint is {}", view.proof)),
    }
}

/// What the drill says of its worst component, with that component's name.
fn of_drill(view: &CheckpointView) -> Option<String> {
    let report = &view.drill.as_ref()?.report;
    let said = report.reason.as_deref()?;
    let failed = report.components.iter().find(|component| component.verdict == Proof::Failed);
    Some(match failed {
        Some(component) => format!("{}: {said}", component.name),
        None => said.to_owned(),
    })
}
