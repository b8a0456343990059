//! The document around every page, and the table of routes.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

use crate::{
    components::frame::Frame,
    pages::{
        activity::Activity,
        browse::Browse,
        checkpoint::Checkpoint,
        compare::{Compare, ComparedFile, ComparedTable, ComparedValue},
        environment::Environment,
        not_found::NotFound,
        overview::OverviewPage,
        project::ProjectView,
        projects::ProjectsList,
        restore::RestoreForm,
        run::RunView,
        settings::{api::Api, audit::Audit, keys::Keys, members::Members, sessions::Sessions},
        tables::Tables,
    },
};

/// The whole document, for the server alone.
#[must_use]
pub fn shell(_options: LeptosOptions) -> impl IntoView {
    use leptos::nonce::use_nonce;
    use leptos_meta::MetaTags;

    let assets = use_context::<crate::backend::SiteAssets>().unwrap_or_default();
    let css = (!assets.css.is_empty()).then(|| view! { <link rel="stylesheet" href=assets.css /> });
    let icon = (!assets.icon.is_empty()).then(|| view! { <link rel="icon" type="image/svg+xml" href=assets.icon /> });
    let scripts = (!assets.js.is_empty() && !assets.wasm.is_empty()).then(|| {
        let start = format!(
            "import init, {{ start }} from {:?}; init({{ module_or_path: {:?} }}).then(start);",
            assets.js, assets.wasm
        );
        view! {
            <link rel="modulepreload" href=assets.js.clone() nonce=use_nonce() />
            <link rel="preload" href=assets.wasm.clone() r#as="fetch" type="application/wasm" crossorigin="anonymous" />
            <script type="module" nonce=use_nonce()>{start}</script>
        }
    });
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                {css}
                {icon}
                {scripts}
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// The dashboard.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Holdfast".to_owned() } else { format!("{title} · Holdfast") } />
        <Router>
            <Routes fallback=NotFound>
                <ParentRoute path=path!("") view=Frame ssr=SsrMode::Async>
                    <Route path=path!("/") view=OverviewPage ssr=SsrMode::Async />
                    <Route path=path!("/projects") view=ProjectsList ssr=SsrMode::Async />
                    <Route path=path!("/projects/:project") view=ProjectView ssr=SsrMode::Async />
                    <Route path=path!("/projects/:project/:environment") view=Environment ssr=SsrMode::Async />
                    <Route path=path!("/checkpoints/:checkpoint") view=Checkpoint ssr=SsrMode::Async />
                    <Route path=path!("/checkpoints/:checkpoint/restore") view=RestoreForm ssr=SsrMode::Async />
                    <Route path=path!("/checkpoints/:checkpoint/files") view=Browse ssr=SsrMode::Async />
                    <Route path=path!("/checkpoints/:checkpoint/tables") view=Tables ssr=SsrMode::Async />
                    <Route path=path!("/compare") view=Compare ssr=SsrMode::Async />
                    <Route path=path!("/compare/file") view=ComparedFile ssr=SsrMode::Async />
                    <Route path=path!("/compare/table") view=ComparedTable ssr=SsrMode::Async />
                    <Route path=path!("/compare/value") view=ComparedValue ssr=SsrMode::Async />
                    <Route path=path!("/runs/:run") view=RunView ssr=SsrMode::Async />
                    <Route path=path!("/settings/members") view=Members ssr=SsrMode::Async />
                    <Route path=path!("/settings/sessions") view=Sessions ssr=SsrMode::Async />
                    <Route path=path!("/settings/keys") view=Keys ssr=SsrMode::Async />
                    <Route path=path!("/settings/audit") view=Audit ssr=SsrMode::Async />
                    <Route path=path!("/settings/api") view=Api ssr=SsrMode::Async />
                    <Route path=path!("/activity") view=Activity ssr=SsrMode::Async />
                </ParentRoute>
            </Routes>
        </Router>
    }
}
