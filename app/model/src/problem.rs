//! Errors of the REST API in the shape of RFC 9457, `application/problem+json`.

use serde::{Deserialize, Serialize};

use crate::pending::PendingNote;

/// What went wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A stable word for programs, such as `not-found`, as a relative URI reference.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, and the mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where several places are at fault: each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// Where it waits for its person to confirm it, when it asks for a new sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Box<PendingNote>>,
}

/// One place at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Fault {
    /// Where, for example `components[2].url`.
    pub at: String,
    /// What is wrong and how to mend it.
    pub message: String,
}
