//! One table of a plan: what it was and what it is.

use holdfast_model::table::TableReport;

use super::super::text::{count, plain};

/// A few lines below the component.
pub fn report(report: &TableReport, lines: &mut Vec<String>) {
    let mut say = |text: String| lines.push(format!("    {}", plain(&text)));
    let name = format!("{}.{}", report.schema, report.name);
    if !report.exists {
        return say(format!("{name}: {} rows then; it is not there now", count(report.then)));
    }
    let told = match report.key.as_slice() {
        [] => "it has no primary key: whole rows are compared".to_owned(),
        key => format!("rows told apart by {}", key.join(", ")),
    };
    say(format!("{name}: {} rows then, {} now; {told}", count(report.then), count(report.now)));
    say(format!(
        "  only then: {}, only now: {}, changed: {}",
        count(report.only_then),
        count(report.only_now),
        count(report.changed)
    ));
    for line in &report.structure {
        say(format!("  structure, from now to then: {line}"));
    }
    for broken in &report.broken {
        let (rows, from, to) = (count(broken.rows), &broken.from, &broken.to);
        let what = match (broken.out, broken.comes_back) {
            (false, _) => format!("with `replace`, {rows} rows of {from} would refer to rows of {to} that go"),
            (true, true) => format!("{rows} rows of it refer to rows of {to}, which come back before it"),
            (true, false) => format!("{rows} rows of it refer to rows of {to} that are not there now"),
        };
        say(format!("  {what} ({})", broken.constraint));
    }
    for (mode, why) in &report.refused {
        say(format!("  {} is not possible: {}", mode.as_str(), why.join("; ")));
    }
}
