//! Pending actions. Whoever has signed in at a terminal cannot be asked there for a new sign-in; what needs one waits
//! for them on a page.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{id::PendingId, state::words};

words!(/// How far a pending action is.
    PendingState, "state of a pending action" {
    /// Nobody has decided.
    Waiting = "waiting",
    /// Its person has signed in anew and said yes; it may be carried out, once.
    Confirmed = "confirmed",
    /// Its person has said no.
    Refused = "refused",
    /// Its time was over before it was carried out.
    Expired = "expired",
    /// It was carried out, or tried.
    Used = "used",
});

/// What a problem of the kind `sign-in-again` says of the pending action that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PendingNote {
    /// Its id: the header `Holdfast-Pending` of the request when it is sent again.
    pub id: PendingId,
    /// The page on which its person decides.
    pub page: String,
    /// Until when it can be confirmed and carried out.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// `GET /v1/pending/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PendingView {
    /// Its id.
    pub id: PendingId,
    /// How far it is.
    pub state: PendingState,
    /// What would be done, for people.
    pub description: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query.
    pub target: String,
    /// Until when it can be confirmed and carried out.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}
