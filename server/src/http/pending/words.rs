//! What a request would do, in words, from its row of the table and what it names. What it names must be named for good:
//! `latest` may be another checkpoint by the time somebody has confirmed it.

use axum::{
    extract::{FromRequestParts as _, MatchedPath, RawPathParams},
    http::{StatusCode, request::Parts},
};
use holdfast_model::{access::Permission, name::Name, view::CheckpointView};
use serde_json::Value;

use super::ApiError;
use crate::actions::Actions;

/// What would be done, and in which project.
pub(super) struct Words {
    pub(super) text: String,
    pub(super) project: Option<Name>,
}

/// The words for a request of this caller.
///
/// # Errors
/// When it names a checkpoint by anything else than its whole id, or something that is not there.
pub(super) async fn of(
    actions: &Actions,
    parts: &mut Parts,
    body: &[u8],
    permission: Permission,
) -> Result<Words, ApiError> {
    let path = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let named = RawPathParams::from_request_parts(parts, &()).await.ok();
    let named = |wanted: &str| {
        let found = named.as_ref()?.iter().find(|(name, _)| *name == wanted)?.1;
        Some(found.to_owned())
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let does = verb(parts.method.as_str(), &path, permission);
    if let Some(id) = named("id").filter(|_| path.starts_with("/v1/checkpoints/")) {
        let checkpoint = checkpoint(actions, &id).await?;
        if let Some(other) = named("other").filter(|other| other != "live") {
            self::checkpoint(actions, &other).await?;
        }
        let text = format!("{does} {}{}", shown(&checkpoint), place(&body));
        return Ok(Words { text, project: Some(checkpoint.environment.project) });
    }
    if let Some(id) = named("id") {
        return Ok(Words { text: format!("{does} {id}"), project: None });
    }
    if let Some(environment) = named("env") {
        let environment = actions.environment(&environment).await?;
        let text = format!("{does} {}/{}", environment.project, environment.name);
        return Ok(Words { text, project: Some(environment.project) });
    }
    if let Some(project) = named("project") {
        return Ok(Words { text: format!("{does} {project}"), project: project.parse().ok() });
    }
    if let Some(definition) = body.get("definition") {
        let word = |key: &str| definition.get(key).and_then(Value::as_str).unwrap_or("?");
        let (project, environment) = (word("project"), word("environment"));
        return Ok(Words { text: format!("{does} {project}/{environment}"), project: project.parse().ok() });
    }
    Ok(Words { text: does, project: None })
}

/// What the row of the table does to what the request names.
fn verb(method: &str, path: &str, permission: Permission) -> String {
    let known = match (method, path) {
        ("DELETE", "/v1/checkpoints/{id}") => "Delete",
        ("POST", "/v1/checkpoints/{id}/restore") => "Put back",
        ("GET", "/v1/checkpoints/{id}/diff/{other}/value") => "Reveal a secret value of",
        ("POST", "/v1/environments") => "Set what is captured of",
        ("POST", "/v1/environments/{env}/confirmation") => "Let the definition hold that came with a vault, of",
        ("POST", "/v1/vaults") => "Adopt a vault",
        ("POST", "/v1/vaults/{project}") => "Make a vault for the project",
        ("POST", "/v1/vaults/{project}/prune") => "Take out what no checkpoint needs, from a vault of",
        ("POST", "/v1/vaults/{project}/repair") => "Repair a vault of",
        ("POST", "/v1/vaults/{project}/copy") => "Copy every checkpoint into another vault, of",
        ("GET", "/v1/vaults/{project}/recovery-kit") => "Print what opens the vault without Holdfast, of",
        ("POST", "/v1/vaults/{project}/recovery-kit/confirm") => "Say that the recovery kit is stored, of",
        ("POST", "/v1/catalogue/copies") => "Copy the catalogue into a vault",
        ("GET", "/v1/catalogue/kit") => "Print what brings the catalogue back, which opens every project",
        ("POST", "/v1/keys") => "Make a key for a program",
        ("POST", "/v1/keys/{id}/rotate") => "Make a key that takes the place of",
        ("DELETE", "/v1/keys/{id}") => "Revoke the key",
        _ => return format!("Do what takes the permission `{permission}`"),
    };
    known.to_owned()
}

/// A checkpoint by its whole id.
async fn checkpoint(actions: &Actions, id: &str) -> Result<CheckpointView, ApiError> {
    let found = actions.checkpoint(id).await?;
    if found.id.as_str() == id {
        return Ok(found);
    }
    let why = format!(
        "this asks you to sign in once more, and `{id}` may mean another checkpoint by then; name {} itself",
        found.id
    );
    Err(ApiError::new(StatusCode::FORBIDDEN, "sign-in-again", why))
}

fn shown(checkpoint: &CheckpointView) -> String {
    let name = checkpoint.name.as_ref().map(|name| format!(" “{name}”")).unwrap_or_default();
    let environment = &checkpoint.environment;
    format!("the checkpoint {}{name} of {}/{}", checkpoint.id, environment.project, environment.name)
}

/// Where it would be put back to, where that is not where it came from.
fn place(body: &Value) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    match (text("to"), text("to_dir"), text("to_url")) {
        (Some(to), ..) => format!(", into the environment {to}"),
        (None, Some(folder), _) => format!(", into the folder {folder}"),
        (None, None, Some(_)) => ", into another database".into(),
        (None, None, None) => String::new(),
    }
}
