//! One folder of a checkpoint as an archive: what the export's `data.tar.gz` would hold of it, alone and through zstd.

use std::{ffi::OsStr, io, path::Path};

use holdfast_vault::{Cancel, Meter, Node, Vault};

use super::{
    ExportError, ZSTD_LEVEL, copied,
    entries::{Entries, sockets},
    outer::{Stopping, Tap},
};
use crate::{
    failure::{Failure, blocking},
    place::shown,
};

/// A folder whose trees were all read: it can go out.
pub struct FolderArchive {
    vault: Vault,
    node: Node,
    cancel: Cancel,
    left_out: Vec<String>,
}

/// The first pass: reads every tree of the folder, but no content.
///
/// # Errors
/// When it is no folder, one of its trees cannot be read, or it was cancelled.
pub async fn folder(vault: Vault, node: Node, cancel: Cancel) -> Result<FolderArchive, ExportError> {
    let read = move || {
        if node.subtree.is_none() {
            return Err(Failure::Said(format!("`{}` is not a folder", shown(Path::new(&node.name)))));
        }
        let mut left_out = Vec::new();
        sockets(&vault, &node, &cancel, &mut |path| left_out.push(shown(path)))?;
        Ok(FolderArchive { vault, node, cancel, left_out })
    };
    Ok(blocking(read).await?)
}

impl FolderArchive {
    /// The folder's own name: that of the one folder at the archive's top.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.node.name
    }

    /// What has no place in an archive: sockets, by their path below the folder.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The second pass: writes a tar archive through zstd. Blocking.
    ///
    /// # Errors
    /// When something in it cannot be read, `output` fails, or it was cancelled.
    pub fn write(&self, output: impl io::Write) -> Result<(), ExportError> {
        let mut tap = Tap::new(Stopping(output, self.cancel.clone()), u64::MAX);
        let done = self.produce(&mut tap);
        if self.cancel.is_cancelled() {
            return Err(ExportError::Cancelled);
        }
        match tap.failed.take() {
            Some(error) => Err(ExportError::Output(error)),
            None => Ok(done?),
        }
    }

    fn produce(&self, output: impl io::Write) -> Result<(), Failure> {
        let zstd = zstd::Encoder::new(output, ZSTD_LEVEL).map_err(|error| copied(&error))?;
        let meter = Meter::new();
        let mut entries = Entries::new(&self.vault, &self.cancel, &meter, zstd);
        entries.tree(&self.node, Path::new(&self.node.name), None)?;
        entries.end()?.finish().map(drop).map_err(|error| copied(&error))
    }
}
