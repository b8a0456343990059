//! Import: the files of an export, ours or a backup directory of hop3's layout, become components in a vault.
//!
//! They come as one stream, `metadata.json` first, and each is checked against it while it goes into the vault. Nothing
//! is referenced there before the last one fits: the caller seals only what [`import`] gives. Nobody vouches for what
//! comes: names lead nowhere, sizes are bounded by what was announced, archives of databases are restored only behind a
//! fence, and plain SQL is loaded only in a throwaway server, from which it is then taken as an ordinary dump.
//!
//! What of ours comes back has its ledger with it, so its drill compares what was sealed. What comes from elsewhere has
//! none: that is said with each component, and keeps the verdict below `proven`.

use std::{
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use holdfast_model::{export::Origin, manifest::Manifest, name::Name, state::Kind};
use holdfast_vault::{Error, Writer};
use time::OffsetDateTime;

use crate::{
    capture::Captured,
    context::{Context, now_and_then},
    failure::Failure,
    sandbox::SandboxLevel,
    tools::Tools,
};

mod checked;
mod described;
mod entries;
mod foreign;
mod ours;
mod repository;
mod tree;

use described::Described;
use entries::{Entries, Entry, odd};

/// Bytes of `metadata.json` at most.
const METADATA_MOST: u64 = 256 << 20;

/// Why nothing was imported. Nothing was published.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImportError {
    /// Somebody said so.
    #[error("cancelled")]
    Cancelled,
    /// What came cannot be taken; the text says why, and where known the mend.
    #[error("{0}")]
    Refused(String),
    /// The vault cannot take it.
    #[error("the vault: {0}")]
    Vault(Error),
    /// The host failed: scratch space, a program.
    #[error("{0}")]
    Host(String),
}

impl From<Error> for ImportError {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled => Self::Cancelled,
            other => Self::Vault(other),
        }
    }
}

impl From<Failure> for ImportError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::Vault(error) => Self::Vault(error),
            Failure::Said(what) => Self::Host(what),
        }
    }
}

impl From<holdfast_vault::Cancelled> for ImportError {
    fn from(_: holdfast_vault::Cancelled) -> Self {
        Self::Cancelled
    }
}

type Stream = Box<dyn Read + Send>;

/// An archive whose first file was read: what comes is known, and where it comes from.
pub struct Incoming {
    entries: Entries<Stream>,
    /// What stands before every name.
    prefix: Vec<u8>,
    described: Described,
    /// SHA-256 and bytes of `metadata.json`.
    metadata: (String, u64),
}

/// What an import needs to know.
#[derive(Clone)]
pub struct ImportWork {
    /// Components of the environment that takes it: what comes from elsewhere gets their names where they fit.
    pub known: Vec<(Name, Kind)>,
    /// A folder of this run; made and removed by the caller.
    pub scratch: PathBuf,
}

/// What came of it. The caller composes the root tree of it and seals.
pub struct Imported {
    /// Where it was made.
    pub origin: Origin,
    /// Its components.
    pub captured: Captured,
    /// What was sealed there, where it was one of ours.
    pub manifest: Option<Manifest>,
    /// What a person should read.
    pub warnings: Vec<String>,
}

impl Incoming {
    /// Reads as far as `metadata.json`, which must be the first file. Blocking.
    ///
    /// # Errors
    /// When it is no archive, or none of an export; when its format is newer than this version reads.
    pub fn open(input: impl Read + Send + 'static) -> Result<Self, ImportError> {
        let mut entries = Entries::new(plain(Box::new(input))?);
        let first = loop {
            match entries.next()? {
                Some(entry) if entry.is_dir() => {}
                Some(entry) => break entry,
                None => return Err(ImportError::Refused("the archive is empty".to_owned())),
            }
        };
        let names = first.names()?;
        let prefix = match names.as_slice() {
            [name] if *name == METADATA => Vec::new(),
            [folder, name] if *name == METADATA => folder.to_vec(),
            _ => {
                return Err(ImportError::Refused(format!(
                    "the first file is `{}`, and not metadata.json; unpack it and import the folder: then the files come \
                     in their order",
                    first.shown()
                )));
            }
        };
        if first.size > METADATA_MOST {
            return Err(ImportError::Refused("metadata.json is too long to be one".to_owned()));
        }
        let mut text = Vec::new();
        entries.content().read_to_end(&mut text).map_err(|error| odd(&error))?;
        let described = Described::read(&text)?;
        let digest = {
            use sha2::Digest as _;
            hex::encode(sha2::Sha256::digest(&text))
        };
        Ok(Self { entries, prefix, described, metadata: (digest, text.len() as u64) })
    }

    /// Where it was made.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.described.origin()
    }

    /// The environment that it was made of: `project/name`, or only the name where no project is known.
    #[must_use]
    pub fn environment(&self) -> String {
        self.described.environment()
    }

    /// The next file with its name within the export; none at the archive's end.
    fn next(&mut self) -> Result<Option<(Entry, String)>, ImportError> {
        loop {
            let Some(entry) = self.entries.next()? else { return Ok(None) };
            if entry.is_dir() {
                entry.names()?;
                continue;
            }
            if !entry.is_file() {
                return Err(ImportError::Refused(format!("the entry `{}` is not a file", entry.shown())));
            }
            let names = entry.names()?;
            let inside = match (self.prefix.as_slice(), names.as_slice()) {
                ([], all) => Some(all),
                (prefix, [first, rest @ ..]) if *first == prefix => Some(rest),
                _ => None,
            };
            let name = inside.and_then(|names| String::from_utf8(names.join(&b'/')).ok());
            let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
                ImportError::Refused(format!("the entry `{}` lies beside the export's own folder", entry.shown()))
            })?;
            return Ok(Some((entry, name)));
        }
    }
}

const METADATA: &[u8] = holdfast_model::export::METADATA.as_bytes();

/// The plain archive within, by what the first bytes say.
fn plain(mut input: Stream) -> Result<Stream, ImportError> {
    let mut head = Vec::new();
    (&mut input).take(32).read_to_end(&mut head).map_err(|error| odd(&error))?;
    let starts = |magic: &[u8]| head.starts_with(magic);
    let (gzip, zstandard) = (starts(&[0x1f, 0x8b]), starts(&[0x28, 0xb5, 0x2f, 0xfd]));
    if starts(b"age-encryption.org/") || starts(b"-----BEGIN AGE ") {
        return Err(ImportError::Refused(
            "it is encrypted by age: name the identity that opens it (holdfast checkpoint import … --identity FILE)"
                .to_owned(),
        ));
    }
    let whole: Stream = Box::new(io::Cursor::new(head).chain(input));
    if gzip {
        return Ok(Box::new(MultiGzDecoder::new(whole)));
    }
    if zstandard {
        let decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(1 << 17, whole)).map_err(|e| odd(&e))?;
        return Ok(Box::new(decoder));
    }
    Ok(whole)
}

/// Takes all that comes into the vault; nothing of it is referenced before the caller seals.
///
/// # Errors
/// For anything that is not as `metadata.json` says, and for what this host may not take.
pub async fn import(
    incoming: Incoming,
    work: ImportWork,
    writer: Arc<Writer>,
    tools: &Tools,
    ctx: &Context,
) -> Result<Imported, ImportError> {
    let tools = tools.clone();
    let meter = holdfast_vault::Meter::new();
    let _sampler = now_and_then(ctx, STEP, None, meter.clone(), Arc::default(), None);
    let ctx = ctx.clone();
    let task = tokio::task::spawn_blocking(move || {
        let desk = Desk { work: &work, writer: &writer, tools: &tools, ctx: &ctx, meter: &meter };
        let Incoming { described, .. } = &incoming;
        match described.clone() {
            Described::Ours(metadata) => ours::take(incoming, *metadata, &desk),
            Described::Foreign(foreign) => foreign::take(incoming, foreign, &desk),
        }
    });
    match task.await {
        Ok(outcome) => outcome,
        Err(error) => Err(ImportError::Host(format!("a worker thread ended unexpectedly: {error}"))),
    }
}

/// The step whose progress an import tells.
pub const STEP: &str = "import";

/// What every part of an import works with.
struct Desk<'a> {
    work: &'a ImportWork,
    writer: &'a Arc<Writer>,
    tools: &'a Tools,
    ctx: &'a Context,
    meter: &'a holdfast_vault::Meter,
}

impl Desk<'_> {
    /// Writes a small file into the vault.
    fn put(&self, name: &str, bytes: &[u8], at: OffsetDateTime) -> Result<(holdfast_vault::Node, u64), ImportError> {
        let mut stream = self.writer.stream(holdfast_vault::Chunking::Files, self.meter);
        io::Write::write_all(&mut stream, bytes).map_err(|error| odd(&error))?;
        let streamed = stream.finish()?;
        Ok((holdfast_vault::Node::file(name, streamed.content, streamed.bytes, at), streamed.stored))
    }

    /// Whether an archive of a database may be restored here at all, which its drill does.
    fn refuse_unfenced(&self, major: Option<u32>) -> Result<(), ImportError> {
        let level = self.tools.sandbox();
        if !level.takes_foreign() {
            let why = match level {
                SandboxLevel::None { why } => why.clone(),
                level => format!("the best fence here is: {level}"),
            };
            return Err(ImportError::Refused(format!(
                "a database from elsewhere is restored only behind a fence, and {why}; run the server as root, or allow \
                 user namespaces"
            )));
        }
        let fits = |install: &&crate::postgres::PgInstall| major.is_none_or(|major| install.major == major);
        if let Some(install) = self.tools.installs().iter().find(|install| fits(install) && !install.patched) {
            return Err(ImportError::Refused(format!(
                "pg_restore {} can be made to run code by a crafted archive (CVE-2026-116314); update PostgreSQL {}",
                install.shown(),
                install.major
            )));
        }
        Ok(())
    }
}
