//! The REST API: every operation, who may ask for it, what it takes and answers.

use std::{collections::BTreeSet, sync::Arc};

use leptos::prelude::*;

use super::parts;
use crate::{
    backend::{ApiField, ApiOperation, ApiReference, ApiType},
    components::{
        copy,
        layout::{heading, section, table},
        word::Tone,
    },
    text,
};

/// The page.
#[component]
pub fn Api() -> impl IntoView {
    draw(&use_context::<Arc<ApiReference>>().unwrap_or_default())
}

fn draw(api: &ApiReference) -> AnyView {
    let names: BTreeSet<&str> = api.types.iter().map(|known| known.name.as_str()).collect();
    let many = api.groups.iter().map(|group| group.operations.len()).sum::<usize>();
    let said = format!("{}.", text::counted(u64::try_from(many).unwrap_or(0), "operation"));
    let about = api.about.iter().skip(1).map(|line| view! { <p class="prose">{ticked(line)}</p> }).collect_view();
    let groups = api
        .groups
        .iter()
        .map(|group| {
            let operations = group.operations.iter().map(|one| operation(one, &names)).collect_view();
            section(slug(&group.name), group.name.clone(), None, operations.into_any())
        })
        .collect_view();
    let types = api.types.iter().map(|one| shape(one, &names)).collect_view();
    view! {
        {heading("REST API".to_owned(), Tone::Plain, said, "All that the command line does goes through it.".to_owned())}
        {parts("/settings/api")}
        {about}
        <p class="buttons"><a class="button" href="/ui/openapi.json" download="holdfast-openapi.json">"Download as OpenAPI 3.1"</a></p>
        {groups}
        {section("types", "Types".to_owned(), Some("What is sent and answered, by name.".to_owned()), types.into_any())}
    }
    .into_any()
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn operation(one: &ApiOperation, names: &BTreeSet<&str>) -> AnyView {
    let who = match &one.takes {
        Some((permission, role)) => {
            let programs = if one.for_programs {
                "a key may have it"
            } else if one.fresh {
                "no key may: it takes a person who has signed in anew"
            } else {
                "no key may: it takes a person"
            };
            view! { <p class="note">"Takes " <code>{permission.clone()}</code> ", the role " <strong>{role.clone()}</strong> " or higher; " {programs} "."</p> }
                .into_any()
        }
        None => view! { <p class="note">"For the owner of the host alone."</p> }.into_any(),
    };
    let parameters = (!one.parameters.is_empty()).then(|| {
        let columns = [("Parameter", false), ("In", false), ("Type", false), ("What it is", false)];
        let row = |field: &ApiField| {
            vec![named(field), field.place.clone().into_any(), linked(&field.shape, names), ticked(&field.says)]
        };
        table(format!("Parameters of {} {}", one.method, one.path), &columns, one.parameters.iter().map(row).collect())
    });
    let body = one.body.as_ref().map(|body| view! { <p>"Body: " {linked(body, names)}</p> });
    let answers = one.answers.iter().map(|answer| {
        vec![
            view! { <code>{answer.status.clone()}</code> }.into_any(),
            answer.shape.as_ref().map(|shape| linked(shape, names)).into_any(),
            ticked(&answer.says),
        ]
    });
    let answered = table(
        format!("Answers of {} {}", one.method, one.path),
        &[("Status", false), ("Type", false), ("When", false)],
        answers.collect(),
    );
    view! {
        <details class="folded operation" id=one.id.clone()>
            <summary>
                <code class="method">{one.method.clone()}</code> " " <code>{one.path.clone()}</code> <span class="says">{ticked(&one.says)}</span>
            </summary>
            <div>
                {who}
                {parameters}
                {body}
                {answered}
                {copy::commands(one.example.clone(), "the call")}
            </div>
        </details>
    }
    .into_any()
}

fn shape(one: &ApiType, names: &BTreeSet<&str>) -> AnyView {
    let fields = (!one.fields.is_empty()).then(|| {
        let row = |field: &ApiField| vec![named(field), linked(&field.shape, names), ticked(&field.says)];
        let columns = [("Property", false), ("Type", false), ("What it is", false)];
        table(format!("Properties of {}", one.name), &columns, one.fields.iter().map(row).collect())
    });
    let forms = one.forms.iter().map(|form| view! { <li>{linked(form, names)}</li> }).collect_view();
    let forms = (!one.forms.is_empty()).then(|| view! { <ul>{forms}</ul> });
    view! {
        <details class="folded shape" id=format!("type-{}", one.name)>
            <summary><code>{one.name.clone()}</code></summary>
            <div>
                {(!one.says.is_empty()).then(|| view! { <p>{ticked(&one.says)}</p> })}
                {fields}
                {forms}
            </div>
        </details>
    }
    .into_any()
}

fn named(field: &ApiField) -> AnyView {
    let needed = field.required.then(|| view! { " " <span class="dim">"required"</span> });
    view! { <code>{field.name.clone()}</code> {needed} }.into_any()
}

/// A type's words, each name among them a link to it.
fn linked(shape: &str, names: &BTreeSet<&str>) -> AnyView {
    let words = shape.split_inclusive(' ').map(|word| {
        let bare = word.trim_end_matches([' ', ',', ':']);
        if names.contains(bare) {
            let rest = word[bare.len()..].to_owned();
            view! { <a href=format!("#type-{bare}")>{bare.to_owned()}</a> {rest} }.into_any()
        } else {
            word.to_owned().into_any()
        }
    });
    words.collect_view().into_any()
}

/// Text with `code` in it.
fn ticked(text: &str) -> AnyView {
    let pieces = text.split('`').enumerate().map(|(at, piece)| {
        let piece = piece.to_owned();
        if at % 2 == 1 { view! { <code>{piece}</code> }.into_any() } else { piece.into_any() }
    });
    pieces.collect_view().into_any()
}
