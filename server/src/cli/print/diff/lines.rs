//! One file of a comparison, as `diff -u` shows it.

use console::style;
use holdfast_model::{
    diff::{DiffLine, FileBody, FileView, Hunk, LineChange, LineEnd},
    size,
};

use super::super::text::{count, plain};

/// Head and hunks, without a newline at the end.
pub fn page(file: &FileView) -> String {
    let path = plain(&file.path);
    let name = |there: bool, side: &str| if there { format!("{side}/{path}") } else { "/dev/null".to_owned() };
    let mut text = vec![
        format!("--- {}", name(file.before.is_some(), "first")),
        format!("+++ {}", name(file.after.is_some(), "second")),
    ];
    match &file.body {
        FileBody::Text { hunks, more, .. } => {
            text.extend(hunks.iter().map(hunk));
            if *more > 0 {
                text.push(format!("… and {} more lines", count(*more)));
            }
        }
        FileBody::Binary { differs } => text.push(format!("It is not text{}.", at(*differs))),
        FileBody::TooLarge { most, differs } => {
            text.push(format!(
                "It is larger than {}, up to which lines are compared{}.",
                size::display(*most),
                at(*differs)
            ));
        }
        FileBody::TimedOut { after_ms } => text.push(format!("Comparing its lines was given up after {after_ms} ms.")),
        FileBody::Nothing => text.push("It has no content.".into()),
    }
    text.join("\n")
}

fn at(differs: Option<u64>) -> String {
    differs.map(|at| format!("; the first byte that differs is number {}", count(at))).unwrap_or_default()
}

fn hunk(hunk: &Hunk) -> String {
    let lines =
        |side: LineChange| hunk.lines.iter().filter(|l| l.change == LineChange::Equal || l.change == side).count();
    let head = format!(
        "@@ -{},{} +{},{} @@",
        hunk.before_start,
        lines(LineChange::Removed),
        hunk.after_start,
        lines(LineChange::Added)
    );
    let mut text = vec![style(head).cyan().to_string()];
    text.extend(hunk.lines.iter().map(line));
    text.join("\n")
}

fn line(line: &DiffLine) -> String {
    let content: String = line.spans.iter().map(|span| span.text.as_str()).collect();
    let end = match line.end {
        LineEnd::Lf => "",
        LineEnd::Crlf => "\\r",
        LineEnd::None => "\n\\ No newline at end of file",
    };
    let content = format!("{}{end}", plain(&content));
    match line.change {
        LineChange::Equal => format!(" {content}"),
        LineChange::Added => style(format!("+{content}")).green().to_string(),
        LineChange::Removed => style(format!("-{content}")).red().to_string(),
    }
}
