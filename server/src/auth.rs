//! Who is asking. Three kinds of callers, each with its own way in, and none of them usable in another's place:
//! the host's own credential and other programs' credentials come as bearer tokens to `/v1`, people come with a
//! session cookie to everything else.

use holdfast_model::{
    access::{Access, Role},
    secret::Secret,
};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

pub mod admin;
pub mod break_glass;
pub mod browser;
mod client_file;
mod identity;
pub mod key;
mod link;
mod session;

pub use browser::Browser;
pub use client_file::{AccessError, ClientFile, host_credential};
pub use identity::{
    Again, Answer, BearerError, GLASS, GlassTried, Grant, Identity, LogoutError, Pending, Provider, SessionError,
    SignInError, refusal,
};
pub use link::{SignInLink, new_link, take_link};
pub use session::{CatalogueSessions, layer};

/// How far the clock of whoever says when somebody signed in may be behind ours.
const SKEW: Duration = Duration::seconds(10);

/// Whom an action is done for, and who stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For people.
    pub name: String,
    /// The same for the same one, whatever it is called: what a repeated request is recognised by.
    pub subject: String,
    /// What follows from the way in.
    pub kind: CallerKind,
    /// What it may do, and where.
    pub access: Access,
    /// Whether it has proven a short time ago who it is, has confirmed this one request on its page, or cannot be asked
    /// to.
    pub fresh: bool,
    /// When a person's provider, or the break-glass password, last showed who they are; none where nobody is asked.
    pub proven_at: Option<OffsetDateTime>,
    /// The session that a person came by: the hash of its id, which opens nothing.
    pub session: Option<String>,
}

/// The way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// The credential in `client.json`: whoever can read it owns the data directory.
    Host,
    /// A key, or the service account of a program.
    Program,
    /// A signed-in person.
    Person,
}

impl Caller {
    /// Whoever owns the data directory.
    #[must_use]
    pub fn host(name: String) -> Self {
        Self {
            name,
            subject: "host".into(),
            kind: CallerKind::Host,
            access: Access::everywhere(Role::Admin),
            fresh: true,
            proven_at: None,
            session: None,
        }
    }

    /// A program: it has no more than what programs may ever have.
    #[must_use]
    pub fn program(name: String, subject: String, access: Access) -> Self {
        Self {
            name,
            subject,
            kind: CallerKind::Program,
            access: access.of_program(),
            fresh: false,
            proven_at: None,
            session: None,
        }
    }

    /// A person.
    #[must_use]
    pub fn person(name: String, subject: String, access: Access, fresh: bool) -> Self {
        Self { name, subject, kind: CallerKind::Person, access, fresh, proven_at: None, session: None }
    }

    /// The same, who proved it then.
    #[must_use]
    pub fn proven(self, at: OffsetDateTime) -> Self {
        Self { proven_at: Some(at), ..self }
    }

    /// Whether they have signed in anew since this, and not long ago. Clocks may differ by some seconds.
    #[must_use]
    pub fn has_signed_in_since(&self, at: OffsetDateTime) -> bool {
        self.fresh && self.proven_at.is_some_and(|proven| at - proven <= SKEW)
    }

    /// The same, by this session.
    #[must_use]
    pub fn by_session(self, id: String) -> Self {
        Self { session: Some(id), ..self }
    }

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
    format!("{user}@{}", machine())
}

/// This machine's name.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
