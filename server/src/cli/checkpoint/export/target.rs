//! Where an export goes: a file, a folder, or an object in a bucket, encrypted on the way where that is wanted.

use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use age::x25519;
use holdfast_model::request::BucketAccess;
use holdfast_vault::{S3Backend, S3Options};
use sha2::{Digest as _, Sha256};

use super::folder;
use crate::{
    cli::{
        archive::{AGE, form},
        failure::Failure,
    },
    vaults::place::Place,
};

/// Whom an export is encrypted for; nobody in particular when there are none.
pub(super) struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Reads age recipients.
    pub(super) fn read(list: &[String]) -> Result<Self, Failure> {
        let read = |text: &String| {
            text.trim().parse::<x25519::Recipient>().map_err(|why| Failure::Usage {
                message: format!("`{text}` is no age recipient ({why})"),
                mend: "give what age-keygen printed as the public key: age1…".into(),
            })
        };
        list.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies all of `input` to `output`, encrypted where there are recipients.
    fn copy(&self, mut input: impl Read, mut output: impl Write) -> io::Result<()> {
        if self.0.is_empty() {
            return io::copy(&mut input, &mut output).map(drop);
        }
        let recipients = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        let mut encrypted = encryptor.wrap_output(&mut output)?;
        io::copy(&mut input, &mut encrypted)?;
        encrypted.finish().map(drop)
    }
}

/// Where it goes.
pub(super) enum Target {
    /// A file.
    File(PathBuf),
    /// A folder that is made.
    Folder(PathBuf),
    /// An object.
    Object { options: Box<S3Options>, key: String },
}

/// What is there now.
pub(super) struct Written {
    /// For people, and for `checkpoint import`.
    pub(super) place: String,
    pub(super) bytes: u64,
    /// Of the file or object; a folder has its SHA256SUMS.
    pub(super) sha256: Option<String>,
}

impl Target {
    /// Reads what was asked for.
    pub(super) fn read(text: &str, access: Option<&BucketAccess>, id: &str, encrypted: bool) -> Result<Self, Failure> {
        let usage = |message: String, mend: &str| Failure::Usage { message, mend: mend.into() };
        let ending = if encrypted { AGE } else { "" };
        let made = format!("{id}.tar.gz{ending}");
        // A name that does not say that its content is encrypted would mislead.
        let named = |name: &str| match encrypted && !name.ends_with(AGE) {
            true => format!("{name}{AGE}"),
            false => name.to_owned(),
        };
        if text.starts_with("s3:") {
            let place = Place::read(text, access).map_err(|error| usage(error.to_string(), "s3://bucket/prefix/"))?;
            let Place::Bucket(mut options) = place else {
                return Err(usage(format!("`{text}` is no place in a bucket"), "give s3://bucket/prefix/"));
            };
            let prefix = std::mem::take(&mut options.prefix);
            let key = match (text.ends_with('/') || prefix.is_empty(), prefix.is_empty()) {
                (true, true) => made,
                (true, false) => format!("{prefix}/{made}"),
                (false, _) => named(&prefix),
            };
            refuse_unknown(&key)?;
            return Ok(Self::Object { options, key });
        }
        let path = Path::new(text);
        if text.ends_with('/') {
            return Ok(Self::File(path.join(made)));
        }
        if form(text).is_some() {
            return Ok(Self::File(PathBuf::from(named(text))));
        }
        if encrypted {
            return Err(usage(
                "a folder cannot be encrypted, only a file".into(),
                "name a file: --output NAME.tar.gz, or leave --encrypt-to out",
            ));
        }
        if path.extension().is_some_and(|ending| ["gz", "zst", "zip", "xz", "bz2"].iter().any(|e| ending == *e)) {
            refuse_unknown(text)?;
        }
        Ok(Self::Folder(path.to_path_buf()))
    }

    /// The form that is asked of the server.
    pub(super) fn form(&self) -> &'static str {
        match self {
            Self::File(path) => form(&path.to_string_lossy()).unwrap_or("tar.gz"),
            Self::Folder(_) => "tar",
            Self::Object { key, .. } => form(key).unwrap_or("tar.gz"),
        }
    }

    /// Nothing is overwritten: whatever has the name already may be the only good copy.
    pub(super) fn refuse_existing(&self) -> Result<(), Failure> {
        let there = |what: String| Failure::Usage {
            message: format!("{what} is there already"),
            mend: "remove it, or give another name".into(),
        };
        match self {
            Self::File(path) if path.symlink_metadata().is_ok() => Err(there(path.display().to_string())),
            Self::Folder(path) if path.symlink_metadata().is_ok() && !folder::is_empty(path) => {
                Err(there(path.display().to_string()))
            }
            Self::File(_) | Self::Folder(_) => Ok(()),
            Self::Object { options, key } => match store(options)?.object_size(key).map_err(of_store)? {
                Some(_) => Err(there(location(options, key))),
                None => Ok(()),
            },
        }
    }

    /// Takes the archive and puts it there. Blocking.
    pub(super) fn write(&self, input: impl Read, recipients: &Recipients) -> Result<Written, Failure> {
        match self {
            Self::File(path) => to_file(path, input, recipients),
            Self::Folder(path) => {
                let bytes = folder::unpack(input, path)?;
                Ok(Written { place: path.display().to_string(), bytes, sha256: None })
            }
            Self::Object { options, key } => {
                let store = store(options)?;
                let mut upload = Tap::new(store.upload(key));
                let failed = |source| Failure::Io { what: format!("writing {}", location(options, key)), source };
                recipients.copy(input, &mut upload).map_err(failed)?;
                let (upload, sha256) = upload.end();
                let bytes = upload.finish().map_err(of_store)?;
                Ok(Written { place: location(options, key), bytes, sha256: Some(sha256) })
            }
        }
    }
}

fn refuse_unknown(name: &str) -> Result<(), Failure> {
    match form(name) {
        Some(_) => Ok(()),
        None => Err(Failure::Usage {
            message: format!("`{name}` does not say what to make"),
            mend: "end it with .tar.gz, .tar.zst or .tar, or with a slash to have the name made".into(),
        }),
    }
}

fn store(options: &S3Options) -> Result<S3Backend, Failure> {
    S3Backend::new(options.clone()).map_err(of_store)
}

fn of_store(error: holdfast_vault::BackendError) -> Failure {
    Failure::Io { what: "the bucket".into(), source: io::Error::other(error) }
}

fn location(options: &S3Options, key: &str) -> String {
    format!("s3://{}/{key}", options.bucket)
}

fn to_file(path: &Path, input: impl Read, recipients: &Recipients) -> Result<Written, Failure> {
    let failed = |source| Failure::Io { what: format!("writing {}", path.display()), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    // A file that only its owner can read, from its first byte on; under a passing name until it is whole.
    let temporary = tempfile::Builder::new().prefix(".holdfast-export-").tempfile_in(folder).map_err(failed)?;
    let mut output = Tap::new(BufWriter::with_capacity(1 << 20, temporary.as_file()));
    recipients.copy(input, &mut output).map_err(failed)?;
    output.flush().map_err(failed)?;
    let bytes = output.bytes;
    let (_, sha256) = output.end();
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist_noclobber(path).map_err(|error| failed(error.error))?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Written { place: path.display().to_string(), bytes, sha256: Some(sha256) })
}

/// Counts and hashes what goes through it.
struct Tap<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Tap<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn end(self) -> (W, String) {
        (self.inner, hex::encode(self.hash.finalize()))
    }
}

impl<W: Write> Write for Tap<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
