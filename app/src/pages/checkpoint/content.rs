//! What a checkpoint holds, and what it does not.

use holdfast_model::{
    access::Permission,
    manifest::Facts,
    size,
    state::Kind,
    view::{CheckpointView, ComponentSize},
};
use leptos::prelude::*;

use crate::{
    backend::{CheckpointPage, ComponentFacts},
    components::{
        copy::copyable,
        layout::{ago, bytes, facts, folded, moment, plain, section, table},
        list, word,
    },
    may::{may, who_may},
    pages::{browse, tables},
    text,
};

/// Where it comes from.
pub fn origin(page: &CheckpointPage) -> AnyView {
    let c = &page.checkpoint;
    let mut lines = vec![
        ("Id", copyable(c.id.to_string(), c.id.to_string(), "the checkpoint's id")),
        ("Taken", moment(c.created_at)),
        ("Because of", plain(text::trigger(c.trigger))),
        ("One moment", plain(format!("components held {} apart", text::duration(c.skew_ms)))),
    ];
    if !c.tags.is_empty() {
        lines.push(("Tags", list::tags(&c.tags)));
    }
    for (key, value) in &c.metadata {
        let (key, value) = (key.clone(), value.clone());
        let shown = if key == "git_commit" { text::short_commit(&value) } else { value.clone() };
        let name = match key.as_str() {
            "git_commit" => "Commit",
            "git_branch" => "Branch",
            "deploy_id" => "Deploy",
            _ => "",
        };
        if name.is_empty() {
            lines.push(("Metadata", view! { {format!("{key}: ")} <code>{value}</code> }.into_any()));
        } else {
            lines.push((name, copyable(shown, value, &name.to_lowercase())));
        }
    }
    facts(lines)
}

/// Where it lies, when it lies in more than one vault.
pub fn copies(page: &CheckpointPage) -> AnyView {
    let c = &page.checkpoint;
    if c.copies.len() < 2 {
        return ().into_any();
    }
    let rows = c
        .copies
        .iter()
        .map(|copy| {
            vec![
                view! { <code>{copy.repository.clone()}</code> }.into_any(),
                plain(copy.role.to_string()),
                word::word(word::integrity_look(copy.integrity)),
                copy.integrity_at.map_or_else(|| plain("not read back yet"), |at| ago(page.now, at)),
            ]
        })
        .collect();
    let columns = [("Vault", false), ("Role", false), ("Integrity", false), ("Read back", false)];
    section("copies", "Copies", None, table("Copies of this checkpoint", &columns, rows))
}

/// Each component with its sizes.
pub fn components(page: &CheckpointPage) -> AnyView {
    let c = &page.checkpoint;
    let sizes: Vec<u64> = c.components.iter().map(|part| part.size).collect();
    let percent = size::percentages(&sizes);
    let rows = c
        .components
        .iter()
        .zip(percent)
        .map(|(part, percent)| {
            let facts = page.components.iter().find(|f| f.name == part.name);
            vec![
                name(c, part),
                plain(text::kind(part.kind)),
                facts.map_or_else(|| plain("–"), source),
                plain(text::counted(part.items, text::unit(part.kind))),
                bytes(part.size),
                view! { <meter min="0" max="100" value=percent.to_string() aria-label=format!("{percent}% of the checkpoint")></meter> {format!(" {percent}%")} }.into_any(),
                bytes(part.stored),
            ]
        })
        .collect();
    let note = format!("{} in all, {} new in the vault", c.size.display, size::display(c.size.stored));
    let columns = [
        ("Component", false),
        ("Kind", false),
        ("What was captured", false),
        ("Holds", false),
        ("Size", true),
        ("Share", true),
        ("Stored", true),
    ];
    let project = &c.environment.project;
    let has_content = c.components.iter().any(|part| matches!(part.kind, Kind::Files | Kind::Postgres | Kind::Sqlite));
    let who = (has_content && !may(project, Permission::Read)).then(|| {
        view! { <p class="note">{who_may(project, Permission::Read, "Looking through files and tables")}</p> }
    });
    let body = view! { {table("Sizes by component", &columns, rows)} {who} };
    section("components", "Components", Some(note), body.into_any())
}

/// Its name; files and tables can be looked through by those who may.
fn name(c: &CheckpointView, part: &ComponentSize) -> AnyView {
    let name = part.name.to_string();
    let (href, title) = match part.kind {
        _ if !may(&c.environment.project, Permission::Read) => {
            return view! { <span class="named">{name}</span> }.into_any();
        }
        Kind::Files => (browse::href(c.id.as_str(), &name, "", None), "Look through its files"),
        Kind::Postgres | Kind::Sqlite => (tables::href(c.id.as_str(), &name), "Look through its tables"),
        _ => return view! { <span class="named">{name}</span> }.into_any(),
    };
    view! { <a class="named" href=href title=title>{name}</a> }.into_any()
}

/// What the manifest says of the source.
fn source(component: &ComponentFacts) -> AnyView {
    match &component.facts {
        Facts::None => plain("–"),
        Facts::Files { path, unchanged, .. } => view! {
            <code class="path">{path.clone()}</code>
            <span class="dim">{(*unchanged > 0).then(|| format!(" {} unchanged", text::count(*unchanged)))}</span>
        }
        .into_any(),
        Facts::Git { branch, head, dirty, .. } => {
            let branch = branch.clone().unwrap_or_else(|| "detached".to_owned());
            let head = head.as_deref().map(text::short_commit).unwrap_or_default();
            let work = dirty.then_some(" and uncommitted work");
            view! { {branch} " " <code>{head}</code> {work} }.into_any()
        }
        Facts::Config { .. } => plain("values are only in the vault"),
        Facts::Postgres { database, server, .. } => {
            view! { <code>{database.clone()}</code> {format!(" on PostgreSQL {server}")} }.into_any()
        }
        Facts::Sqlite { path, version, .. } => {
            view! { <code class="path">{path.clone()}</code> {format!(" SQLite {version}")} }.into_any()
        }
    }
}

/// Skipped entries with their reasons, and what the kinds do not cover.
pub fn not_captured(c: &CheckpointView) -> AnyView {
    let skipped = if c.skipped.is_empty() {
        view! { <p class="note">"Nothing was skipped."</p> }.into_any()
    } else {
        let rows = c
            .skipped
            .iter()
            .map(|s| {
                vec![
                    view! { <code class="path">{s.name.clone()}</code> }.into_any(),
                    plain(s.component.clone()),
                    plain(s.reason.clone()),
                    plain(s.message.clone()),
                ]
            })
            .collect();
        let columns = [("Entry", false), ("Component", false), ("Reason", false), ("What it means", false)];
        table("Entries that were skipped", &columns, rows)
    };
    let limits: Vec<_> = c.not_covered.iter().map(|line| view! { <li>{line.clone()}</li> }).collect();
    let limits = (!limits.is_empty()).then(|| {
        view! { <h3>"Not covered"</h3> <ul class="quietly">{limits}</ul> }
    });
    section("not-captured", "Skipped and not covered", None, view! { {skipped} {limits} }.into_any())
}

/// Names of variables with their origin. Values are never shown.
pub fn variables(page: &CheckpointPage) -> AnyView {
    let tables: Vec<_> = page
        .components
        .iter()
        .filter_map(|component| {
            let Facts::Config { variables } = &component.facts else { return None };
            let rows = variables
                .iter()
                .map(|(name, origin)| {
                    vec![
                        view! { <code>{name.clone()}</code> }.into_any(),
                        view! { <span class="dim"><span aria-hidden="true">"••••••••"</span> <span class="unseen">"masked"</span></span> }
                            .into_any(),
                        plain(origin.clone()),
                    ]
                })
                .collect();
            let count = u64::try_from(variables.len()).unwrap_or(0);
            let columns = [("Variable", false), ("Value", false), ("Origin", false)];
            let title = format!("{}: {}", component.name, text::counted(count, "variable"));
            Some(folded(title, table(format!("Variables of {}, values masked", component.name), &columns, rows)))
        })
        .collect();
    if tables.is_empty() {
        return ().into_any();
    }
    section("configuration", "Configuration", None, tables.into_any())
}
