//! Export: a sealed checkpoint as files that a person reads without us.
//!
//! | file | what it is |
//! |---|---|
//! | `metadata.json` | first of all: where it comes from, the manifest, every other file with its size and SHA-256 |
//! | `SHA256SUMS` | the same hashes for `sha256sum -c` |
//! | `env.json` | every variable with its value |
//! | `config/NAME.json` | a `config` component as it was sealed: origins, and its env file byte for byte |
//! | `services/postgres_NAME.dump` | the dump in PostgreSQL's custom format; beside it `.database.json` and `.globals.sql` |
//! | `services/postgres_NAME.sql` | the same as SQL, where it was asked for |
//! | `services/sqlite_NAME.sqlite` | the database file |
//! | `source.tar.gz` | repositories with their work trees, a folder for each component |
//! | `data.tar.gz` | files, a folder for each component |
//!
//! The vault is read twice and nothing of it is staged: the first pass measures and hashes every file, the second one
//! writes what the first has seen, or fails. Equal checkpoints give equal exports, byte for byte: nothing in one tells
//! when it was made. Only a repository, which none but git can read, lies in scratch space meanwhile.

use std::{io, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use holdfast_model::{
    export::{ExportedFile, FORMAT, METADATA, Metadata, Origin, SUMS, SYSTEM},
    manifest::{Manifest, Skipped},
};
use holdfast_vault::{Cancel, Error, Meter, TreeId, Vault};

use crate::{
    failure::{Failure, blocking},
    tools::Tools,
};

mod entries;
mod folder;
mod member;
mod outer;
mod sql;
mod tarball;
mod work_tree;

pub use folder::{FolderArchive, folder};
use member::{Member, members};
use outer::Outer;
pub(crate) use tarball::{BARE, HEADED};

/// What to export.
#[derive(Clone)]
pub struct ExportWork {
    /// Where the checkpoint lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether each dump comes as SQL too.
    pub plain_sql: bool,
    /// A folder of this export, for repositories; made and removed by the caller.
    pub scratch: PathBuf,
    /// Stops it.
    pub cancel: Cancel,
}

/// How the export's files are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a tar archive.
    Tar,
    /// The same through gzip.
    TarGz,
    /// The same through zstd.
    TarZst,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Somebody said so.
    #[error("cancelled")]
    Cancelled,
    /// The checkpoint, or a program that reads it; the text says what, and where known the mend.
    #[error("{0}")]
    Said(String),
    /// The vault could not be read.
    #[error("the vault: {0}")]
    Vault(Error),
    /// What was exported could not be written on: its reader has gone.
    #[error("it could not be handed on: {0}")]
    Output(io::Error),
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::Vault(error) => Self::Vault(error),
            Failure::Said(what) => Self::Said(what),
        }
    }
}

/// A checkpoint that was read whole: what the export will consist of is known to the byte.
pub struct Export {
    work: ExportWork,
    tools: Tools,
    members: Vec<Member>,
    meter: Meter,
}

/// The first pass: reads all of the checkpoint.
///
/// # Errors
/// When it cannot be read, a program that it takes is missing, or it was cancelled.
pub async fn measure(work: ExportWork, tools: &Tools) -> Result<Export, ExportError> {
    let (tools, meter) = (tools.clone(), Meter::new());
    let read = move || {
        let (mut found, left_out) = members(&work, &tools, &meter)?;
        for member in &mut found {
            meter.set_current(&member.name);
            member.measure(&work, &tools, &meter)?;
        }
        let mut all = front(&work.manifest, &found, left_out)?;
        all.append(&mut found);
        Ok(Export { work, tools, members: all, meter })
    };
    Ok(blocking(read).await?)
}

/// `metadata.json` and `SHA256SUMS`.
fn front(manifest: &Manifest, members: &[Member], left_out: Vec<Skipped>) -> Result<Vec<Member>, Failure> {
    let files: Vec<ExportedFile> = members.iter().map(Member::listed).collect();
    let metadata = Metadata {
        format: FORMAT,
        origin: Origin {
            system: SYSTEM.to_owned(),
            id: manifest.checkpoint.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: manifest.created_at,
        },
        notes: notes(&files),
        files,
        left_out,
        manifest: manifest.clone(),
    };
    let text = serde_json::to_vec_pretty(&metadata)
        .map_err(|error| Failure::Said(format!("{METADATA} cannot be written: {error}")))?;
    let metadata = Member::of_bytes(METADATA, text);
    let sums = sums(std::iter::once(metadata.listed()).chain(members.iter().map(Member::listed)));
    Ok(vec![metadata, Member::of_bytes(SUMS, sums.into_bytes())])
}

/// The lines of `SHA256SUMS`.
pub(crate) fn sums(files: impl Iterator<Item = ExportedFile>) -> String {
    files.map(|file| format!("{}  {}\n", file.sha256, file.name)).collect()
}

fn notes(files: &[ExportedFile]) -> Vec<String> {
    let mut notes = vec![
        "Check it: sha256sum -c SHA256SUMS. Take it back: holdfast checkpoint import, with this folder or its archive."
            .to_owned(),
    ];
    let secret = |name: &str| name == "env.json" || name.starts_with("config/") || name.ends_with(".globals.sql");
    let secrets: Vec<&str> = files.iter().map(|file| file.name.as_str()).filter(|name| secret(name)).collect();
    if !secrets.is_empty() {
        notes.push(format!(
            "Secrets stand in the clear in {}; databases and files may hold more of them. Keep all of it as you keep \
             passwords.",
            secrets.join(", ")
        ));
    }
    if files.iter().any(|file| file.name.ends_with(".dump")) {
        notes.push("Look into a dump: pg_restore -l FILE. Put it back: pg_restore -d DATABASE FILE.".to_owned());
    }
    notes
}

impl Export {
    /// The name of the folder that everything lies in: the checkpoint's id.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.work.manifest.checkpoint.as_str()
    }

    /// Bytes of the tar archive.
    #[must_use]
    pub fn length(&self) -> u64 {
        outer::length(&self.members)
    }

    /// The second pass: writes the archive. Blocking.
    ///
    /// # Errors
    /// When the checkpoint cannot be read, gives other bytes than it did before, or `output` fails.
    pub fn write(&self, form: Form, output: impl io::Write) -> Result<(), ExportError> {
        let done = match form {
            Form::Tar => self.write_tar(output).map(drop),
            Form::TarGz => {
                let encoder = GzEncoder::new(output, Compression::new(LEVEL));
                self.write_tar(encoder)?.finish().map(drop).map_err(ExportError::Output)
            }
            Form::TarZst => {
                let encoder = zstd::Encoder::new(output, ZSTD_LEVEL).map_err(ExportError::Output)?;
                self.write_tar(encoder)?.finish().map(drop).map_err(ExportError::Output)
            }
        };
        if self.work.cancel.is_cancelled() { Err(ExportError::Cancelled) } else { done }
    }

    fn write_tar<W: io::Write>(&self, output: W) -> Result<W, ExportError> {
        let mut outer = Outer::begin(output, self.folder(), self.work.manifest.created_at)?;
        for member in &self.members {
            outer.member(member, |sink| member.produce(&self.work, &self.tools, &self.meter, sink))?;
        }
        outer.end()
    }
}

/// gzip's own default: archives of an export are read more often than they are written.
pub(crate) const LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Tells an error of the vault, which a reader carries within, from one of the writer.
fn copied(error: &io::Error) -> Failure {
    match Error::from_io(error) {
        Some(error) => error.clone().into(),
        None => Failure::Said(error.to_string()),
    }
}
