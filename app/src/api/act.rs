//! What forms do. Each is a plain POST that lands on a page, and a call that answers in place once the wasm is there.

use holdfast_model::view::{CheckpointView, RunView};
use leptos::prelude::server;

use super::door::{answer, backend, land_plain_form};
use crate::error::AppError;

/// The word that a person types before this checkpoint is deleted: its name, or its environment's where it has none.
#[must_use]
pub fn confirm_word(checkpoint: &CheckpointView) -> &str {
    checkpoint.name.as_deref().unwrap_or(checkpoint.environment.name.as_str())
}

/// What was typed, without the blanks around it; none where nothing was.
fn typed(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// An unticked box is not sent, so a form says that it had boxes; none ticked is a mistake, not everything.
fn ticked(offered: bool, components: Vec<String>) -> Result<Vec<String>, AppError> {
    if offered && components.is_empty() {
        return Err(AppError::Invalid("No component is ticked. Tick at least one.".into()));
    }
    Ok(components)
}

/// *Back up now*. `tags` are separated by commas; `offered` says that the form had boxes for components.
#[server(name = BackUp, prefix = "/ui", endpoint = "back-up")]
pub async fn back_up(
    environment: String,
    #[server(default)] name: String,
    #[server(default)] description: String,
    #[server(default)] tags: String,
    #[server(default)] components: Vec<String>,
    #[server(default)] offered: bool,
    #[server(default)] drill: bool,
) -> Result<RunView, AppError> {
    let act = async {
        let request = holdfast_model::request::CreateCheckpoint {
            environment,
            name: typed(&name),
            description: typed(&description),
            tags: tags.split(',').filter_map(typed).collect(),
            components: ticked(offered, components)?,
            drill,
            trigger: Some(holdfast_model::state::Trigger::Button),
            ..Default::default()
        };
        let run = backend()?.back_up(request).await?;
        land_plain_form(&format!("/runs/{}", run.id));
        Ok(run)
    };
    answer(act.await)
}

/// Reads the sealed copy back.
#[server(name = Verify, prefix = "/ui", endpoint = "verify")]
pub async fn verify(id: String) -> Result<RunView, AppError> {
    let act = async {
        let run = backend()?.verify(&id).await?;
        land_plain_form(&format!("/runs/{}", run.id));
        Ok(run)
    };
    answer(act.await)
}

/// Drills a checkpoint again.
#[server(name = Drill, prefix = "/ui", endpoint = "drill")]
pub async fn drill(id: String) -> Result<RunView, AppError> {
    let act = async {
        let run = backend()?.drill(&id).await?;
        land_plain_form(&format!("/runs/{}", run.id));
        Ok(run)
    };
    answer(act.await)
}

/// Puts a checkpoint back to where it came from. `confirm` must be the environment's name.
#[server(name = Restore, prefix = "/ui", endpoint = "restore")]
pub async fn restore(
    id: String,
    #[server(default)] confirm: String,
    #[server(default)] components: Vec<String>,
    #[server(default)] offered: bool,
    #[server(default)] backup: bool,
) -> Result<(), AppError> {
    let act = async {
        let backend = backend()?;
        let checkpoint = backend.checkpoint(&id).await?.checkpoint;
        let name = checkpoint.environment.name.as_str();
        if confirm.trim() != name {
            return Err(AppError::Invalid(format!("Nothing was restored: type {name} to confirm.")));
        }
        let components = ticked(offered, components)?;
        // All of them ticked is a whole restore, not a list.
        let whole = checkpoint.components.iter().all(|c| components.iter().any(|name| name == c.name.as_str()));
        let components = if whole { Vec::new() } else { components };
        let run = backend
            .restore(&id, holdfast_model::request::RestoreCheckpoint { components, backup, ..Default::default() })
            .await?;
        leptos_axum::redirect(&format!("/runs/{}", run.id));
        Ok(())
    };
    answer(act.await)
}

/// Asks a run to stop.
#[server(name = Cancel, prefix = "/ui", endpoint = "cancel")]
pub async fn cancel(run: String) -> Result<(), AppError> {
    let act = async {
        backend()?.cancel(&run).await?;
        land_plain_form(&format!("/runs/{run}"));
        Ok(())
    };
    answer(act.await)
}

/// Deletes a checkpoint. `confirm` must be its [`confirm_word`].
#[server(name = Delete, prefix = "/ui", endpoint = "delete")]
pub async fn delete(id: String, #[server(default)] confirm: String) -> Result<(), AppError> {
    let act = async {
        let backend = backend()?;
        let checkpoint = backend.checkpoint(&id).await?.checkpoint;
        let word = confirm_word(&checkpoint);
        if confirm.trim() != word {
            return Err(AppError::Invalid(format!("Nothing was deleted: type {word} to confirm.")));
        }
        backend.delete(&id).await?;
        leptos_axum::redirect(&format!("/projects/{}/{}", checkpoint.environment.project, checkpoint.environment.name));
        Ok(())
    };
    answer(act.await)
}

/// Notes that the recovery kit of a project is stored in a safe place.
#[server(name = ConfirmRecoveryKit, prefix = "/ui", endpoint = "confirm-recovery-kit")]
pub async fn confirm_recovery_kit(project: String) -> Result<(), AppError> {
    let act = async {
        backend()?.confirm_recovery_kit(&project).await?;
        land_plain_form(&format!("/projects/{project}"));
        Ok(())
    };
    answer(act.await)
}
