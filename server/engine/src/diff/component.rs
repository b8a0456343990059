//! One component of both checkpoints, by its kind.

use std::path::Path;

use holdfast_model::{
    diff::{Changes, ComponentDiff, Presence, Sizes},
    manifest::{Facts, ManifestComponent, Skipped},
    name::Name,
    state::Kind,
};
use holdfast_vault::{Error, Node};

use super::{DiffError, DiffWork, End, config, database, files, git, ledgers};
use crate::{
    context::Context,
    failure::{Failure, blocking},
    tools::Tools,
};

/// One component as each checkpoint has it.
pub(super) struct Both<'a> {
    pub first: Option<&'a ManifestComponent>,
    pub second: Option<&'a ManifestComponent>,
    /// The second one's, or else the first one's.
    pub any: &'a ManifestComponent,
}

impl<'a> Both<'a> {
    /// Every component: by name and kind, in the second one's order, then those that only the first one has.
    pub(super) fn all(work: &'a DiffWork) -> Vec<Self> {
        let (first, second) = (&work.first.manifest.components, &work.second.manifest.components);
        let like = |all: &'a [ManifestComponent], this: &ManifestComponent| {
            all.iter().find(|other| other.name == this.name && other.kind == this.kind)
        };
        let in_second = second.iter().map(|this| Both { first: like(first, this), second: Some(this), any: this });
        let only_first = first.iter().filter(|this| like(second, this).is_none());
        in_second.chain(only_first.map(|this| Both { first: Some(this), second: None, any: this })).collect()
    }

    /// The one of that name; what both have comes before what became another kind.
    pub(super) fn named(work: &'a DiffWork, name: &Name) -> Result<Self, DiffError> {
        let mut found: Vec<Self> = Self::all(work).into_iter().filter(|both| both.any.name == *name).collect();
        found.sort_by_key(|both| both.presence() != Presence::Both);
        found.into_iter().next().ok_or_else(|| DiffError::NoSuchComponent { name: name.clone(), of: "" })
    }

    pub(super) fn presence(&self) -> Presence {
        match (self.first, self.second) {
            (Some(_), Some(_)) => Presence::Both,
            (Some(_), None) => Presence::First,
            (None, _) => Presence::Second,
        }
    }

    /// Its entries in the two trees.
    pub(super) async fn nodes(&self, work: &DiffWork) -> Result<Nodes, DiffError> {
        Ok(Nodes { first: node(&work.first, self.first).await?, second: node(&work.second, self.second).await? })
    }
}

/// A component's entry in each tree.
#[derive(Clone)]
pub(super) struct Nodes {
    pub first: Option<Node>,
    pub second: Option<Node>,
}

impl Nodes {
    /// Whether both are there and hold the same.
    fn are_same(&self) -> bool {
        match (&self.first, &self.second) {
            (Some(first), Some(second)) => {
                first.kind == second.kind && first.subtree == second.subtree && first.content == second.content
            }
            _ => false,
        }
    }
}

async fn node(end: &End, component: Option<&ManifestComponent>) -> Result<Option<Node>, DiffError> {
    let Some(component) = component else { return Ok(None) };
    let (vault, root, place) = (end.vault.clone(), end.root, component.place.clone());
    let find = move || match vault.find(&root, Path::new(&place)) {
        Ok(node) => Ok(Some(node)),
        Err(Error::NoSuchPath { .. }) => Err(Failure::Said(format!("there is no `{place}` in the sealed copy"))),
        Err(error) => Err(error.into()),
    };
    Ok(blocking(find).await?)
}

/// Compares it.
///
/// # Errors
/// Only what concerns more than this component.
pub(super) async fn compare(
    work: &DiffWork,
    both: &Both<'_>,
    tools: &Tools,
    ctx: &Context,
) -> Result<ComponentDiff, DiffError> {
    let mut gaps = Vec::new();
    let changes = match changes(work, both, &mut gaps, tools, ctx).await {
        Ok(changes) if changes.is_same() && both.presence() == Presence::Both && gaps.is_empty() => Changes::Same,
        Ok(changes) => changes,
        Err(DiffError::Component(why)) => Changes::Unknown { why },
        Err(_) if ctx.cancel.is_cancelled() => return Err(DiffError::Cancelled),
        Err(other) => return Err(other),
    };
    let size = |side: Option<&ManifestComponent>| side.map_or(0, |component| component.size);
    let mut skipped = skipped(both);
    skipped.append(&mut gaps);
    Ok(ComponentDiff {
        name: both.any.name.clone(),
        kind: both.any.kind,
        presence: both.presence(),
        changes,
        size: Sizes { before: size(both.first), after: size(both.second) },
        skipped,
    })
}

async fn changes(
    work: &DiffWork,
    both: &Both<'_>,
    gaps: &mut Vec<Skipped>,
    tools: &Tools,
    ctx: &Context,
) -> Result<Changes, DiffError> {
    let nodes = both.nodes(work).await?;
    if nodes.are_same() {
        return Ok(Changes::Same);
    }
    match both.any.kind {
        Kind::Files => files::compare(work, both, nodes, gaps, ctx).await.map(Changes::Files),
        Kind::Config => config::compare(work, both, nodes).await.map(Changes::Configuration),
        Kind::Git => git::compare(work, both, nodes, gaps, tools, ctx).await.map(Changes::Git),
        Kind::Postgres | Kind::Sqlite => match (both.first, both.second) {
            (Some(first), Some(second)) => {
                let (first, second) = ((&work.first, first), (&work.second, second));
                database::compare(&first, &second, work, ctx).await.map(Changes::Database)
            }
            (first, second) => Ok(Changes::Database(ledgers::compare(first, second))),
        },
        kind => Err(DiffError::Component(format!("this version cannot compare components of kind `{kind}`"))),
    }
}

/// What either checkpoint could not capture, and what only one of them was told to leave out.
fn skipped(both: &Both<'_>) -> Vec<Skipped> {
    let of = |side: Option<&ManifestComponent>| side.map(|part| part.skipped.clone()).unwrap_or_default();
    let (first, second) = (of(both.first), of(both.second));
    let alone = |all: &[Skipped], others: &[Skipped], which: &str| -> Vec<Skipped> {
        let only = all.iter().filter(|this| !others.contains(this));
        only.map(|this| Skipped {
            message: format!("{}; in the {which} checkpoint only", this.message),
            ..this.clone()
        })
        .collect()
    };
    let mut told: Vec<Skipped> = first.iter().filter(|this| second.contains(this)).cloned().collect();
    if both.presence() == Presence::Both {
        told.extend(alone(&first, &second, "first"));
        told.extend(alone(&second, &first, "second"));
        told.extend(patterns(both));
    } else {
        told.extend(first);
        told.extend(second);
    }
    told
}

/// A path that only one checkpoint leaves out looks removed or added, and is neither.
fn patterns(both: &Both<'_>) -> Vec<Skipped> {
    let of = |side: Option<&ManifestComponent>| match side.map(|part| &part.facts) {
        Some(Facts::Files { exclude, .. }) => exclude.clone(),
        _ => Vec::new(),
    };
    let (first, second) = (of(both.first), of(both.second));
    let told = |all: &[String], others: &[String], which: &str, looks: &str| -> Vec<Skipped> {
        let only = all.iter().filter(|pattern| !others.contains(pattern));
        only.map(|pattern| Skipped {
            component: both.any.name.to_string(),
            name: pattern.clone(),
            reason: "left_out".to_owned(),
            message: format!(
                "only the {which} checkpoint leaves out what matches `{pattern}`: such files look {looks}"
            ),
        })
        .collect()
    };
    let mut all = told(&first, &second, "first", "added");
    all.extend(told(&second, &first, "second", "deleted"));
    all
}
