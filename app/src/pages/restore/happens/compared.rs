//! One table of a plan: what it was beside what it is, and what would refer to nothing.

use holdfast_model::table::{BrokenReference, TableReport};
use leptos::prelude::*;

use crate::{
    components::layout::{plain, table as grid},
    text,
};

/// Counts, structure and foreign keys.
pub fn table(report: &TableReport) -> AnyView {
    if !report.exists {
        return ().into_any();
    }
    let name = format!("{}.{}", report.schema, report.name);
    let counts = [report.then, report.now, report.only_then, report.only_now, report.changed];
    let columns =
        [("Rows then", true), ("Rows now", true), ("Only then", true), ("Only now", true), ("Changed since", true)];
    let row = counts.into_iter().map(|count| plain(text::count(count))).collect();
    let key = if report.key.is_empty() {
        "It has no primary key: whole rows are compared.".to_owned()
    } else {
        format!("Rows are told apart by {}.", report.key.join(", "))
    };
    let structure = (!report.structure.is_empty()).then(|| {
        let lines: Vec<_> = report.structure.iter().map(|line| view! { <li><code>{line.clone()}</code></li> }).collect();
        view! { <p class="prose">"From the structure that it has now to the one that it had:"</p> <ul class="quietly">{lines}</ul> }
    });
    let broken: Vec<_> = report.broken.iter().map(|broken| view! { <li>{refers(broken)}</li> }).collect();
    let broken = (!broken.is_empty()).then(|| view! { <ul class="prose">{broken}</ul> });
    view! {
        <div class="planned">
            <h4><code>{name.clone()}</code></h4>
            {grid(format!("{name}, then and now"), &columns, vec![row])}
            <p class="note">{key}</p>
            {structure}
            {broken}
        </div>
    }
    .into_any()
}

fn refers(broken: &BrokenReference) -> String {
    let BrokenReference { constraint, from, to, rows, comes_back, out } = broken;
    let rows = text::counted(*rows, "row");
    match (out, comes_back) {
        (false, _) => format!("Made what it was, {rows} of {from} would refer to rows of {to} that go ({constraint})."),
        (true, true) => format!("{rows} of it refer to rows of {to}, which come back before it ({constraint})."),
        (true, false) => format!("{rows} of it refer to rows of {to} that are not there now ({constraint})."),
    }
}
