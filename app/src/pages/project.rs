//! One project: its environments, its storage, its recovery kit.

use holdfast_model::size;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::overview::environments;
use crate::{
    api::{ConfirmRecoveryKit, ProjectPage, read_project},
    components::{
        chart, copy,
        form::{Live, form},
        icon::Icon,
        layout::{bytes, crumbs, empty, heading, plain, section, tile, tiles},
        loaded::loaded,
        word::{self, Tone},
    },
    text,
};

/// The page.
#[component]
pub fn ProjectView() -> impl IntoView {
    let params = use_params_map();
    let name = params.with_untracked(|p| p.get("project").unwrap_or_default());
    loaded(read_project(name), |page| draw(&page))
}

fn draw(page: &ProjectPage) -> AnyView {
    let project = &page.project;
    let behind = page
        .environments
        .iter()
        .filter(|e| e.latest.as_ref().is_none_or(|l| l.proof != holdfast_model::state::Proof::Proven))
        .count();
    let (tone, said) = match (page.environments.len(), behind) {
        (0, _) => (Tone::Plain, "It has no environment yet.".to_owned()),
        (_, 0) => (Tone::Good, "The newest checkpoint of each environment is proven.".to_owned()),
        (1, _) => (Tone::Warn, "Its environment is not proven.".to_owned()),
        (all, n) => (Tone::Warn, format!("{n} of {all} environments are not proven.")),
    };
    let reason = if project.recovery_kit_confirmed {
        "Its recovery kit is stored.".to_owned()
    } else {
        "Nobody has confirmed to have stored its recovery kit.".to_owned()
    };
    let list = if page.environments.is_empty() {
        empty(
            "An environment is one running application.",
            copy::commands("holdfast apply -f holdfast.yaml".to_owned(), "the command that applies a definition"),
        )
    } else {
        environments(page.now, &page.environments)
    };
    let saved = text::ratio(project.total, project.stored).map_or_else(
        || "Nothing is stored yet".to_owned(),
        |r| format!("{} without deduplication and compression, {r}", size::display(project.total)),
    );
    view! {
        {crumbs(vec![("Projects".to_owned(), "/projects".to_owned())])}
        {heading(project.name.to_string(), tone, said, reason)}
        {tiles(vec![
            tile("Environments", plain(project.environments.len().to_string()), plain("in this project")),
            tile("Checkpoints", plain(text::count(project.checkpoints)), plain("of all environments")),
            tile("Stored", bytes(project.stored), plain(saved)),
        ])}
        <div class="pair">
            {section("environments", "Environments", None, list)}
            {section("storage", "Storage", None, chart::storage(&page.storage))}
        </div>
        {section("recovery-kit", "Recovery kit", None, kit(page))}
    }
    .into_any()
}

/// The kit: what it is, how it is printed, and who has it.
fn kit(page: &ProjectPage) -> AnyView {
    let name = page.project.name.to_string();
    let same = name.clone();
    let state = if page.project.recovery_kit_confirmed {
        word::word((Tone::Good, Icon::Check, "stored in a safe place"))
    } else {
        let fields = view! {
            <input type="hidden" name="project" value=same />
            <button>"I have stored it in a safe place"</button>
        };
        form::<ConfirmRecoveryKit, _>(Live::No, fields.into_any())
    };
    view! {
        <p class="prose">
            "With it stock restic reads the vault, without Holdfast and without this host: the vault's address, its password and its key file. Keep it away from this machine."
        </p>
        {copy::commands(format!("holdfast vault recovery-kit {name}"), "the command that prints the recovery kit")}
        {state}
    }
    .into_any()
}
