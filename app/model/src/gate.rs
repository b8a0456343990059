//! The gate for pipelines: `POST /api/checkpoint` answers when its checkpoint is sealed and drilled, or never will be.

use serde::{Deserialize, Serialize};

use crate::{
    id::{CheckpointId, RunId},
    state::{Proof, RunState},
};

/// What a pipeline asks before its risky step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GateRequest {
    /// The environment that holds it: `name`, `project/name` or `env_…`.
    #[serde(alias = "environment", alias = "app")]
    pub database: String,
    /// The label by which the checkpoint is found again, `pre-deploy-<commit>` for example.
    pub tag: String,
}

/// The verdict: 200 when `ok`, 503 while the run goes on, 422 otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GateAnswer {
    /// Whether the checkpoint is sealed and proven. Nothing else opens a gate.
    pub ok: bool,
    /// As it was asked.
    pub tag: String,
    /// Logical size for people: `412.3 MB`; once it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// The verdict of the newest drill; once it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_drill: Option<Proof>,
    /// How far the run is.
    pub state: RunState,
    /// Why the gate is shut, in one sentence; none while the run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `project/name`.
    pub environment: String,
    /// Once it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointId>,
    /// The run that takes it.
    pub run: RunId,
    /// The page that shows it: the checkpoint's, or the run's while there is none.
    pub url: String,
    /// From the first request to the end of the run, in milliseconds; once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::GateRequest;

    #[test]
    fn an_environment_has_three_names_and_nothing_else_is_taken() {
        for word in ["database", "environment", "app"] {
            let text = format!(r#"{{"{word}": "prod-api", "tag": "pre-deploy-4f3a9c1"}}"#);
            assert_eq!(serde_json::from_str::<GateRequest>(&text).unwrap().database, "prod-api");
        }
        for wrong in [
            r#"{"database": "a", "environment": "b", "tag": "t"}"#,
            r#"{"database": "a", "tag": "t", "force": true}"#,
            r#"{"database": "a"}"#,
        ] {
            assert!(serde_json::from_str::<GateRequest>(wrong).is_err(), "{wrong}");
        }
    }
}
