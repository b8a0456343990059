//! All projects.

use leptos::prelude::*;

use crate::{
    api::{ProjectsPage, read_projects},
    components::{
        copy,
        icon::Icon,
        layout::{bytes, empty, heading, plain, table},
        loaded::loaded,
        word::{self, Tone},
    },
    text,
};

/// The page.
#[component]
pub fn ProjectsList() -> impl IntoView {
    loaded(read_projects(), |page| draw(&page))
}

fn draw(page: &ProjectsPage) -> AnyView {
    let environments: usize = page.projects.iter().map(|p| p.environments.len()).sum();
    let said = format!(
        "{} with {}.",
        text::counted(u64::try_from(page.projects.len()).unwrap_or(0), "project"),
        text::counted(u64::try_from(environments).unwrap_or(0), "environment")
    );
    let body = if page.projects.is_empty() {
        empty(
            "A project groups environments and owns their vault. The first one comes with the first definition.",
            copy::commands("holdfast apply -f holdfast.yaml".to_owned(), "the command that applies a definition"),
        )
    } else {
        let rows = page
            .projects
            .iter()
            .map(|p| {
                let names: Vec<_> = p
                    .environments
                    .iter()
                    .map(|e| view! { <a href=format!("/projects/{}/{e}", p.name)>{e.to_string()}</a> " " })
                    .collect();
                let kit = if p.recovery_kit_confirmed {
                    (Tone::Good, Icon::Check, "stored")
                } else {
                    (Tone::Warn, Icon::Alert, "not confirmed")
                };
                vec![
                    view! { <a class="named" href=format!("/projects/{}", p.name)>{p.name.to_string()}</a> }.into_any(),
                    names.into_any(),
                    word::word(kit),
                    plain(text::count(p.checkpoints)),
                    bytes(p.total),
                    bytes(p.stored),
                ]
            })
            .collect();
        let columns = [
            ("Project", false),
            ("Environments", false),
            ("Recovery kit", false),
            ("Checkpoints", true),
            ("Size", true),
            ("Stored", true),
        ];
        table("Projects", &columns, rows)
    };
    view! { {heading("Projects".to_owned(), Tone::Plain, said, "Each owns one vault with its own key.".to_owned())} {body} }
        .into_any()
}
