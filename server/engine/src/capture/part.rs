//! One component on its way: prepared, held, streamed. The only place of capture that knows all kinds.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use holdfast_model::{
    definition::{Component, Settings, Variable},
    event::Level,
    ledger::Ledger,
    manifest::{Facts, ManifestComponent, Skipped},
    name::Name,
    state::Kind,
};
use holdfast_vault::{Meter, Node, TreeId, Vault, Writer};
use time::OffsetDateTime;

use super::{CaptureWork, CapturedComponent};
use crate::{
    config,
    context::Context,
    failure::{Failure, blocking},
    files, git, place, postgres, source, sqlite,
    tools::Tools,
};

/// A prepared component.
pub(super) struct Part {
    common: Common,
    state: Prepared,
}

/// A held component.
pub(super) struct Moment {
    common: Common,
    state: Held,
}

struct Common {
    component: Component,
    vault: Vault,
    scratch: PathBuf,
    /// The tree of this component's place in the checkpoint before.
    parent: Option<TreeId>,
}

enum Prepared {
    Files(files::Prepared),
    Git(git::Prepared),
    Config(Option<PathBuf>, Vec<Variable>),
    Postgres(Box<postgres::Prepared>),
    Sqlite(sqlite::Prepared),
}

enum Held {
    Files(files::Prepared),
    Git(Box<git::Held>),
    Config(config::Held),
    Postgres(Box<postgres::Held>),
    Sqlite(sqlite::Held),
}

/// What every kind gives in the end.
struct Parts {
    node: Node,
    instant: OffsetDateTime,
    size: u64,
    stored: u64,
    items: u64,
    ledger: Option<Ledger>,
    facts: Facts,
    skipped: Vec<Skipped>,
    not_covered: Vec<String>,
}

impl Part {
    pub(super) async fn prepare(
        name: &Name,
        work: &CaptureWork,
        tools: &Tools,
        ctx: &Context,
    ) -> Result<Self, Failure> {
        let component = work
            .definition
            .component(name.as_str())
            .ok_or_else(|| Failure::Said("there is no such component in the definition".to_owned()))?
            .clone();
        let scratch = work.scratch.join(name.as_str());
        place::private_dir(&scratch).map_err(|error| Failure::io(&scratch, &error))?;
        let parent = parent(work, &component, ctx).await?;
        let state = match component.settings.clone() {
            Settings::Files { path, exclude } => {
                let patterns: Vec<String> = exclude.into_iter().chain(work.exclude.iter().cloned()).collect();
                let left_out = files::neighbours(&work.definition, &component, &path);
                let forbidden = work.forbidden.clone();
                let read = move || files::prepare(&path, &patterns, left_out, &forbidden, parent);
                Prepared::Files(blocking(read).await?)
            }
            Settings::Git { path } => {
                tools.git_version().map_err(|why| Failure::Said(why.to_owned()))?;
                let left_out = files::neighbours(&work.definition, &component, &path);
                let (program, desk) = (tools.git().to_path_buf(), scratch.join("desk"));
                let forbidden = work.forbidden.clone();
                Prepared::Git(blocking(move || git::prepare(&path, &program, &desk, left_out, &forbidden)).await?)
            }
            Settings::Config { file, variables } => Prepared::Config(file, variables),
            Settings::Postgres { url } => {
                let url = source::read(&url).map_err(Failure::Said)?;
                let prepared = postgres::prepare(&component, &url, tools, ctx).await;
                Prepared::Postgres(Box::new(prepared.map_err(|error| from_postgres(&error, ctx))?))
            }
            Settings::Sqlite { path } => {
                let folder = scratch.clone();
                Prepared::Sqlite(blocking(move || sqlite::prepare(&path, &folder)).await?)
            }
            Settings::Unsupported(kind) => {
                return Err(Failure::Said(format!("`{kind}` cannot be captured by this version; leave it out")));
            }
        };
        Ok(Self { common: Common { component, vault: work.vault.clone(), scratch, parent }, state })
    }

    pub(super) const fn name(&self) -> &Name {
        &self.common.component.name
    }

    /// In which order components are held: what takes longest comes first.
    pub(super) const fn haste(&self) -> u8 {
        match self.state {
            Prepared::Postgres(_) => 0,
            Prepared::Sqlite(_) => 1,
            Prepared::Git(_) => 2,
            Prepared::Config(..) => 3,
            Prepared::Files(_) => 4,
        }
    }

    pub(super) async fn hold(self, ctx: &Context) -> Result<Moment, Failure> {
        let state = match self.state {
            Prepared::Files(prepared) => Held::Files(prepared),
            Prepared::Git(prepared) => {
                let cancel = ctx.cancel.clone();
                Held::Git(Box::new(blocking(move || prepared.hold(&cancel)).await?))
            }
            Prepared::Config(file, variables) => {
                Held::Config(blocking(move || config::hold(file.as_deref(), &variables)).await?)
            }
            Prepared::Postgres(prepared) => {
                let held = prepared.hold(ctx).await.map_err(|error| from_postgres(&error, ctx))?;
                Held::Postgres(Box::new(held))
            }
            Prepared::Sqlite(prepared) => Held::Sqlite(blocking(move || prepared.hold()).await?),
        };
        Ok(Moment { common: self.common, state })
    }
}

impl Moment {
    pub(super) const fn name(&self) -> &Name {
        &self.common.component.name
    }

    /// For people.
    pub(super) const fn title(&self) -> &'static str {
        match self.common.component.kind() {
            Kind::Files => "File system captured",
            Kind::Git => "Source captured",
            Kind::Config => "Configuration captured",
            _ => "Database state captured",
        }
    }

    pub(super) async fn stream(
        self,
        writer: Arc<Writer>,
        meter: Meter,
        tables: Arc<AtomicU64>,
        ctx: &Context,
    ) -> Result<CapturedComponent, Failure> {
        let (common, cancel) = (self.common, ctx.cancel.clone());
        let name = common.component.name.to_string();
        let parts = match self.state {
            Held::Postgres(held) => from_dump(*held, &name, writer, meter, tables, ctx).await?,
            other => {
                let (vault, parent, scratch) = (common.vault.clone(), common.parent, common.scratch.clone());
                blocking(move || match other {
                    Held::Files(held) => from_files(held.stream(&writer, &cancel, &meter)?, &name),
                    Held::Git(held) => {
                        let instant = held.instant();
                        let below = |entry: &str| vault.find(&parent?, Path::new(entry)).ok()?.subtree;
                        let done = held.stream(&writer, &cancel, &meter, &below)?;
                        from_git(done, instant, &name, &writer)
                    }
                    Held::Config(held) => {
                        let instant = held.instant();
                        from_config(held.stream(&name, &writer, &meter)?, instant, &name)
                    }
                    Held::Sqlite(held) => {
                        let instant = held.instant();
                        let count = || {
                            tables.fetch_add(1, Ordering::Relaxed);
                        };
                        let done = held.stream(&writer, &scratch, &cancel, &meter, &count)?;
                        from_sqlite(done, instant, &name, &writer)
                    }
                    Held::Postgres(_) => Err(Failure::Said("a database cannot be streamed on this thread".to_owned())),
                })
                .await?
            }
        };
        let manifest = ManifestComponent {
            name: common.component.name.clone(),
            kind: common.component.kind(),
            host: common.component.host.clone(),
            place: common.component.place(),
            instant: parts.instant,
            size: parts.size,
            stored: parts.stored,
            items: parts.items,
            ledger: parts.ledger,
            facts: parts.facts,
            skipped: parts.skipped,
            not_covered: parts.not_covered,
        };
        Ok(CapturedComponent { manifest, node: parts.node })
    }
}

async fn from_dump(
    held: postgres::Held,
    name: &str,
    writer: Arc<Writer>,
    meter: Meter,
    tables: Arc<AtomicU64>,
    ctx: &Context,
) -> Result<Parts, Failure> {
    let instant = held.instant();
    let streamed = held.stream(writer.clone(), meter, tables, ctx).await;
    let done = streamed.map_err(|error| from_postgres(&error, ctx))?;
    let nodes = done.nodes;
    let tree = blocking(move || Ok(writer.put_tree(nodes)?)).await?;
    Ok(Parts {
        node: Node::dir(name, tree, instant),
        instant,
        size: done.size,
        stored: done.stored,
        items: done.items,
        ledger: Some(done.ledger),
        facts: done.facts,
        skipped: done.skipped,
        not_covered: done.not_covered,
    })
}

fn from_files(done: files::FilesCapture, name: &str) -> Result<Parts, Failure> {
    Ok(Parts {
        node: done.node.with_name(name),
        instant: done.instant,
        size: done.size,
        stored: done.stored,
        items: done.items,
        ledger: None,
        facts: done.facts,
        skipped: listed(name, done.skipped),
        not_covered: done.not_covered,
    })
}

fn from_git(done: git::GitCapture, instant: OffsetDateTime, name: &str, writer: &Writer) -> Result<Parts, Failure> {
    Ok(Parts {
        node: Node::dir(name, writer.put_tree(done.nodes)?, instant),
        instant,
        size: done.size,
        stored: done.stored,
        items: done.items,
        ledger: None,
        facts: done.facts,
        skipped: listed(name, done.skipped),
        not_covered: done.not_covered,
    })
}

fn from_config(done: config::ConfigCapture, instant: OffsetDateTime, name: &str) -> Result<Parts, Failure> {
    Ok(Parts {
        node: done.node,
        instant,
        size: done.size,
        stored: done.stored,
        items: done.items,
        ledger: None,
        facts: done.facts,
        skipped: listed(name, done.skipped),
        not_covered: Vec::new(),
    })
}

fn from_sqlite(
    done: sqlite::SqliteCapture,
    instant: OffsetDateTime,
    name: &str,
    writer: &Writer,
) -> Result<Parts, Failure> {
    Ok(Parts {
        node: Node::dir(name, writer.put_tree(done.nodes)?, instant),
        instant,
        size: done.size,
        stored: done.stored,
        items: done.items,
        ledger: Some(done.ledger),
        facts: done.facts,
        skipped: Vec::new(),
        not_covered: done.not_covered,
    })
}

fn listed(component: &str, skipped: Vec<(String, String, String)>) -> Vec<Skipped> {
    let entry = |(name, reason, message)| Skipped { component: component.to_owned(), name, reason, message };
    skipped.into_iter().map(entry).collect()
}

fn from_postgres(error: &postgres::PgError, ctx: &Context) -> Failure {
    if ctx.cancel.is_cancelled() { Failure::Cancelled } else { Failure::Said(error.to_string()) }
}

/// The component's tree in the checkpoint before; a checkpoint that lacks it has none, and all is read anew.
async fn parent(work: &CaptureWork, component: &Component, ctx: &Context) -> Result<Option<TreeId>, Failure> {
    let Some(parent) = work.parent.clone() else { return Ok(None) };
    let same = |earlier: &ManifestComponent| earlier.name == component.name && earlier.kind == component.kind();
    if !parent.manifest.components.iter().any(same) || !matches!(component.kind(), Kind::Files | Kind::Git) {
        return Ok(None);
    }
    let (vault, place) = (work.vault.clone(), component.place());
    let found = blocking(move || match vault.find(&parent.root, Path::new(&place)) {
        Err(damaged @ holdfast_vault::Error::Damaged { .. }) => Ok(Err(damaged)),
        Ok(node) => Ok(Ok(node.subtree)),
        Err(holdfast_vault::Error::NoSuchPath { .. }) => Ok(Ok(None)),
        Err(error) => Err(error.into()),
    });
    // It only saves work: a checkpoint that has gone from the vault, or is damaged there, must not be the end of all.
    Ok(found.await?.unwrap_or_else(|error| {
        let what = format!("the checkpoint before this one cannot be read, so all is read anew: {error}");
        ctx.log(Level::Warning, Some(component.name.as_str()), what);
        None
    }))
}

/// The tools that took part in a component's capture.
pub(super) fn tools_of(component: &ManifestComponent, tools: &Tools) -> Option<(String, String)> {
    match &component.facts {
        Facts::Git { .. } => tools.git_version().ok().map(|version| ("git".to_owned(), version.to_owned())),
        Facts::Postgres { dump, .. } => Some(("pg_dump".to_owned(), dump.clone())),
        Facts::Sqlite { version, .. } => Some(("sqlite".to_owned(), version.clone())),
        Facts::Files { .. } | Facts::Config { .. } | Facts::None => None,
    }
}
