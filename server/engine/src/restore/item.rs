//! One component of a restore: checked, planned, then put back.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_model::{
    definition::{Component, Settings},
    manifest::ManifestComponent,
    name::Name,
    state::Kind,
};
use holdfast_vault::{Node, TreeId};

use super::{
    RestoreWork,
    choice::Choice,
    destination::Destination,
    difference::{self, Difference, Rules},
};
use crate::{
    config,
    context::Context,
    failure::{Failure, blocking},
    files::{LeftOut, neighbours},
    git, place, postgres, source, sqlite,
    tools::Tools,
};

mod files;
mod plan;
mod put_back;
mod tables;
use files::Keep;
pub(super) use plan::without_run;
use tables::Tables;
pub use tables::sweep_tables;

/// A checked component.
pub(super) struct Item {
    sealed: ManifestComponent,
    node: Node,
    target: Target,
}

enum Target {
    Files { path: PathBuf, keep: Keep, only: Option<Arc<Choice>>, difference: Difference },
    Git { path: PathBuf, left_out: Vec<LeftOut>, refs: Box<git::RefChanges> },
    Config { file: Option<PathBuf>, changes: config::Changes },
    Sqlite { path: PathBuf },
    Postgres(Box<postgres::PgRestore>),
    Tables(Box<Tables>),
}

impl Target {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Files { path, .. } | Self::Git { path, .. } | Self::Sqlite { path } => Some(path),
            Self::Config { file, .. } => file.as_deref(),
            Self::Postgres(_) | Self::Tables(_) => None,
        }
    }
}

impl Item {
    pub(super) async fn check(
        work: &RestoreWork,
        sealed: &ManifestComponent,
        now: &Component,
        tools: &Tools,
        ctx: &Context,
    ) -> Result<Self, Failure> {
        let (vault, root, at) = (work.vault.clone(), work.root, sealed.place.clone());
        let node = blocking(move || Ok(vault.find(&root, Path::new(&at))?)).await?;
        let target = match &now.settings {
            Settings::Files { path, exclude } => {
                let (tree, keep) = (tree(&node)?, files::keep(work, sealed, now, path, exclude)?);
                writable(path)?;
                check_files(work, sealed, path, tree, keep, ctx).await?
            }
            Settings::Git { path } => {
                tree(&node)?;
                tools.git_version().map_err(|why| Failure::Said(why.to_owned()))?;
                writable(path)?;
                git::check_target(path)?;
                let data = work.forbidden.iter();
                if data.clone().any(|place| place::real(path).starts_with(place::real(place))) {
                    return Err(Failure::Said(format!("{} lies in Holdfast's own data directory", path.display())));
                }
                let data = data.map(|path| LeftOut { path: path.clone(), why: String::new() });
                let left_out = neighbours(&work.definition, now, path).into_iter().chain(data).collect();
                let (at, facts, program, cancel) =
                    (path.clone(), sealed.facts.clone(), tools.git().to_path_buf(), ctx.cancel.clone());
                let refs = blocking(move || git::ref_changes(&at, &facts, &program, &cancel)).await?;
                Target::Git { path: path.clone(), left_out, refs: Box::new(refs) }
            }
            Settings::Config { file, .. } => {
                if let Some(file) = file {
                    refuse_own(work, file)?;
                    writable(file)?;
                }
                let (vault, sealed, at) = (work.vault.clone(), node.clone(), file.clone());
                let changes =
                    blocking(move || Ok(config::changes(&config::read(&vault, &sealed)?, at.as_deref()))).await?;
                Target::Config { file: file.clone(), changes }
            }
            Settings::Sqlite { path } => {
                tree(&node)?;
                refuse_own(work, path)?;
                writable(path)?;
                // Nobody but a stopped application has it closed; where none is stopped by us, it must be closed now.
                if work.definition.restore.stop.is_none() {
                    let path = path.clone();
                    blocking(move || sqlite::refuse_open(&path)).await?;
                }
                Target::Sqlite { path: path.clone() }
            }
            Settings::Postgres { url } => {
                let url = source::read(url).map_err(Failure::Said)?;
                let dir = tree(&node)?;
                let said = |error: postgres::PgError| Failure::Said(error.to_string());
                if !work.tables.is_empty() {
                    let tables = Tables::check(work, dir, sealed, &url, tools, ctx).await?;
                    return Ok(Self { sealed: sealed.clone(), node, target: Target::Tables(Box::new(tables)) });
                }
                if matches!(work.destination, Destination::Database { replace: false, .. }) {
                    postgres::refuse_filled(&url).await.map_err(said)?;
                }
                let restore = postgres::validate_restore(&work.vault, &dir, sealed, &url, &work.run, tools).await;
                Target::Postgres(Box::new(restore.map_err(said)?))
            }
            Settings::Unsupported(kind) => {
                return Err(Failure::Said(format!("kind `{kind}` cannot be put back by this version")));
            }
        };
        Ok(Self { sealed: sealed.clone(), node, target })
    }

    pub(super) const fn name(&self) -> &Name {
        &self.sealed.name
    }

    pub(super) const fn kind(&self) -> Kind {
        self.sealed.kind
    }

    /// Where it writes how many bytes on this host.
    pub(super) fn writes(&self) -> Option<(PathBuf, u64)> {
        match &self.target {
            Target::Files { path, difference, .. } => Some((path.clone(), difference.bytes)),
            Target::Sqlite { path } => Some((path.clone(), self.sealed.size)),
            Target::Git { path, .. } if !path.exists() => Some((path.clone(), self.sealed.size)),
            Target::Git { .. } | Target::Config { .. } | Target::Postgres(_) | Target::Tables(_) => None,
        }
    }

    /// What it needs of the scratch folder meanwhile, in bytes.
    pub(super) fn passes_through(&self) -> u64 {
        match &self.target {
            Target::Git { .. } => self.sealed.size,
            Target::Postgres(restore) => restore.archive_size(),
            Target::Files { .. } | Target::Config { .. } | Target::Sqlite { .. } | Target::Tables(_) => 0,
        }
    }

    /// Patterns of the request that match nothing in it.
    pub(super) fn unmet(&self) -> &[String] {
        match &self.target {
            Target::Files { only: Some(only), .. } => &only.unmet,
            _ => &[],
        }
    }

    /// Things to know beforehand.
    pub(super) fn warnings(&self) -> Vec<String> {
        match &self.target {
            Target::Postgres(restore) => restore.warnings().to_vec(),
            Target::Tables(tables) => tables.warnings(),
            _ => Vec::new(),
        }
    }

    /// Why it would not be put back, where that was found by looking at all of it.
    pub(super) fn refused(&self) -> &[String] {
        match &self.target {
            Target::Tables(tables) => tables.refused(),
            _ => &[],
        }
    }

    /// Whether something stands where it goes.
    pub(super) fn stands(&self) -> bool {
        match &self.target {
            Target::Postgres(restore) => restore.existing_size().is_some(),
            Target::Tables(_) => true,
            target => target.path().is_some_and(|path| path.symlink_metadata().is_ok()),
        }
    }

    /// What no checkpoint would hold; all of it is kept on this host, and only there.
    pub(super) fn would_lose(&self) -> Vec<String> {
        let name = &self.sealed.name;
        let since = self.sealed.instant;
        let since = format!("{} {:02}:{:02} UTC", since.date(), since.hour(), since.minute());
        match &self.target {
            Target::Files { difference, .. } if difference.changed.count + difference.extra.count > 0 => vec![format!(
                "`{name}`: {} changed and {} added files since {since}; they would be kept in a trash folder only",
                difference.changed.count, difference.extra.count
            )],
            Target::Files { .. } => Vec::new(),
            Target::Git { path, .. } if path.exists() => vec![format!(
                "`{name}`: commits, staged and uncommitted work since {since}; they would be kept in the repository only"
            )],
            Target::Config { file: Some(file), .. } if file.exists() => vec![format!(
                "`{name}`: changes of {} since {since}; the file would be kept in a trash folder only",
                file.display()
            )],
            Target::Sqlite { path } if path.exists() => vec![format!(
                "`{name}`: everything written to {} since {since}; the old file would be kept in a trash folder only",
                path.display()
            )],
            Target::Postgres(restore) => restore.would_lose(),
            Target::Tables(tables) => tables.would_lose(name.as_str()),
            Target::Git { .. } | Target::Config { .. } | Target::Sqlite { .. } => Vec::new(),
        }
    }
}

async fn check_files(
    work: &RestoreWork,
    sealed: &ManifestComponent,
    path: &Path,
    tree: TreeId,
    keep: Keep,
    ctx: &Context,
) -> Result<Target, Failure> {
    let (vault, patterns, cancel) = (work.vault.clone(), work.paths.clone(), ctx.cancel.clone());
    let (place, facts, asked) = (path.to_path_buf(), sealed.facts.clone(), !work.paths.is_empty());
    blocking(move || {
        let root = keep.root().to_path_buf();
        let only = if asked {
            Some(Arc::new(files::choose(&vault, tree, &facts, &place, &root, &patterns, &cancel)?))
        } else {
            None
        };
        let stays = |path: &Path, is_dir: bool| keep.keeps(path, is_dir);
        let rules = Rules { keep: &stays, only: only.as_deref() };
        let difference = difference::between(&vault, tree, &root, &rules, &cancel)?;
        if let Some(barred) = difference.barred.first() {
            return Err(Failure::Said(format!(
                "{} is no folder now, and what is wanted lies in a folder of that name; move it away",
                root.join(barred).display()
            )));
        }
        Ok(Target::Files { path: place, keep, only, difference })
    })
    .await
}

fn tree(node: &Node) -> Result<TreeId, Failure> {
    node.subtree.ok_or_else(|| Failure::Said("its place in the checkpoint is not a folder".to_owned()))
}

fn refuse_own(work: &RestoreWork, path: &Path) -> Result<(), Failure> {
    let real = place::real(path);
    if work.forbidden.iter().any(|own| real.starts_with(place::real(own))) {
        return Err(Failure::Said(format!(
            "{} lies in Holdfast's own data directory or in a vault; choose another place",
            path.display()
        )));
    }
    Ok(())
}

fn writable(path: &Path) -> Result<(), Failure> {
    // A folder takes its new entries itself; a file is replaced in its folder.
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    if folder.is_none_or(place::writable) {
        return Ok(());
    }
    Err(Failure::Said(format!(
        "{} cannot be written by this user; give it the right to",
        place::existing(path).display()
    )))
}
