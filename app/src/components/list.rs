//! Lists that stand on several pages: checkpoints, runs.

use holdfast_model::view::{CheckpointSummary, RunView};
use leptos::prelude::*;
use time::OffsetDateTime;

use super::{
    icon::{Icon, icon},
    layout::{ago, bytes, plain, table},
    word,
};
use crate::text;

/// A checkpoint's name, or its id where it has none, as a link.
pub fn checkpoint_link(item: &CheckpointSummary) -> AnyView {
    let href = format!("/checkpoints/{}", item.id);
    let short = text::short_id(item.id.as_str());
    match &item.name {
        Some(name) => {
            view! { <a href=href class="named">{name.clone()}</a> <code class="dim">{short}</code> }.into_any()
        }
        None => view! { <a href=href class="named"><code>{short}</code></a> }.into_any(),
    }
}

/// Labels.
pub fn tags(tags: &[String]) -> AnyView {
    let tags: Vec<_> = tags.iter().map(|tag| view! { <span class="tag">{tag.clone()}</span> }).collect();
    view! { <span class="tags">{tags}</span> }.into_any()
}

/// A table of checkpoints. With `place`, each row names its environment; without it, each can be ticked for a form.
pub fn checkpoints(caption: &'static str, now: OffsetDateTime, items: &[CheckpointSummary], place: bool) -> AnyView {
    let mut columns = vec![("Checkpoint", false)];
    if place {
        columns.push(("Environment", false));
    }
    columns.extend([("Proof", false), ("Taken", false), ("By", false)]);
    if !place {
        columns.extend([("Commit", false), ("Tags", false)]);
    }
    columns.extend([("Size", true), ("Stored", true)]);
    let rows = items
        .iter()
        .map(|item| {
            let mut cells = vec![if place { checkpoint_link(item) } else { view! { {pick(item)} {checkpoint_link(item)} }.into_any() }];
            if place {
                let e = &item.environment;
                let href = text::environment_href(&e.project, &e.name);
                cells.push(view! { <a href=href>{format!("{} / {}", e.project, e.name)}</a> }.into_any());
            }
            let damaged = (item.integrity == holdfast_model::state::Integrity::Damaged)
                .then(|| word::word(word::integrity_look(item.integrity)));
            cells.push(view! { {word::proof(item.proof)} {damaged} }.into_any());
            cells.push(ago(now, item.created_at));
            cells.push(view! { {item.created_by.clone()} <span class="dim">{format!(" · {}", text::trigger(item.trigger))}</span> }.into_any());
            if !place {
                cells.push(item.commit.as_deref().map_or_else(
                    || plain("–"),
                    |commit| view! { <code>{text::short_commit(commit)}</code> }.into_any(),
                ));
                cells.push(tags(&item.tags));
            }
            cells.extend([bytes(item.total), bytes(item.stored)]);
            cells
        })
        .collect();
    table(caption, &columns, rows)
}

/// The box by which a checkpoint is ticked.
fn pick(item: &CheckpointSummary) -> AnyView {
    let name = item.name.clone().unwrap_or_else(|| text::short_id(item.id.as_str()));
    let label = format!("Compare {name}");
    view! { <input type="checkbox" name="pick" value=item.id.to_string() aria-label=label /> }.into_any()
}

/// A table of runs. With `place`, each row names what the run works on.
pub fn runs(caption: &'static str, now: OffsetDateTime, items: &[RunView], place: bool) -> AnyView {
    let mut columns = vec![("Run", false), ("State", false)];
    if place {
        columns.push(("Of", false));
    }
    columns.extend([("Asked for", false), ("By", false), ("Took", true), ("Result", false)]);
    let rows = items
        .iter()
        .map(|run| {
            let name = view! { <a class="named" href=format!("/runs/{}", run.id)>{text::run_kind(run.kind)}</a> };
            let part = run.parent.is_some().then_some(view! { <span class="dim">" safety"</span> });
            let mut cells = vec![view! { {name} {part} }.into_any(), word::run(run.state)];
            if place {
                cells.push(view! { <a href=text::subject_href(&run.subject)>{run.subject.to_string()}</a> }.into_any());
            }
            cells.push(ago(now, run.created_at));
            cells.push(plain(run.created_by.clone()));
            cells.push(match (run.started_at, run.ended_at) {
                (Some(from), Some(to)) => plain(text::span(from, to)),
                _ => plain("–"),
            });
            cells.push(result(run));
            cells
        })
        .collect();
    table(caption, &columns, rows)
}

/// What came of a run, in a few words.
pub fn result(run: &RunView) -> AnyView {
    let gate = word::gate(run);
    let message = run.message.clone().map(|m| view! { <span class="message">{m}</span> });
    let checkpoint = run.checkpoint.as_ref().filter(|_| run.sealed || !run.kind.makes_checkpoint());
    let checkpoint = checkpoint
        .map(|id| view! { <a href=format!("/checkpoints/{id}")><code>{text::short_id(id.as_str())}</code></a> });
    view! { <span class="result">{checkpoint} {gate} {message}</span> }.into_any()
}

/// Sentences with a warning sign.
pub fn warnings(lines: &[String]) -> AnyView {
    let lines: Vec<_> =
        lines.iter().map(|line| view! { <li>{icon(Icon::Alert)} <span>{line.clone()}</span></li> }).collect();
    view! { <ul class="warnings">{lines}</ul> }.into_any()
}
