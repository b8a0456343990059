//! One run, live or as it ended.

use holdfast_model::state::RunState;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{RunData, read_run},
    components::{
        copy::copyable,
        layout::{ago, crumbs, facts, fresh, heading, moment, plain, section},
        list,
        loaded::loaded,
        run_panel,
        word::run_look,
    },
    text,
};

/// The page.
#[component]
pub fn RunView() -> impl IntoView {
    let params = use_params_map();
    let id = params.with_untracked(|p| p.get("run").unwrap_or_default());
    loaded(read_run(id), |data| draw(&data))
}

fn draw(data: &RunData) -> AnyView {
    let (run, now) = (&data.page.run, data.page.now);
    let (tone, _, state) = run_look(run.state);
    let said = match run.state {
        RunState::Queued => "It waits for a worker.".to_owned(),
        RunState::Running => "It is running.".to_owned(),
        RunState::Succeeded => "It has succeeded.".to_owned(),
        RunState::Warning => "It has ended with something to read.".to_owned(),
        RunState::Failed => "It has failed.".to_owned(),
        RunState::Cancelled => "It was cancelled.".to_owned(),
    };
    // Without the wasm the page reads itself again until the run has ended.
    let refresh =
        (!run.state.is_final()).then(|| view! { <noscript><meta http-equiv="refresh" content="2" /></noscript> });
    let children = (!data.children.is_empty())
        .then(|| section("parts", "Parts", None, list::runs("Runs that are parts of it", now, &data.children, false)));
    let project = run.subject.project();
    let mut above = vec![(project.to_string(), text::project_href(project))];
    if let Some(e) = run.subject.environment() {
        above.push((e.name.to_string(), text::environment_href(&e.project, &e.name)));
    }
    let mut about = vec![
        ("Run", copyable(run.id.to_string(), run.id.to_string(), "the run's id")),
        ("State", plain(state)),
        (
            "Asked for",
            view! { {moment(run.created_at)} ", " {ago(now, run.created_at)} " by " {run.created_by.clone()} }
                .into_any(),
        ),
    ];
    if let Some(vault) = run.subject.vault() {
        about.push(("Vault", copyable(vault.location.clone(), vault.location.clone(), "the vault's location")));
    }
    if let Some(at) = run.started_at {
        about.push(("Taken up", moment(at)));
    }
    if let Some(at) = run.ended_at {
        about.push(("Ended", moment(at)));
    }
    if let Some(id) = run.checkpoint.as_ref().filter(|_| run.sealed || !run.kind.makes_checkpoint()) {
        about.push((
            "Checkpoint",
            view! { <a href=format!("/checkpoints/{id}")><code>{id.to_string()}</code></a> }.into_any(),
        ));
    }
    if let Some(id) = &run.parent {
        about.push(("Part of", view! { <a href=format!("/runs/{id}")><code>{id.to_string()}</code></a> }.into_any()));
    }
    view! {
        {refresh}
        {crumbs(above)}
        {heading(text::run_kind(run.kind).to_owned(), tone, said, String::new())}
        {run_panel::place(Some(&data.page))}
        {fresh(view! {
            {children}
            {section("about", "About this run", None, facts(about))}
        }.into_any())}
    }
    .into_any()
}
