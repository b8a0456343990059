//! One checkpoint: what it is, whether it can be trusted, and how it is had back.

use holdfast_model::access::Permission;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::compare::compare_now;
use crate::{
    api::{CheckpointData, Delete, Drill, Verify, confirm_word, read_checkpoint},
    backend::CheckpointPage,
    components::{
        form::{Live, form},
        icon::{Icon, icon},
        layout::{ago, crumbs, fresh, heading, moment, plain, section, state_tile},
        list,
        loaded::loaded,
        run_panel,
        word::{self, Tone},
    },
    may::{if_may, may},
    sentence, text,
};

mod content;
mod evidence;
mod leave;

/// The page.
#[component]
pub fn Checkpoint() -> impl IntoView {
    let params = use_params_map();
    let id = params.with_untracked(|p| p.get("checkpoint").unwrap_or_default());
    loaded(read_checkpoint(id), |data| draw(&data))
}

fn draw(data: &CheckpointData) -> AnyView {
    let CheckpointData { page, live } = data;
    let (c, now) = (&page.checkpoint, page.now);
    let place = &c.environment;
    let said = sentence::of_checkpoint(now, c);
    let title = c.name.clone().unwrap_or_else(|| c.id.to_string());
    let description = c.description.clone().map(|d| view! { <p class="prose">{d}</p> });
    let past = (!page.runs.is_empty()).then(|| {
        section("runs", "Runs", None, list::runs("Runs with this checkpoint, newest first", now, &page.runs, false))
    });
    let below = view! {
        {states(page)}
        {content::origin(page)}
        {content::components(page)}
        {content::copies(page)}
        {evidence::ledger(page)}
        {evidence::drill(page)}
        {content::not_captured(c)}
        {content::variables(page)}
        {if_may(&place.project, Permission::Read, || leave::export(page))}
        {leave::commands_without_holdfast(page)}
        {past}
        {if_may(&place.project, Permission::Delete, || section("delete", "Delete", None, delete(page)))}
    };
    view! {
        {crumbs(vec![
            (place.project.to_string(), format!("/projects/{}", place.project)),
            (place.name.to_string(), text::environment_href(&place.project, &place.name)),
        ])}
        <div class="lead">
            {heading(title, said.tone, said.text, said.reason)}
            {buttons(page)}
        </div>
        {description}
        {run_panel::place(live.as_ref())}
        {fresh(below.into_any())}
    }
    .into_any()
}

/// Restore, drill, verify.
fn buttons(page: &CheckpointPage) -> AnyView {
    let (id, project) = (page.checkpoint.id.to_string(), &page.checkpoint.environment.project);
    let ask = |name: &'static str| {
        let id = id.clone();
        view! { <input type="hidden" name="id" value=id /> <button>{name}</button> }.into_any()
    };
    let again = if page.checkpoint.drill.is_some() { "Drill again" } else { "Drill" };
    view! {
        <div class="buttons">
            {if_may(project, Permission::Restore, || {
                let href = format!("/checkpoints/{id}/restore");
                view! { <a class="button primary" href=href>{icon(Icon::Back)} "Restore"</a> }.into_any()
            })}
            {if_may(project, Permission::Create, || compare_now(&page.checkpoint.id, "What changed since"))}
            <a class="button" href=format!("/compare?second={id}")>"Compare"</a>
            {if_may(project, Permission::Read, || view! { <a class="button" href="#export">"Export"</a> }.into_any())}
            {if_may(project, Permission::Drill, || {
                view! { {form::<Drill, _>(Live::Run, ask(again))} {form::<Verify, _>(Live::Run, ask("Verify"))} }.into_any()
            })}
        </div>
    }
    .into_any()
}

/// The four states side by side, each with its fact.
fn states(page: &CheckpointPage) -> AnyView {
    let (c, now) = (&page.checkpoint, page.now);
    let made = page.runs.iter().find(|run| run.id == c.run);
    let run = match made {
        Some(run) => (
            word::run_look(run.state),
            view! { "Taken " {ago(now, c.created_at)} " by " {c.created_by.clone()} }.into_any(),
        ),
        None => ((Tone::Good, Icon::Check, "sealed"), view! { "Taken " {ago(now, c.created_at)} }.into_any()),
    };
    let copies = match c.copies.len() {
        0 | 1 => "one copy".to_owned(),
        many => format!("{many} copies"),
    };
    let integrity = match c.integrity_at {
        Some(at) => view! { "Read back " {ago(now, at)} {format!(" · {copies}")} }.into_any(),
        None => plain(format!("Not read back yet · {copies}")),
    };
    let proof = match &c.drill {
        Some(drill) => view! { "Drilled " {ago(now, drill.report.started_at)} }.into_any(),
        None => plain("No drill yet"),
    };
    let protection = match &page.may_delete {
        Some(_) if c.locked_until.is_some() => {
            view! { "Its bucket keeps it until " {c.locked_until.map(moment)} }.into_any()
        }
        Some(_) if may(&c.environment.project, Permission::Delete) => plain("Cannot be deleted, see below"),
        Some(_) => plain("Cannot be deleted now"),
        None => plain("Can be deleted"),
    };
    view! {
        <dl class="tiles four">
            {state_tile("Run", run.0, run.1)}
            {state_tile("Integrity", word::integrity_look(c.integrity), integrity)}
            {state_tile("Proof", word::proof_look(c.proof), proof)}
            {state_tile("Protection", word::protection_look(c.protection), protection)}
        </dl>
    }
    .into_any()
}

/// Delete with the name typed, or the reason why not.
fn delete(page: &CheckpointPage) -> AnyView {
    if let Some(reason) = &page.may_delete {
        return view! { <p class="aside plain">{icon(Icon::Lock)} <span>{reason.clone()}</span></p> }.into_any();
    }
    let id = page.checkpoint.id.to_string();
    let word = confirm_word(&page.checkpoint).to_owned();
    let size = page.checkpoint.size.display.clone();
    let fields = view! {
        <div class="confirm">
            <input type="hidden" name="id" value=id />
            <label for="delete-confirm">"Type " <code>{word}</code> " to delete it"</label>
            <input id="delete-confirm" name="confirm" type="text" required=true autocomplete="off" spellcheck="false" />
            <button class="danger">"Delete this checkpoint"</button>
        </div>
    };
    view! {
        <p class="prose">
            {format!("This cannot be undone. {size} of logical data go; what other checkpoints share stays in the vault.")}
        </p>
        {form::<Delete, _>(Live::No, fields.into_any())}
    }
    .into_any()
}
