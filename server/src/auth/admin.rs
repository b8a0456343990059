//! `holdfast admin`: the owner of the data directory, past the identity provider. Whoever can make a file in it that only
//! they can read owns it; the file names a token by its hash and is gone when the command ends.

use std::{
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use holdfast_model::secret::Secret;

use super::{AccessError, new_token, token_hash};

/// Such a token begins with it.
const PREFIX: &str = "hfa";
/// A file that a killed command left is worth nothing after so long.
const VALID: Duration = Duration::from_secs(900);
/// The folder of the files, below the data directory.
const FOLDER: &str = "admin";

/// While this lives, its token opens the server.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    token: Secret,
}

impl Door {
    /// Makes one, as the data directory's owner.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn open(data_dir: &Path) -> Result<Self, AccessError> {
        let token = new_token(PREFIX)?;
        let hash = token_hash(token.expose());
        let folder = data_dir.join(FOLDER);
        let path = folder.join(&hash);
        let failed = |source| AccessError::File { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(b"made by `holdfast admin`; it goes with the command\n").map_err(failed)?;
        Ok(Self { path, token })
    }

    /// What is sent as a bearer token.
    #[must_use]
    pub const fn token(&self) -> &Secret {
        &self.token
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // What stays of a command that was killed ends with its time.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a text has the form of such a token.
#[must_use]
pub fn is_admin(token: &str) -> bool {
    token.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('_'))
}

/// Whether the owner of the data directory has just made it.
#[must_use]
pub fn is_valid(data_dir: &Path, token: &str) -> bool {
    let path = data_dir.join(FOLDER).join(token_hash(token));
    let Ok(found) = path.symlink_metadata() else { return false };
    let owner = rustix::process::geteuid().as_raw();
    let age = found.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    found.is_file() && found.uid() == owner && found.mode() & 0o077 == 0 && age.is_none_or(|age| age < VALID)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_door_is_open_while_its_command_runs_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path()).unwrap();
        let token = door.token().expose().to_owned();
        assert!(is_admin(&token) && is_valid(folder.path(), &token));
        assert!(!is_valid(folder.path(), "hfa_guessed") && !is_valid(folder.path(), "hfa_../../etc/passwd"));
        std::fs::set_permissions(&door.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_valid(folder.path(), &token), "others could have read it");
        std::fs::set_permissions(&door.path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let old = SystemTime::now() - VALID;
        std::fs::File::options().write(true).open(&door.path).unwrap().set_modified(old).unwrap();
        assert!(!is_valid(folder.path(), &token), "its time is over");
        drop(door);
        assert!(!is_valid(folder.path(), &token));
        let link = folder.path().join(FOLDER).join(token_hash("hfa_link"));
        std::os::unix::fs::symlink("/etc/hostname", link).unwrap();
        assert!(!is_valid(folder.path(), "hfa_link"), "a link is no file");
    }
}
