//! A checked component takes its place again.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{event::Level, size};
use holdfast_vault::{Error, Meter};

use super::{
    super::{RestoreReport, RestoreWork},
    Item, Target,
    files::{self, PutFiles, close_trash, trash, trash_of_run},
    tree,
};
use crate::{
    config,
    context::{Context, now_and_then},
    failure::{Failure, blocking},
    git, place, sqlite,
};

impl Item {
    /// Puts it back and adds what was done to the report.
    pub(in super::super) async fn put_back(
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
        let total = match &self.target {
            Target::Files { only: Some(only), .. } => Some(only.bytes),
            Target::Tables(_) => None,
            _ => Some(self.sealed.size),
        };
        let _sampler = now_and_then(ctx, step, Some(name.as_str()), meter.clone(), tables, total);
        let what = total.map_or_else(|| "tables".to_owned(), size::display);
        ctx.log(Level::Info, Some(name.as_str()), format!("putting back {what}"));
        let scratch = work.scratch.join(format!("restore-{name}"));
        let _ = fs::remove_dir_all(&scratch);
        place::private_dir(&scratch).map_err(|error| Failure::io(&scratch, &error))?;
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
            Target::Tables(tables) => tables.put_back(ctx).await?,
            _ => {
                let (work, program, cancel) = (work.clone(), program.to_path_buf(), ctx.cancel.clone());
                let turn = Turn { work, program, scratch: scratch.clone(), cancel, meter };
                blocking(move || self.put_back_now(&turn)).await.map_err(|failure| {
                    let _ = fs::remove_dir_all(&scratch);
                    with_what_made_way(failure, &base, name.as_str())
                })?
            }
        };
        let _ = fs::remove_dir_all(&scratch);
        close_trash(&base);
        report.files += part.files;
        report.bytes += part.bytes;
        report.kept.extend(part.kept);
        report.matched.extend(part.matched);
        report.tables.extend(part.tables);
        for warning in &part.warnings {
            ctx.log(Level::Warning, Some(name.as_str()), warning.clone());
        }
        report.warnings.extend(part.warnings);
        Ok(())
    }

    /// What blocks, on a thread of its own.
    fn put_back_now(self, turn: &Turn) -> Result<RestoreReport, Failure> {
        let Turn { work, program, scratch, cancel, meter } = turn;
        let Self { sealed, node, target } = self;
        match target {
            Target::Files { path, keep, only, .. } => {
                files::put_back(PutFiles { work, sealed: &sealed, node: &node, path: &path, keep, only, cancel, meter })
            }
            Target::Git { path, left_out, .. } => {
                let restored = git::put_back(&git::Before {
                    vault: &work.vault,
                    dir: tree(&node)?,
                    component: &sealed,
                    target: &path,
                    program,
                    scratch,
                    trash: &trash(&path, work, &sealed.name),
                    run: &work.run,
                    left_out: &left_out,
                    cancel,
                    meter,
                })?;
                Ok(RestoreReport {
                    files: restored.files,
                    kept: restored.kept,
                    warnings: restored.warnings,
                    ..RestoreReport::default()
                })
            }
            Target::Config { file, .. } => {
                let document = config::read(&work.vault, &node)?;
                let folder = file.as_ref().map(|file| trash(file, work, &sealed.name)).unwrap_or_default();
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
                let folder = trash(&path, work, &sealed.name);
                let (bytes, kept) = sqlite::put_back(&work.vault, &image, &path, &folder, cancel)?;
                let kept = kept.map(|kept| format!("the database {}", kept.display()));
                Ok(RestoreReport { bytes, kept: kept.into_iter().collect(), ..RestoreReport::default() })
            }
            Target::Postgres(_) | Target::Tables(_) => {
                Err(Failure::Said("a database cannot be put back on this thread".to_owned()))
            }
        }
    }
}

/// What made way and is not back in its place is named, and nobody else looks into it.
fn with_what_made_way(failure: Failure, base: &Option<PathBuf>, name: &str) -> Failure {
    let failure = match failure {
        Failure::Vault(Error::NoSpace { place }) => {
            Failure::Said(format!("no space is left on the file system of {place}; free some"))
        }
        other => other,
    };
    let Some(folder) = base else { return failure };
    if fs::remove_dir(folder).is_ok() || !folder.exists() {
        return failure;
    }
    close_trash(base);
    let own = folder.join(name);
    match failure {
        Failure::Said(why) if own.exists() => {
            Failure::Said(format!("{why}; what had made way for it lies in {}", own.display()))
        }
        other => other,
    }
}

/// What a thread that puts something back is given.
struct Turn {
    work: RestoreWork,
    program: PathBuf,
    scratch: PathBuf,
    cancel: holdfast_vault::Cancel,
    meter: Meter,
}
