//! `/healthz`: the process lives. `/readyz`: it can do its work, and what it cannot.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use super::Web;
use crate::actions::Actions;

/// What the readiness page says.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether checkpoints can be taken at all.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    /// `catalogue`, `vaults`, `git`, …
    pub name: String,
    /// Whether all of it can be used.
    pub ok: bool,
    /// Whether nothing can be done without it.
    pub needed: bool,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What cannot be done, and the mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(web): State<Web>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(web.unbound()).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn readiness(actions: &Actions) -> Readiness {
    let mut checks = vec![
        needed(
            "catalogue",
            actions.store().ping().await.err().map(|error| {
                tracing::error!(%error, "the catalogue cannot be used");
                "the catalogue's database does not answer; the log says why".to_owned()
            }),
        ),
        needed(
            "vaults",
            tempfile::tempfile_in(actions.settings().vaults_dir()).err().map(|error| {
                format!("nothing can be written into the vaults' folder: {error}; free space or correct its rights")
            }),
        ),
    ];
    checks.extend(actions.tools().report().into_iter().map(|fact| Check {
        ok: fact.problem.is_none(),
        name: fact.name,
        needed: false,
        found: fact.version,
        problem: fact.problem,
    }));
    Readiness { ready: checks.iter().all(|check| check.ok || !check.needed), checks }
}

fn needed(name: &str, problem: Option<String>) -> Check {
    Check { name: name.to_owned(), ok: problem.is_none(), needed: true, found: None, problem }
}
