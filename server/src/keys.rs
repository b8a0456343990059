//! The server key: wraps vault passwords and definitions, so that the catalogue alone opens nothing.

use std::{
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of the key, and of a nonce.
const KEY: usize = 32;
const NONCE: usize = 24;
/// Precedes every wrapped text, so that another format can follow.
const FORMAT: &str = "hf1.";

/// What can go wrong with the key or with what it wraps.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the server key {path}: {source}; check the path in HOLDFAST_KEY_FILE and its owner")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file does not hold a key.
    #[error("{0} does not hold a server key (64 hexadecimal characters); restore the file from its copy")]
    NotAKey(PathBuf),
    /// Others may read it.
    #[error("{0} can be read by others than its owner; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The wrapped text was made by another key, for another purpose, or was changed.
    #[error("{0} cannot be unwrapped with this server key; was the key file replaced?")]
    WrongKey(String),
    /// Another key is there already.
    #[error("{0} holds another server key; move it away, or point HOLDFAST_KEY_FILE at another place")]
    Another(PathBuf),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// The key by which secrets in the catalogue are wrapped. Cheap to clone; cannot be printed.
#[derive(Clone)]
pub struct ServerKey(Arc<Zeroizing<[u8; KEY]>>);

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKey(•••)")
    }
}

impl ServerKey {
    /// Reads the key, or makes one where the file does not exist (mode 0600, on disk when this returns).
    ///
    /// # Errors
    /// When the file cannot be read or written, is readable by others, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                if std::fs::metadata(path).map_err(io)?.mode() & 0o077 != 0 {
                    return Err(KeyError::Exposed(path.to_owned()));
                }
                Self::from_text(&text).ok_or_else(|| KeyError::NotAKey(path.to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(io(error)),
        }
    }

    /// Reads a key from the text of a key file; none when it is something else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        hex::decode_to_slice(text.trim(), &mut *key).ok()?;
        Some(Self(Arc::new(key)))
    }

    /// The text of its file; each call is a place to look at in a review.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(**self.0))
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key).map_err(KeyError::Random)?;
        let key = Self(Arc::new(key));
        // Never over an existing key: two servers that start at once agree on the first.
        if key.write(path)? { Ok(key) } else { Self::load_or_create(path) }
    }

    /// Keeps this key at `path` (mode 0600, on disk when this returns); whether the file is new.
    ///
    /// # Errors
    /// [`KeyError::Another`] when another one is there, and when the file cannot be read or written.
    pub fn put(&self, path: &Path) -> Result<bool, KeyError> {
        if self.write(path)? {
            return Ok(true);
        }
        let there = Self::load_or_create(path)?;
        if there.check_value() == self.check_value() { Ok(false) } else { Err(KeyError::Another(path.to_owned())) }
    }

    /// Whether the file is new; one that is there stays.
    fn write(&self, path: &Path) -> Result<bool, KeyError> {
        let io = |source| KeyError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(folder).map_err(io)?;
        file.write_all(self.expose().as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(io(error.error)),
        }
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(true)
    }

    /// Encrypts `secret` for one purpose (`vault:<id>`, `definition:<environment id>`): text for a catalogue column.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn wrap(&self, purpose: &str, secret: &[u8]) -> Result<String, KeyError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: purpose.as_bytes() })
            .map_err(|_| KeyError::WrongKey(purpose.to_owned()))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{FORMAT}{}", STANDARD_NO_PAD.encode(bytes)))
    }

    /// The opposite of [`Self::wrap`], for the same purpose.
    ///
    /// # Errors
    /// [`KeyError::WrongKey`] when it was wrapped by another key, for another purpose, or changed.
    pub fn unwrap(&self, purpose: &str, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let wrong = || KeyError::WrongKey(purpose.to_owned());
        let bytes = STANDARD_NO_PAD.decode(wrapped.strip_prefix(FORMAT).ok_or_else(wrong)?).map_err(|_| wrong())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: purpose.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| wrong())
    }

    /// A value that only this key gives and that says nothing about it; the catalogue keeps it, so that a wrong key
    /// file is refused at start.
    #[must_use]
    pub fn check_value(&self) -> String {
        hex::encode(self.fingerprint("check-value", b"holdfast server key"))
    }

    /// A short form of [`Self::check_value`], by which what belongs to this key is found.
    #[must_use]
    pub fn mark(&self) -> String {
        self.check_value().chars().take(16).collect()
    }

    /// A keyed fingerprint of a value, to compare values without knowing them.
    #[must_use]
    pub fn fingerprint(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&**self.0) else { return [0; 32] };
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        mac.finalize().into_bytes().into()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&**self.0).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_made_once_and_unwraps_only_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/server.key");
        let key = ServerKey::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = ServerKey::load_or_create(&path).unwrap();
        assert_eq!(key.check_value(), again.check_value());

        let wrapped = key.wrap("vault:a", b"open sesame").unwrap();
        assert!(!wrapped.contains("sesame"));
        assert_eq!(again.unwrap("vault:a", &wrapped).unwrap().as_slice(), b"open sesame");
        assert!(matches!(key.unwrap("vault:b", &wrapped), Err(KeyError::WrongKey(_))), "the purpose is bound");

        let other = ServerKey::load_or_create(&dir.path().join("other.key")).unwrap();
        assert!(other.unwrap("vault:a", &wrapped).is_err());
        assert_ne!(other.check_value(), key.check_value());
        assert!(!format!("{key:?}").contains(&hex::encode(**key.0)));
    }

    #[test]
    fn a_key_is_put_beside_no_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let key = ServerKey::load_or_create(&dir.path().join("one")).unwrap();
        let path = dir.path().join("two");
        assert!(key.put(&path).unwrap());
        assert!(!key.put(&path).unwrap(), "the same once more changes nothing");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(ServerKey::from_text(&key.expose()).unwrap().mark(), key.mark());
        let other = ServerKey::load_or_create(&dir.path().join("three")).unwrap();
        assert!(matches!(other.put(&path), Err(KeyError::Another(_))));
        assert_eq!(ServerKey::load_or_create(&path).unwrap().mark(), key.mark());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.key");
        ServerKey::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ServerKey::load_or_create(&path), Err(KeyError::Exposed(_))));
    }
}
