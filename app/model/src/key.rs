//! Keys of programs: what is asked for, what is shown, and the one answer that holds the token itself.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{access::Permission, id::KeyId, name::Name, secret::Sent};

/// `POST /v1/keys`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// For people: what holds it.
    pub name: String,
    /// The projects that it may work in; it must be given unless `everywhere` is.
    #[serde(default)]
    pub projects: BTreeSet<Name>,
    /// Every project, those that come later too.
    #[serde(default)]
    pub everywhere: bool,
    /// What it may do: `view`, which each key may, `create`, `drill`, `cancel`. `view` and `create` when none is given.
    #[serde(default)]
    pub scopes: BTreeSet<Permission>,
    /// How long it works: `90d` when nothing is said, 400 days at most.
    #[serde(default)]
    pub expires_in: Option<String>,
    /// Networks that it may come from (`10.0.0.0/8`, `192.0.2.7`); anywhere when none is given.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// `POST /v1/keys/{id}/rotate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old one goes on working: `24h` when nothing is said, 30 days at most, `0s` for not at all.
    #[serde(default)]
    pub overlap: Option<String>,
    /// How long the new one works: as long as the old one was made for when nothing is said.
    #[serde(default)]
    pub expires_in: Option<String>,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

/// A key as it is shown; never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyView {
    /// Its id, which is a part of its token too.
    pub id: KeyId,
    /// For people.
    pub name: String,
    /// Its projects; none when it works in every project.
    pub projects: Vec<Name>,
    /// Whether it works in every project.
    pub everywhere: bool,
    /// What it may do.
    pub scopes: Vec<Permission>,
    /// Where it may come from; anywhere when there is none.
    pub networks: Vec<String>,
    /// Whether it works.
    pub state: KeyState,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// By whom.
    pub created_by: String,
    /// When it ends, or ended.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When it was used last, to the minute.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub last_used_at: Option<OffsetDateTime>,
    /// From which address.
    pub last_used_from: Option<String>,
    /// The key that it takes the place of.
    pub replaces: Option<KeyId>,
}

/// A new key, with its token: the only time that it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreatedKey {
    /// The key.
    pub key: KeyView,
    /// What a program sends as `authorization: Bearer …`.
    pub token: Sent,
}
