//! One project: its environments, its storage, its vaults, its recovery kit.

use holdfast_model::{access::Permission, size, state::VaultRole, view::VaultView};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::overview::environments;
use crate::{
    api::{ConfirmRecoveryKit, ProjectPage, read_project},
    components::{
        chart, copy,
        form::{Live, form},
        icon::Icon,
        layout::{ago, bytes, crumbs, empty, heading, plain, section, table, tile, tiles},
        loaded::loaded,
        word::{self, Tone},
    },
    may::may,
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
    let behind = page.environments.iter().filter(|e| !e.is_proven()).count();
    let damaged = page.vaults.iter().any(|vault| vault.role != VaultRole::Former && vault.damaged > 0);
    let (tone, said) = match (page.environments.len(), behind) {
        (0, _) if !damaged => (Tone::Plain, "It has no environment yet.".to_owned()),
        _ if damaged => (Tone::Bad, "A vault of it is damaged.".to_owned()),
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
        {section("vaults", "Vaults", None, vaults(page))}
        {section("recovery-kit", "Recovery kit", None, kit(page))}
    }
    .into_any()
}

/// Where its checkpoints lie.
fn vaults(page: &ProjectPage) -> AnyView {
    let name = &page.project.name;
    if page.vaults.is_empty() {
        return empty(
            "A vault holds the checkpoints. The first one makes it on this host, unless one is added in a bucket before.",
            copy::commands(
                format!("holdfast vault add {name} s3://BUCKET/PREFIX --endpoint URL"),
                "the command that adds a vault",
            ),
        );
    }
    let columns = [("Vault", false), ("Checkpoints", true), ("Stored", true), ("Free", true), ("Checked", false)];
    let rows = page.vaults.iter().map(|vault| vault_cells(page, vault)).collect();
    let alone = page.vaults.iter().all(|vault| vault.role != VaultRole::Mirror).then(|| {
        view! {
            <p class="prose">"One copy ends with its disk. A mirror elsewhere gets every checkpoint too:"</p>
            {copy::commands(
                format!("holdfast vault copy {name} s3://BUCKET/PREFIX --endpoint URL"),
                "the command that makes a mirror",
            )}
        }
    });
    view! { {table("Vaults of the project", &columns, rows)} {alone} }.into_any()
}

fn vault_cells(page: &ProjectPage, vault: &VaultView) -> Vec<AnyView> {
    let role = match vault.role {
        VaultRole::Primary => (Tone::Good, Icon::Check, "primary"),
        VaultRole::Mirror => (Tone::Good, Icon::Check, "mirror"),
        VaultRole::Former => (Tone::Plain, Icon::Dash, "no longer written to"),
    };
    let (here, all) = vault.checkpoints;
    let checked = match vault.checked_at {
        None => plain("not yet"),
        Some(at) if vault.damaged == 0 => view! { "sound, " {ago(page.now, at)} }.into_any(),
        Some(at) => {
            let look = (Tone::Bad, Icon::Cross, "damaged");
            view! { {word::word(look)} {format!(" in {} places, ", vault.damaged)} {ago(page.now, at)} }.into_any()
        }
    };
    vec![
        view! { {word::word(role)} <div><code class="path">{vault.location.clone()}</code></div> }.into_any(),
        plain(if here == all { text::count(here) } else { format!("{} of {}", text::count(here), text::count(all)) }),
        bytes(vault.stored),
        vault.free.map_or_else(|| plain("–"), bytes),
        checked,
    ]
}

/// The kit: what it is, how it is printed, and who has it.
fn kit(page: &ProjectPage) -> AnyView {
    let name = page.project.name.to_string();
    let same = name.clone();
    let state = if page.project.recovery_kit_confirmed {
        word::word((Tone::Good, Icon::Check, "stored in a safe place"))
    } else if !may(&page.project.name, Permission::RecoveryKit) {
        word::word((Tone::Warn, Icon::Alert, "not confirmed by anybody"))
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
