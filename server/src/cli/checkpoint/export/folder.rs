//! An export as a folder: each file is checked while it is written, and the folder gets its name when all are there.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use holdfast_model::export::{ExportedFile, METADATA, Metadata, SUMS};
use sha2::{Digest as _, Sha256};

use crate::cli::failure::Failure;

/// The longest `metadata.json` that is read.
const LONGEST: u64 = 256 << 20;

pub(super) fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Unpacks the archive into `target`, which is not there or is empty; gives the bytes of all files.
pub(super) fn unpack(input: impl Read, target: &Path) -> Result<u64, Failure> {
    let failed = |source| Failure::Io { what: format!("writing {}", target.display()), source };
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed)?;
    let private = fs::Permissions::from_mode(0o700);
    let place =
        tempfile::Builder::new().prefix(".holdfast-export-").permissions(private).tempdir_in(parent).map_err(failed)?;
    let bytes = take(input, place.path()).map_err(failed)?;
    // An empty folder makes way; whatever came into it meanwhile does not.
    let _ = fs::remove_dir(target);
    let place = place.keep();
    if target.symlink_metadata().is_ok() {
        let _ = fs::remove_dir_all(&place);
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "something is there by now")));
    }
    fs::rename(&place, target).map_err(failed)?;
    fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    Ok(bytes)
}

fn take(mut input: impl Read, place: &Path) -> io::Result<u64> {
    let odd = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut archive = tar::Archive::new(&mut input);
    let (mut total, mut metadata, mut seen) = (0, None::<Metadata>, BTreeMap::new());
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = inside(&entry.path()?).filter(|_| entry.header().entry_type().is_file());
        let path = path.ok_or_else(|| odd("the archive has an entry that is none of an export".to_owned()))?;
        let target = place.join(&path);
        if let Some(folder) = target.parent().filter(|folder| *folder != place) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
        let name = path.to_string_lossy().into_owned();
        let mut kept = (name == METADATA).then(Vec::new);
        let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 18]);
        loop {
            let count = entry.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            file.write_all(&buffer[..count])?;
            bytes += count as u64;
            if let Some(kept) = kept.as_mut().filter(|_| bytes <= LONGEST) {
                kept.extend_from_slice(&buffer[..count]);
            }
        }
        file.sync_all()?;
        total += bytes;
        if let Some(text) = kept {
            metadata = Some(serde_json::from_slice(&text).map_err(|error| odd(format!("{METADATA}: {error}")))?);
        } else if name != SUMS {
            seen.insert(name, (bytes, hex::encode(hash.finalize())));
        }
    }
    // What stands behind the archive's end belongs to the connection's end.
    io::copy(&mut input, &mut io::sink())?;
    let metadata = metadata.ok_or_else(|| odd(format!("there is no {METADATA} in what came")))?;
    let right = |file: &ExportedFile| seen.get(&file.name) == Some(&(file.bytes, file.sha256.clone()));
    match metadata.files.iter().find(|file| !right(file)) {
        Some(file) => Err(odd(format!("{} is not what {METADATA} says", file.name))),
        None if seen.len() != metadata.files.len() => Err(odd(format!("a file came that {METADATA} does not name"))),
        None => Ok(total),
    }
}

/// The path within the export's own folder; none for a path that leads elsewhere.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components();
    matches!(parts.next(), Some(Component::Normal(_))).then_some(())?;
    let rest = parts.as_path();
    let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && rest.components().next().is_some()).then(|| rest.to_path_buf())
}
