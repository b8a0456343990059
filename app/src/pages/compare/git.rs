//! Commits between the two, what branches and tags point to, and uncommitted work.

use holdfast_model::diff::{Change, Changes, Commit, ComponentDiff};
use leptos::prelude::*;

use super::files;
use crate::{
    backend::Pair,
    components::layout::{moment, plain, table},
    text,
};

/// One repository.
pub fn draw(pair: Option<&Pair>, component: &ComponentDiff) -> AnyView {
    let Changes::Git(changes) = &component.changes else { return ().into_any() };
    let commits = |commits: &[Commit], change: Change, title: &'static str| {
        if commits.is_empty() {
            return ().into_any();
        }
        let lines: Vec<_> = commits
            .iter()
            .map(|commit| {
                view! {
                    <li>
                        {files::sign(change)} " " <code>{text::short_commit(&commit.id)}</code> " " {commit.title.clone()}
                        <span class="dim">" " {commit.author.clone()} ", " {moment(commit.time)}</span>
                    </li>
                }
            })
            .collect();
        view! { <h4>{title}</h4> <ul class="changes">{lines}</ul> }.into_any()
    };
    let refs: Vec<Vec<AnyView>> = changes
        .refs
        .iter()
        .map(|moved| {
            let change = match (&moved.before, &moved.after) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Changed,
            };
            let id = |id: &Option<String>| match id {
                Some(id) => view! { <code>{text::short_commit(id)}</code> }.into_any(),
                None => plain("–"),
            };
            let name = view! { {files::sign(change)} " " <code class="path">{moved.name.clone()}</code> };
            vec![name.into_any(), id(&moved.before), id(&moved.after)]
        })
        .collect();
    let columns = [("Ref", false), ("First", false), ("Second", false)];
    let refs = (!refs.is_empty()).then(|| table("Branches and tags that point elsewhere", &columns, refs));
    let branch = (changes.branch.before != changes.branch.after).then(|| {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "no branch".to_owned());
        view! { <p class="prose">{format!("{} → {}", name(&changes.branch.before), name(&changes.branch.after))}</p> }
    });
    let uncommitted = match (changes.uncommitted.before, changes.uncommitted.after) {
        (false, true) => Some("The second holds uncommitted work."),
        (true, false) => Some("The uncommitted work of the first is not in the second."),
        (true, true) => Some("Both hold uncommitted work."),
        (false, false) => None,
    };
    let uncommitted = uncommitted.map(|said| view! { <p class="note">{said}</p> });
    let more = (changes.more > 0).then(|| {
        view! { <p class="note">{format!("{} more are not listed.", text::counted(changes.more, "commit"))}</p> }
    });
    let work = (!changes.worktree.is_empty()).then(|| {
        view! { <h4>"Files of the work tree"</h4> {files::changes_of(pair, &component.name, &changes.worktree)} }
    });
    view! {
        {branch}
        {uncommitted}
        {commits(&changes.added, Change::Added, "Commits that came")}
        {commits(&changes.removed, Change::Removed, "Commits that are gone")}
        {more}
        {refs}
        {work}
    }
    .into_any()
}
