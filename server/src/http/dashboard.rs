//! The dashboard inside the server: its pages and server functions become rows of the table, and one closure gives
//! each of them what it may use: the backend bound to the caller, the site's addresses, the page's policy.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use holdfast_app::{
    App,
    backend::{Backend, GlassOpen},
    error::AppError,
    shell,
};
use holdfast_model::access::Permission;
use leptos::{
    config::LeptosOptions,
    nonce::use_nonce,
    prelude::{IntoView, provide_context, use_context},
    server_fn::axum::server_fn_paths,
};
use leptos_axum::{
    AxumRouteListing, ResponseOptions, generate_route_list, handle_server_fns_with_context,
    render_app_async_with_context,
};

use super::{Rule, Table, Web, guard, headers::content_policy};
use crate::{actions::CallerBackend, auth::Caller, site};

/// Bytes of an error that a server function gives.
const MOST_OF_AN_ERROR: usize = 64 << 10;

/// Built by hand: there is no Cargo metadata where the binary runs.
#[must_use]
pub(crate) fn options(address: std::net::SocketAddr) -> LeptosOptions {
    LeptosOptions::builder()
        .output_name("holdfast")
        .site_root("")
        .site_pkg_dir(site::folder())
        .site_addr(address)
        .hash_files(false)
        .build()
}

/// Every page that the dashboard's router knows.
pub(super) fn add_pages(table: &mut Table, _web: &Web) {
    let pages: Vec<AxumRouteListing> = generate_route_list(App);
    for page in pages {
        table.add(&Method::GET, page.path(), Rule::May(Permission::View), render);
    }
}

/// Every server function that was compiled in, at its own path. One that nobody gave a permission is not served.
pub(super) fn add_server_functions(table: &mut Table, _web: &Web) {
    for (path, method) in server_fn_paths() {
        match permission(path) {
            Some(permission) => table.add(&method, path, Rule::May(permission), call),
            None => tracing::error!(path, "a server function without a rule is not served"),
        }
    }
}

/// What a server function takes.
fn permission(path: &str) -> Option<Permission> {
    Some(match path.strip_prefix("/ui/")? {
        "run" => Permission::View,
        "back-up" | "compare-now" => Permission::Create,
        "verify" | "drill" => Permission::Drill,
        "cancel" => Permission::Cancel,
        "restore" => Permission::Restore,
        "delete" => Permission::Delete,
        "confirm-recovery-kit" => Permission::RecoveryKit,
        _ => return None,
    })
}

async fn render(State(web): State<Web>, caller: Caller, request: Request) -> Response {
    let options = web.0.leptos.clone();
    let page = move || shell(options.clone()).into_view();
    let glass = glass(&web).await;
    render_app_async_with_context(context(&web, caller, glass), page)(request).await
}

async fn call(State(web): State<Web>, caller: Caller, request: Request) -> Response {
    let answer = handle_server_fns_with_context(context(&web, caller, Vec::new()), request).await.into_response();
    with_its_status(answer).await
}

/// What leptos itself refuses, a form that lacks a field for example, comes as a 500: it gets the status of its error.
async fn with_its_status(answer: Response) -> Response {
    if answer.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(body) = to_bytes(body, MOST_OF_AN_ERROR).await else { return parts.into_response() };
    if let Some(status) = serde_json::from_slice::<AppError>(&body).ok().map(|error| error.status()) {
        parts.status = StatusCode::from_u16(status).unwrap_or(parts.status);
    }
    Response::from_parts(parts, body.into())
}

/// Whatever no row answers: for a person the dashboard's own words, for everybody else a plain 404.
pub(super) async fn not_found(State(web): State<Web>, request: Request) -> Response {
    let wants_page = request.method() == Method::GET;
    match guard::person(&web, guard::session(&request)).await {
        Ok(Some(caller)) if wants_page => {
            let mut response = render(State(web), caller, request).await;
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        _ => (StatusCode::NOT_FOUND, "There is no such page.").into_response(),
    }
}

/// Who is in by the break-glass password: every page says so.
async fn glass(web: &Web) -> Vec<GlassOpen> {
    match web.identity().open_glass().await {
        Ok(rows) => rows
            .into_iter()
            .map(|row| GlassOpen { name: row.name, since: row.signed_in_at, until: row.expires_at })
            .collect(),
        Err(error) => {
            tracing::error!(%error, "whether somebody is in by break-glass cannot be seen");
            Vec::new()
        }
    }
}

/// The one place where leptos is given its context, for pages and server functions alike.
fn context(web: &Web, caller: Caller, glass: Vec<GlassOpen>) -> impl Fn() + Clone + Send + Sync + 'static {
    let access = caller.access.clone();
    let backend: Arc<dyn Backend> = Arc::new(CallerBackend(web.unbound().by(caller)));
    // The form that signs out leads to the provider.
    let origins = web.identity().form_origins();
    let api = web.0.reference.get().cloned();
    move || {
        provide_context(Arc::clone(&backend));
        provide_context(access.clone());
        provide_context(glass.clone());
        provide_context(site::assets());
        if let Some(api) = &api {
            provide_context(Arc::clone(api));
        }
        if let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>())
            && let Ok(policy) = HeaderValue::from_str(&content_policy(Some(&nonce), &origins))
        {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
}
