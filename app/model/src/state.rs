//! Closed lists of words. The four states of a checkpoint are four types, so that they cannot be mixed.

use serde::{Deserialize, Serialize};

/// A word that is not in the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}; known are: {known}")]
pub struct UnknownWord {
    /// What was given.
    pub text: String,
    /// What was looked for.
    pub what: &'static str,
    /// The words that exist.
    pub known: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word of the list, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it is stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        #[cfg(feature = "schema")]
        $crate::schema::words!($name, $what);

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::state::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text).ok_or_else(|| $crate::state::UnknownWord {
                    text: text.to_owned(),
                    what: $what,
                    known: Self::ALL.iter().map(|w| w.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

pub(crate) use words;

words!(/// How far a run is.
    RunState, "run state" {
    /// Waiting for a worker.
    Queued = "queued",
    /// A worker holds its lease.
    Running = "running",
    /// Ended, all well.
    Succeeded = "succeeded",
    /// Ended well, with something to read; never decides an exit code.
    Warning = "warning",
    /// Ended without its result.
    Failed = "failed",
    /// Ended because somebody said so.
    Cancelled = "cancelled",
});

impl RunState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

words!(/// What a run does.
    RunKind, "kind of run" {
    /// Capture and seal, then drill unless switched off.
    Create = "create",
    /// Restore into scratch space and compare.
    Drill = "drill",
    /// Put back.
    Restore = "restore",
    /// Read the sealed copy and check its integrity.
    Verify = "verify",
    /// Take out of a vault what no checkpoint needs any more.
    Prune = "prune",
    /// Hold a vault's packs against its index and follow its snapshots, with all or a share of the data.
    Check = "check",
    /// Make a vault's index anew from its packs.
    Repair = "repair",
    /// Bring a vault's checkpoints into another one.
    Copy = "copy",
    /// Take a checkpoint in that was exported elsewhere, then drill it.
    Import = "import",
});

impl RunKind {
    /// Whether the checkpoint that a run names exists only once the run has sealed it.
    #[must_use]
    pub const fn makes_checkpoint(self) -> bool {
        matches!(self, Self::Create | Self::Import)
    }
}

words!(/// What a vault is to its project.
    VaultRole, "role of a vault" {
    /// Checkpoints are written here.
    Primary = "primary",
    /// Checkpoints are copied here.
    Mirror = "mirror",
    /// Checkpoints were written here until another vault took its place; nothing is written here any more.
    Former = "former",
});

words!(/// How firmly a bucket keeps what is locked in it.
    LockMode, "mode of an object lock" {
    /// Nobody can remove it or shorten its time, not even the bucket's owner.
    Compliance = "compliance",
    /// Only who has a permission of its own for that can.
    Governance = "governance",
});

words!(/// Whether the bytes in the vault are as they were written.
    Integrity, "integrity" {
    /// Not read back yet.
    Unchecked = "unchecked",
    /// Read back and found whole; always with its age.
    Intact = "intact",
    /// Something is missing or changed.
    Damaged = "damaged",
});

words!(/// The verdict of the newest drill. Ordered from worst to best, `Stale` aside.
    Proof, "proof" {
    /// Something compared and was not equal, or could not be restored.
    Failed = "failed",
    /// No drill has spoken.
    Unproven = "unproven",
    /// All that was compared was equal, but a named thing could not be compared.
    Partial = "partial",
    /// Restored for real, every row counted and hashed on both sides.
    Proven = "proven",
    /// Was proven, longer ago than its policy allows.
    Stale = "stale",
});

impl Proof {
    /// The worse of two verdicts: failed > unproven > partial > proven.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.min(other)
    }

    /// Whether a gate opens: only for `proven`.
    #[must_use]
    pub const fn opens_gate(self) -> bool {
        matches!(self, Self::Proven)
    }
}

words!(/// What stands between a checkpoint and its deletion.
    Protection, "protection" {
    /// Nothing.
    None = "none",
    /// A tag that a policy preserves.
    Tagged = "tagged",
    /// Locked until a time or for ever.
    Locked = "locked",
});

words!(/// What caused a checkpoint.
    Trigger, "trigger" {
    /// The command line.
    Manual = "manual",
    /// *Back up now* in the dashboard.
    Button = "button",
    /// A program.
    Api = "api",
    /// A pipeline's gate.
    Ci = "ci",
    /// A policy's schedule.
    Schedule = "schedule",
    /// A hook before a deploy.
    BeforeDeploy = "before_deploy",
    /// A hook after a deploy.
    AfterDeploy = "after_deploy",
    /// A hook before a deletion.
    BeforeDelete = "before_delete",
    /// The safety checkpoint of a restore.
    PreRestore = "pre_restore",
    /// Brought in from outside.
    Import = "import",
});

words!(/// What a component is captured with.
    Kind, "kind of component" {
    /// A directory or file.
    Files = "files",
    /// A git repository: every ref, and uncommitted work.
    Git = "git",
    /// Environment variables.
    Config = "config",
    /// A PostgreSQL database.
    Postgres = "postgres",
    /// A MySQL or MariaDB database.
    Mysql = "mysql",
    /// A SQLite file.
    Sqlite = "sqlite",
    /// A Redis server.
    Redis = "redis",
    /// A running process.
    Process = "process",
    /// A container.
    Container = "container",
    /// Sockets and routes.
    Network = "network",
});

impl Kind {
    /// The type that follows from the kind.
    #[must_use]
    pub const fn component_type(self) -> ComponentType {
        match self {
            Self::Files => ComponentType::Filesystem,
            Self::Git => ComponentType::Source,
            Self::Config => ComponentType::Config,
            Self::Postgres | Self::Mysql | Self::Sqlite => ComponentType::Database,
            Self::Redis => ComponentType::Cache,
            Self::Process | Self::Container => ComponentType::Container,
            Self::Network => ComponentType::Network,
        }
    }

    /// Whether this version can capture it.
    #[must_use]
    pub const fn is_captured(self) -> bool {
        matches!(self, Self::Files | Self::Git | Self::Config | Self::Postgres | Self::Sqlite)
    }

    /// The top folder of a checkpoint's tree in which a component of this kind lies.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Git => "git",
            Self::Config => "config",
            Self::Postgres | Self::Mysql | Self::Sqlite | Self::Redis => "databases",
            Self::Process | Self::Container => "memory",
            Self::Network => "network",
        }
    }
}

words!(/// What a component is, to a person.
    ComponentType, "type of component" {
    /// Files of the application.
    Filesystem = "filesystem",
    /// Its source.
    Source = "source",
    /// Its configuration.
    Config = "config",
    /// A database.
    Database = "database",
    /// A cache.
    Cache = "cache",
    /// Running processes.
    Container = "container",
    /// Sockets and routes.
    Network = "network",
});

/// Whether a selector (`--components`, `--without`) means this component: its name, kind or type,
/// or one of the plural words that people use for types.
#[must_use]
pub fn selects(selector: &str, name: &str, kind: Kind) -> bool {
    let word = match selector {
        "containers" => "container",
        "databases" => "database",
        "caches" => "cache",
        other => other,
    };
    name == selector || kind.as_str() == word || kind.component_type().as_str() == word
}

words!(/// The checksum that goes with every upload into a bucket; stores differ in what they take.
    Checksum, "checksum" {
    /// For stores that refuse a request with one.
    None = "none",
    /// `Content-MD5`.
    Md5 = "md5",
    /// CRC-32.
    Crc32 = "crc32",
    /// CRC-32C.
    Crc32c = "crc32c",
    /// SHA-256, which we have in any case.
    Sha256 = "sha256",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_wins() {
        assert_eq!(Proof::Proven.worst(Proof::Partial), Proof::Partial);
        assert_eq!(Proof::Partial.worst(Proof::Unproven), Proof::Unproven);
        assert_eq!(Proof::Unproven.worst(Proof::Failed), Proof::Failed);
        assert!(Proof::ALL.iter().filter(|p| p.opens_gate()).eq([&Proof::Proven]));
    }

    #[test]
    fn selectors_take_name_kind_and_type() {
        assert!(selects("search", "search", Kind::Sqlite));
        assert!(selects("sqlite", "search", Kind::Sqlite));
        assert!(selects("database", "search", Kind::Sqlite));
        assert!(selects("containers", "web", Kind::Process));
        assert!(!selects("cache", "search", Kind::Sqlite));
    }
}
