//! `holdfast.yaml` as it is read: what an environment consists of, and how it is put back.
//!
//! These types only deserialise. A definition holds secrets, so it is stored and sealed as the
//! text that was applied, encrypted, and never written out from these values.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{name::Name, secret::Secret, state::Kind};

mod component;
pub use component::{Component, Settings, Source, Variable};

/// One environment, whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The project that it belongs to.
    pub project: Name,
    /// Its name within the project.
    pub environment: Name,
    /// What the application is known by.
    #[serde(default)]
    pub app: Option<App>,
    /// What is captured.
    pub components: Vec<Component>,
    /// How the application is stopped, started and looked at around a restore.
    #[serde(default)]
    pub restore: RestorePlan,
    /// What a drill checks beyond the ledger, and which gaps it accepts.
    #[serde(default)]
    pub drill: DrillPlan,
    /// Stored; not in force yet.
    #[serde(default)]
    pub checkpoints: Option<CheckpointPlan>,
    /// Stored; not in force yet.
    #[serde(default)]
    pub hooks: Option<BTreeMap<String, Vec<String>>>,
}

/// Where the application answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its host name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Its port.
    #[serde(default)]
    pub port: Option<u16>,
}

/// A command as an argument list; never a shell line.
pub type Command = Vec<String>;

/// What happens around a restore.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestorePlan {
    /// Stops the application.
    #[serde(default)]
    pub stop: Option<Command>,
    /// Starts it again.
    #[serde(default)]
    pub start: Option<Command>,
    /// What is run or called once it has started.
    #[serde(default)]
    pub after: Vec<After>,
    /// What must be true before the restore counts as complete.
    #[serde(default)]
    pub health: Vec<Health>,
}

/// Something to do after the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum After {
    /// A command.
    Cmd {
        /// Its argument list.
        cmd: Command,
    },
    /// An address that is called by GET and must answer with success.
    Http {
        /// The address.
        http: String,
    },
}

/// Something that must be true.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Health {
    /// An address that must answer with success.
    Http {
        /// The address.
        http: String,
    },
    /// A query that must give a row whose first column is not false, zero or null.
    Sql {
        /// The query.
        sql: String,
        /// The database component that it asks.
        component: Name,
    },
}

/// What a drill does beyond comparing ledgers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillPlan {
    /// Queries against the restored copy.
    #[serde(default)]
    pub smoke: Vec<Smoke>,
    /// Gaps that do not lower the verdict: a path glob, an extension's name, or a component's name.
    #[serde(default)]
    pub accept: Vec<String>,
}

/// A query that must give true in the restored copy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoke {
    /// The database component.
    pub component: Name,
    /// The query; one row, one column, true.
    pub sql: String,
}

/// The `checkpoints:` block.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointPlan {
    /// Taken by a schedule.
    #[serde(default)]
    pub auto: Option<AutoPlan>,
    /// Taken before a deploy.
    #[serde(default)]
    pub before_deploy: Option<bool>,
    /// Taken before something is deleted.
    #[serde(default)]
    pub before_delete: Option<bool>,
    /// What is kept.
    #[serde(default)]
    pub retention: Option<RetentionPlan>,
}

/// A schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoPlan {
    /// Whether it is on.
    #[serde(default)]
    pub enabled: bool,
    /// A cron expression.
    #[serde(default)]
    pub schedule: Option<String>,
    /// How many are kept.
    #[serde(default)]
    pub retention: Option<u32>,
}

/// What is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionPlan {
    /// For example `30d`.
    #[serde(default)]
    pub max_age: Option<String>,
    /// At least so many.
    #[serde(default)]
    pub min_count: Option<u32>,
    /// For example `50GB`.
    #[serde(default)]
    pub max_storage: Option<String>,
    /// Tags that keep a checkpoint for ever.
    #[serde(default)]
    pub preserve_tags: Vec<String>,
}

/// A mistake in a definition that is only seen when it is read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct Mistake {
    /// Where, for example `components[2].path`.
    pub at: String,
    /// What is wrong, and the mend.
    pub message: String,
}

impl Definition {
    /// Everything that is wrong with it on its own: names used twice, relative paths, kinds that
    /// cannot be captured yet, references to components that do not exist.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut say = |at: String, message: String| found.push(Mistake { at, message });
        if self.components.is_empty() {
            say("components".into(), "is empty; name at least one component to capture".into());
        }
        for (index, component) in self.components.iter().enumerate() {
            if self.components[..index].iter().any(|earlier| earlier.name == component.name) {
                say(
                    format!("components[{index}].name"),
                    format!("`{}` is used twice; names are unique within an environment", component.name),
                );
            }
            if !component.kind().is_captured() {
                say(
                    format!("components[{index}].kind"),
                    format!("`{}` cannot be captured by this version", component.kind()),
                );
            }
            for path in component.paths() {
                if !path.is_absolute() {
                    say(
                        format!("components[{index}]"),
                        format!(
                            "the path `{}` is relative; the server needs absolute paths (the command line makes them so)",
                            path.display()
                        ),
                    );
                }
            }
        }
        let is_database = |name: &Name| {
            self.components.iter().any(|c| &c.name == name && matches!(c.kind(), Kind::Postgres | Kind::Sqlite))
        };
        for (index, smoke) in self.drill.smoke.iter().enumerate() {
            if !is_database(&smoke.component) {
                say(
                    format!("drill.smoke[{index}].component"),
                    format!("`{}` is not a database component of this environment", smoke.component),
                );
            }
        }
        for (index, health) in self.restore.health.iter().enumerate() {
            if let Health::Sql { component, .. } = health
                && !is_database(component)
            {
                say(
                    format!("restore.health[{index}].component"),
                    format!("`{component}` is not a database component of this environment"),
                );
            }
        }
        for (at, command) in [("restore.stop", &self.restore.stop), ("restore.start", &self.restore.start)] {
            if command.as_ref().is_some_and(Vec::is_empty) {
                say(at.into(), "is an empty list; give the command and its arguments, or leave it out".into());
            }
        }
        found
    }

    /// The blocks that are stored but not acted upon by this version, as people wrote them.
    #[must_use]
    pub fn not_in_force(&self) -> Vec<&'static str> {
        let mut blocks = Vec::new();
        if let Some(plan) = &self.checkpoints {
            for (present, block) in [
                (plan.auto.is_some(), "checkpoints.auto"),
                (plan.before_deploy.is_some(), "checkpoints.before_deploy"),
                (plan.before_delete.is_some(), "checkpoints.before_delete"),
                (plan.retention.is_some(), "checkpoints.retention"),
            ] {
                if present {
                    blocks.push(block);
                }
            }
        }
        if self.hooks.is_some() {
            blocks.push("hooks");
        }
        blocks
    }

    /// Every command that the definition would run on a host.
    #[must_use]
    pub fn commands(&self) -> Vec<&Command> {
        let after = self.restore.after.iter().filter_map(|after| match after {
            After::Cmd { cmd } => Some(cmd),
            After::Http { .. } => None,
        });
        self.restore.stop.iter().chain(self.restore.start.iter()).chain(after).collect()
    }

    /// Every path on a host that the definition reads or writes.
    #[must_use]
    pub fn paths(&self) -> Vec<&PathBuf> {
        self.components.iter().flat_map(Component::paths).collect()
    }

    /// The component of that name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|c| c.name.as_str() == name)
    }
}

impl Source<Secret> {
    /// Where the value comes from, for people: never the value.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Given(_) => "the definition".into(),
            Self::Env(name) => format!("the variable {name} of the capturing host"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}
