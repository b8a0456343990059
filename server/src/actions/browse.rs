//! Looking through the files of a checkpoint, and taking one of them.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use holdfast_engine::{FolderArchive, export, shown};
use holdfast_model::{
    access::Permission,
    manifest::ManifestComponent,
    state::Kind,
    view::{EntryView, FolderView},
};
use holdfast_vault::{Cancel, Error as VaultError, Node, NodeKind, TreeId, Vault};
use serde::Deserialize;

use super::{ActionError, Actions};
use crate::{
    jobs::{Content, DeskError},
    store::CheckpointRow,
    vaults::{VaultsError, blocking},
};

/// Entries of one folder that are listed at most.
const ENTRIES: usize = 5_000;
/// Entries without a place in an archive that the audit names at most.
const NAMED: usize = 10;

/// Which place of a checkpoint: `path`, or `raw` for one whose name is not text; the component itself without either.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceQuery {
    /// The component's name, of kind `files`.
    pub component: String,
    /// The path below the component.
    #[serde(default)]
    pub path: Option<String>,
    /// The same as bytes in hexadecimal.
    #[serde(default)]
    pub raw: Option<String>,
}

impl PlaceQuery {
    /// The path below the component.
    ///
    /// # Errors
    /// When both are given, or `raw` is not hexadecimal.
    pub(super) fn path(&self) -> Result<PathBuf, ActionError> {
        match (&self.path, &self.raw) {
            (Some(_), Some(_)) => Err(ActionError::invalid("path", "path: give `path` or `raw`, not both")),
            (path, None) => Ok(PathBuf::from(path.as_deref().unwrap_or_default().trim_matches('/'))),
            (None, Some(raw)) => {
                let bytes = hex::decode(raw)
                    .map_err(|_| ActionError::invalid("raw", "raw: give the bytes of the path in hexadecimal"))?;
                Ok(PathBuf::from(OsString::from_vec(bytes)))
            }
        }
    }
}

impl Actions {
    /// One folder of a `files` component.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or folder.
    pub async fn folder(&self, text: &str, query: &PlaceQuery) -> Result<FolderView, ActionError> {
        let place = self.place(text, query).await?;
        let Some(tree) = place.node.subtree else {
            return Err(not_a_folder(&place.path));
        };
        let found = blocking(place.vault, move |vault| vault.tree(&tree)).await?;
        let mut nodes: Vec<&Node> = found.nodes.iter().collect();
        nodes.sort_by_key(|node| node.kind != NodeKind::Dir);
        Ok(FolderView {
            checkpoint: place.row.id,
            component: place.component.name,
            path: shown(&place.path),
            raw: raw(place.path.as_os_str()),
            more: u64::try_from(nodes.len().saturating_sub(ENTRIES)).unwrap_or(0),
            entries: nodes.into_iter().take(ENTRIES).map(entry).collect(),
        })
    }

    /// Opens one file of a `files` component, with its name; audited.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or file.
    pub async fn file(&self, text: &str, query: &PlaceQuery) -> Result<(OsString, Content), ActionError> {
        let place = self.place(text, query).await?;
        if place.node.kind != NodeKind::File {
            let message = format!("`{}` is not a regular file; name a file in it", shown(&place.path));
            return Err(ActionError::invalid("path", message));
        }
        let what = format!("{}/{}", place.component.place, shown(&place.path));
        self.store().audit(&self.caller.name, "checkpoint.read", place.row.id.as_str(), &what).await?;
        let (name, size, node) = (place.node.name.clone(), place.node.size, place.node);
        let reader = blocking(place.vault, move |vault| vault.read(&node)).await?;
        Ok((name, Content { size, reader: Box::new(reader) }))
    }

    /// Makes one folder of a `files` component ready to go out as an archive; audited. `cancel` ends it at any time.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or folder, or it cannot be read.
    pub async fn archive(&self, text: &str, query: &PlaceQuery, cancel: Cancel) -> Result<FolderArchive, ActionError> {
        let place = self.place(text, query).await?;
        if place.node.subtree.is_none() {
            return Err(not_a_folder(&place.path));
        }
        let mut what = format!("{} as an archive", shown(&Path::new(&place.component.place).join(&place.path)));
        let archive = export::folder(place.vault, place.node, cancel).await.map_err(DeskError::from)?;
        let left_out = archive.left_out();
        if !left_out.is_empty() {
            let named: Vec<&str> = left_out.iter().take(NAMED).map(String::as_str).collect();
            let plural = if left_out.len() == 1 { "" } else { "s" };
            what.push_str(&format!(", without {} socket{plural}: {}", left_out.len(), named.join(", ")));
        }
        self.store().audit(&self.caller.name, "checkpoint.read", place.row.id.as_str(), &what).await?;
        Ok(archive)
    }

    /// What is at a place of a checkpoint.
    async fn place(&self, text: &str, query: &PlaceQuery) -> Result<Place, ActionError> {
        let row = self.checkpoint_to(Permission::Read, text).await?;
        let path = query.path()?;
        let manifest = self.store().manifest(&row.id).await?;
        let component = manifest
            .components
            .into_iter()
            .find(|component| component.name.as_str() == query.component && component.kind == Kind::Files)
            .ok_or_else(|| ActionError::NotFound(format!("{} has no files component `{}`", row.id, query.component)))?;
        let (vault, root) = self.parts.desk.sealed(&row.id).await?;
        let node = find(&vault, root, Path::new(&component.place).join(&path)).await?;
        let node = node.ok_or_else(|| {
            ActionError::NotFound(format!("{} holds nothing at `{}` in `{}`", row.id, shown(&path), component.name))
        })?;
        Ok(Place { row, component, path, vault, node })
    }
}

struct Place {
    row: CheckpointRow,
    component: ManifestComponent,
    path: PathBuf,
    vault: Vault,
    node: Node,
}

fn not_a_folder(path: &Path) -> ActionError {
    ActionError::invalid("path", format!("`{}` is not a folder; take it as a file", shown(path)))
}

async fn find(vault: &Vault, root: TreeId, path: PathBuf) -> Result<Option<Node>, ActionError> {
    match blocking(vault.clone(), move |vault| vault.find(&root, &path)).await {
        Ok(node) => Ok(Some(node)),
        Err(VaultsError::Vault { source: VaultError::NoSuchPath { .. }, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn entry(node: &Node) -> EntryView {
    let target = Some(&node.linktarget).filter(|target| !target.is_empty());
    EntryView {
        name: shown(Path::new(&node.name)),
        raw: raw(&node.name),
        kind: node.kind.word().to_owned(),
        size: node.size,
        mode: format!("{:04o}", node.mode & 0o7777),
        modified: node.mtime,
        target: target.map(|target| shown(Path::new(target))),
    }
}

/// The bytes in hexadecimal, where they are not text.
fn raw(text: &OsStr) -> Option<String> {
    text.to_str().is_none().then(|| hex::encode(text.as_bytes()))
}
