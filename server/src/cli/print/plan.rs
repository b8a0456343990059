//! The plan of a restore, as a page.

use holdfast_model::{
    plan::{Listed, PlanItem, PlanTarget, RestorePlan},
    size,
};

use super::{
    text::{count, plain},
    times,
};

mod tables;

/// Where it goes: `environment: staging`.
pub fn target(target: &PlanTarget) -> String {
    match target {
        PlanTarget::Environment { environment, new, .. } => {
            let new = if *new { " (new)" } else { "" };
            format!("environment: {}{new}", environment.name)
        }
        PlanTarget::Folder { path } => format!("folder: {}", plain(path)),
        PlanTarget::Database { address } => format!("database: {}", plain(address)),
    }
}

/// Everything that it says.
pub fn page(plan: &RestorePlan) -> String {
    let mut lines = Vec::new();
    for item in &plan.items {
        component(item, &mut lines);
    }
    lines.push("Steps".to_owned());
    for step in &plan.steps {
        lines.push(match &step.skipped {
            None => format!("  • {}", plain(&step.title)),
            Some(why) => format!("  – {}: not needed ({})", plain(&step.title), plain(why)),
        });
    }
    if !plan.space.is_empty() {
        lines.push("\nSpace".to_owned());
        for space in &plan.space {
            let (needed, free) = (size::display(space.needed), size::display(space.free));
            lines.push(format!("  {}: {needed} needed, {free} free", plain(&space.place)));
        }
    }
    if let (Some(ms), Some(from)) = (plan.expected_ms, &plan.expected_from) {
        lines.push(format!("\nExpected: {} ({})", times::span(ms), plain(from)));
    }
    let lost = if plan.safety { "Held by the safety checkpoint" } else { "In no checkpoint afterwards" };
    for (title, list) in [(lost, &plan.would_lose), ("To know", &plan.warnings), ("Refused", &plan.refused)] {
        if !list.is_empty() {
            lines.push(format!("\n{title}"));
            lines.extend(list.iter().map(|line| format!("  {}", plain(line))));
        }
    }
    lines.join("\n")
}

fn component(item: &PlanItem, lines: &mut Vec<String>) {
    lines.push(format!("{} ({}) to {}", item.component, item.kind, plain(&item.place)));
    lines.extend(item.does.iter().map(|what| format!("  {}", plain(what))));
    let lists = [
        ("matched", item.matched.as_ref()),
        ("made", Some(&item.made)),
        ("replaced", Some(&item.changed)),
        ("moved away", Some(&item.removed)),
        ("stays", Some(&item.kept)),
    ];
    for (title, list) in lists {
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            lines.push(format!("    {title}: {}", names(list)));
        }
    }
    for report in &item.tables {
        tables::report(report, lines);
    }
    if let Some(keeps) = &item.keeps {
        lines.push(format!("    kept in: {}", plain(keeps)));
    }
    lines.extend(item.versions.iter().chain(&item.permissions).map(|what| format!("    {}", plain(what))));
    lines.push(String::new());
}

fn names(list: &Listed) -> String {
    let first = list.first.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    let more = list.count.saturating_sub(list.first.len() as u64);
    if more == 0 { first } else { format!("{first} and {} more", count(more)) }
}
