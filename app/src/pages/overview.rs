//! The first page: is everything fine, and if not, what mends it.

use holdfast_model::{
    size,
    state::Integrity,
    view::{Attention, EnvironmentView, Overview},
};
use leptos::prelude::*;
use time::OffsetDateTime;

use crate::{
    api::read_overview,
    components::{
        chart, copy,
        icon::{Icon, icon},
        layout::{age, ago, bytes, empty, heading, plain, section, table, tile, tiles},
        list,
        loaded::loaded,
        word::{self, Tone},
    },
    sentence, text,
};

/// The page.
#[component]
pub fn OverviewPage() -> impl IntoView {
    loaded(read_overview(), |overview| draw(&overview))
}

fn draw(overview: &Overview) -> AnyView {
    let said = sentence::of_overview(overview);
    let head = heading("Overview".to_owned(), said.tone, said.text, said.reason);
    if overview.environments.is_empty() {
        return view! { {head} {first_step()} }.into_any();
    }
    let (now, storage) = (overview.now, chart::storage(&overview.storage));
    let attention = (!overview.attention.is_empty())
        .then(|| section("attention", "Needs attention", None, attention(&overview.attention)));
    let running = (!overview.running.is_empty()).then(|| {
        section("running", "Running", None, list::runs("Runs that are going or waiting", now, &overview.running, true))
    });
    let last = if overview.last.is_empty() {
        empty(
            "A checkpoint is one immutable copy of a whole application. There is none yet.",
            copy::commands(
                format!("holdfast checkpoint create {}", overview.environments[0].name),
                "the command that takes a checkpoint",
            ),
        )
    } else {
        list::checkpoints("Newest checkpoints of all environments", now, &overview.last, true)
    };
    view! {
        {head}
        {figures(overview)}
        {attention}
        {running}
        <div class="pair">
            {section("environments", "Environments", None, environments(now, &overview.environments))}
            {section("storage", "Storage by project", Some(format!("{} stored", size::display(overview.stored))), storage)}
        </div>
        {section("last", "Last checkpoints", None, last)}
    }
    .into_any()
}

fn figures(overview: &Overview) -> AnyView {
    let now = overview.now;
    let all = overview.environments.len();
    let proven = view! { {overview.proven.to_string()} <span class="of">{format!(" of {all}")}</span> }.into_any();
    let (oldest, whose) = match &overview.oldest_proof {
        Some((name, at)) => (age(now, *at), plain(format!("{name}, whose proof is the oldest"))),
        None => (plain("–"), plain("No checkpoint is proven")),
    };
    let saved = text::ratio(overview.total, overview.stored).map_or_else(
        || "Nothing is stored yet".to_owned(),
        |ratio| format!("{} without deduplication and compression, {ratio}", size::display(overview.total)),
    );
    let slowest = overview.environments.iter().filter_map(|e| Some((e.recovery_ms?, e.name.to_string()))).max();
    let (recovery, which) = match slowest {
        Some((ms, name)) => (text::duration(ms), format!("{name}, measured by its last drill")),
        None => ("–".to_owned(), "Measured by the first drill".to_owned()),
    };
    tiles(vec![
        tile("Proven", proven, plain("environments whose newest checkpoint is proven")),
        tile("Oldest proof", oldest, whose),
        tile("Recovery time", plain(recovery), plain(which)),
        tile("Stored", bytes(overview.stored), plain(saved)),
    ])
}

fn attention(lines: &[Attention]) -> AnyView {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            let (class, shape, spoken) =
                if line.urgent { ("bad", Icon::Cross, "Wrong: ") } else { ("warn", Icon::Alert, "To do: ") };
            view! {
                <li class=class>
                    {icon(shape)}
                    <span class="unseen">{spoken}</span>
                    <span>{line.message.clone()}</span>
                    <a class="button" href=line.href.clone()>{line.action.clone()}</a>
                </li>
            }
        })
        .collect();
    view! { <ul class="attention">{lines}</ul> }.into_any()
}

/// A table of environments, each with its newest proof.
pub fn environments(now: OffsetDateTime, environments: &[EnvironmentView]) -> AnyView {
    let rows = environments
        .iter()
        .map(|e| {
            let href = text::environment_href(&e.project, &e.name);
            let (look, taken) = match &e.latest {
                Some(latest) if latest.integrity == Integrity::Damaged => {
                    (word::integrity_look(latest.integrity), ago(now, latest.created_at))
                }
                Some(latest) => (word::proof_look(latest.proof), ago(now, latest.created_at)),
                None => ((Tone::Warn, Icon::Alert, "no checkpoint"), plain("–")),
            };
            let proven = match &e.latest_proven {
                Some(proven) => ago(now, proven.created_at),
                None => plain("never"),
            };
            vec![
                view! { <a class="named" href=href>{e.name.to_string()}</a> <span class="dim">{format!(" {}", e.project)}</span> }
                    .into_any(),
                word::word(look),
                taken,
                proven,
                plain(e.recovery_ms.map_or_else(|| "–".to_owned(), text::duration)),
            ]
        })
        .collect();
    let columns =
        [("Environment", false), ("Newest", false), ("Taken", false), ("Last proven", false), ("Recovery", true)];
    table("Environments and their newest checkpoints", &columns, rows)
}

/// What to do on a new installation.
fn first_step() -> AnyView {
    let example = "cat > holdfast.yaml <<'yaml'\n\
        project: shop\n\
        environment: production\n\
        components:\n  \
          - {name: uploads, kind: files, path: ./uploads}\n  \
          - {name: database, kind: postgres, url_env: DATABASE_URL}\n\
        yaml\n\
        holdfast apply -f holdfast.yaml";
    empty(
        "An environment is one running application: its files, databases, source and configuration. Describe the first one, apply it, and it appears here.",
        copy::commands(example.to_owned(), "a first definition and the command that applies it"),
    )
}
