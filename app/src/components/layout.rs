//! Headings, tiles, facts, times and tables: how a page is set.

use holdfast_model::size;
use leptos::prelude::*;
use leptos_meta::Title;
use time::OffsetDateTime;

use super::word::{Look, Tone, word};
use crate::text;

/// Where the page stands: the way to it, each part a link.
pub fn crumbs(way: Vec<(String, String)>) -> AnyView {
    let parts: Vec<_> = way.into_iter().map(|(name, href)| view! { <li><a href=href>{name}</a></li> }).collect();
    view! { <nav class="crumbs" aria-label="Where this page stands"><ol>{parts}</ol></nav> }.into_any()
}

/// The heading of a page with its one sentence of state.
pub fn heading(title: String, tone: Tone, sentence: String, reason: String) -> AnyView {
    view! {
        <Title text=title.clone() />
        <header class="heading" data-fresh="heading">
            <h1>{title}</h1>
            {said(tone, sentence, reason)}
        </header>
    }
    .into_any()
}

/// One sentence of state, and its reason.
pub fn said(tone: Tone, sentence: String, reason: String) -> AnyView {
    view! {
        <p class=format!("said {}", tone.class())>
            <strong>{sentence}</strong>
            " "
            <span>{reason}</span>
        </p>
    }
    .into_any()
}

/// A number with its name and a line of explanation.
pub fn tile(name: &'static str, value: AnyView, note: AnyView) -> AnyView {
    view! {
        <div class="tile">
            <dt>{name}</dt>
            <dd class="value">{value}</dd>
            <dd class="note">{note}</dd>
        </div>
    }
    .into_any()
}

/// A row of tiles.
pub fn tiles(tiles: Vec<AnyView>) -> AnyView {
    view! { <dl class="tiles">{tiles}</dl> }.into_any()
}

/// One of the states with its fact.
pub fn state_tile(name: &'static str, look: Look, fact: AnyView) -> AnyView {
    view! {
        <div class=format!("tile state {}", look.0.class())>
            <dt>{name}</dt>
            <dd class="value">{word(look)}</dd>
            <dd class="note">{fact}</dd>
        </div>
    }
    .into_any()
}

/// A time as an age, with the whole of it on hover and for machines.
pub fn ago(now: OffsetDateTime, at: OffsetDateTime) -> AnyView {
    view! { <time datetime=text::machine(at) title=text::absolute(at)>{text::ago(now, at)}</time> }.into_any()
}

/// The same without the word `ago`.
pub fn age(now: OffsetDateTime, at: OffsetDateTime) -> AnyView {
    view! { <time datetime=text::machine(at) title=text::absolute(at)>{text::age(now, at)}</time> }.into_any()
}

/// A time in full.
pub fn moment(at: OffsetDateTime) -> AnyView {
    view! { <time datetime=text::machine(at)>{text::absolute(at)}</time> }.into_any()
}

/// Bytes, with the exact count on hover.
pub fn bytes(n: u64) -> AnyView {
    view! { <span class="num" title=format!("{} bytes", text::count(n))>{size::display(n)}</span> }.into_any()
}

/// A part of a page with its heading. `id` is its address within the page.
pub fn section(id: impl Into<String>, title: impl Into<String>, note: Option<String>, body: AnyView) -> AnyView {
    let (id, title): (String, String) = (id.into(), title.into());
    let label = format!("{id}-title");
    let own = label.clone();
    view! {
        <section class="section" id=id aria-labelledby=label>
            <header>
                <h2 id=own>{title}</h2>
                {note.map(|note| view! { <p class="note">{note}</p> })}
            </header>
            {body}
        </section>
    }
    .into_any()
}

/// A column: its name, and whether it holds numbers.
pub type Column = (&'static str, bool);

/// A table. The first cell of each row names it. It scrolls sideways by itself where the window is narrow.
pub fn table(caption: impl Into<String>, columns: &[Column], rows: Vec<Vec<AnyView>>) -> AnyView {
    let caption: String = caption.into();
    let label = caption.clone();
    let numeric: Vec<bool> = columns.iter().map(|(_, numeric)| *numeric).collect();
    let class = |numeric: bool| if numeric { "num" } else { "" };
    let head: Vec<_> = columns
        .iter()
        .map(|(name, numeric)| view! { <th scope="col" class=class(*numeric)>{*name}</th> }.into_any())
        .collect();
    let body: Vec<_> = rows
        .into_iter()
        .map(|cells| {
            let cells: Vec<_> = cells
                .into_iter()
                .enumerate()
                .map(|(at, cell)| {
                    if at == 0 {
                        view! { <th scope="row">{cell}</th> }.into_any()
                    } else {
                        view! { <td class=class(numeric.get(at).copied().unwrap_or(false))>{cell}</td> }.into_any()
                    }
                })
                .collect();
            view! { <tr>{cells}</tr> }.into_any()
        })
        .collect();
    view! {
        <div class="scroll" role="region" aria-label=label tabindex="0">
            <table>
                <caption class="unseen">{caption}</caption>
                <thead><tr>{head}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// Names and values, one under the other.
pub fn facts(facts: Vec<(&'static str, AnyView)>) -> AnyView {
    let rows: Vec<_> = facts
        .into_iter()
        .map(|(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> }.into_any())
        .collect();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// Something folded away.
pub fn folded(summary: String, body: AnyView) -> AnyView {
    view! { <details class="folded"><summary>{summary}</summary><div>{body}</div></details> }.into_any()
}

/// An empty place: what would stand here, and the one next action.
pub fn empty(what: &'static str, next: AnyView) -> AnyView {
    view! { <div class="empty"><p>{what}</p>{next}</div> }.into_any()
}

/// The part of a page below the panel of a run: read again when that run ends.
pub fn fresh(body: AnyView) -> AnyView {
    view! { <div data-fresh="page">{body}</div> }.into_any()
}

/// A value of a database: a null is told from the word and from an empty text.
pub fn cell(value: &Option<String>) -> AnyView {
    match value {
        None => view! { <span class="dim">"null"</span> }.into_any(),
        Some(text) if text.is_empty() => view! { <span class="dim">"empty"</span> }.into_any(),
        Some(text) => view! { <span>{text.clone()}</span> }.into_any(),
    }
}

/// Plain text as a view.
pub fn plain(text: impl Into<String>) -> AnyView {
    text.into().into_any()
}
