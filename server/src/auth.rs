//! Who is asking. Three kinds of callers, each with its own way in, and none of them usable in another's place:
//! the host's own credential and other programs' credentials come as bearer tokens to `/v1`, people come with a
//! session cookie to everything else.

use holdfast_model::secret::Secret;
use sha2::{Digest, Sha256};

mod client_file;
mod link;
mod session;

pub use client_file::{AccessError, ClientFile, host_credential};
pub use link::{SignInLink, new_link, take_link};
pub use session::{CatalogueSessions, Person, layer, sign_in, signed_in};

/// Whom an action is done for, and who stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For people.
    pub name: String,
    /// What follows from the way in.
    pub kind: CallerKind,
}

/// The way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// The credential in `client.json`: whoever can read it owns the data directory.
    Host,
    /// Another bearer credential.
    Program,
    /// A signed-in person.
    Person,
}

impl Caller {
    /// Whether it may name any path and command on this host.
    #[must_use]
    pub fn owns_host(&self) -> bool {
        self.kind == CallerKind::Host
    }
}

/// A new secret token: its prefix and 256 random bits in hexadecimal.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn new_token(prefix: &str) -> Result<Secret, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(format!("{prefix}_{}", hex::encode(bytes))))
}

/// What the catalogue keeps of a token. A token has 256 random bits, so its plain SHA-256 cannot be reversed, and the
/// time that looking it up takes says nothing about the token.
#[must_use]
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// The user that this server runs as, at this machine: `holdfast@db1`.
#[must_use]
pub fn owner() -> String {
    let user = uzers::get_effective_username()
        .map_or_else(|| rustix::process::geteuid().as_raw().to_string(), |name| name.to_string_lossy().into_owned());
    let node = rustix::system::uname();
    format!("{user}@{}", node.nodename().to_string_lossy())
}
