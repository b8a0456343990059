//! Export: a checkpoint is read whole once, and then again while it goes out. It is no run: it ends with its reader.

use std::{io::Write, path::Path};

use holdfast_engine::{Export, ExportWork, Form, export};
use holdfast_model::id::CheckpointId;
use holdfast_vault::Cancel;
use tempfile::TempDir;

use super::{Desk, DeskError};
use crate::store::StoreError;

/// Scratch folders of exports begin with it.
pub(super) const SCRATCH: &str = "export-";

/// An export that is ready to go out. Dropped, it is over, and its scratch space goes.
pub struct Outgoing {
    export: Export,
    form: Form,
    _scratch: TempDir,
}

impl Outgoing {
    /// The name of its file: the checkpoint's id and what it is.
    #[must_use]
    pub fn name(&self) -> String {
        let ending = match self.form {
            Form::Tar => "tar",
            Form::TarGz => "tar.gz",
            Form::TarZst => "tar.zst",
        };
        format!("{}.{ending}", self.export.folder())
    }

    /// Bytes that will go out, where that is known: nobody knows what an archive comes to that is compressed.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        (self.form == Form::Tar).then(|| self.export.length())
    }

    /// Bytes before any compression of the whole, for whoever shows how far it is.
    #[must_use]
    pub fn plain_length(&self) -> u64 {
        self.export.length()
    }

    /// Sends it. Blocking.
    ///
    /// # Errors
    /// As [`Export::write`].
    pub fn write(&self, output: impl Write) -> Result<(), holdfast_engine::ExportError> {
        self.export.write(self.form, output)
    }
}

impl Desk {
    /// Reads a checkpoint whole for an export; audited, for it is a download of everything that the checkpoint holds.
    ///
    /// # Errors
    /// When there is no such checkpoint, or it cannot be read.
    pub async fn export(
        &self,
        id: &CheckpointId,
        form: Form,
        plain_sql: bool,
        cancel: Cancel,
        by: &str,
    ) -> Result<Outgoing, DeskError> {
        let copy = self.store().copy_to_read(id).await?;
        let manifest = self.store().manifest(id).await?;
        let open = self.vaults().get(&copy.vault).await?;
        let scratch = scratch(&self.settings().scratch)
            .map_err(|error| DeskError::Scratch(format!("{}: {error}", self.settings().scratch.display())))?;
        self.store().audit(by, "checkpoint.export", id.as_str(), if plain_sql { "with plain SQL" } else { "" }).await?;
        let work = ExportWork {
            vault: open.vault,
            root: copy.tree.parse().map_err(|error| StoreError::corrupt("tree id", error))?,
            manifest,
            plain_sql,
            scratch: scratch.path().to_path_buf(),
            cancel,
        };
        Ok(Outgoing { export: export::measure(work, self.tools()).await?, form, _scratch: scratch })
    }
}

fn scratch(under: &Path) -> std::io::Result<TempDir> {
    std::fs::create_dir_all(under)?;
    tempfile::Builder::new().prefix(SCRATCH).tempdir_in(under)
}
