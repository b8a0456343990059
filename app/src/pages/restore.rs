//! Putting a checkpoint back: what, where, what will happen, and the name typed.

use holdfast_model::manifest::Facts;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{CheckpointData, Restore, read_checkpoint},
    backend::{CheckpointPage, ComponentFacts},
    components::{
        form::{Live, form, tick},
        layout::{ago, bytes, crumbs, heading, plain},
        loaded::loaded,
        word::{self, Tone},
    },
    text,
};

/// The page.
#[component]
pub fn RestoreForm() -> impl IntoView {
    let params = use_params_map();
    let id = params.with_untracked(|p| p.get("checkpoint").unwrap_or_default());
    loaded(read_checkpoint(id), |data| draw(&data))
}

fn draw(data: &CheckpointData) -> AnyView {
    let page = &data.page;
    let (c, now) = (&page.checkpoint, page.now);
    let place = &c.environment;
    let name = c.name.clone().unwrap_or_else(|| text::short_id(c.id.as_str()));
    let title = format!("Restore {name}");
    let (id, environment) = (c.id.to_string(), place.name.to_string());
    let here = format!("{} / {}", place.project, place.name);
    let (parts, happens) = (what(page), what_happens(page));
    let proven = matches!(c.proof, holdfast_model::state::Proof::Proven);
    let (tone, said) = if proven {
        (Tone::Good, "It is proven: it was restored before, into a throwaway copy.".to_owned())
    } else {
        (Tone::Warn, format!("It is {}: whether all of it can be restored is not known.", c.proof))
    };
    let fields = view! {
        <input type="hidden" name="id" value=id />
        <input type="hidden" name="offered" value="true" />
        <ol class="asks">
            <li>{parts}</li>
            <li>
                <h2>"Where"</h2>
                <p class="prose">
                    "Here: " <strong>{here}</strong>
                    ", each component to where it was captured."
                </p>
            </li>
            <li>{happens}</li>
            <li>
                <h2>"Confirm"</h2>
                <div class="confirm">
                    <label for="restore-confirm">"Type " <code>{environment}</code> " to restore it"</label>
                    <input id="restore-confirm" name="confirm" type="text" required=true autocomplete="off" spellcheck="false" />
                    <button class="danger">"Restore"</button>
                </div>
            </li>
        </ol>
    };
    view! {
        {crumbs(vec![
            (place.project.to_string(), format!("/projects/{}", place.project)),
            (place.name.to_string(), text::environment_href(&place.project, &place.name)),
            (name, format!("/checkpoints/{}", c.id)),
        ])}
        {heading(title, tone, said, format!("Everything goes back to how it was {}.", text::ago(now, c.created_at)))}
        {form::<Restore, _>(Live::No, fields.into_any())}
        <p class="note">"Taken " {ago(now, c.created_at)} " by " {c.created_by.clone()} ". " {word::proof(c.proof)}</p>
    }
    .into_any()
}

/// The components, all of them ticked.
fn what(page: &CheckpointPage) -> AnyView {
    let boxes: Vec<_> = page
        .checkpoint
        .components
        .iter()
        .map(|part| {
            let target = page.components.iter().find(|f| f.name == part.name).map(target);
            let label = view! {
                <strong>{part.name.to_string()}</strong>
                " " {text::kind(part.kind)} ", " {bytes(part.size)} " "
                {target.map(|t| view! { <code class="path">{t}</code> })}
            };
            tick("components[]", part.name.to_string(), label.into_any(), true)
        })
        .collect();
    view! { <fieldset><legend><h2>"What"</h2></legend>{boxes}</fieldset> }.into_any()
}

/// Where a component goes back to.
fn target(component: &ComponentFacts) -> String {
    match &component.facts {
        Facts::Files { path, .. } | Facts::Git { path, .. } | Facts::Sqlite { path, .. } => path.clone(),
        Facts::Postgres { database, .. } => format!("database {database}"),
        Facts::Config { .. } | Facts::None => String::new(),
    }
}

/// What is done, what is overwritten, what is kept, how long it takes.
fn what_happens(page: &CheckpointPage) -> AnyView {
    let c = &page.checkpoint;
    let time = match &c.drill {
        Some(drill) => format!("The last drill of it took {}.", text::duration(drill.report.duration_ms)),
        None => "How long it takes is not measured: it has had no drill.".to_owned(),
    };
    let items: Vec<_> = [
        "The application is stopped, put back and started again, as its definition says, and its health is checked.",
        "Files that are newer than the checkpoint are moved to a trash folder of the run. Files that were excluded or skipped stay.",
        "Each database is restored under a new name first. The present one keeps its data under another name until a person drops it.",
        "Uncommitted work in a git repository is discarded only if the safety checkpoint holds it.",
    ]
    .into_iter()
    .map(|line| view! { <li>{line}</li> })
    .collect();
    view! {
        <h2>"What will happen"</h2>
        <ul class="prose">{items} <li>{time}</li></ul>
        {tick(
            "backup",
            "true".to_owned(),
            plain("Take a safety checkpoint first. If it cannot be taken, the restore stops before it touches anything."),
            true,
        )}
    }
    .into_any()
}
