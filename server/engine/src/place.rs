//! Paths: where they really are, how they are shown, what room is left there.

use std::path::{Path, PathBuf};

/// The path with every link resolved, as far as it exists; the rest is kept as given.
pub(crate) fn real(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => path.to_path_buf(),
    }
}

/// The path for people: bytes that are not UTF-8 as `\xNN`.
#[must_use]
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// The nearest folder of `path` (itself included) that exists.
pub(crate) fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/")).to_path_buf()
}

/// Bytes that this user may still write on the file system of `path`; `path` need not exist yet.
pub(crate) fn free(path: &Path) -> std::io::Result<u64> {
    let facts = rustix::fs::statvfs(existing(path))?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// The device of the nearest existing folder.
pub(crate) fn device(path: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(existing(path))?.dev())
}

/// Whether this user may make entries in the nearest existing folder of `path`.
pub(crate) fn writable(path: &Path) -> bool {
    rustix::fs::access(existing(path), rustix::fs::Access::WRITE_OK).is_ok()
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Makes a folder that only this user can look into.
pub(crate) fn private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
