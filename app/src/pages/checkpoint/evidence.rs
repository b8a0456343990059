//! Why a checkpoint can be believed: its ledger, and what its drill found.

use std::collections::BTreeMap;

use holdfast_model::{
    drill::{Check, ComponentDrill},
    ledger::TableFacts,
    size,
};
use leptos::prelude::*;

use crate::{
    backend::CheckpointPage,
    components::{
        icon::Icon,
        layout::{ago, facts, moment, plain, section, table},
        list,
        run_panel::check,
        word::{self, Tone},
    },
    text,
};

/// The ledger table by table, beside what the drill found.
pub fn ledger(page: &CheckpointPage) -> AnyView {
    let c = &page.checkpoint;
    if c.ledger.is_empty() {
        return ().into_any();
    }
    let checks: &[Check] = c.drill.as_ref().map_or(&[], |drill| drill.checks.as_slice());
    let several = c.ledger.len() > 1;
    let tables: Vec<_> = c
        .ledger
        .iter()
        .map(|(component, tables)| {
            let title = several.then(|| view! { <h3>{component.clone()}</h3> });
            view! { {title} {one_ledger(component, tables, checks)} }.into_any()
        })
        .collect();
    let rows: u64 = c.ledger.values().flat_map(|t| t.values()).map(|t| t.rows).sum();
    let count: usize = c.ledger.values().map(BTreeMap::len).sum();
    let note = format!(
        "{} in {}, counted and hashed inside the snapshot that was dumped",
        text::counted(rows, "row"),
        text::counted(u64::try_from(count).unwrap_or(0), "table")
    );
    section("ledger", "Ledger", Some(note), tables.into_any())
}

/// The checks that speak about one table: `rows public.orders`, and others of the same form.
fn about<'a>(checks: &'a [Check], component: &str, table: &str) -> Vec<&'a Check> {
    let spoken = |check: &&Check| {
        let words = check.name.split_once(' ');
        check.component == component
            && words.is_some_and(|(what, name)| name == table && !matches!(what, "sequence" | "index" | "view"))
    };
    checks.iter().filter(spoken).collect()
}

fn one_ledger(component: &str, tables: &BTreeMap<String, TableFacts>, checks: &[Check]) -> AnyView {
    let rows = tables
        .iter()
        .map(|(name, sealed)| {
            let spoken = about(checks, component, name);
            let equal = !spoken.is_empty() && spoken.iter().all(|c| c.passed);
            let took: u64 = spoken.iter().map(|c| c.duration_ms).sum();
            let (found, look) = if spoken.is_empty() {
                (plain("–"), (Tone::Plain, Icon::Empty, "not compared"))
            } else if equal {
                (plain(text::count(sealed.rows)), (Tone::Good, Icon::Check, "equal"))
            } else {
                let found = spoken.iter().find(|c| !c.passed).and_then(|c| c.found.clone());
                (plain(found.unwrap_or_else(|| "–".to_owned())), (Tone::Bad, Icon::Cross, "not equal"))
            };
            vec![
                view! { <code>{name.clone()}</code> }.into_any(),
                plain(text::count(sealed.rows)),
                found,
                word::word(look),
                view! { <code class="hash" title=sealed.hash.clone()>{sealed.hash.chars().take(16).collect::<String>()}</code> }.into_any(),
                plain(if spoken.is_empty() { "–".to_owned() } else { text::duration(took) }),
            ]
        })
        .collect();
    let columns = [
        ("Table", false),
        ("Rows sealed", true),
        ("Rows in the drill", true),
        ("Content", false),
        ("Hash", false),
        ("Compared in", true),
    ];
    table(format!("Rows of {component} at capture and in the drill"), &columns, rows)
}

/// The newest drill's report.
pub fn drill(page: &CheckpointPage) -> AnyView {
    let Some(drill) = &page.checkpoint.drill else {
        return section(
            "drill",
            "Drill",
            None,
            view! {
                <p class="prose">
                    "A drill restores the sealed copy into scratch space and compares it with the ledger, row by row. This checkpoint has not had one: whether it can be restored is not known."
                </p>
            }
            .into_any(),
        );
    };
    let report = &drill.report;
    let passed = drill.checks.iter().filter(|c| c.passed).count();
    let note = format!("{passed} of {} checks equal, {}", drill.checks.len(), text::duration(report.duration_ms));
    let mut lines = vec![
        ("Verdict", word::proof(report.verdict)),
        ("Began", view! { {moment(report.started_at)} ", " {ago(page.now, report.started_at)} }.into_any()),
        ("Measured recovery time", plain(text::duration(report.duration_ms))),
        (
            "Read from the vault",
            plain(format!(
                "{} now, {} earlier",
                size::display(report.bytes_read),
                size::display(report.bytes_read_earlier)
            )),
        ),
    ];
    if let Some(sandbox) = &report.sandbox {
        lines.push(("Kept apart by", plain(sandbox.clone())));
    }
    if let Some(reason) = &report.reason {
        lines.push(("Reason", plain(reason.clone())));
    }
    let components: Vec<_> = report.components.iter().map(component).collect();
    let body = view! {
        {facts(lines)}
        {components}
        <p><a href=format!("/ui/checkpoints/{}/drill.json", page.checkpoint.id) download="">"Download the report"</a></p>
    };
    section("drill", "Drill", Some(note), body.into_any())
}

/// One component's checks and gaps.
fn component(drill: &ComponentDrill) -> AnyView {
    let failed: Vec<_> = drill.checks.iter().filter(|c| !c.passed).map(check).collect();
    let failed = (!failed.is_empty()).then(|| view! { <ul class="checks">{failed}</ul> });
    let gaps: Vec<_> = drill
        .gaps
        .iter()
        .map(|gap| {
            let accepted = if gap.accepted { ", accepted" } else { "" };
            format!("{} {}: {}{accepted}", gap.kind, gap.name, gap.reason)
        })
        .collect();
    let gaps = (!gaps.is_empty()).then(|| list::warnings(&gaps));
    let all: Vec<_> = drill.checks.iter().map(check).collect();
    let passed = drill.checks.iter().filter(|c| c.passed).count();
    let summary = format!("{passed} of {} checks equal", drill.checks.len());
    let engine = drill.engine.clone().map(|engine| format!("into {engine}, "));
    let label = format!("Checks of {}", drill.name);
    view! {
        <div class="drilled">
            <h3>{drill.name.to_string()} " " {word::proof(drill.verdict)}</h3>
            <p class="note">{engine} {text::duration(drill.duration_ms)}</p>
            {failed}
            {gaps}
            <details class="folded">
                <summary>{summary}</summary>
                <ul class="checks long" tabindex="0" aria-label=label>{all}</ul>
            </details>
        </div>
    }
    .into_any()
}
