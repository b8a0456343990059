//! The tables of a checkpoint's database; opened, the rows of one, a page at a time.

use holdfast_model::{
    state::Kind,
    view::{TableEntry, TablePage, TablesView},
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::{read_rows, read_tables},
    backend::{CheckpointPage, RowsAsked},
    components::{
        layout::{cell, crumbs, empty, heading, plain, table},
        loaded::loaded,
        word::Tone,
    },
    pages::restore::href_of_table,
    text,
};

/// Rows of a page, for the way back.
const PAGE: u64 = 50;
/// Columns of a table that the list names.
const NAMED: usize = 12;

/// The page. With `table` in its query it is opened.
#[component]
pub fn Tables() -> impl IntoView {
    let id = use_params_map().with_untracked(|p| p.get("checkpoint").unwrap_or_default());
    let asked = use_query_map().with_untracked(|q| {
        let text = |name: &str| q.get(name).unwrap_or_default();
        RowsAsked {
            component: text("component"),
            schema: text("schema"),
            table: text("table"),
            from: text("from").parse().unwrap_or(0),
        }
    });
    if asked.table.is_empty() {
        loaded(read_tables(id, asked.component), |(page, tables)| draw_list(&page, &tables))
    } else {
        loaded(read_rows(id, asked), |(page, rows)| draw_rows(&page, &rows))
    }
}

/// The address of a database's tables.
pub fn href(checkpoint: &str, component: &str) -> String {
    address(checkpoint, &[("component", component)])
}

/// The address of a table's rows behind the first `from`.
pub fn opened(checkpoint: &str, component: &str, (schema, name): (&str, &str), from: u64) -> String {
    let from = from.to_string();
    let mut query = vec![("component", component), ("schema", schema), ("table", name)];
    if from != "0" {
        query.push(("from", from.as_str()));
    }
    address(checkpoint, &query)
}

fn address(checkpoint: &str, query: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query);
    format!("/checkpoints/{checkpoint}/tables?{}", text.finish())
}

/// The way to a page of this checkpoint.
fn way(page: &CheckpointPage) -> Vec<(String, String)> {
    let c = &page.checkpoint;
    let name = c.name.clone().unwrap_or_else(|| text::short_id(c.id.as_str()));
    vec![
        (c.environment.name.to_string(), text::environment_href(&c.environment.project, &c.environment.name)),
        (name, format!("/checkpoints/{}", c.id)),
    ]
}

fn draw_list(page: &CheckpointPage, tables: &TablesView) -> AnyView {
    let title = tables.component.to_string();
    let count = u64::try_from(tables.tables.len()).unwrap_or(0) + tables.more;
    let reason = format!("As it was {}.", text::ago(page.now, page.checkpoint.created_at));
    let more = (tables.more > 0).then(
        || view! { <p class="note">{format!("{} more are not listed.", text::counted(tables.more, "table"))}</p> },
    );
    let rows: Vec<_> = tables.tables.iter().map(|entry| line(page, tables, entry)).collect();
    let columns = [("Table", false), ("Rows", true), ("Columns", false)];
    let list = if rows.is_empty() {
        empty("This database has no tables.", ().into_any())
    } else {
        table(format!("Tables of {title}"), &columns, rows)
    };
    view! {
        {crumbs(way(page))}
        {heading(title, Tone::Plain, format!("{}.", text::counted(count, "table")), reason)}
        {list}
        {more}
    }
    .into_any()
}

fn line(page: &CheckpointPage, tables: &TablesView, entry: &TableEntry) -> Vec<AnyView> {
    let name = format!("{}.{}", entry.schema, entry.name);
    let named = match &entry.closed {
        None => {
            let place = (entry.schema.as_str(), entry.name.as_str());
            let href = opened(page.checkpoint.id.as_str(), tables.component.as_str(), place, 0);
            view! { <a class="named" href=href>{name}</a> }.into_any()
        }
        Some(why) => view! { <span class="named">{name}</span> <span class="dim">{why.clone()}</span> }.into_any(),
    };
    let more = entry.columns.len().saturating_sub(NAMED);
    let mut columns = entry.columns.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 {
        columns.push_str(&format!(" and {more} more"));
    }
    vec![
        named,
        plain(entry.rows.map_or_else(|| "–".to_owned(), text::count)),
        view! { <span class="path dim">{if columns.is_empty() { "–".to_owned() } else { columns }}</span> }.into_any(),
    ]
}

fn draw_rows(page: &CheckpointPage, rows: &TablePage) -> AnyView {
    let (id, component) = (page.checkpoint.id.as_str(), rows.component.as_str());
    let place = (rows.schema.as_str(), rows.name.as_str());
    let title = format!("{}.{}", rows.schema, rows.name);
    let mut way = way(page);
    way.push((component.to_owned(), href(id, component)));
    let count = u64::try_from(rows.rows.len()).unwrap_or(0);
    let of = rows.total.map(|total| format!(" of {}", text::count(total))).unwrap_or_default();
    let said = match count {
        0 if rows.from == 0 && rows.ended.is_none() => "It has no rows.".to_owned(),
        0 => "No rows to show.".to_owned(),
        _ => format!("Rows {} to {}{of}.", text::count(rows.from + 1), text::count(rows.from + count)),
    };
    let reason = format!("As it was {}.", text::ago(page.now, page.checkpoint.created_at));
    let note = |text: String| view! { <p class="note">{text}</p> }.into_any();
    let masked =
        (!rows.masked.is_empty()).then(|| note(format!("Masked, for they look secret: {}.", rows.masked.join(", "))));
    let limit = (rows.total.is_none_or(|total| total > rows.reach)).then(|| {
        let reach = text::count(rows.reach);
        note(format!("The first {reach} rows can be looked at here. A restore brings all of them."))
    });
    let ended = rows.ended.clone().map(|why| note(format!("This page ends here: {why}.")));
    let table = (count > 0).then(|| grid(&title, rows));
    let back = (rows.from > 0).then(|| {
        let href = opened(id, component, place, rows.from.saturating_sub(PAGE));
        view! { <a class="button" href=href rel="prev">"Previous rows"</a> }
    });
    let is_postgres = page.checkpoint.components.iter().any(|c| c.name == rows.component && c.kind == Kind::Postgres);
    let restore = is_postgres.then(|| {
        let href = href_of_table(id, component, &rows.schema, &rows.name);
        view! { <a class="button" href=href>"Put this table back"</a> }
    });
    let next = rows.next.map(|next| {
        view! { <a class="button" href=opened(id, component, place, next) rel="next">"Next rows"</a> }
    });
    view! {
        {crumbs(way)}
        {heading(title, Tone::Plain, said, reason)}
        {masked}
        {limit}
        {ended}
        {table}
        <p class="buttons below">{back} {next} {restore}</p>
    }
    .into_any()
}

fn grid(title: &str, rows: &TablePage) -> AnyView {
    let caption = format!("Rows of {title}, in the order in which they stand in the dump");
    let key = |name: &String| rows.key.contains(name).then_some("Part of the primary key");
    let head: Vec<_> = rows
        .columns
        .iter()
        .map(|name| view! { <th scope="col" title=key(name)>{name.clone()}</th> }.into_any())
        .collect();
    let body: Vec<_> = rows
        .rows
        .iter()
        .map(|row| {
            let cells: Vec<_> = row.iter().map(|value| view! { <td>{cell(value)}</td> }).collect();
            view! { <tr>{cells}</tr> }
        })
        .collect();
    view! {
        <div class="scroll" role="region" aria-label=format!("Rows of {title}") tabindex="0">
            <table class="rows">
                <caption class="unseen">{caption}</caption>
                <thead><tr>{head}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
    .into_any()
}
