//! The document around every page, and the table of routes.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    path,
};

/// The whole document, for the server alone.
#[cfg(feature = "ssr")]
#[must_use]
pub fn shell(_options: LeptosOptions) -> impl IntoView {
    use leptos::nonce::use_nonce;
    use leptos_meta::MetaTags;

    let assets = use_context::<crate::backend::SiteAssets>().unwrap_or_default();
    let css = (!assets.css.is_empty()).then(|| view! { <link rel="stylesheet" href=assets.css /> });
    let icon = (!assets.icon.is_empty()).then(|| view! { <link rel="icon" type="image/svg+xml" href=assets.icon /> });
    let scripts = (!assets.js.is_empty() && !assets.wasm.is_empty()).then(|| {
        let start = format!(
            "import init, {{ hydrate }} from {:?}; init({{ module_or_path: {:?} }}).then(hydrate);",
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
            <Routes fallback=|| view! { <p>"There is no such page."</p> }>
                <Route path=path!("/") view=|| view! { <h1>"Holdfast"</h1> } ssr=SsrMode::Async />
            </Routes>
        </Router>
    }
}
