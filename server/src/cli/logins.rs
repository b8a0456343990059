//! `logins.json` in the person's own configuration folder: who is signed in at this terminal, by the server's address.
//! It holds tokens, so it is its owner's alone, is written whole or not at all, and is changed by one command at a time.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::PathBuf,
};

use holdfast_model::secret::Sent;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use super::failure::Failure;

/// The file, and the one whose lock says whose turn it is to change it.
const FILE: &str = "logins.json";
const LOCK: &str = "logins.lock";

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The provider's name on the server.
    pub provider: String,
    /// The provider, as it writes itself.
    pub issuer: String,
    /// The public client.
    pub client_id: String,
    /// What is sent to the server.
    pub access_token: Sent,
    /// Until when it is valid.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// What brings the next one; none where the provider gave none.
    pub refresh_token: Option<Sent>,
}

/// The folder of the file.
#[derive(Debug, Clone)]
pub struct Logins(PathBuf);

/// While it lives, no other command changes the file.
#[derive(Debug)]
pub struct Turn(File);

impl Logins {
    /// Of whoever runs this: below `XDG_CONFIG_HOME`, else below `.config` at home; none where there is neither.
    pub fn of_caller() -> Option<Self> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
        Some(Self(folder.join("holdfast")))
    }

    /// How a server is called in it.
    pub fn key(server: &Url) -> String {
        server.as_str().trim_end_matches('/').to_owned()
    }

    /// All logins; none where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, holds something else, or others can read it.
    pub fn read(&self) -> Result<BTreeMap<String, Login>, Failure> {
        let path = self.0.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            // Denied: a command that is run as the server's user often keeps the home of who has typed it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                ) =>
            {
                return Ok(BTreeMap::new());
            }
            Err(source) => return Err(self.failed(source)),
        };
        let shown = path.display();
        if fs::metadata(&path).map_err(|source| self.failed(source))?.mode() & 0o077 != 0 {
            return Err(Failure::Login {
                message: format!("{shown} can be read by others, and what stands in it signs in as you"),
                mend: format!("run: rm {shown}, then: holdfast login"),
            });
        }
        serde_json::from_slice(&text).map_err(|error| Failure::Login {
            message: format!("{shown}, line {}: this is not as `holdfast login` writes it", error.line()),
            mend: format!("run: rm {shown}, then: holdfast login"),
        })
    }

    /// Waits until no other command changes it.
    ///
    /// # Errors
    /// When the folder or the lock cannot be made.
    pub async fn turn(&self) -> Result<Turn, Failure> {
        let logins = self.clone();
        let locked = tokio::task::spawn_blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&logins.0)?;
            let options = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).to_owned();
            let file = options().open(logins.0.join(LOCK))?;
            file.lock()?;
            Ok(file)
        });
        locked.await.map_err(io::Error::other).and_then(|file| file).map(Turn).map_err(|source| self.failed(source))
    }

    /// Keeps a login in the place of the one before it.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn put(&self, turn: &Turn, server: &str, login: &Login) -> Result<(), Failure> {
        let mut all = self.read()?;
        all.insert(server.to_owned(), login.clone());
        self.write(turn, &all)
    }

    /// Forgets a login, and gives it where there was one.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remove(&self, turn: &Turn, server: &str) -> Result<Option<Login>, Failure> {
        let mut all = self.read()?;
        let gone = all.remove(server);
        if gone.is_some() {
            self.write(turn, &all)?;
        }
        Ok(gone)
    }

    fn write(&self, _turn: &Turn, all: &BTreeMap<String, Login>) -> Result<(), Failure> {
        let written = || {
            let mut file = tempfile::Builder::new()
                .prefix(".logins-")
                .permissions(Permissions::from_mode(0o600))
                .tempfile_in(&self.0)?;
            file.write_all(&serde_json::to_vec_pretty(all)?)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(self.0.join(FILE)).map_err(|error| error.error)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Failure {
        Failure::Io { what: format!("the logins in {} cannot be used", self.0.display()), source }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // It would end with the file anyway.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn login(name: &str) -> Login {
        Login {
            provider: "sso".into(),
            issuer: "https://id.example.org".into(),
            client_id: "cli".into(),
            access_token: name.into(),
            expires_at: OffsetDateTime::UNIX_EPOCH,
            refresh_token: None,
        }
    }

    #[tokio::test]
    async fn a_login_is_kept_for_its_owner_alone_and_by_server() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins(folder.path().join("new/holdfast"));
        assert!(logins.read().unwrap().is_empty());
        let turn = logins.turn().await.unwrap();
        logins.put(&turn, "https://a.example", &login("one")).unwrap();
        logins.put(&turn, "https://b.example", &login("two")).unwrap();
        logins.put(&turn, "https://a.example", &login("three")).unwrap();
        assert_eq!(logins.read().unwrap()["https://a.example"], login("three"));
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(logins.0.clone()), mode(logins.0.join(FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&logins.0).unwrap().count(), 2, "nothing half is left beside file and lock");
        assert_eq!(logins.remove(&turn, "https://a.example").unwrap(), Some(login("three")));
        assert_eq!(logins.remove(&turn, "https://a.example").unwrap(), None);
        assert_eq!(logins.read().unwrap().len(), 1);
        assert!(!format!("{:?}", login("c4nary")).contains("c4nary"));
    }

    #[tokio::test]
    async fn one_command_at_a_time_changes_it() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins(folder.path().to_owned());
        let turn = logins.turn().await.unwrap();
        let waits = logins.clone();
        let second = tokio::spawn(async move { waits.turn().await });
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert!(!second.is_finished());
        drop(turn);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins(folder.path().to_owned());
        logins.put(&logins.turn().await.unwrap(), "https://a.example", &login("one")).unwrap();
        fs::set_permissions(folder.path().join(FILE), Permissions::from_mode(0o644)).unwrap();
        assert!(logins.read().unwrap_err().to_string().contains("others"));
        fs::set_permissions(folder.path().join(FILE), Permissions::from_mode(0o600)).unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(logins.read().unwrap_err().to_string().contains("line 1"));
    }
}
