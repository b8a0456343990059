//! A run as it goes: steps, bytes, speed, checks, log. Drawn by the server as it stands, alive once the wasm is there.

use holdfast_model::{
    drill::Check,
    event::Level,
    size,
    state::RunKind,
    view::{RunView, Subject},
};
use leptos::prelude::*;

use super::{
    icon::{Icon, icon},
    word,
};
#[cfg(feature = "ssr")]
use crate::{backend::RunPage, run_state::run_state};
use crate::{
    run_state::{Line, Mark, Meter, Progress, Step},
    text,
};

/// So many lines of log and so many checks are drawn; what is older is in the catalogue.
const SHOWN: usize = 400;

/// The place where the run of a page is watched: drawn as it stands, and handed to the browser while it is going.
#[cfg(feature = "ssr")]
pub fn place(page: Option<&RunPage>) -> AnyView {
    let drawn = page.map(|page| panel(&page.run, RwSignal::new(run_state(page.run.kind, &page.events))));
    let live = page.filter(|page| !page.run.state.is_final()).and_then(|page| serde_json::to_string(page).ok());
    view! { <div data-panel="" data-run=live>{drawn}</div> }.into_any()
}

/// The panel of one run, following its progress.
pub fn panel(run: &RunView, progress: RwSignal<Progress>) -> AnyView {
    let spoken = Memo::new(move |_| progress.with(Progress::spoken));
    let over = Memo::new(move |_| progress.with(|p| p.state.is_final()));
    let run = run.clone();
    let title = format!("{} of {}", text::run_kind(run.kind), run.subject);
    let label = format!("panel-{}", run.id);
    let own = label.clone();
    let id = run.id.to_string();
    view! {
        <section class="panel run" aria-labelledby=label>
            <header>
                <h2 id=own><a href=format!("/runs/{id}")>{title}</a></h2>
                {move || progress.with(|p| word::run(p.state))}
                <span class="elapsed num">{move || progress.with(elapsed)}</span>
                {move || (!over.get()).then(|| cancel(&id))}
            </header>
            <p class="unseen" aria-live="polite">{move || spoken.get()}</p>
            {move || progress.with(|p| outcome(&run, p))}
            <ol class="steps">{move || progress.with(|p| p.steps.iter().map(|s| step(s, p)).collect::<Vec<_>>())}</ol>
            {checks(progress)}
            {log(progress)}
        </section>
    }
    .into_any()
}

/// Asks the run to stop.
fn cancel(run: &str) -> AnyView {
    let run = run.to_owned();
    view! {
        <form method="post" action="/ui/cancel" data-live="cancel">
            <input type="hidden" name="run" value=run />
            <button class="quiet">"Cancel"</button>
            <p class="refusal" role="alert"></p>
        </form>
    }
    .into_any()
}

/// Time since it was taken up.
fn elapsed(progress: &Progress) -> String {
    match (progress.started_at, progress.latest_at) {
        (Some(from), Some(to)) => text::span(from, to),
        _ => String::new(),
    }
}

/// The reason of its state, and where its result is.
fn outcome(run: &RunView, progress: &Progress) -> AnyView {
    if !progress.state.is_final() {
        return ().into_any();
    }
    let message = progress.message.clone().map(|m| view! { <p>{m}</p> });
    let there = run.sealed || !run.kind.makes_checkpoint();
    let (href, name) = match run.checkpoint.as_ref().filter(|_| there && run.kind != RunKind::Restore) {
        Some(id) => (format!("/checkpoints/{id}"), "Open the checkpoint"),
        None => match &run.subject {
            Subject::Environment(e) => (text::environment_href(&e.project, &e.name), "Open the environment"),
            Subject::Vault(vault) => (text::project_href(&vault.project), "Open the project"),
        },
    };
    view! { <div class="outcome">{message} {word::gate(run)} <a class="button" href=href>{name}</a></div> }.into_any()
}

/// One step: how it stands, what it is, how far.
fn step(step: &Step, progress: &Progress) -> AnyView {
    let (class, shape, spoken) = match step.mark {
        Mark::Pending => ("step pending", Icon::Dot, "to come"),
        Mark::Running => ("step live", Icon::Spinner, "running"),
        Mark::Done => ("step good", Icon::Check, "done"),
        Mark::Failed => ("step bad", Icon::Cross, "failed"),
        Mark::Skipped => ("step plain", Icon::Dash, "skipped"),
    };
    let running = step.mark == Mark::Running;
    let took = step.elapsed(progress.latest_at).filter(|_| step.mark != Mark::Pending).map(text::duration);
    let tally = step.component.as_deref().filter(|_| step.step.starts_with("drill")).and_then(|component| {
        let (made, passed) = *progress.tally().get(component)?;
        Some(format!("{passed} of {made} checks equal"))
    });
    let bar = step.meter.as_ref().filter(|_| running).and_then(|meter| {
        let total = meter.total.filter(|t| *t > 0)?;
        let label = format!("{}: {} of {}", step.title, size::display(meter.bytes), size::display(total));
        Some(view! { <progress max=total.to_string() value=meter.bytes.min(total).to_string() aria-label=label></progress> })
    });
    let figures = step.meter.as_ref().map(|meter| figures(meter, running));
    let current = step
        .meter
        .as_ref()
        .filter(|_| running)
        .and_then(|m| m.current.clone())
        .map(|name| view! { <span class="current">{name}</span> });
    let of = step.component.clone().map(|component| view! { <span class="of">{component}</span> });
    view! {
        <li class=class>
            {icon(shape)}
            <span class="unseen">{format!("{spoken}: ")}</span>
            <span class="title">{step.title.clone()} {of}</span>
            <span class="took num">{took}</span>
            <span class="detail">{step.detail.clone()} {tally.map(|t| view! { <span>{t}</span> })}</span>
            {bar}
            {figures}
            {current}
        </li>
    }
    .into_any()
}

/// Bytes, files, tables, speed, what is left.
fn figures(meter: &Meter, running: bool) -> AnyView {
    let mut parts = Vec::new();
    // Once a step has ended its own detail says how much it was.
    if running {
        parts.push(match meter.total {
            Some(total) => format!("{} of {}", size::display(meter.bytes), size::display(total)),
            None => size::display(meter.bytes),
        });
        if meter.files > 0 {
            parts.push(text::counted(meter.files, "file"));
        }
        if meter.tables > 0 {
            parts.push(text::counted(meter.tables, "table"));
        }
    }
    if meter.stored > 0 {
        parts.push(format!("{} stored", size::display(meter.stored)));
    }
    if let Some(speed) = meter.speed.filter(|s| *s > 0) {
        parts.push(text::speed(speed));
    }
    if let Some(left) = meter.left().filter(|_| running) {
        parts.push(format!("{} left", text::duration(left)));
    }
    let parts: Vec<_> = parts.into_iter().map(|part| view! { <span>{part}</span> }).collect();
    view! { <span class="figures num">{parts}</span> }.into_any()
}

/// The checks of a drill: those that are not equal in sight, all of them folded.
fn checks(progress: RwSignal<Progress>) -> AnyView {
    let made = Memo::new(move |_| progress.with(|p| p.checks.len()));
    (move || {
        let made = made.get();
        (made > 0).then(|| {
            progress.with_untracked(|p| {
                let failed: Vec<_> = p.failed_checks().take(SHOWN).map(check).collect();
                let passed = made - p.failed_checks().count();
                let newest: Vec<_> = p.checks.iter().rev().take(SHOWN).map(check).collect();
                view! {
                    <ul class="checks">{failed}</ul>
                    <details class="folded">
                        <summary>{format!("{passed} of {made} checks equal")}</summary>
                        <ul class="checks long" tabindex="0" aria-label="Checks, newest first">{newest}</ul>
                    </details>
                }
            })
        })
    })
    .into_any()
}

/// One check.
pub fn check(check: &Check) -> AnyView {
    let (class, shape, spoken) =
        if check.passed { ("good", Icon::Check, "equal: ") } else { ("bad", Icon::Cross, "not equal: ") };
    let found = (!check.passed).then(|| {
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        format!("sealed {}, found {}", known(&check.expected), known(&check.found))
    });
    view! {
        <li class=class>
            {icon(shape)}
            <span class="unseen">{spoken}</span>
            <span class="title">{format!("{} · {}", check.component, check.name)}</span>
            <span class="took num">{text::duration(check.duration_ms)}</span>
            <span class="detail">{found.map(|f| view! { <span>{f}</span> })} {check.message.clone()}</span>
        </li>
    }
    .into_any()
}

/// The log, folded.
fn log(progress: RwSignal<Progress>) -> AnyView {
    let lines = Memo::new(move |_| progress.with(|p| p.log.len()));
    (move || {
        let lines = lines.get();
        (lines > 0).then(|| {
            let newest: Vec<_> =
                progress.with_untracked(|p| p.log[lines.saturating_sub(SHOWN)..].iter().map(line).collect());
            view! {
                <details class="folded">
                    <summary>{format!("Log, {}", text::counted(u64::try_from(lines).unwrap_or(0), "line"))}</summary>
                    <ol class="log" tabindex="0" aria-label="Log, oldest first">{newest}</ol>
                </details>
            }
        })
    })
    .into_any()
}

fn line(line: &Line) -> AnyView {
    let level = match line.level {
        Level::Info => "",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    view! {
        <li class=level>
            <time datetime=text::machine(line.at) title=text::absolute(line.at)>{text::clock(line.at)}</time>
            <span class="from">{line.component.clone()}</span>
            <span>{line.message.clone()}</span>
        </li>
    }
    .into_any()
}
