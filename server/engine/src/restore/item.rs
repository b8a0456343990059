//! One component of a restore: checked, then put back.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{
    definition::{Component, Settings},
    event::Level,
    manifest::{Facts, ManifestComponent},
    name::Name,
    size,
    state::Kind,
};
use holdfast_vault::{Existing, Meter, Node, RestoreOptions, TreeId};

use super::{
    RestoreReport, RestoreWork,
    difference::{self, Difference},
};
use crate::{
    config,
    context::{Context, now_and_then},
    failure::{Failure, blocking},
    files::{LeftOut, Selection, TRASH, neighbours},
    git, place, postgres, source, sqlite,
    tools::Tools,
};

/// A checked component.
pub(super) struct Item {
    sealed: ManifestComponent,
    node: Node,
    target: Target,
}

enum Target {
    Files { path: PathBuf, keep: Keep, difference: Difference },
    Git { path: PathBuf, left_out: Vec<LeftOut> },
    Config { file: Option<PathBuf> },
    Sqlite { path: PathBuf },
    Postgres(Box<postgres::PgRestore>),
}

impl Target {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Files { path, .. } | Self::Git { path, .. } | Self::Sqlite { path } => Some(path),
            Self::Config { file } => file.as_deref(),
            Self::Postgres(_) => None,
        }
    }
}

/// What stays as it is, whatever the tree says.
#[derive(Clone)]
struct Keep {
    selection: Arc<Selection>,
    skipped: Arc<[String]>,
}

impl Keep {
    fn keeps(&self, relative: &Path, is_dir: bool) -> bool {
        !self.selection.takes(relative, is_dir) || self.skipped.contains(&place::shown(relative))
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
                let tree = tree(&node)?;
                writable(path)?;
                let keep = keep(work, sealed, now, path, exclude)?;
                let (vault, root, also, cancel) =
                    (work.vault.clone(), keep.selection.root().to_path_buf(), keep.clone(), ctx.cancel.clone());
                let compare =
                    move || difference::between(&vault, tree, &root, &|path, is_dir| also.keeps(path, is_dir), &cancel);
                Target::Files { path: path.clone(), keep, difference: blocking(compare).await? }
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
                Target::Git { path: path.clone(), left_out }
            }
            Settings::Config { file, .. } => {
                if let Some(file) = file {
                    writable(file)?;
                }
                let (vault, sealed) = (work.vault.clone(), node.clone());
                blocking(move || config::read(&vault, &sealed)).await?;
                Target::Config { file: file.clone() }
            }
            Settings::Sqlite { path } => {
                tree(&node)?;
                writable(path)?;
                // Nobody but a stopped application has it closed; where none is stopped by us, it must be closed now.
                if work.definition.restore.stop.is_none() {
                    let path = path.clone();
                    blocking(move || sqlite::can_put_back(&path)).await?;
                }
                Target::Sqlite { path: path.clone() }
            }
            Settings::Postgres { url } => {
                let url = source::read(url).map_err(Failure::Said)?;
                let dir = tree(&node)?;
                let restore = postgres::validate_restore(&work.vault, &dir, sealed, &url, &work.run, tools).await;
                Target::Postgres(Box::new(restore.map_err(|error| Failure::Said(error.to_string()))?))
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

    pub(super) const fn size(&self) -> u64 {
        self.sealed.size
    }

    /// Where it writes how many bytes on this host.
    pub(super) fn writes(&self) -> Option<(PathBuf, u64)> {
        match &self.target {
            Target::Files { path, difference, .. } => Some((path.clone(), difference.bytes)),
            Target::Sqlite { path } => Some((path.clone(), self.sealed.size)),
            Target::Git { path, .. } if !path.exists() => Some((path.clone(), self.sealed.size)),
            Target::Git { .. } | Target::Config { .. } | Target::Postgres(_) => None,
        }
    }

    /// What no checkpoint would hold; all of it is kept on this host, and only there.
    pub(super) fn would_lose(&self) -> Vec<String> {
        let name = &self.sealed.name;
        let since = self.sealed.instant;
        let since = format!("{} {:02}:{:02} UTC", since.date(), since.hour(), since.minute());
        match &self.target {
            Target::Files { difference, .. } if difference.changed + difference.extra > 0 => vec![format!(
                "`{name}`: {} changed and {} added files since {since}; they would be kept in a trash folder only",
                difference.changed, difference.extra
            )],
            Target::Files { .. } => Vec::new(),
            Target::Git { path, .. } if path.exists() => vec![format!(
                "`{name}`: commits, staged and uncommitted work since {since}; they would be kept in the repository only"
            )],
            Target::Config { file: Some(file) } if file.exists() => vec![format!(
                "`{name}`: changes of {} since {since}; the file would be kept in a trash folder only",
                file.display()
            )],
            Target::Sqlite { path } if path.exists() => vec![format!(
                "`{name}`: everything written to {} since {since}; the old file would be kept in a trash folder only",
                path.display()
            )],
            Target::Postgres(restore) => restore.would_lose(),
            Target::Git { .. } | Target::Config { .. } | Target::Sqlite { .. } => Vec::new(),
        }
    }

    /// Puts it back and adds what was done to the report.
    pub(super) async fn put_back(
        self,
        work: &RestoreWork,
        program: &Path,
        step: &str,
        ctx: &Context,
        report: &mut RestoreReport,
    ) -> Result<(), Failure> {
        let meter = Meter::new();
        let name = self.sealed.name.clone();
        let tables = Arc::new(AtomicU64::new(0));
        let _sampler = now_and_then(ctx, step, Some(name.as_str()), meter.clone(), tables, Some(self.sealed.size));
        ctx.log(Level::Info, Some(name.as_str()), format!("putting back {}", size::display(self.sealed.size)));
        let scratch = work.scratch.join(format!("restore-{name}"));
        let _ = fs::remove_dir_all(&scratch);
        place::private_dir(&scratch).map_err(|error| Failure::io(&scratch, &error))?;
        let (node, sealed) = (self.node, self.sealed);
        let base = self.target.path().map(|path| trash_of_run(path, work));
        let part = match self.target {
            Target::Postgres(restore) => {
                let restored = restore.carry_out(&scratch, ctx).await;
                let restored = restored.map_err(|error| {
                    if ctx.cancel.is_cancelled() { Failure::Cancelled } else { Failure::Said(error.to_string()) }
                })?;
                let kept = restored.kept_as.map(|(name, bytes)| format!("database {name} ({})", size::display(bytes)));
                RestoreReport {
                    bytes: restored.bytes,
                    kept: kept.into_iter().collect(),
                    warnings: restored.warnings,
                    ..RestoreReport::default()
                }
            }
            target => {
                let (work, program, scratch, cancel) =
                    (work.clone(), program.to_path_buf(), scratch.clone(), ctx.cancel.clone());
                blocking(move || match target {
                    Target::Files { path, keep, .. } => put_files(&work, &node, &path, keep, &sealed, &cancel, &meter),
                    Target::Git { path, left_out } => {
                        let restored = git::put_back(&git::Before {
                            vault: &work.vault,
                            dir: tree(&node)?,
                            component: &sealed,
                            target: &path,
                            program: &program,
                            scratch: &scratch,
                            trash: &trash(&path, &work, &sealed.name),
                            run: &work.run,
                            left_out: &left_out,
                            cancel: &cancel,
                            meter: &meter,
                        })?;
                        Ok(RestoreReport {
                            files: restored.files,
                            kept: restored.kept,
                            warnings: restored.warnings,
                            ..RestoreReport::default()
                        })
                    }
                    Target::Config { file } => {
                        let document = config::read(&work.vault, &node)?;
                        let folder = file.as_ref().map(|file| trash(file, &work, &sealed.name)).unwrap_or_default();
                        let done = config::put_back(&document, file.as_deref(), &folder)?;
                        Ok(RestoreReport {
                            files: u64::from(done.bytes > 0),
                            bytes: done.bytes,
                            kept: done.kept.iter().map(|kept| format!("the file {}", kept.display())).collect(),
                            warnings: done.warnings,
                            ..RestoreReport::default()
                        })
                    }
                    Target::Sqlite { path } => {
                        let image = work.vault.find(&tree(&node)?, Path::new(sqlite::IMAGE))?;
                        let folder = trash(&path, &work, &sealed.name);
                        let (bytes, kept) = sqlite::put_back(&work.vault, &image, &path, &folder, &cancel)?;
                        let kept = kept.map(|kept| format!("the database {}", kept.display()));
                        Ok(RestoreReport { bytes, kept: kept.into_iter().collect(), ..RestoreReport::default() })
                    }
                    Target::Postgres(_) => {
                        Err(Failure::Said("a database cannot be put back on this thread".to_owned()))
                    }
                })
                .await?
            }
        };
        let _ = fs::remove_dir_all(&scratch);
        close_trash(&base);
        report.files += part.files;
        report.bytes += part.bytes;
        report.kept.extend(part.kept);
        for warning in &part.warnings {
            ctx.log(Level::Warning, Some(name.as_str()), warning.clone());
        }
        report.warnings.extend(part.warnings);
        Ok(())
    }
}

fn tree(node: &Node) -> Result<TreeId, Failure> {
    node.subtree.ok_or_else(|| Failure::Said("its place in the checkpoint is not a folder".to_owned()))
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

/// The folder of this run for what makes way at `path`: on the same file system, and in no capture.
fn trash_of_run(path: &Path, work: &RestoreWork) -> PathBuf {
    let real = place::real(path);
    let beside = real.parent().unwrap_or(Path::new("/"));
    let apart = place::device(&real).ok() != place::device(beside).ok() || !place::writable(beside);
    let base = if apart && real.is_dir() { real.as_path() } else { beside };
    base.join(format!("{TRASH}{}", work.run))
}

/// The component's part of it.
fn trash(path: &Path, work: &RestoreWork, name: &Name) -> PathBuf {
    trash_of_run(path, work).join(name.as_str())
}

/// What was kept may hold secrets: only the owner of the place looks into it, and git does not offer to add it.
fn close_trash(base: &Option<PathBuf>) {
    let Some((base, folder)) = base.as_ref().and_then(|base| Some((base, base.parent()?))) else { return };
    if let (true, Ok(owner)) = (base.is_dir(), fs::metadata(folder)) {
        let _ = fs::write(base.join(".gitignore"), "*\n");
        let _ = config::set_facts(base, 0o700, owner.uid(), owner.gid());
    }
}

fn keep(
    work: &RestoreWork,
    sealed: &ManifestComponent,
    now: &Component,
    path: &Path,
    exclude: &[String],
) -> Result<Keep, Failure> {
    let (mut patterns, mut is_file) = (exclude.to_vec(), false);
    if let Facts::Files { exclude, dirs, .. } = &sealed.facts {
        patterns.extend(exclude.iter().filter(|pattern| !patterns.contains(pattern)).cloned().collect::<Vec<_>>());
        is_file = *dirs == 0;
    }
    let left_out = neighbours(&work.definition, now, path);
    let selection = Selection::new(path, &patterns, left_out, &work.forbidden, Some(is_file)).map_err(Failure::Said)?;
    let skipped = sealed.skipped.iter().map(|skipped| skipped.name.clone()).collect();
    Ok(Keep { selection: Arc::new(selection), skipped })
}

fn put_files(
    work: &RestoreWork,
    node: &Node,
    path: &Path,
    keep: Keep,
    sealed: &ManifestComponent,
    cancel: &holdfast_vault::Cancel,
    meter: &Meter,
) -> Result<RestoreReport, Failure> {
    let trash = trash(path, work, &sealed.name);
    let root = keep.selection.root().to_path_buf();
    let single = keep.selection.is_single_file();
    let fresh = root.symlink_metadata().is_err();
    let mut kept = Vec::new();
    if !single && root.symlink_metadata().is_ok_and(|facts| !facts.is_dir()) {
        let away = trash.join("instead-of-folder");
        let said = |error: std::io::Error| Failure::io(&root, &error);
        fs::create_dir_all(&trash).map_err(said)?;
        fs::rename(&root, &away).map_err(said)?;
        kept.push(format!("the file that stood at {} in {}", root.display(), away.display()));
    }
    if let Some(folder) = root.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    }
    let options = RestoreOptions {
        existing: Existing::Replace {
            trash: trash.clone(),
            keep: Arc::new(move |relative, is_dir| keep.keeps(relative, is_dir)),
        },
        ownership: true,
        cancel: cancel.clone(),
        meter: meter.clone(),
    };
    let restored = work.vault.restore(&tree(node)?, &root, options)?;
    if let Some(problem) = restored.problems.first() {
        let path = problem.path.as_ref().map(|path| format!("{}: ", place::shown(path))).unwrap_or_default();
        let more = restored.problems.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return Err(Failure::Said(format!("{path}{}{more}", problem.what)));
    }
    if fresh && !single {
        config::set_facts(&root, node.mode, node.uid, node.gid).map_err(|error| Failure::io(&root, &error))?;
    }
    if !restored.trashed.is_empty() {
        let count = restored.trashed.len();
        let what = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        kept.push(format!("{what} in {}", trash.display()));
    }
    Ok(RestoreReport { files: restored.files, bytes: restored.bytes, kept, ..RestoreReport::default() })
}
