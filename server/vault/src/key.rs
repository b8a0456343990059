//! Key files: the vault's own random key, wrapped by a password. The password alone opens nothing without one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::backend::{Backend, FileKind};
use crate::config::Config;
use crate::crypto::{Key, Secrets, fill_random};
use crate::lock::{host, user};
use crate::{Error, Id, Password};

/// scrypt's work factor for new keys, N = 2^15: 32 MiB and about 0.1 s a guess.
const LOG_N: u8 = 15;
/// Most memory that a key file may make us use.
const MOST_MEMORY: u64 = 1 << 30;

/// The JSON of a key file, which is not encrypted.
#[derive(Serialize, Deserialize)]
struct KeyJson {
    #[serde(with = "crate::snapshot::rfc3339")]
    created: OffsetDateTime,
    username: String,
    hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: String,
    data: String,
}

/// A key that opened, and its file's name.
pub(crate) struct Opened {
    pub key: Key,
    pub name: String,
    pub config: Config,
}

/// Writes a key file for a new random key.
pub(crate) fn create(backend: &dyn Backend, password: &Password) -> Result<(Key, String), Error> {
    let mut salt = [0; 64];
    fill_random(&mut salt)?;
    let secrets = Secrets::random()?;
    let sealed = derive(password, &salt, LOG_N, 8, 1)?.sealed(&secrets.to_json()?)?;
    let json = KeyJson {
        created: OffsetDateTime::now_utc(),
        username: user(),
        hostname: host(),
        kdf: "scrypt".into(),
        n: 1 << LOG_N,
        r: 8,
        p: 1,
        salt: STANDARD.encode(salt),
        data: STANDARD.encode(sealed),
    };
    let bytes = serde_json::to_vec(&json).map_err(|error| Error::Refused(error.to_string()))?;
    let name = Id::of(&bytes).to_string();
    backend.write(FileKind::Key, &name, &bytes)?;
    Ok((Key::new(secrets), name))
}

/// Puts a key file back that a vault has lost; one that is there stays as it is.
///
/// # Errors
/// [`Error::Refused`] if the content is not what the name says, and failures of the backend.
pub fn put_key_back(backend: &dyn Backend, name: &str, content: &[u8]) -> Result<(), Error> {
    if Id::of(content).to_string() != name || serde_json::from_slice::<KeyJson>(content).is_err() {
        return Err(Error::Refused(format!(
            "the key file {name} of the kit is not whole; copy it again, byte for byte"
        )));
    }
    if backend.list(FileKind::Key)?.iter().all(|(there, _)| there != name) {
        backend.write(FileKind::Key, name, content)?;
    }
    Ok(())
}

/// Tries every key file of the vault until one opens with the password and opens `config`.
pub(crate) fn open(backend: &dyn Backend, password: &Password) -> Result<Opened, Error> {
    let config = Config::load(backend)?;
    let mut names: Vec<String> = backend.list(FileKind::Key)?.into_iter().map(|(name, _)| name).collect();
    names.sort();
    let mut obstacle = None;
    for name in names {
        match unwrap_key(backend, &name, password) {
            Ok(Some(key)) => {
                let opened = match Config::open(&key, config.clone()) {
                    // Its name does not tell whether it came whole, as others' do: ask once more.
                    Err(Error::Damaged { .. }) => Config::open(&key, Config::load(backend)?),
                    other => other,
                };
                match opened {
                    Ok(config) => return Ok(Opened { key, name, config }),
                    Err(error) => obstacle = Some(error),
                }
            }
            Ok(None) => {}
            Err(error) => obstacle = Some(error),
        }
    }
    Err(obstacle.unwrap_or(Error::WrongPassword))
}

/// `None` if the password is not this key's.
fn unwrap_key(backend: &dyn Backend, name: &str, password: &Password) -> Result<Option<Key>, Error> {
    let bytes = backend.read(FileKind::Key, name)?;
    let damaged = |what: &str| Error::damaged(format!("key {name}: {what}"));
    if Id::of(&bytes).to_string() != name {
        return Err(damaged("its content is not what its name says"));
    }
    unwrap(&bytes, password).map_err(|error| match error {
        Error::Damaged { what } => damaged(&what),
        other => other,
    })
}

/// The key in a key file; `None` if the password is not its.
pub(crate) fn unwrap(bytes: &[u8], password: &Password) -> Result<Option<Key>, Error> {
    let mut wrapped = parse(bytes).map_err(Error::damaged)?;
    let key = derive(password, &wrapped.salt, wrapped.log_n, wrapped.r, wrapped.p)?;
    let Ok(secrets) = key.open(&mut wrapped.data).map(|json| Secrets::from_json(json)) else {
        return Ok(None);
    };
    secrets.map(|secrets| Some(Key::new(secrets))).ok_or_else(|| Error::damaged("no keys inside"))
}

/// What a key file holds, its numbers found bearable.
pub(crate) struct Wrapped {
    pub log_n: u8,
    pub r: u32,
    pub p: u32,
    pub salt: Vec<u8>,
    pub data: Zeroizing<Vec<u8>>,
}

impl Wrapped {
    /// Bytes that scrypt takes for it: `N` blocks to look things up in, and `p` to begin with.
    pub(crate) fn memory(&self) -> Option<u64> {
        let blocks = 1u64.checked_shl(self.log_n.into())?.checked_add(self.p.into())?;
        blocks.checked_mul(128)?.checked_mul(self.r.into())
    }
}

/// Reads a key file as far as that needs no password. Nobody has signed it: whoever can write into the storage could
/// have written this.
pub(crate) fn parse(bytes: &[u8]) -> Result<Wrapped, String> {
    let json: KeyJson = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if json.kdf != "scrypt" {
        return Err("made by something else than scrypt".into());
    }
    let (Ok(salt), Ok(data)) = (STANDARD.decode(&json.salt), STANDARD.decode(&json.data)) else {
        return Err("not base64".into());
    };
    let out_of_bounds = || "scrypt parameters out of bounds".to_owned();
    let log_n = json.n.checked_ilog2().filter(|_| json.n.is_power_of_two());
    let log_n = log_n.and_then(|log_n| u8::try_from(log_n).ok()).ok_or_else(out_of_bounds)?;
    let wrapped = Wrapped { log_n, r: json.r, p: json.p, salt, data: Zeroizing::new(data) };
    if json.p > 64 || wrapped.memory().is_none_or(|memory| memory > MOST_MEMORY) {
        return Err(out_of_bounds());
    }
    Ok(wrapped)
}

fn derive(password: &Password, salt: &[u8], log_n: u8, r: u32, p: u32) -> Result<Key, Error> {
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| Error::damaged("scrypt parameters out of bounds"))?;
    let mut bytes = Zeroizing::new([0; 64]);
    scrypt::scrypt(password.expose().as_bytes(), salt, &params, bytes.as_mut_slice())
        .map_err(|_| Error::damaged("scrypt parameters out of bounds"))?;
    Ok(Key::new(Secrets::from_bytes(&bytes)))
}
