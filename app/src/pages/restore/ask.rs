//! What is put back and where: the questions, and the answers from the page's address.

use holdfast_model::{
    manifest::Facts,
    request::RestoreCheckpoint,
    state::Kind,
    table::{TableMode, TableName},
};
use leptos::prelude::*;
use leptos_router::params::ParamsMap;

use crate::{
    backend::{CheckpointPage, ComponentFacts},
    components::{
        form::{pick, tick},
        layout::{bytes, plain},
    },
    text,
};

/// What the address asks for; everything, to where it came from, with a safety checkpoint, where it says nothing.
pub fn request(query: &ParamsMap) -> RestoreCheckpoint {
    let asked = query.get("asked").is_some();
    let lines = |name: &str| -> Vec<String> {
        let all = query.get_all(name).unwrap_or_default();
        all.iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let tables = lines("tables");
    RestoreCheckpoint {
        components: lines("components"),
        paths: lines("paths"),
        mode: query.get("mode").and_then(|mode| mode.parse().ok()).filter(|_| !tables.is_empty()),
        tables,
        to: query.get("to").map(|to| to.trim().to_owned()).filter(|to| !to.is_empty()),
        backup: !asked || query.get("backup").is_some(),
        ..RestoreCheckpoint::default()
    }
}

/// The address of the restore of one table, with a safety checkpoint.
pub fn href_of_table(checkpoint: &str, component: &str, schema: &str, table: &str) -> String {
    let table = TableName { schema: schema.to_owned(), table: table.to_owned() }.to_string();
    let asked = [("asked", "true"), ("backup", "true"), ("components", component), ("tables", table.as_str())];
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(asked);
    format!("/checkpoints/{checkpoint}/restore?{}", text.finish())
}

/// The form whose answer is the same page with another plan.
pub fn what_and_where(page: &CheckpointPage, request: &RestoreCheckpoint) -> AnyView {
    let c = &page.checkpoint;
    let here = format!("{} / {}", c.environment.project, c.environment.name);
    let action = format!("/checkpoints/{}/restore", c.id);
    let boxes: Vec<_> = c
        .components
        .iter()
        .map(|part| {
            let target = page.components.iter().find(|f| f.name == part.name).map(source);
            let label = view! {
                <strong>{part.name.to_string()}</strong>
                " " {text::kind(part.kind)} ", " {bytes(part.size)} " "
                {target.map(|t| view! { <code class="path">{t}</code> })}
            };
            let chosen = match request.components.is_empty() {
                true if !request.tables.is_empty() => part.kind == Kind::Postgres,
                true if !request.paths.is_empty() => part.kind == Kind::Files,
                true => true,
                false => request.components.iter().any(|name| name == part.name.as_str()),
            };
            tick("components", part.name.to_string(), label.into_any(), chosen)
        })
        .collect();
    let files = c.components.iter().any(|part| part.kind == Kind::Files);
    let paths = files.then(|| {
        let given = request.paths.join("\n");
        view! {
            <details class="folded" open=!request.paths.is_empty()>
                <summary>"Only some files"</summary>
                <div class="line">
                    <label for="restore-paths">"Patterns, one a line"</label>
                    <textarea id="restore-paths" name="paths" rows="3" spellcheck="false">{given}</textarea>
                    <p class="hint">"As in .gitignore: " <code>"invoices/2026/**"</code> ", " <code>"*.pdf"</code> ". All other files stay as they are."</p>
                </div>
            </details>
        }
    });
    let databases = c.components.iter().any(|part| part.kind == Kind::Postgres);
    let tables = databases.then(|| tables(request));
    let to = request.to.clone().unwrap_or_default();
    view! {
        <form method="get" action=action>
            <input type="hidden" name="asked" value="true" />
            <fieldset><legend><h2>"What"</h2></legend>{boxes} {tables} {paths}</fieldset>
            <h2>"Where"</h2>
            <p class="prose">"To " <strong>{here}</strong> ", each component to where it was captured, unless another environment is named:"</p>
            <div class="line">
                <label for="restore-to">"Another environment"</label>
                <input id="restore-to" name="to" type="text" value=to autocomplete="off" spellcheck="false" />
                <p class="hint">"Its name, or " <code>"project/name"</code> ". Empty: back to where it came from."</p>
            </div>
            {tick("backup", "true".to_owned(), plain("Take a safety checkpoint first. If it cannot be taken, the restore stops before it touches anything."), request.backup)}
            <p class="below"><button>"Show what will happen"</button></p>
        </form>
    }
    .into_any()
}

/// Which tables, and what becomes of the rows that they have now.
fn tables(request: &RestoreCheckpoint) -> AnyView {
    let given = request.tables.join("\n");
    let lines = request.tables.len().clamp(2, 12).to_string();
    let chosen = request.mode.unwrap_or_default();
    let modes: Vec<_> = TableMode::ALL
        .into_iter()
        .map(|mode| {
            let said = match mode {
                TableMode::Insert => "Bring back what is missing. All that was written since stays as it is.",
                TableMode::Overwrite => {
                    "Bring back what is missing, and give changed rows the values that they had. Newer rows stay."
                }
                TableMode::Replace => "Make the table what it was. Rows that came since go.",
            };
            pick("mode", mode.as_str(), plain(said), mode == chosen)
        })
        .collect();
    view! {
        <details class="folded" open=!request.tables.is_empty()>
            <summary>"Only some tables"</summary>
            <div class="line">
                <label for="restore-tables">"Tables, one a line"</label>
                <textarea id="restore-tables" name="tables" rows=lines spellcheck="false">{given}</textarea>
                <p class="hint">"Such as " <code>"public.orders"</code> ". All other tables stay as they are, and the application goes on running."</p>
            </div>
            <div role="radiogroup" aria-label="How they are put back">{modes}</div>
        </details>
    }
    .into_any()
}

/// Where a component was captured.
fn source(component: &ComponentFacts) -> String {
    match &component.facts {
        Facts::Files { path, .. } | Facts::Git { path, .. } | Facts::Sqlite { path, .. } => path.clone(),
        Facts::Postgres { database, .. } => format!("database {database}"),
        Facts::Config { .. } | Facts::None => String::new(),
    }
}
