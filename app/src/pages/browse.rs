//! The files of a checkpoint, folder by folder; each file and each folder can be taken.

use holdfast_model::view::{EntryView, FolderView};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::read_folder,
    backend::{CheckpointPage, FolderAsked},
    components::{
        layout::{ago, bytes, crumbs, heading, plain, table},
        loaded::loaded,
        word::Tone,
    },
    text,
};

/// The page.
#[component]
pub fn Browse() -> impl IntoView {
    let id = use_params_map().with_untracked(|p| p.get("checkpoint").unwrap_or_default());
    let asked = use_query_map().with_untracked(|q| FolderAsked {
        component: q.get("component").unwrap_or_default(),
        path: q.get("path"),
        raw: q.get("raw"),
    });
    loaded(read_folder(id, asked), |(page, folder)| draw(&page, &folder))
}

/// The address of a folder of a component; `raw` is its path in hexadecimal where it is not text.
pub fn href(checkpoint: &str, component: &str, path: &str, raw: Option<&str>) -> String {
    format!("/checkpoints/{checkpoint}/files?{}", query(component, path, raw))
}

fn query(component: &str, path: &str, raw: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("component", component);
    match raw {
        Some(raw) => query.append_pair("raw", raw),
        None if path.is_empty() => &mut query,
        None => query.append_pair("path", path),
    };
    query.finish()
}

fn draw(page: &CheckpointPage, folder: &FolderView) -> AnyView {
    let c = &page.checkpoint;
    let name = c.name.clone().unwrap_or_else(|| text::short_id(c.id.as_str()));
    let component = folder.component.as_str();
    let mut way = vec![
        (c.environment.name.to_string(), text::environment_href(&c.environment.project, &c.environment.name)),
        (name, format!("/checkpoints/{}", c.id)),
    ];
    let mut at = String::new();
    let mut title = component.to_owned();
    // The folders above; where the path is not text, only the component itself.
    let parts: Vec<&str> = folder.path.split('/').filter(|part| !part.is_empty()).collect();
    if let Some((last, above)) = parts.split_last() {
        way.push((component.to_owned(), href(c.id.as_str(), component, "", None)));
        for part in above.iter().filter(|_| folder.raw.is_none()) {
            at = if at.is_empty() { (*part).to_owned() } else { format!("{at}/{part}") };
            way.push(((*part).to_owned(), href(c.id.as_str(), component, &at, None)));
        }
        title = (*last).to_owned();
    }
    let count = u64::try_from(folder.entries.len()).unwrap_or(0) + folder.more;
    let more = (folder.more > 0).then(
        || view! { <p class="note">{format!("{} more are not listed.", text::counted(folder.more, "entry"))}</p> },
    );
    let rows = folder.entries.iter().map(|entry| row(page, folder, entry)).collect();
    let columns = [("Name", false), ("Size", true), ("Mode", false), ("Changed", false)];
    let reason = format!("As it was {}.", text::ago(page.now, c.created_at));
    let take = format!("/ui/checkpoints/{}/folder?{}", c.id, query(component, &folder.path, folder.raw.as_deref()));
    let sockets = folder.entries.iter().any(|entry| entry.kind == "socket").then(|| {
        view! { <p class="note">"Sockets have no place in an archive: they are left out when you take this folder."</p> }
    });
    view! {
        {crumbs(way)}
        <div class="lead">
            {heading(title.clone(), Tone::Plain, format!("{}.", text::counted(count, "entry")), reason)}
            <p class="buttons"><a class="button" href=take>"Take this folder (.tar.zst)"</a></p>
        </div>
        {table(format!("What is in {title}"), &columns, rows)}
        {more}
        {sockets}
    }
    .into_any()
}

fn row(page: &CheckpointPage, folder: &FolderView, entry: &EntryView) -> Vec<AnyView> {
    let (id, component) = (page.checkpoint.id.as_str(), folder.component.as_str());
    let (path, raw) = below(folder, entry);
    let name = match entry.kind.as_str() {
        "dir" => {
            view! { <a class="named" href=href(id, component, &path, raw.as_deref())>{format!("{}/", entry.name)}</a> }
                .into_any()
        }
        "file" => {
            let href = format!("/ui/checkpoints/{id}/file?{}", query(component, &path, raw.as_deref()));
            view! { <a class="named" href=href download="">{entry.name.clone()}</a> }.into_any()
        }
        kind => {
            let target = entry.target.as_ref().map(|target| format!(" → {target}"));
            view! { <span class="named">{entry.name.clone()}</span> <span class="dim">{kind.to_owned()} {target}</span> }.into_any()
        }
    };
    let size = if entry.kind == "file" { bytes(entry.size) } else { plain("–") };
    vec![name, size, view! { <code>{entry.mode.clone()}</code> }.into_any(), ago(page.now, entry.modified)]
}

/// The path of an entry, and its bytes in hexadecimal where it, or a folder above it, is not text.
fn below(folder: &FolderView, entry: &EntryView) -> (String, Option<String>) {
    let join = |above: &str, name: &str| if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
    let path = join(&folder.path, &entry.name);
    if folder.raw.is_none() && entry.raw.is_none() {
        return (path, None);
    }
    let hex = |text: &str, raw: &Option<String>| {
        raw.clone().unwrap_or_else(|| text.bytes().map(|byte| format!("{byte:02x}")).collect())
    };
    let above = hex(&folder.path, &folder.raw);
    let name = hex(&entry.name, &entry.raw);
    let raw = if above.is_empty() { name } else { format!("{above}2f{name}") };
    (path, Some(raw))
}
