//! How well a throwaway server can be kept apart on this host.

/// The best sandbox that this host allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxLevel {
    /// Its own uid and a Unix socket only.
    SocketOnly,
}

impl SandboxLevel {
    /// Finds out the best level here.
    pub async fn best(_drill_user: Option<&str>) -> Self {
        Self::SocketOnly
    }
}
