//! What would be done with one component, for people.

use holdfast_model::{
    manifest::Facts,
    plan::{Listed, PlanItem},
    size,
};

use super::{
    super::{RestoreWork, destination::shown},
    Item, Target,
    files::trash,
};

impl Item {
    /// What [`Item::put_back`] would do.
    pub(in super::super) fn plan(&self, work: &RestoreWork) -> PlanItem {
        let mut item = PlanItem {
            component: self.sealed.name.clone(),
            kind: self.sealed.kind,
            place: String::new(),
            does: Vec::new(),
            unit: "files".to_owned(),
            made: Listed::default(),
            changed: Listed::default(),
            removed: Listed::default(),
            kept: Listed::default(),
            same: 0,
            matched: None,
            tables: Vec::new(),
            bytes: self.sealed.size,
            keeps: None,
            versions: Vec::new(),
            permissions: Vec::new(),
        };
        let stands = self.stands();
        if let Some(path) = self.target.path() {
            item.place = path.display().to_string();
            item.keeps = stands.then(|| trash(path, work, &self.sealed.name).display().to_string());
            item.permissions.push(owners());
        }
        match &self.target {
            Target::Files { only, difference, .. } => {
                item.bytes = difference.bytes;
                item.made = difference.made.clone();
                item.changed = difference.changed.clone();
                item.removed = difference.extra.clone();
                item.kept = difference.kept.clone();
                item.same = difference.same;
                item.matched = only.as_ref().map(|only| only.matched.clone());
                files(&mut item);
                if difference.changed.is_empty() && difference.extra.is_empty() {
                    item.keeps = None;
                }
                if !work.privileged {
                    item.permissions.push(
                        "devices are not made, and files get no set-uid or set-gid bits and no capabilities, unless --privileged asks for them"
                            .to_owned(),
                    );
                }
            }
            Target::Git { refs, .. } => {
                item.unit = "refs".to_owned();
                item.made = refs.made.clone();
                item.changed = refs.changed.clone();
                item.removed = refs.removed.clone();
                item.same = refs.same;
                git(&mut item, &self.sealed.facts, stands, work);
            }
            Target::Config { file, changes } => {
                item.unit = "variables".to_owned();
                item.made = changes.added.clone();
                item.changed = changes.changed.clone();
                item.removed = changes.removed.clone();
                item.same = changes.same;
                match file {
                    Some(_) if changes.equal => {
                        item.does.push("the file stays as it is: it is equal".to_owned());
                        (item.keeps, item.bytes) = (None, 0);
                    }
                    Some(_) => item.does.push("the file is written as it was sealed, byte for byte".to_owned()),
                    None => (item.place, item.keeps, item.bytes) = ("variables outside of a file".to_owned(), None, 0),
                }
                if !changes.outside.is_empty() {
                    item.does.push(format!(
                        "these variables live outside of a file and are not put back: {}; `holdfast checkpoint cat` shows them",
                        changes.outside.join(", ")
                    ));
                }
            }
            Target::Sqlite { .. } => {
                item.unit = "databases".to_owned();
                let name = item.place.clone();
                let list = if stands { &mut item.changed } else { &mut item.made };
                list.add(|| name);
                item.does.push(match stands {
                    true => {
                        "the sealed database takes the place of the one that is there, which is kept with its journals"
                            .to_owned()
                    }
                    false => "the sealed database is written there".to_owned(),
                });
                if let Facts::Sqlite { version, .. } = &self.sealed.facts {
                    item.versions.push(format!("sealed by SQLite {version}; here is {}", crate::sqlite::version()));
                }
            }
            Target::Postgres(restore) => restore.plan(&mut item),
            Target::Tables(tables) => tables.plan(&mut item),
        }
        let shown = |text: &mut String| *text = without_run(work, &shown(work, text));
        shown(&mut item.place);
        item.keeps.iter_mut().chain(&mut item.does).for_each(shown);
        for list in [&mut item.made, &mut item.changed, &mut item.removed, &mut item.kept] {
            list.first.iter_mut().for_each(shown);
        }
        item
    }
}

/// A plan belongs to no run yet: where the run's name would stand is `…`.
pub(in super::super) fn without_run(work: &RestoreWork, text: &str) -> String {
    let run = work.run.as_str();
    let body = run.rsplit('_').next().unwrap_or(run);
    let short = &body[body.len().saturating_sub(10)..];
    text.replace(run, "…").replace(&format!("_before_{short}"), "_before_…")
}

fn owners() -> String {
    if rustix::process::geteuid().is_root() {
        "owners, groups and modes are put back".to_owned()
    } else {
        "this server does not run as root: all that is written belongs to its own user, modes are put back".to_owned()
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn files(item: &mut PlanItem) {
    if let Some(matched) = &item.matched {
        item.does.push(format!(
            "{} matched; everything else stays as it is",
            counted(matched.count, "file is", "files are")
        ));
    }
    let lines = [
        (item.made.count, "file is", "files are", "made"),
        (item.changed.count, "entry is", "entries are", "replaced; what it was is moved to a trash folder"),
        (item.removed.count, "entry is", "entries are", "not in the checkpoint and moved to a trash folder"),
        (
            item.kept.count,
            "entry is",
            "entries are",
            "not in the checkpoint and stays, because it is left out of captures",
        ),
    ];
    for (count, one, many, what) in lines.into_iter().filter(|(count, ..)| *count > 0) {
        item.does.push(format!("{} {what}", counted(count, one, many)));
    }
    if item.made.is_empty() && item.changed.is_empty() && item.removed.is_empty() {
        item.does.push("nothing is written: all of it is there as it was sealed, by size and time".to_owned());
    } else {
        item.does.push(format!("{} are written", size::display(item.bytes)));
    }
}

fn git(item: &mut PlanItem, facts: &Facts, stands: bool, work: &RestoreWork) {
    let Facts::Git { branch, head, dirty, .. } = facts else { return };
    let head = head.as_deref().map_or("no commit".to_owned(), |commit| commit.chars().take(12).collect());
    let work_too = if *dirty { ", with the work that was not committed" } else { "" };
    item.does.push(format!(
        "branches and tags, HEAD ({} at {head}), index and work tree become what they were{work_too}",
        branch.as_deref().unwrap_or("no branch")
    ));
    if stands {
        item.does.push(format!(
            "what is there now stays in the repository, under refs/holdfast/before/{}/; files that git ignores stay",
            work.run
        ));
    } else {
        item.does.push("the sealed repository is put there whole".to_owned());
    }
}
