//! The plan of a restore: the very checks that the restore makes, with nothing touched.

use holdfast_model::{
    plan::{Listed, PlanItem, RestorePlan},
    size,
};
use leptos::prelude::*;

use crate::{
    components::{
        icon::{Icon, icon},
        layout::{facts, plain, table},
        list,
    },
    error::AppError,
    text,
};

mod compared;

/// The whole plan.
pub fn plan(plan: &RestorePlan) -> AnyView {
    let refused: Vec<_> = plan
        .refused
        .iter()
        .map(|why| view! { <p class="aside bad">{icon(Icon::Cross)} <span>{why.replace('`', "")}</span></p> })
        .collect();
    let warnings = (!plan.warnings.is_empty()).then(|| list::warnings(&plan.warnings));
    let items: Vec<_> = plan.items.iter().map(item).collect();
    view! {
        <h2>"What will happen"</h2>
        {refused}
        {warnings}
        <p class="prose">{time(plan)}</p>
        {items}
        {lose(plan)}
        {space(plan)}
        {steps(plan)}
    }
    .into_any()
}

/// The plan could not be made.
pub fn none(why: &AppError) -> AnyView {
    view! {
        <h2>"What will happen"</h2>
        <p class="aside bad">{icon(Icon::Cross)} <span>{why.to_string()}</span></p>
    }
    .into_any()
}

fn time(plan: &RestorePlan) -> String {
    match (plan.expected_ms, &plan.expected_from) {
        (Some(ms), Some(from)) => format!("It takes about {}, by {from}.", text::duration(ms)),
        (Some(ms), None) => format!("It takes about {}.", text::duration(ms)),
        (None, _) => "How long it takes is not measured yet: a drill measures it.".to_owned(),
    }
}

fn item(item: &PlanItem) -> AnyView {
    let does: Vec<_> = item.does.iter().map(|line| view! { <li>{line.clone()}</li> }).collect();
    let counts: Vec<_> = [
        ("made", &item.made),
        ("replaced, the old kept", &item.changed),
        ("moved aside", &item.removed),
        ("left as they are", &item.kept),
    ]
    .into_iter()
    // Tables are told one by one.
    .filter(|(_, listed)| !listed.is_empty() && item.tables.is_empty())
    .map(|(what, listed)| counted(&item.unit, what, listed))
    .collect();
    let same = (item.same > 0).then(|| {
        view! { <li>{format!("{} {} are as in the checkpoint already", text::count(item.same), item.unit)}</li> }
    });
    let compared: Vec<_> = item.tables.iter().map(compared::table).collect();
    let mut lines = Vec::new();
    if let Some(keeps) = &item.keeps {
        lines.push(("Kept in", view! { <code class="path">{keeps.clone()}</code> }.into_any()));
    }
    if item.bytes > 0 {
        lines.push(("Written", plain(size::display(item.bytes))));
    }
    lines.extend(item.versions.iter().map(|line| ("Versions", plain(line.clone()))));
    lines.extend(item.permissions.iter().map(|line| ("Permissions", plain(line.clone()))));
    view! {
        <div class="planned">
            <h3>
                {item.component.to_string()} " " <span class="dim">{text::kind(item.kind)} " to "</span>
                <code class="path">{item.place.clone()}</code>
            </h3>
            <ul class="prose">{does} {counts} {same}</ul>
            {compared}
            {facts(lines)}
        </div>
    }
    .into_any()
}

/// A count with its first names folded under it.
fn counted(unit: &str, what: &str, listed: &Listed) -> AnyView {
    let unit = if listed.count == 1 { unit.trim_end_matches('s') } else { unit };
    let head = format!("{} {unit} {what}", text::count(listed.count));
    if listed.first.is_empty() {
        return view! { <li>{head}</li> }.into_any();
    }
    let names: Vec<_> =
        listed.first.iter().map(|name| view! { <li><code class="path">{name.clone()}</code></li> }).collect();
    let shown = u64::try_from(listed.first.len()).unwrap_or(0);
    let more =
        (listed.count > shown).then(|| view! { <li>{format!("and {} more", text::count(listed.count - shown))}</li> });
    view! { <li><details><summary>{head}</summary><ul class="quietly">{names} {more}</ul></details></li> }.into_any()
}

fn lose(plan: &RestorePlan) -> AnyView {
    if plan.would_lose.is_empty() {
        return ().into_any();
    }
    let said = if plan.safety {
        "The safety checkpoint will hold what is there now, among it:"
    } else {
        "Without a safety checkpoint no copy is kept of:"
    };
    let class = if plan.safety { "prose" } else { "prose warn" };
    let lines: Vec<_> = plan.would_lose.iter().map(|line| view! { <li>{line.replace('`', "")}</li> }).collect();
    view! { <p class=class>{said}</p> <ul class="prose">{lines}</ul> }.into_any()
}

fn space(plan: &RestorePlan) -> AnyView {
    if plan.space.is_empty() {
        return ().into_any();
    }
    let rows = plan
        .space
        .iter()
        .map(|space| {
            vec![
                view! { <code class="path">{space.place.clone()}</code> }.into_any(),
                plain(size::display(space.needed)),
                plain(size::display(space.free)),
            ]
        })
        .collect();
    table("Room that it needs", &[("Place", false), ("Needed", true), ("Free", true)], rows)
}

fn steps(plan: &RestorePlan) -> AnyView {
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let why =
                step.skipped.clone().map(|why| view! { <span class="dim">{format!(" – not needed: {why}")}</span> });
            view! { <li>{step.title.clone()} {why}</li> }
        })
        .collect();
    view! {
        <details class="folded">
            <summary>{text::counted(u64::try_from(plan.steps.len()).unwrap_or(0), "step")}</summary>
            <ol class="quietly">{steps}</ol>
        </details>
    }
    .into_any()
}
