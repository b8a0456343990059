//! A database: its schema as a list with both definitions, and its tables with their changed rows.

use holdfast_model::{
    diff::{Changes, ComponentDiff, DatabaseChanges, ObjectChange, RowChanges, TableChange},
    state::Kind,
    table::TableName,
};
use leptos::prelude::*;

use super::files::sign;
use crate::{
    backend::Pair,
    components::layout::{plain, table},
    pages::tables,
    text,
};

/// Whether its schema or a sequence differs.
pub fn has_schema(component: &ComponentDiff) -> bool {
    matches!(&component.changes, Changes::Database(changes) if !changes.schema.is_empty())
}

/// Whether rows of it differ.
pub fn has_rows(component: &ComponentDiff) -> bool {
    matches!(&component.changes, Changes::Database(changes) if !changes.tables.is_empty() || !changes.sequences.is_empty())
}

/// What tables, columns, indexes and the rest of the schema have become.
pub fn schema(component: &ComponentDiff) -> AnyView {
    let Changes::Database(changes) = &component.changes else { return ().into_any() };
    let objects: Vec<_> = changes.schema.iter().map(object).collect();
    view! { <ul class="objects">{objects}</ul> }.into_any()
}

fn object(object: &ObjectChange) -> AnyView {
    let details: Vec<_> = object.details.iter().map(|line| view! { <li>{line.clone()}</li> }).collect();
    let details = (!details.is_empty()).then(|| view! { <ul class="quietly">{details}</ul> });
    let text = |title: &'static str, ddl: &Option<String>| {
        ddl.clone().map(|ddl| {
            view! { <div><h5>{title}</h5><pre tabindex="0"><code>{ddl}</code></pre></div> }
        })
    };
    let ddl = (object.before.is_some() || object.after.is_some()).then(|| {
        view! {
            <details class="folded">
                <summary>"Definition"</summary>
                <div class="beside">{text("First", &object.before)} {text("Second", &object.after)}</div>
            </details>
        }
    });
    view! {
        <li>
            <p>
                {sign(object.change)} " " <span class="dim">{object.kind.clone()}</span> " "
                <code class="path">{full(&object.schema, &object.name)}</code>
            </p>
            {details}
            {ddl}
        </li>
    }
    .into_any()
}

/// Each table whose rows differ, with how many. Without a pair nothing leads to the rows; `back` is given where tables
/// may be put back.
pub fn rows(pair: Option<&Pair>, back: Option<&Pair>, component: &ComponentDiff) -> AnyView {
    let Changes::Database(changes) = &component.changes else { return ().into_any() };
    let back = back.filter(|_| changes.tables.iter().any(|change| can_be_put_back(component, change)));
    let some_can_be_put_back = back.is_some();
    let rows = changes.tables.iter().map(|table| row(pair, component, table, some_can_be_put_back));
    let rows: Vec<Vec<AnyView>> = rows.collect();
    let columns = [
        ("Table", false),
        ("First", true),
        ("Second", true),
        ("Added", true),
        ("Removed", true),
        ("Changed", true),
        ("Told apart by", false),
    ];
    let columns = if some_can_be_put_back { [&columns[..], &[("Put back", false)]].concat() } else { columns.to_vec() };
    let tables =
        (!rows.is_empty()).then(|| table(format!("Tables of {} whose rows differ", component.name), &columns, rows));
    let tables = if let Some(pair) = back {
        view! {
            <form method="get" action=format!("/checkpoints/{}/restore", pair.first)>
                <input type="hidden" name="asked" value="true" />
                <input type="hidden" name="backup" value="true" />
                <input type="hidden" name="components" value=component.name.to_string() />
                {tables}
                <p class="buttons below"><button>{format!("Put the ticked tables of {} back", component.name)}</button></p>
                <p class="note">"As they were in the first checkpoint. Before anything is done you see what, and what was written since can stay."</p>
            </form>
        }
        .into_any()
    } else {
        tables.into_any()
    };
    let same = (changes.unchanged_tables > 0).then(|| {
        let same = text::counted(changes.unchanged_tables, "table");
        view! { <p class="note">{format!("{same} equal in count and hash.")}</p> }
    });
    view! { {tables} {same} {sequences(changes)} }.into_any()
}

fn row(pair: Option<&Pair>, component: &ComponentDiff, change: &TableChange, with_box: bool) -> Vec<AnyView> {
    let name = full(&change.schema, &change.name);
    let name = match (&change.rows, pair) {
        (RowChanges::Counted { .. }, Some(pair)) => {
            let href = pair.table(component.name.as_str(), &change.schema, &change.name, 0);
            view! { <a class="named" href=href><code>{name}</code></a> }.into_any()
        }
        // Only one of the two has it: its rows are looked at there.
        (RowChanges::NotRead, Some(pair)) if change.before.is_none() != change.after.is_none() => {
            let whose = if change.before.is_some() { &pair.first } else { &pair.second };
            let href = tables::opened(whose, component.name.as_str(), (&change.schema, &change.name), 0);
            view! { <a class="named" href=href><code>{name}</code></a> }.into_any()
        }
        _ => view! { <code>{name}</code> }.into_any(),
    };
    let count = |rows: Option<u64>| rows.map_or_else(|| plain("–"), |rows| plain(text::count(rows)));
    let mut cells = vec![name, count(change.before), count(change.after)];
    match &change.rows {
        RowChanges::Counted { added, removed, changed, key } => {
            cells.extend([added, removed, changed].map(|count| plain(text::count(*count))));
            cells.push(if key.is_empty() {
                plain("whole rows: it has no primary key")
            } else {
                view! { <code>{key.join(", ")}</code> }.into_any()
            });
        }
        RowChanges::NotRead => {
            let why = match (change.before, change.after) {
                (None, _) => "the table is new",
                (_, None) => "the table is gone",
                _ => "not counted yet",
            };
            cells.extend([plain("–"), plain("–"), plain("–"), plain(why)]);
        }
        RowChanges::Unreadable { why } => {
            cells.extend([plain("?"), plain("?"), plain("?"), plain(why.clone())]);
        }
    }
    if !with_box {
        return cells;
    }
    cells.push(if can_be_put_back(component, change) {
        let value = TableName { schema: change.schema.clone(), table: change.name.clone() }.to_string();
        let label = format!("Put {value} back");
        view! { <input type="checkbox" name="tables" value=value aria-label=label /> }.into_any()
    } else {
        plain("–")
    });
    cells
}

/// Only PostgreSQL's tables can be put back alone.
fn can_be_put_back(component: &ComponentDiff, change: &TableChange) -> bool {
    component.kind == Kind::Postgres && change.before.is_some()
}

fn sequences(changes: &DatabaseChanges) -> AnyView {
    if changes.sequences.is_empty() {
        return ().into_any();
    }
    let value = |value: Option<i64>| plain(value.map_or_else(|| "–".to_owned(), |value| value.to_string()));
    let rows = changes
        .sequences
        .iter()
        .map(|s| vec![view! { <code>{s.name.clone()}</code> }.into_any(), value(s.before), value(s.after)])
        .collect();
    let columns = [("Sequence", false), ("First", true), ("Second", true)];
    view! { <h4>"Sequences"</h4> {table("Sequences that stand elsewhere", &columns, rows)} }.into_any()
}

fn full(schema: &str, name: &str) -> String {
    if schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") }
}
