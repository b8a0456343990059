//! A run as it goes: steps, bytes, speed, checks, log. Drawn by the server as it stands, alive once the wasm is there.

use holdfast_model::{drill::Check, event::Level, size, state::RunKind, view::RunView};
use leptos::{form::ActionForm, prelude::*, server_fn::ServerFn};

use super::{
    form::action_error,
    icon::{Icon, icon},
    list::environment_href,
    word,
};
use crate::{
    api::{Cancel, read_run},
    backend::RunPage,
    error::AppError,
    run_state::{Line, Mark, Meter, Progress, Step},
    stream::use_run,
    text,
};

/// So many lines of log and so many checks are drawn; what is older is in the catalogue.
const SHOWN: usize = 400;

/// The run that a page watches: what the page was read with, or what one of its buttons began.
#[derive(Clone, Copy)]
pub struct Watch {
    shown: RwSignal<Option<RunPage>>,
    changed: Callback<()>,
}

impl Watch {
    /// `changed` reads the page again when the run ends.
    pub fn new(changed: impl Fn() + Send + Sync + 'static) -> Self {
        Self { shown: RwSignal::new(None), changed: Callback::new(move |()| changed()) }
    }

    /// Shows a run that has just been asked for.
    pub fn begin(&self, run: RunView) {
        self.shown.set(Some(RunPage { now: run.created_at, run, events: Vec::new() }));
    }

    /// Follows an action: when it has begun a run, its panel opens in place.
    pub fn follow<S>(&self, action: ServerAction<S>)
    where
        S: ServerFn<Output = RunView, Error = AppError> + Clone + Send + Sync + 'static,
    {
        let watch = *self;
        Effect::new(move |_| {
            if let Some(Ok(run)) = action.value().get() {
                watch.begin(run);
            }
        });
    }

    /// The panel, if there is a run to watch; `live` is the one that the page was read with.
    pub fn panel(&self, live: Option<RunPage>) -> AnyView {
        let watch = *self;
        if let Some(live) = live
            && watch.shown.with_untracked(|s| s.as_ref().is_none_or(|s| s.run.id != live.run.id))
        {
            watch.shown.set(Some(live));
        }
        (move || watch.shown.get().map(|page| watch.draw(&page))).into_any()
    }

    fn draw(&self, page: &RunPage) -> AnyView {
        let (watch, id) = (*self, page.run.id.to_string());
        panel(
            page,
            Callback::new(move |()| {
                let id = id.clone();
                leptos::task::spawn_local(async move {
                    if let Ok(read) = read_run(id).await {
                        watch.shown.try_set(Some(read.page));
                    }
                    watch.changed.run(());
                });
            }),
        )
    }
}

/// The panel of one run. `ended` is called once, when it ends while somebody watches.
pub fn panel(page: &RunPage, ended: Callback<()>) -> AnyView {
    let progress = use_run(page, ended);
    let cancel = ServerAction::<Cancel>::new();
    let run = page.run.clone();
    let spoken = Memo::new(move |_| progress.with(Progress::spoken));
    let over = Memo::new(move |_| progress.with(|p| p.state.is_final()));
    let title = format!("{} of {} / {}", text::run_kind(run.kind), run.environment.project, run.environment.name);
    let label = format!("panel-{}", run.id);
    let own = label.clone();
    let id = run.id.to_string();
    view! {
        <section class="panel run" aria-labelledby=label>
            <header>
                <h2 id=own><a href=format!("/runs/{id}")>{title}</a></h2>
                {move || progress.with(|p| word::run(p.state))}
                <span class="elapsed num">{move || progress.with(elapsed)}</span>
                {move || {
                    let id = id.clone();
                    (!over.get()).then(move || view! {
                        <ActionForm action=cancel>
                            <input type="hidden" name="run" value=id />
                            <button class="quiet" disabled=move || cancel.pending().get()>"Cancel"</button>
                        </ActionForm>
                    })
                }}
            </header>
            {action_error(cancel)}
            <p class="unseen" aria-live="polite">{move || spoken.get()}</p>
            {move || outcome(&run, progress)}
            <ol class="steps">{move || progress.with(|p| p.steps.iter().map(|s| step(s, p)).collect::<Vec<_>>())}</ol>
            {checks(progress)}
            {log(progress)}
        </section>
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
fn outcome(run: &RunView, progress: RwSignal<Progress>) -> AnyView {
    let (over, message) = progress.with(|p| (p.state.is_final(), p.message.clone()));
    let place = environment_href(&run.environment.project, &run.environment.name);
    let result = over.then(|| match (&run.checkpoint, run.kind) {
        (Some(id), RunKind::Create) if run.sealed => {
            view! { <a class="button" href=format!("/checkpoints/{id}")>"Open the checkpoint"</a> }.into_any()
        }
        (Some(id), RunKind::Drill | RunKind::Verify) => {
            view! { <a class="button" href=format!("/checkpoints/{id}")>"Open the checkpoint"</a> }.into_any()
        }
        _ => view! { <a class="button" href=place>"Open the environment"</a> }.into_any(),
    });
    let gate = over.then(|| super::list::gate(run));
    view! { <div class="outcome">{message.map(|m| view! { <p>{m}</p> })} {gate} {result}</div> }.into_any()
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
    view! {
        <li class=class>
            {icon(shape)}
            <span class="unseen">{format!("{spoken}: ")}</span>
            <span class="title">{step.title.clone()}</span>
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
    let mut parts = vec![match meter.total.filter(|_| running) {
        Some(total) => format!("{} of {}", size::display(meter.bytes), size::display(total)),
        None => size::display(meter.bytes),
    }];
    if meter.files > 0 {
        parts.push(text::counted(meter.files, "file"));
    }
    if meter.tables > 0 {
        parts.push(text::counted(meter.tables, "table"));
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
