//! What forms do. Each is a plain POST that lands on a page, and a call that answers in place once the wasm is there.

use holdfast_model::{
    request::RestoreCheckpoint,
    table::TableMode,
    view::{CheckpointView, RunView},
};
use leptos::prelude::server;
use serde::{Deserialize, Serialize};

use super::door::{answer, backend, land_plain_form};
use crate::{backend::Pair, error::AppError};

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

/// The word that a person types before a restore: the name of the environment that is overwritten.
#[must_use]
pub fn restore_word<'a>(checkpoint: &'a CheckpointView, to: Option<&'a str>) -> &'a str {
    match to {
        Some(to) => to.rsplit_once('/').map_or(to, |(_, name)| name),
        None => checkpoint.environment.name.as_str(),
    }
}

/// What of a checkpoint goes where: as much of a request as the page offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestoreChoice {
    /// Names of components; all when empty.
    pub components: Vec<String>,
    /// Patterns of files.
    pub paths: Vec<String>,
    /// Tables, as `schema.table`.
    pub tables: Vec<String>,
    /// How tables are put back.
    pub mode: Option<TableMode>,
    /// Another environment; empty: where it came from.
    pub to: String,
    /// Whether a safety checkpoint is taken first.
    pub backup: bool,
}

/// Puts a checkpoint back, as it was planned. `confirm` must be its [`restore_word`].
#[server(name = Restore, prefix = "/ui", endpoint = "restore")]
pub async fn restore(
    id: String,
    #[server(default)] confirm: String,
    #[server(default)] choice: RestoreChoice,
) -> Result<(), AppError> {
    let act = async {
        let backend = backend()?;
        let checkpoint = backend.checkpoint(&id).await?.checkpoint;
        let RestoreChoice { components, paths, tables, mode, to, backup } = choice;
        let to = typed(&to);
        let word = restore_word(&checkpoint, to.as_deref());
        if confirm.trim() != word {
            return Err(AppError::Invalid(format!("Nothing was restored: type {word} to confirm.")));
        }
        let request = RestoreCheckpoint { components, paths, tables, mode, to, backup, ..Default::default() };
        let run = backend.restore(&id, request).await?;
        leptos_axum::redirect(&format!("/runs/{}", run.id));
        Ok(())
    };
    answer(act.await)
}

/// Takes a checkpoint of how things are now and compares the first with it.
#[server(name = CompareNow, prefix = "/ui", endpoint = "compare-now")]
pub async fn compare_now(first: String) -> Result<(), AppError> {
    let act = async {
        let run = backend()?.compare_now(&first).await?;
        leptos_axum::redirect(&Pair { first, second: run.id.to_string() }.href());
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
