//! The drill of one component, by its kind.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use holdfast_model::{
    drill::{Check, ComponentDrill, Gap},
    manifest::{Facts, ManifestComponent},
    state::Kind,
};
use holdfast_vault::{Cancel, Error, Meter, Node, NodeKind, TreeId, Vault};

use super::{DrillWork, reread::Read};
use crate::{
    accept::Accept,
    config,
    context::{Context, elapsed, now_and_then},
    failure::{Failure, blocking},
    git, place, postgres, sqlite,
    tools::Tools,
};

/// Drills it and judges.
///
/// # Errors
/// Only what is not the copy's fault.
pub(super) async fn drill(
    work: &DrillWork,
    component: &ManifestComponent,
    accept: &Accept,
    read: &Read,
    tools: &Tools,
    ctx: &Context,
) -> Result<ComponentDrill, Failure> {
    let begun = Instant::now();
    let (name, meter) = (component.name.as_str(), Meter::new());
    let step = format!("drill:{name}");
    let tables = Arc::new(AtomicU64::new(0));
    let _sampler = now_and_then(ctx, &step, Some(name), meter.clone(), tables, Some(component.size));
    let scratch = work.scratch.join(format!("drill-{name}"));
    // A throwaway server runs as another user, who has to pass through; all else is nobody's business.
    let made =
        if component.kind == Kind::Postgres { fs::create_dir_all(&scratch) } else { place::private_dir(&scratch) };
    made.map_err(|error| Failure::io(&scratch, &error))?;
    let room = Room(scratch);

    let mut outcome = match node(work, component).await? {
        Ok(node) => by_kind(work, component, node, accept, read, &room.0, tools, &meter, ctx).await?,
        Err(missing) => {
            let check = check(component, "place", false, Some(component.place.clone()), None, Some(missing), begun);
            ctx.check(check.clone());
            report(component, vec![check], Vec::new(), None)
        }
    };
    add_skipped(component, &mut outcome);
    for gap in &mut outcome.gaps {
        gap.accepted = gap.accepted || accept.accepts(&gap.kind, &gap.name, &gap.component);
    }
    outcome.verdict = ComponentDrill::judge(&outcome.checks, &outcome.gaps);
    outcome.duration_ms = elapsed(begun);
    Ok(outcome)
}

/// A folder that goes with the value.
struct Room(PathBuf);

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The component's entry in the checkpoint's tree, or what is wrong with the copy.
async fn node(work: &DrillWork, component: &ManifestComponent) -> Result<Result<Node, String>, Failure> {
    let (vault, root, place) = (work.vault.clone(), work.root, component.place.clone());
    blocking(move || match vault.find(&root, Path::new(&place)) {
        Ok(node) => Ok(Ok(node)),
        Err(Error::NoSuchPath { .. }) => Ok(Err(format!("no `{place}` in the copy"))),
        Err(error) => match Failure::from(error) {
            Failure::Said(what) => Ok(Err(what)),
            other => Err(other),
        },
    })
    .await
}

#[allow(clippy::too_many_arguments)]
async fn by_kind(
    work: &DrillWork,
    component: &ManifestComponent,
    node: Node,
    accept: &Accept,
    read: &Read,
    scratch: &Path,
    tools: &Tools,
    meter: &Meter,
    ctx: &Context,
) -> Result<ComponentDrill, Failure> {
    let begun = Instant::now();
    let vault = work.vault.clone();
    let owned = component.clone();
    let (scratch, meter, cancel) = (scratch.to_path_buf(), meter.clone(), ctx.cancel.clone());
    let (checks, gaps, engine) = match (component.kind, node.subtree) {
        (Kind::Files, Some(tree)) => {
            let mut checks = vec![sound(component, read, begun)];
            if checks.iter().all(|check| check.passed) {
                checks.extend(blocking(move || structure(&vault, tree, &owned, &cancel)).await?);
            }
            (checks, Vec::new(), None)
        }
        (Kind::Git, Some(tree)) => {
            let program = match tools.git_version() {
                Ok(_) => tools.git().to_path_buf(),
                Err(why) => {
                    return Ok(report(
                        component,
                        Vec::new(),
                        vec![gap(component, "component", component.name.as_str(), why)],
                        None,
                    ));
                }
            };
            let mut checks = vec![sound(component, read, begun)];
            if checks.iter().all(|check| check.passed) {
                let run = move || git::drill(&vault, &tree, &owned, &program, &scratch.join("mirror"), &cancel, &meter);
                checks.extend(blocking(run).await?);
            }
            (checks, Vec::new(), tools.git_version().ok().map(|version| format!("git {version}")))
        }
        (Kind::Config, None) => match blocking(move || config::drill(&vault, &node, &owned)).await {
            Ok((checks, gaps)) => (checks, gaps, None),
            Err(Failure::Said(message)) => {
                (vec![check(component, "read", false, None, None, Some(message), begun)], Vec::new(), None)
            }
            Err(other) => return Err(other),
        },
        (Kind::Sqlite, Some(tree)) => {
            let (smoke, ctx) = (work.plan.smoke.clone(), ctx.clone());
            return blocking(move || sqlite::drill(&vault, &tree, &owned, &smoke, &scratch, &meter, &ctx)).await;
        }
        (Kind::Postgres, Some(tree)) => {
            let smoke: Vec<_> = work.plan.smoke.iter().filter(|s| s.component == component.name).cloned().collect();
            return postgres::drill(&vault, &tree, component, &smoke, accept, &scratch, tools, ctx).await.map_err(
                |error| if ctx.cancel.is_cancelled() { Failure::Cancelled } else { Failure::Said(error.to_string()) },
            );
        }
        (Kind::Files | Kind::Git | Kind::Config | Kind::Sqlite | Kind::Postgres, _) => {
            let message = format!("`{}` is not the kind of entry that was sealed", component.place);
            (vec![check(component, "place", false, None, None, Some(message), begun)], Vec::new(), None)
        }
        (kind, _) => {
            let why = format!("this version has no drill for kind `{kind}`");
            (Vec::new(), vec![gap(component, "component", component.name.as_str(), &why)], None)
        }
    };
    for made in &checks {
        ctx.check(made.clone());
    }
    Ok(report(component, checks, gaps, engine))
}

fn report(component: &ManifestComponent, checks: Vec<Check>, gaps: Vec<Gap>, engine: Option<String>) -> ComponentDrill {
    ComponentDrill {
        name: component.name.clone(),
        kind: component.kind,
        verdict: ComponentDrill::judge(&checks, &gaps),
        engine,
        duration_ms: 0,
        checks,
        gaps,
    }
}

fn gap(component: &ManifestComponent, kind: &str, name: &str, reason: &str) -> Gap {
    Gap {
        component: component.name.to_string(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        accepted: false,
    }
}

fn check(
    component: &ManifestComponent,
    name: &str,
    passed: bool,
    expected: Option<String>,
    found: Option<String>,
    message: Option<String>,
    begun: Instant,
) -> Check {
    let component = component.name.to_string();
    Check { component, name: name.to_owned(), passed, expected, found, message, duration_ms: elapsed(begun) }
}

/// What the capture had to leave out could not be compared either.
fn add_skipped(component: &ManifestComponent, outcome: &mut ComponentDrill) {
    for skipped in &component.skipped {
        if outcome.gaps.iter().any(|gap| gap.name == skipped.name) {
            continue;
        }
        let kind = match (component.kind, skipped.reason.as_str()) {
            (_, "extension") => "extension",
            (Kind::Files | Kind::Git | Kind::Config, _) => "path",
            _ => "object",
        };
        let reason = format!("left out of the checkpoint ({}): {}", skipped.reason, skipped.message);
        outcome.gaps.push(gap(component, kind, &skipped.name, &reason));
    }
}

/// Whether every blob of the component was read back and hashed.
fn sound(component: &ManifestComponent, read: &Read, begun: Instant) -> Check {
    let damage = read.damage.get(component.name.as_str()).map(Vec::as_slice).unwrap_or_default();
    let fault = damage.first().map(|first| {
        let more = if damage.len() > 1 { format!(", and {} more faults", damage.len() - 1) } else { String::new() };
        format!("damaged data of `{}` in the vault: {}{more}", component.name, first.what)
    });
    check(component, "read back", fault.is_none(), None, None, fault, begun)
}

/// Entries and bytes of a tree in the vault.
#[derive(Default, PartialEq, Eq)]
struct Count {
    files: u64,
    dirs: u64,
    others: u64,
    bytes: u64,
}

fn structure(
    vault: &Vault,
    tree: TreeId,
    component: &ManifestComponent,
    cancel: &Cancel,
) -> Result<Vec<Check>, Failure> {
    let begun = Instant::now();
    let Facts::Files { files, dirs, others, .. } = &component.facts else {
        return Err(Failure::Said("the manifest does not describe it as files".to_owned()));
    };
    let mut found = Count { dirs: 1, ..Count::default() };
    let mut open = vec![tree];
    while let Some(tree) = open.pop() {
        cancel.check()?;
        for node in vault.tree(&tree)?.nodes {
            match node.kind {
                NodeKind::File => {
                    found.files += 1;
                    found.bytes += node.size;
                }
                NodeKind::Dir => {
                    found.dirs += 1;
                    open.extend(node.subtree);
                }
                _ => found.others += 1,
            }
        }
    }
    // The folder around a single file was not counted.
    let folders = if *dirs == 0 { 1 } else { *dirs };
    let sealed = Count { files: *files, dirs: folders, others: *others, bytes: component.size };
    let entries = |count: &Count| format!("{} files, {} folders, {} others", count.files, count.dirs, count.others);
    let same = (found.files, found.dirs, found.others) == (sealed.files, sealed.dirs, sealed.others);
    let size = format!("{} bytes", sealed.bytes);
    let now = format!("{} bytes", found.bytes);
    let message = |what: &str| Some(format!("{what} of `{}` than were sealed", component.name));
    Ok(vec![
        check(
            component,
            "entries",
            same,
            Some(entries(&sealed)),
            Some(entries(&found)),
            if same { None } else { message("other entries") },
            begun,
        ),
        check(
            component,
            "bytes",
            size == now,
            Some(size.clone()),
            Some(now.clone()),
            if size == now { None } else { message("other sizes") },
            begun,
        ),
    ])
}
