//! The audit log: who did what to what.

use holdfast_model::audit::AuditLine;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::parts;
use crate::{
    api::read_audit,
    backend::{AuditAsked, AuditPage},
    components::{
        copy,
        layout::{empty, heading, moment, table},
        loaded::loaded,
        word::Tone,
    },
    text,
};

/// The page.
#[component]
pub fn Audit() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let given = |name: &str| query.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let asked = AuditAsked {
        who: given("who"),
        action: given("action"),
        subject: given("subject"),
        since: given("since"),
        before: given("before").and_then(|text| text.parse().ok()),
    };
    loaded(read_audit(asked), |page| draw(&page))
}

fn draw(page: &AuditPage) -> AnyView {
    let (tone, said, why) = match &page.verified.broken {
        None => (
            Tone::Good,
            format!("All {} are as they were written.", text::counted(page.verified.last, "line")),
            "Each carries the hash of the one before it; this page has followed them all.".to_owned(),
        ),
        Some(broken) => (
            Tone::Bad,
            format!("The log is not as it was written: line {}.", text::count(broken.sequence)),
            format!("{}. The {} before it are whole.", broken.why, text::counted(page.verified.lines, "line")),
        ),
    };
    let body = if page.list.lines.is_empty() {
        empty("No line fits. Leave a filter out.", ().into_any())
    } else {
        let columns =
            [("Line", true), ("At", false), ("Who", false), ("Action", false), ("Subject", false), ("Detail", false)];
        table("Audit log", &columns, page.list.lines.iter().map(row).collect())
    };
    let older = page.list.next.map(|before| {
        let mut query = vec![("before", before.to_string())];
        let asked = &page.asked;
        for (name, value) in
            [("who", &asked.who), ("action", &asked.action), ("subject", &asked.subject), ("since", &asked.since)]
        {
            query.extend(value.clone().map(|value| (name, value)));
        }
        view! { <p><a class="button" href=address(&query)>"Older lines"</a></p> }
    });
    view! {
        {heading("Audit".to_owned(), tone, said, why)}
        {parts("/settings/audit")}
        {filters(&page.asked)}
        {body}
        {older}
        <p class="note">"The same from a terminal:"</p>
        {copy::commands("holdfast audit verify".to_owned(), "the command that follows the log from end to end")}
    }
    .into_any()
}

fn address(query: &[(&str, String)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("/settings/audit?{query}")
}

fn row(line: &AuditLine) -> Vec<AnyView> {
    vec![
        text::count(line.sequence).into_any(),
        moment(line.at),
        line.who.clone().into_any(),
        view! { <code>{line.action.clone()}</code> }.into_any(),
        view! { <code>{line.subject.clone()}</code> }.into_any(),
        line.detail.clone().into_any(),
    ]
}

fn filters(asked: &AuditAsked) -> AnyView {
    let field = |name: &'static str, label: &'static str, hint: &'static str, value: &Option<String>| {
        let id = format!("audit-{name}");
        view! {
            <div class="line">
                <label for=id.clone()>{label}</label>
                <input id=id name=name type="text" autocomplete="off" spellcheck="false" placeholder=hint value=value.clone() />
            </div>
        }
    };
    view! {
        <form method="get" action="/settings/audit" class="filters">
            {field("who", "Who", "a name", &asked.who)}
            {field("action", "Action", "checkpoint.delete", &asked.action)}
            {field("subject", "Subject", "an id", &asked.subject)}
            {field("since", "Since", "7d", &asked.since)}
            <button>"Filter"</button>
        </form>
    }
    .into_any()
}
