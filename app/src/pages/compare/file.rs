//! One file of a comparison: its lines in one column, or old beside new.

use holdfast_model::{
    diff::{DiffLine, FileBody, FileView, Hunk, LineChange, LineEnd},
    size,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::read_compared_file,
    backend::{FileAsked, Pair},
    components::{
        layout::{crumbs, heading, plain},
        loaded::loaded,
        word::Tone,
    },
    text,
};

/// The page.
#[component]
pub fn ComparedFile() -> impl IntoView {
    let query = use_query_map();
    let (asked, beside) = query.with_untracked(|q| {
        let text = |name: &str| q.get(name).unwrap_or_default();
        let asked = FileAsked {
            pair: Pair { first: text("first"), second: text("second") },
            component: text("component"),
            path: q.get("path"),
            raw: q.get("raw"),
        };
        (asked, text("view") == "beside")
    });
    let kept = asked.clone();
    loaded(read_compared_file(asked), move |file| draw(&kept, beside, &file))
}

fn draw(asked: &FileAsked, beside: bool, file: &FileView) -> AnyView {
    let way = vec![
        ("Compare".to_owned(), asked.pair.href()),
        (asked.component.clone(), format!("{}#files", asked.pair.href())),
    ];
    let here = asked.href();
    let other = format!("{here}&view=beside");
    let name = file.path.rsplit_once('/').map_or(file.path.as_str(), |(_, name)| name).to_owned();
    let (sentence, reason) = said(file);
    let body = match &file.body {
        FileBody::Text { hunks, more, .. } => {
            let more = (*more > 0).then(|| {
                view! { <p class="note">{format!("{} more are not shown.", text::counted(*more, "line"))}</p> }
            });
            let hunks: Vec<_> =
                hunks.iter().map(|hunk| if beside { two_columns(hunk) } else { one_column(hunk) }).collect();
            view! {
                <nav class="views" aria-label="How the lines are shown">
                    <a class="button" href=here aria-current=(!beside).then_some("page")>"One column"</a>
                    <a class="button" href=other aria-current=beside.then_some("page")>"Side by side"</a>
                </nav>
                <div class="scroll code" role="region" aria-label=format!("Changed lines of {name}") tabindex="0">
                    <table class=if beside { "lines beside" } else { "lines" }>{hunks}</table>
                </div>
                {more}
            }
            .into_any()
        }
        _ => ().into_any(),
    };
    view! {
        {crumbs(way)}
        {heading(name, Tone::Plain, sentence, reason)}
        <p class="note"><code class="path">{file.path.clone()}</code></p>
        {body}
    }
    .into_any()
}

fn said(file: &FileView) -> (String, String) {
    let sizes = match (&file.before, &file.after) {
        (Some(before), Some(after)) => format!("{} → {}", size::display(before.size), size::display(after.size)),
        (Some(only), None) => format!("only in the first, {}", size::display(only.size)),
        (None, Some(only)) => format!("only in the second, {}", size::display(only.size)),
        (None, None) => String::new(),
    };
    let text = match &file.body {
        FileBody::Text { hunks, .. } if hunks.is_empty() => "Its content is equal.".to_owned(),
        FileBody::Text { hunks, .. } => {
            let count = |change| hunks.iter().flat_map(|h| &h.lines).filter(|l| l.change == change).count();
            format!("+{} −{} lines.", count(LineChange::Added), count(LineChange::Removed))
        }
        FileBody::Binary { differs: Some(at) } => {
            format!("It is not text; the first byte that differs is number {}.", text::count(*at))
        }
        FileBody::Binary { differs: None } => "It is not text.".to_owned(),
        FileBody::TooLarge { most, .. } => {
            format!("It is larger than {}, up to which lines are compared.", size::display(*most))
        }
        FileBody::TimedOut { after_ms } => {
            format!("Comparing its lines was given up after {}.", text::duration(*after_ms))
        }
        FileBody::Nothing => "It has no content.".to_owned(),
    };
    (text, sizes)
}

/// Old and new lines in the order of the file.
fn one_column(hunk: &Hunk) -> AnyView {
    let rows: Vec<_> = hunk
        .lines
        .iter()
        .map(|line| {
            let (class, sign, word) = look(line.change);
            view! {
                <tr class=class>
                    <td class="no">{number(line.before)}</td>
                    <td class="no">{number(line.after)}</td>
                    <td class="sign"><span aria-hidden="true">{sign}</span><span class="unseen">{word}</span></td>
                    <td class="text">{spans(line)}</td>
                </tr>
            }
        })
        .collect();
    view! { <tbody>{start(hunk, 4)} {rows}</tbody> }.into_any()
}

/// Old lines on the left, new ones on the right; a run of removed lines stands beside the added ones that follow it.
fn two_columns(hunk: &Hunk) -> AnyView {
    let cells = |line: Option<&DiffLine>, left: bool| match line {
        Some(line) => {
            let (class, ..) = look(line.change);
            let at = if left { line.before } else { line.after };
            view! { <td class=format!("no {class}")>{number(at)}</td><td class=format!("text {class}")>{spans(line)}</td> }
                .into_any()
        }
        None => view! { <td class="no none"></td><td class="text none"></td> }.into_any(),
    };
    let rows: Vec<_> = paired(&hunk.lines)
        .into_iter()
        .map(|(left, right)| view! { <tr>{cells(left, true)} {cells(right, false)}</tr> })
        .collect();
    view! { <tbody>{start(hunk, 4)} {rows}</tbody> }.into_any()
}

fn paired(lines: &[DiffLine]) -> Vec<(Option<&DiffLine>, Option<&DiffLine>)> {
    let mut rows = Vec::with_capacity(lines.len());
    let (mut removed, mut added): (Vec<&DiffLine>, Vec<&DiffLine>) = (Vec::new(), Vec::new());
    let close = |removed: &mut Vec<_>, added: &mut Vec<_>, rows: &mut Vec<(Option<_>, Option<_>)>| {
        for at in 0..removed.len().max(added.len()) {
            rows.push((removed.get(at).copied(), added.get(at).copied()));
        }
        removed.clear();
        added.clear();
    };
    for line in lines {
        match line.change {
            LineChange::Removed => {
                if !added.is_empty() {
                    close(&mut removed, &mut added, &mut rows);
                }
                removed.push(line);
            }
            LineChange::Added => added.push(line),
            LineChange::Equal => {
                close(&mut removed, &mut added, &mut rows);
                rows.push((Some(line), Some(line)));
            }
        }
    }
    close(&mut removed, &mut added, &mut rows);
    rows
}

fn start(hunk: &Hunk, columns: u8) -> AnyView {
    let text = format!("Line {}, then {}", hunk.before_start, hunk.after_start);
    view! { <tr class="hunk"><th colspan=columns.to_string() scope="rowgroup">{text}</th></tr> }.into_any()
}

const fn look(change: LineChange) -> (&'static str, &'static str, &'static str) {
    match change {
        LineChange::Equal => ("", " ", ""),
        LineChange::Added => ("added", "+", "added"),
        LineChange::Removed => ("removed", "−", "removed"),
    }
}

fn number(at: Option<u32>) -> AnyView {
    at.map_or_else(|| ().into_any(), |at| plain(at.to_string()))
}

fn spans(line: &DiffLine) -> AnyView {
    let end = match line.end {
        LineEnd::Lf => None,
        LineEnd::Crlf => Some("␍␊"),
        LineEnd::None => Some(" no line end"),
    };
    let end = end.map(|end| view! { <span class="end">{end}</span> });
    let spans: Vec<_> = line
        .spans
        .iter()
        .map(|span| {
            let class = span.class.as_ref().map(|class| format!("syntax-{class}"));
            if span.marked {
                view! { <mark class=class>{span.text.clone()}</mark> }.into_any()
            } else {
                view! { <span class=class>{span.text.clone()}</span> }.into_any()
            }
        })
        .collect();
    view! { {spans} {end} }.into_any()
}
