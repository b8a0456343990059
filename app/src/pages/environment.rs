//! One environment: can it be put back, and *Back up now*.

use holdfast_model::{
    access::Permission,
    size,
    view::{ComponentView, EnvironmentView},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{BackUp, EnvironmentData, read_environment},
    backend::EnvironmentPage,
    components::{
        chart,
        copy::{commands, copyable},
        form::{Live, form, line, tick},
        icon::Icon,
        layout::{
            age, bytes, crumbs, empty, facts, folded, fresh, heading, moment, plain, section, state_tile, table, tile,
            tiles,
        },
        list,
        loaded::loaded,
        run_panel,
        word::{self, Tone},
    },
    may::{if_may, may},
    sentence, text,
};

/// The page.
#[component]
pub fn Environment() -> impl IntoView {
    let params = use_params_map();
    let (project, name) =
        params.with_untracked(|p| (p.get("project").unwrap_or_default(), p.get("environment").unwrap_or_default()));
    loaded(read_environment(project, name), |data| draw(&data))
}

fn draw(data: &EnvironmentData) -> AnyView {
    let EnvironmentData { page, live } = data;
    let EnvironmentPage { now, environment, checkpoints, runs, recovery_kit_confirmed } = page;
    let now = *now;
    let said = sentence::of_environment(now, environment);
    let count = u64::try_from(checkpoints.items.len()).unwrap_or(0);
    let shown = if count < checkpoints.count {
        format!("{count} of {}", text::count(checkpoints.count))
    } else {
        text::counted(checkpoints.count, "checkpoint")
    };
    let note =
        format!("{shown}, {} in all, {} stored", size::display(checkpoints.total), size::display(checkpoints.stored));
    let list = if checkpoints.items.is_empty() {
        empty(
            "A checkpoint is one immutable copy of all components, taken at one moment, sealed, then proven by restoring it. Take the first one with the button above, or from a shell:",
            commands(
                format!("holdfast checkpoint create {}/{}", environment.project, environment.name),
                "the command that takes a checkpoint",
            ),
        )
    } else {
        view! {
            {chart::timeline(now, &checkpoints.items, runs)}
            <form method="get" action="/compare">
                {list::checkpoints("Checkpoints of this environment, newest first", now, &checkpoints.items, false)}
                {(checkpoints.items.len() > 1).then(|| view! {
                    <p class="below"><button>"Compare"</button> <span class="note">"Tick two of them, or one to compare it with the one before."</span></p>
                })}
            </form>
        }
        .into_any()
    };
    let past = (!runs.is_empty())
        .then(|| section("runs", "Runs", None, list::runs("Runs of this environment, newest first", now, runs, false)));
    let kit = (!recovery_kit_confirmed).then(|| {
        let project = environment.project.to_string();
        view! {
            <p class="aside warn">
                {crate::components::icon::icon(Icon::Alert)}
                <span>"Nobody has confirmed to have stored the recovery kit of this project. "</span>
                <a href=format!("/projects/{project}#recovery-kit")>"Store it"</a>
            </p>
        }
    });
    let waits = environment.to_confirm.then(|| {
        view! {
            <div class="aside warn">
                {crate::components::icon::icon(Icon::Alert)}
                <span>
                    "This definition came with a vault. Nothing is captured or put back before somebody on the server's host has looked at it:"
                </span>
                {commands(
                    format!("holdfast env confirm {}/{}", environment.project, environment.name),
                    "the command that confirms the definition",
                )}
            </div>
        }
    });
    let below = view! {
        {waits}
        {figures(page)}
        {kit}
        {caveats(environment)}
        {section("checkpoints", "Checkpoints", Some(note), list)}
        {section("components", "Components", None, components(&environment.components))}
        {past}
        {(!environment.to_confirm && may(&environment.project, Permission::Import))
            .then(|| section("import", "Import a checkpoint", None, import(environment)))}
        {section("about", "About this environment", None, about(environment))}
    };
    view! {
        {crumbs(vec![
            ("Projects".to_owned(), "/projects".to_owned()),
            (environment.project.to_string(), format!("/projects/{}", environment.project)),
        ])}
        <div class="lead">
            {heading(environment.name.to_string(), said.tone, said.text, said.reason)}
            {(!environment.to_confirm).then(|| button(environment))}
        </div>
        {run_panel::place(live.as_ref())}
        {fresh(below.into_any())}
    }
    .into_any()
}

/// *Back up now*, with what can be said about it folded beside it.
fn button(environment: &EnvironmentView) -> AnyView {
    let boxes: Vec<_> = environment
        .components
        .iter()
        .map(|c| {
            let label = view! { {c.name.to_string()} <span class="dim">{format!(" {}", text::kind(c.kind))}</span> };
            tick("components[]", c.name.to_string(), label.into_any(), true)
        })
        .collect();
    let id = environment.id.to_string();
    let fields = view! {
        <input type="hidden" name="environment" value=id />
        <input type="hidden" name="offered" value="true" />
        <button class="primary big">"Back up now"</button>
        <details class="folded">
            <summary>"Name, tags, components, drill"</summary>
            <div class="fields">
                {line("backup-name", "name", plain("Name"), "For people. The id is given by Holdfast.")}
                {line("backup-tags", "tags", plain("Tags"), "Separated by commas.")}
                <fieldset>
                    <legend>"Components"</legend>
                    {boxes}
                </fieldset>
                <fieldset>
                    <legend>"Proof"</legend>
                    {tick("drill", "true".to_owned(), plain("Drill it after the seal"), true)}
                </fieldset>
            </div>
        </details>
    };
    if_may(&environment.project, Permission::Create, || {
        view! { <div class="backup">{form::<BackUp, _>(Live::Run, fields.into_any())}</div> }.into_any()
    })
}

/// The form that takes an exported archive back. It is sent by the browser itself, however large it is.
fn import(environment: &EnvironmentView) -> AnyView {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("environment", &format!("{}/{}", environment.project, environment.name));
    let action = format!("/ui/imports?{}", query.finish());
    view! {
        <p class="prose">
            "An archive that was exported here or by another Holdfast becomes a checkpoint of this environment: checked file by file while it comes, then drilled."
        </p>
        <form class="import" method="post" action=action enctype="multipart/form-data">
            <div class="line">
                <label for="import-archive">"Archive"</label>
                <input id="import-archive" name="archive" type="file" required=true accept=".tar,.gz,.tgz,.zst" aria-describedby="import-archive-hint" />
                <p class="hint" id="import-archive-hint">
                    ".tar.gz, .tar.zst or .tar. One that is encrypted, or in a bucket, comes by " <code>"holdfast checkpoint import"</code> "."
                </p>
            </div>
            <button>"Import"</button>
        </form>
    }
    .into_any()
}

fn figures(page: &EnvironmentPage) -> AnyView {
    let (now, e) = (page.now, &page.environment);
    let newest = match &e.latest {
        Some(latest) => state_tile("Newest checkpoint", word::proof_look(latest.proof), list::checkpoint_link(latest)),
        None => state_tile("Newest checkpoint", (Tone::Warn, Icon::Alert, "none"), plain("Nothing could be put back")),
    };
    let point = match &e.latest_proven {
        Some(proven) => {
            tile("Recovery point", age(now, proven.created_at), plain("since the newest proven checkpoint"))
        }
        None => tile("Recovery point", plain("–"), plain("no checkpoint is proven")),
    };
    let recovery = match e.recovery_ms {
        Some(ms) => tile("Recovery time", plain(text::duration(ms)), plain("measured by the last drill")),
        None => tile("Recovery time", plain("–"), plain("measured by the first drill")),
    };
    let saved = text::ratio(e.total, e.stored)
        .map_or_else(|| "nothing yet".to_owned(), |r| format!("for {} of checkpoints, {r}", size::display(e.total)));
    tiles(vec![newest, point, recovery, tile("Stored", bytes(e.stored), plain(saved))])
}

/// What is stored but not in force, and what `apply` found.
fn caveats(environment: &EnvironmentView) -> AnyView {
    let mut lines = environment.warnings.clone();
    if !environment.not_in_force.is_empty() {
        lines.push(format!(
            "Not in force: {}. It is stored with the definition; this version does not act upon it.",
            environment.not_in_force.join(", ")
        ));
    }
    if lines.is_empty() { ().into_any() } else { list::warnings(&lines) }
}

fn components(components: &[ComponentView]) -> AnyView {
    let rows = components
        .iter()
        .map(|c| {
            let mut left_out: Vec<_> =
                c.not_covered.iter().map(|l| view! { <li>{l.clone()}</li> }.into_any()).collect();
            if let Some(how) = &c.recoverable {
                left_out.push(view! { <li>{format!("Can be had back otherwise: {how}")}</li> }.into_any());
            }
            let coverage = match left_out.len() {
                0 => plain("everything"),
                1 => view! { <ul class="quietly">{left_out}</ul> }.into_any(),
                n => folded(format!("{n} limits"), view! { <ul class="quietly">{left_out}</ul> }.into_any()),
            };
            vec![
                view! { <span class="named">{c.name.to_string()}</span> }.into_any(),
                plain(text::kind(c.kind)),
                view! {
                    <code class="path">{c.location.clone()}</code>
                    {(c.host != "local").then(|| format!(" on {}", c.host))}
                }
                .into_any(),
                coverage,
                chart::sparkline(&c.sizes),
                c.sizes.last().map_or_else(|| plain("–"), |n| bytes(*n)),
            ]
        })
        .collect();
    let columns = [
        ("Component", false),
        ("Kind", false),
        ("Where", false),
        ("Not covered", false),
        ("Trend", false),
        ("Size", true),
    ];
    table("Components of this environment", &columns, rows)
}

fn about(e: &EnvironmentView) -> AnyView {
    let mut lines = vec![
        ("Id", copyable(e.id.to_string(), e.id.to_string(), "the environment's id")),
        ("Definition applied", moment(e.applied_at)),
    ];
    if let Some(address) = &e.address {
        lines.insert(0, ("Address", plain(address.clone())));
    }
    facts(lines)
}
