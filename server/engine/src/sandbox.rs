//! How a throwaway server is kept apart from everything else: the best that this host offers, found by trying.

mod best;

use std::{ffi::OsString, fmt};

/// The ways to keep a child apart, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxLevel {
    /// A user of its own and no network: what root can do.
    UserAndNetwork(DrillUser),
    /// A user of its own; the host does not let us take the network away.
    UserOnly(DrillUser),
    /// Our own user in a user and network namespace.
    Namespaces,
    /// Our own user, kept to a Unix socket: the weakest.
    OwnUser,
    /// No server can be started at all.
    None {
        /// Why, and the mend.
        why: String,
    },
}

/// The user that a throwaway server runs as when we are root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillUser {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
}

impl SandboxLevel {
    /// Whether archives of unknown origin may be restored in it.
    #[must_use]
    pub const fn takes_foreign(&self) -> bool {
        !matches!(self, Self::OwnUser | Self::None { .. })
    }

    /// The user that children run as, where it is not our own.
    #[must_use]
    pub const fn user(&self) -> Option<&DrillUser> {
        match self {
            Self::UserAndNetwork(user) | Self::UserOnly(user) => Some(user),
            Self::Namespaces | Self::OwnUser | Self::None { .. } => None,
        }
    }

    /// What stands before `setpriv` in a child's command.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let words: &[&str] = match self {
            Self::UserAndNetwork(_) => &["unshare", "--net", "--"],
            Self::Namespaces => &["unshare", "--user", "--map-current-user", "--net", "--"],
            Self::UserOnly(_) | Self::OwnUser | Self::None { .. } => &[],
        };
        words.iter().map(Into::into).collect()
    }

    /// What `setpriv` is told.
    pub(crate) fn privileges(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--no-new-privs".into()];
        if let Some(user) = self.user() {
            words.extend([
                "--reuid".into(),
                user.uid.to_string().into(),
                "--regid".into(),
                user.gid.to_string().into(),
            ]);
            words.extend(["--clear-groups".into(), "--inh-caps=-all".into()]);
        }
        words
    }
}

impl fmt::Display for SandboxLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserAndNetwork(user) => write!(f, "user {}, no network", user.name),
            Self::UserOnly(user) => write!(f, "user {}, Unix socket only", user.name),
            Self::Namespaces => f.write_str("user and network namespaces"),
            Self::OwnUser => f.write_str("own user, Unix socket only"),
            Self::None { why } => write!(f, "none: {why}"),
        }
    }
}
