//! The break-glass password: the way in for the day when no identity provider answers. It is there only while the owner
//! of the data directory wants it: its argon2id hash stands in the file `break-glass`, which they alone can write.

use std::{
    fs::{File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version, password_hash::phc::PasswordHash,
};
use holdfast_model::secret::Secret;
use rustix::fs::{Mode, OFlags};
use time::OffsetDateTime;

use super::token_hash;

/// In the data directory.
const FILE: &str = "break-glass";
/// Letters that a password must have.
pub const LEAST: usize = 14;
/// And may have.
const MOST: usize = 512;
/// What one try costs: memory in KiB, passes over it.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// A hash that was made with less memory than this, in KiB, opens nothing.
const LEAST_MEMORY: u32 = 19 * 1024;
/// No hash is longer, in bytes.
const LONGEST: u64 = 1_000;
/// Letters that are not taken for one another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why the password cannot be set, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum GlassError {
    /// It is no password for this.
    #[error("a break-glass password has {LEAST} to {MOST} letters, all of them printable; or let --generate make one")]
    Password,
    /// Another user's data directory.
    #[error(
        "the data directory {} belongs to user id {owner}, and this is user id {own}; run it as the user that the server \
         runs as",
        path.display()
    )]
    NotOwner {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        own: u32,
    },
    /// The file is not as `holdfast break-glass set` makes it.
    #[error("{} {why}, so it opens nothing; run `holdfast break-glass set` again, or `holdfast break-glass off`", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// It cannot be read or written.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The hash cannot be computed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// A password that is set, by its hash.
pub struct Glass {
    hash: PasswordHash,
    text: String,
    /// Since when.
    pub since: OffsetDateTime,
}

impl Glass {
    /// Whether this is the password. It takes a moment and much memory: on a thread that may wait, one at a time.
    #[must_use]
    pub fn opens(&self, password: &Secret) -> bool {
        Argon2::default().verify_password(password.expose().as_bytes(), &self.hash).is_ok()
    }

    /// Tells one setting of the password from the next, and nothing else about it.
    #[must_use]
    pub fn mark(&self) -> String {
        token_hash(&self.text)
    }
}

/// The password that is set; none while there is no file.
///
/// # Errors
/// When there is one that somebody else could have written or read, or that holds something else.
pub fn read(data_dir: &Path) -> Result<Option<Glass>, GlassError> {
    let path = data_dir.join(FILE);
    let failed = |source| GlassError::Io { path: path.clone(), source };
    let unusable = |why| GlassError::Unusable { path: path.clone(), why };
    let opened = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let file = match opened {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => return Err(unusable("is a link")),
        Err(error) => return Err(failed(error.into())),
    };
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(unusable("is no file"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unusable("belongs to another user than the server's"));
    }
    if found.mode() & 0o777 != 0o600 {
        return Err(unusable("has other rights than 0600"));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    let text = text.trim().to_owned();
    let hash = PasswordHash::new(&text).map_err(|_| unusable("holds no hash of a password"))?;
    let params = Params::try_from(&hash).map_err(|_| unusable("holds no hash of a password"))?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || params.m_cost() < LEAST_MEMORY {
        return Err(unusable("holds a hash of another kind than argon2id with 19 MiB or more"));
    }
    Ok(Some(Glass { hash, text, since: found.modified().map_err(failed)?.into() }))
}

/// Whether there is such a file at all, usable or not.
#[must_use]
pub fn is_there(data_dir: &Path) -> bool {
    data_dir.join(FILE).symlink_metadata().is_ok()
}

/// Sets the password, in place of the one before. Sessions that the one before had opened end with it.
///
/// # Errors
/// When it is too short, the data directory is not the caller's, or the file cannot be written.
pub fn set(data_dir: &Path, password: &Secret) -> Result<(), GlassError> {
    let text = password.expose();
    if !(LEAST..=MOST).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err(GlassError::Password);
    }
    check_owner(data_dir)?;
    let path = data_dir.join(FILE);
    let failed = |source| GlassError::Io { path: path.clone(), source };
    let hashed = |error: &dyn std::fmt::Display| GlassError::Hash(error.to_string());
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(|error| hashed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password(text.as_bytes()).map_err(|error| hashed(&error))?;
    let mut file = tempfile::Builder::new()
        .prefix(".break-glass-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(data_dir)
        .map_err(failed)?;
    file.write_all(format!("{hash}\n").as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    sync(data_dir)
}

/// Removes the password; whether there was one. Sessions that it had opened end with it.
///
/// # Errors
/// When the data directory is not the caller's, or the file cannot be removed.
pub fn off(data_dir: &Path) -> Result<bool, GlassError> {
    check_owner(data_dir)?;
    let path = data_dir.join(FILE);
    match std::fs::remove_file(&path) {
        Ok(()) => sync(data_dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(GlassError::Io { path, source }),
    }
}

/// A password of 125 random bits, in five groups of letters.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn generate() -> Result<Secret, GlassError> {
    let mut bytes = [0_u8; 25];
    getrandom::fill(&mut bytes)?;
    let letters = bytes.map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(Secret::new(groups.join("-")))
}

fn check_owner(data_dir: &Path) -> Result<(), GlassError> {
    let found = std::fs::metadata(data_dir).map_err(|source| GlassError::Io { path: data_dir.to_owned(), source })?;
    let own = rustix::process::geteuid().as_raw();
    if found.uid() == own {
        return Ok(());
    }
    Err(GlassError::NotOwner { path: data_dir.to_owned(), owner: found.uid(), own })
}

fn sync(folder: &Path) -> Result<(), GlassError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| GlassError::Io { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn the_password_that_was_set_opens_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_none() && !is_there(folder.path()));
        assert!(matches!(set(folder.path(), &secret("thirteen char")), Err(GlassError::Password)));
        set(folder.path(), &secret("fourteen chars")).unwrap();
        let first = read(folder.path()).unwrap().unwrap();
        assert!(first.opens(&secret("fourteen chars")));
        assert!(!first.opens(&secret("fourteen char")) && !first.opens(&secret("")));
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=65536,t=3,p=1$") && !text.contains("fourteen"), "{text}");
        set(folder.path(), &secret("fourteen chars")).unwrap();
        assert_ne!(read(folder.path()).unwrap().unwrap().mark(), first.mark(), "set anew");
        assert!(off(folder.path()).unwrap() && !off(folder.path()).unwrap());
        assert!(read(folder.path()).unwrap().is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn a_file_that_others_could_have_written_or_read_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let refused = || matches!(read(folder.path()), Err(GlassError::Unusable { .. }));
        set(folder.path(), &secret("fourteen chars")).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o700] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(refused(), "{mode:o}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(read(folder.path()).unwrap().is_some());
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        for (what, text) in [
            ("nothing", String::new()),
            ("the password itself", "fourteen chars".into()),
            ("another algorithm", good.replace("argon2id", "argon2i")),
            ("less memory", good.replace("m=65536", "m=4096")),
            ("no hash", good.rsplit_once('$').unwrap().0.to_owned()),
        ] {
            write(&text);
            assert!(refused(), "{what}");
        }
        write(&good);
        std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(refused() && is_there(folder.path()), "a link");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(refused(), "a folder");
    }

    #[test]
    fn a_generated_password_is_long_and_new_each_time() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().len(), 29);
    }
}
