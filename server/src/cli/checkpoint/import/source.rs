//! Where an import comes from: a file, a folder, or an object in a bucket, opened with an age identity where it must be.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use holdfast_model::{
    export::{METADATA, SUMS},
    request::BucketAccess,
};
use holdfast_vault::{S3Backend, S3Options};
use tokio::sync::mpsc;

use crate::{
    body::Outgoing,
    cli::{archive::Piece, failure::Failure},
    vaults::place::Place,
};

const PIECE: usize = 256 << 10;
/// How every file begins that age has encrypted.
const MAGIC: &[u8] = b"age-encryption.org/";

/// Where it comes from.
pub(super) struct Source {
    place: Kind,
    identities: Vec<Box<dyn age::Identity + Send + Sync>>,
    length: u64,
}

enum Kind {
    File(PathBuf),
    Folder { root: PathBuf, files: Vec<String> },
    Object { options: Box<S3Options>, key: String },
}

impl Source {
    /// Looks at it. Blocking.
    pub(super) fn read(text: &str, access: Option<&BucketAccess>, identities: &[PathBuf]) -> Result<Self, Failure> {
        let identities = read_identities(identities)?;
        if text.starts_with("s3:") {
            let usage = |message: String| Failure::Usage { message, mend: "give s3://bucket/name.tar.gz".into() };
            let place = Place::read(text, access).map_err(|error| usage(error.to_string()))?;
            let Place::Bucket(mut options) = place else {
                return Err(usage(format!("`{text}` is no place in a bucket")));
            };
            let key = std::mem::take(&mut options.prefix);
            if key.is_empty() || text.ends_with('/') {
                return Err(usage(format!("`{text}` names no object")));
            }
            let length = store(&options)?.object(&key).map_err(of_store)?.size();
            return Ok(Self { place: Kind::Object { options, key }, identities, length });
        }
        let path = PathBuf::from(text);
        let facts = fs::metadata(&path).map_err(|source| reading(&path, source))?;
        if facts.is_dir() {
            let (files, length) = listed(&path)?;
            return Ok(Self { place: Kind::Folder { root: path, files }, identities, length });
        }
        Ok(Self { place: Kind::File(path), identities, length: facts.len() })
    }

    /// Bytes that there are to be sent, about.
    pub(super) fn length(&self) -> Option<u64> {
        (self.length > 0).then_some(self.length)
    }

    /// Hands all of it over, piece by piece. Blocking.
    pub(super) fn send(&self, sender: &mpsc::Sender<Piece>) -> Result<(), Failure> {
        let mut pieces = Outgoing::new(sender.clone());
        let sent = match &self.place {
            Kind::File(path) => {
                let file = fs::File::open(path).map_err(|source| reading(path, source))?;
                self.copy(file, &mut pieces)
            }
            Kind::Object { options, key } => {
                let store = store(options)?;
                let object = store.object(key).map_err(of_store)?;
                self.copy(object, &mut pieces)
            }
            Kind::Folder { root, files } => archive(root, files, &mut pieces),
        };
        let sent = sent.and_then(|()| pieces.flush());
        match sent {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(source) => {
                // So that nobody takes what came for all of it.
                let _ = sender.blocking_send(Err(io::Error::other(source.to_string())));
                Err(Failure::Io { what: "reading what is to be imported".into(), source })
            }
        }
    }

    fn copy(&self, input: impl Read, output: &mut impl Write) -> io::Result<()> {
        let mut input = BufReader::with_capacity(PIECE, input);
        let head = io::BufRead::fill_buf(&mut input)?;
        if !head.starts_with(MAGIC) || self.identities.is_empty() {
            // An encrypted one is refused by the server, which says what to do.
            return io::copy(&mut input, output).map(drop);
        }
        let decryptor = age::Decryptor::new_buffered(input).map_err(io::Error::other)?;
        let identities = self.identities.iter().map(|identity| &**identity as &dyn age::Identity);
        let mut plain = decryptor
            .decrypt(identities)
            .map_err(|error| io::Error::other(format!("none of the identities opens it ({error})")))?;
        io::copy(&mut plain, output).map(drop)
    }
}

fn reading(path: &Path, source: io::Error) -> Failure {
    Failure::Io { what: format!("reading {}", path.display()), source }
}

fn store(options: &S3Options) -> Result<S3Backend, Failure> {
    S3Backend::new(options.clone()).map_err(of_store)
}

fn of_store(error: holdfast_vault::BackendError) -> Failure {
    Failure::Io { what: "the bucket".into(), source: io::Error::other(error) }
}

fn read_identities(files: &[PathBuf]) -> Result<Vec<Box<dyn age::Identity + Send + Sync>>, Failure> {
    let mut all = Vec::new();
    for file in files {
        let wrong = |why: String| Failure::Usage {
            message: format!("{} holds no age identity ({why})", file.display()),
            mend: "give the file that age-keygen wrote".into(),
        };
        let input = BufReader::new(fs::File::open(file).map_err(|source| reading(file, source))?);
        let read = age::IdentityFile::from_buffer(input).map_err(|error| wrong(error.to_string()))?;
        all.extend(read.into_identities().map_err(|error| wrong(error.to_string()))?);
    }
    Ok(all)
}

/// The folder's files in the order of its `metadata.json`, which comes first; nothing else may lie there.
fn listed(root: &Path) -> Result<(Vec<String>, u64), Failure> {
    let wrong = |message: String| Failure::Usage {
        message: format!("{}: {message}", root.display()),
        mend: "give a folder that an export made, or a backup directory".into(),
    };
    let place = root.join(METADATA);
    let text = fs::read(&place).map_err(|source| reading(&place, source))?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("{METADATA} is not JSON: {error}")))?;
    let named: Vec<String> = match (value.get("files"), value.get("checksums")) {
        (Some(serde_json::Value::Array(files)), _) => {
            files.iter().filter_map(|file| file.get("name")?.as_str().map(str::to_owned)).collect()
        }
        (_, Some(serde_json::Value::Object(sums))) => sums.keys().cloned().collect(),
        _ => return Err(wrong(format!("{METADATA} lists no files"))),
    };
    let mut files = vec![METADATA.to_owned()];
    files.extend(root.join(SUMS).is_file().then(|| SUMS.to_owned()));
    files.extend(named);
    let plain = |name: &String| {
        !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.starts_with('/')
    };
    if let Some(odd) = files.iter().find(|name| !plain(name)) {
        return Err(wrong(format!("{METADATA} names `{odd}`, which is no file of it")));
    }
    let known: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let there = all_below(root)?;
    if let Some(more) = there.iter().find(|name| !known.contains(name.as_str())) {
        return Err(wrong(format!("{more} is not a file of it: {METADATA} does not name it")));
    }
    let mut length = 0;
    for name in &files {
        let place = root.join(name);
        let facts = fs::symlink_metadata(&place).map_err(|source| reading(&place, source))?;
        if !facts.is_file() {
            return Err(wrong(format!("{name} is not a file")));
        }
        length += facts.len();
    }
    Ok((files, length))
}

fn all_below(root: &Path) -> Result<Vec<String>, Failure> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = open.pop() {
        let place = root.join(&folder);
        for entry in fs::read_dir(&place).map_err(|source| reading(&place, source))? {
            let entry = entry.map_err(|source| reading(&place, source))?;
            let path = folder.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// The folder as an archive, as it goes.
fn archive(root: &Path, files: &[String], output: &mut impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(output);
    for name in files {
        let mut file = fs::File::open(root.join(name))?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(file.metadata()?.len());
        archive.append_data(&mut header, name, &mut file)?;
    }
    archive.finish()
}
