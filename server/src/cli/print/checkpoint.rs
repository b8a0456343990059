//! The page of one checkpoint: its four states each with its fact, sizes, ledger, gaps, proof, and how to get it back.

use holdfast_model::{
    size,
    state::{Integrity, Protection},
    view::{CheckpointView, DrillView, RunView},
};
use time::OffsetDateTime;

use super::{
    table::Table,
    text::{self, count, plain},
    times,
};

/// Tables that the page lists; `--json` has all.
const TABLES: usize = 40;
/// Entries of other lists that the page names.
const ENTRIES: usize = 25;

/// The whole page, without a newline at the end. `run` is the one that took it, where it is still known.
pub fn page(view: &CheckpointView, run: Option<&RunView>, now: OffsetDateTime) -> String {
    let mut sections = vec![head(view, now), states(view, run, now), components(view)];
    sections.extend(ledger(view));
    sections.extend(view.drill.as_ref().map(proof));
    sections.extend(gaps(view));
    sections.push(way_back(view));
    sections.join("\n\n")
}

fn head(view: &CheckpointView, now: OffsetDateTime) -> String {
    let mut lines = vec![format!("Checkpoint {}", view.id)];
    let mut fact = |label: &str, value: String| lines.push(format!("  {:<13}{value}", format!("{label}:")));
    if let Some(name) = &view.name {
        fact("Name", plain(name).into_owned());
    }
    if let Some(description) = &view.description {
        fact("Description", plain(description).into_owned());
    }
    fact("Environment", format!("{}/{}", view.environment.project, view.environment.name));
    fact("Created", times::moment_and_age(view.created_at, now));
    fact("By", format!("{}, trigger {}", plain(&view.created_by), view.trigger));
    fact("Size", format!("{} ({} stored)", view.size.display, size::display(view.size.stored)));
    fact("One moment", format!("all components held within {}", times::span(view.skew_ms)));
    for copy in &view.copies {
        let read = copy.integrity_at.map(|at| format!(", {}", times::ago(at, now))).unwrap_or_default();
        let integrity = text::integrity(copy.integrity);
        fact("Copy", format!("{} ({}, {integrity}{read})", plain(&copy.repository), copy.role));
    }
    if !view.tags.is_empty() {
        fact("Tags", view.tags.iter().map(|tag| plain(tag)).collect::<Vec<_>>().join(", "));
    }
    for (key, value) in &view.metadata {
        fact("Metadata", format!("{} = {}", plain(key), plain(value)));
    }
    lines.join("\n")
}

fn states(view: &CheckpointView, run: Option<&RunView>, now: OffsetDateTime) -> String {
    let run_state = run.map(|run| text::run_state(run.state).to_string()).unwrap_or_default();
    let run_fact = match run {
        Some(run) => {
            let took = run.started_at.zip(run.ended_at).map(|(start, end)| (end - start).whole_milliseconds());
            let took = took.and_then(|ms| u64::try_from(ms).ok()).map(|ms| format!(", took {}", times::span(ms)));
            let why = run.message.as_deref().map(|message| format!(": {}", plain(message))).unwrap_or_default();
            format!("{}{}{why}", run.id, took.unwrap_or_default())
        }
        None => format!("{} is not kept any more", view.run),
    };
    let read = view.integrity_at.map(|at| format!(", {}", times::moment_and_age(at, now))).unwrap_or_default();
    let integrity_fact = match view.integrity {
        Integrity::Intact => format!("every byte was read back and is as it was sealed{read}"),
        Integrity::Damaged => format!("something is missing or changed{read}"),
        Integrity::Unchecked => "not read back yet; check it with `verify`".into(),
    };
    let proof_fact = match &view.drill {
        Some(drill) => format!(
            "drill of {}, took {}{}",
            times::moment_and_age(drill.report.started_at, now),
            times::span(drill.report.duration_ms),
            drill.report.reason.as_deref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default()
        ),
        None => "no drill has been run; run one with `drill`".into(),
    };
    let protection_fact = match (view.protection, view.locked_until) {
        (Protection::None, _) => "no policy and no lock keeps it".to_owned(),
        (Protection::Tagged, _) => "a tag that a policy preserves keeps it".to_owned(),
        (Protection::Locked, None) => "it is locked".to_owned(),
        (Protection::Locked, Some(until)) => format!("its bucket keeps it locked until {}", times::moment(until)),
    };
    let mut table = Table::new(&["STATE", "", "FACT"]).indented(2);
    table.row(vec!["Run".into(), run_state, run_fact]);
    table.row(vec!["Integrity".into(), text::integrity(view.integrity).to_string(), integrity_fact]);
    table.row(vec!["Proof".into(), text::proof(view.proof).to_string(), proof_fact]);
    table.row(vec!["Protection".into(), view.protection.to_string(), protection_fact]);
    table.render()
}

fn components(view: &CheckpointView) -> String {
    let sizes: Vec<u64> = view.components.iter().map(|part| part.size).collect();
    let mut table =
        Table::new(&["COMPONENT", "KIND", "TYPE", "SIZE", "SHARE", "STORED", "ITEMS"]).indented(2).right(&[3, 4, 5, 6]);
    for (part, share) in view.components.iter().zip(size::percentages(&sizes)) {
        table.row(vec![
            part.name.to_string(),
            part.kind.to_string(),
            part.component_type.to_string(),
            size::display(part.size),
            format!("{share} %"),
            size::display(part.stored),
            count(part.items),
        ]);
    }
    table.render()
}

fn ledger(view: &CheckpointView) -> Option<String> {
    let total: usize = view.ledger.values().map(std::collections::BTreeMap::len).sum();
    if total == 0 {
        return None;
    }
    let mut table = Table::new(&["DATABASE", "TABLE", "ROWS", "HASH"]).indented(2).right(&[2]);
    let all = view.ledger.iter().flat_map(|(database, tables)| tables.iter().map(move |facts| (database, facts)));
    for (database, (name, facts)) in all.take(TABLES) {
        table.row(vec![
            plain(database).into_owned(),
            plain(name).into_owned(),
            count(facts.rows),
            facts.hash.chars().take(16).collect(),
        ]);
    }
    let more = total.saturating_sub(TABLES);
    let rest = if more > 0 { format!("\n  … and {more} more; --json has them all") } else { String::new() };
    Some(format!("Ledger: what the databases held at that moment\n{}{rest}", table.render()))
}

fn proof(drill: &DrillView) -> String {
    let mut table = Table::new(&["DRILL", "VERDICT", "RESTORED INTO", "CHECKS", "TIME"]).indented(2).right(&[3, 4]);
    for part in &drill.report.components {
        let passed = part.checks.iter().filter(|check| check.passed).count();
        table.row(vec![
            part.name.to_string(),
            text::proof(part.verdict).to_string(),
            part.engine.as_deref().map(|engine| plain(engine).into_owned()).unwrap_or_default(),
            format!("{passed}/{}", part.checks.len()),
            times::span(part.duration_ms),
        ]);
    }
    let mut lines = vec![format!(
        "Proof: {} read back now, {} earlier{}",
        size::display(drill.report.bytes_read),
        size::display(drill.report.bytes_read_earlier),
        drill.report.sandbox.as_deref().map(|how| format!("; {}", plain(how))).unwrap_or_default()
    )];
    lines.push(table.render());
    for check in drill.checks.iter().filter(|check| !check.passed).take(ENTRIES) {
        let found = match (&check.expected, &check.found) {
            (Some(expected), Some(found)) => format!("sealed {}, restored {}", plain(expected), plain(found)),
            _ => check.message.as_deref().map(|text| plain(text).into_owned()).unwrap_or_else(|| "not equal".into()),
        };
        lines.push(format!("  ✗ {} {}: {found}", plain(&check.component), plain(&check.name)));
    }
    for gap in drill.report.components.iter().flat_map(|part| &part.gaps).take(ENTRIES) {
        lines.push(format!(
            "  not compared: {} {} {}: {}{}",
            plain(&gap.component),
            plain(&gap.kind),
            plain(&gap.name),
            plain(&gap.reason),
            if gap.accepted { " (accepted)" } else { "" }
        ));
    }
    lines.join("\n")
}

fn gaps(view: &CheckpointView) -> Option<String> {
    if view.skipped.is_empty() && view.not_covered.is_empty() {
        return None;
    }
    let mut lines = vec![match view.skipped.len() {
        0 => "Not in it".to_owned(),
        skipped => format!("Not in it: {skipped} skipped"),
    }];
    for skipped in view.skipped.iter().take(ENTRIES) {
        lines.push(format!(
            "  {} {}: {} ({})",
            plain(&skipped.component),
            plain(&skipped.name),
            plain(&skipped.message),
            plain(&skipped.reason)
        ));
    }
    let more = view.skipped.len().saturating_sub(ENTRIES);
    if more > 0 {
        lines.push(format!("  … and {more} more; --json has them all"));
    }
    lines.extend(view.not_covered.iter().map(|what| format!("  by its nature: {}", plain(what))));
    Some(lines.join("\n"))
}

fn way_back(view: &CheckpointView) -> String {
    let id = &view.id;
    let component = view.components.last().map_or("NAME", |part| part.name.as_str());
    let snapshot: String = view.vault.snapshot.chars().take(16).collect();
    format!(
        "How to get it back\n  everything:        holdfast checkpoint restore {id}\n  one component:     holdfast checkpoint restore {id} --components {component}\n  one file:          holdfast checkpoint cat {id} PATH > FILE\n  without Holdfast:  restic -r {} restore {} --target DIR\n                     (its password: holdfast vault recovery-kit {})",
        plain(&view.vault.repository),
        plain(&snapshot),
        view.environment.project
    )
}
