//! The changed rows of one table: old beside new, a page at a time.

use holdfast_model::{
    diff::{Change, RowChange, TableRows},
    state::Kind,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::files::sign;
use crate::{
    api::read_compared_table,
    backend::{Pair, TableAsked},
    components::{
        layout::{cell, crumbs, heading},
        loaded::loaded,
        word::Tone,
    },
    text,
};

/// The page.
#[component]
pub fn ComparedTable() -> impl IntoView {
    let query = use_query_map();
    let asked = query.with_untracked(|q| {
        let text = |name: &str| q.get(name).unwrap_or_default();
        TableAsked {
            pair: Pair { first: text("first"), second: text("second") },
            component: text("component"),
            schema: text("schema"),
            table: text("table"),
            after: text("after").parse().unwrap_or(0),
        }
    });
    let kept = asked.clone();
    loaded(read_compared_table(asked), move |rows| draw(&kept, &rows))
}

fn draw(asked: &TableAsked, rows: &TableRows) -> AnyView {
    let way = vec![
        ("Compare".to_owned(), asked.pair.href()),
        (asked.component.clone(), format!("{}#rows", asked.pair.href())),
    ];
    let title = if rows.schema.is_empty() { rows.name.clone() } else { format!("{}.{}", rows.schema, rows.name) };
    let said = format!("{} changed.", text::counted(rows.total, "row"));
    let key = if rows.key.is_empty() {
        "It has no primary key: whole rows are compared.".to_owned()
    } else {
        format!("Rows are told apart by {}.", rows.key.join(", "))
    };
    let masked = (!rows.masked.is_empty())
        .then(|| view! { <p class="note">{format!("Masked, for they look secret: {}.", rows.masked.join(", "))}</p> });
    let limit = (rows.total > rows.kept).then(|| {
        let kept = text::count(rows.kept);
        view! { <p class="note">{format!("The first {kept} of them can be looked at here; all of them are counted.")}</p> }
    });
    let head: Vec<_> = rows.columns.iter().map(|name| view! { <th scope="col">{name.clone()}</th> }).collect();
    let body: Vec<_> = rows.rows.iter().map(row).collect();
    let next = rows.next.clone().and_then(|next| next.parse().ok()).map(|next| {
        let href = asked.pair.table(&asked.component, &asked.schema, &asked.table, next);
        view! { <a class="button" href=href>"Next rows"</a> }
    });
    let back = (rows.kind == Kind::Postgres).then(|| {
        let href = asked.pair.put_back(&asked.component, &asked.schema, &asked.table);
        view! { <a class="button" href=href>"Put this table back as it was first"</a> }
    });
    view! {
        {crumbs(way)}
        {heading(title.clone(), Tone::Plain, said, key)}
        {masked}
        {limit}
        <div class="scroll" role="region" aria-label=format!("Changed rows of {title}") tabindex="0">
            <table class="rows">
                <caption class="unseen">{format!("Changed rows of {title}, the old value beside the new one")}</caption>
                <thead><tr><th scope="col"><span class="unseen">"Change"</span></th>{head}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
        <p class="buttons">{back} {next}</p>
    }
    .into_any()
}

fn row(row: &RowChange) -> AnyView {
    let (before, after) = (row.before.as_deref(), row.after.as_deref());
    let count = before.or(after).map_or(0, <[_]>::len);
    let cells: Vec<_> = (0..count)
        .map(|at| {
            let differs = row.differs.contains(&at);
            let (old, new) = (before.and_then(|cells| cells.get(at)), after.and_then(|cells| cells.get(at)));
            match (old, new) {
                (Some(_), Some(new)) if !differs => view! { <td>{cell(new)}</td> }.into_any(),
                (Some(old), Some(new)) => {
                    view! { <td class="changed"><del>{cell(old)}</del> " " <ins>{cell(new)}</ins></td> }.into_any()
                }
                (Some(old), None) => view! { <td>{cell(old)}</td> }.into_any(),
                (None, Some(new)) => view! { <td>{cell(new)}</td> }.into_any(),
                (None, None) => view! { <td></td> }.into_any(),
            }
        })
        .collect();
    let class = match row.change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "",
    };
    view! { <tr class=class><th scope="row">{sign(row.change)}</th>{cells}</tr> }.into_any()
}
