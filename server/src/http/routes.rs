//! Every address of the server, with the rule that guards it. A route exists only as a row of this table, and a row
//! has a rule, so there is no way to serve something unguarded by forgetting.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};

use holdfast_model::access::Permission;

use super::{
    Web, audit, browse, compare, dashboard, evidence, export, gate, guard, health, import, keys, me, members, openapi,
    pending, sessions,
    sign_in::{self, break_glass, provider},
    stream, tables, v1,
};
use crate::site;

/// Who may ask. Below `/v1` and `/api` a bearer token says who it is, everywhere else the session's cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Anybody who reaches the listener.
    Open,
    /// Whoever may do this somewhere; the action asks again for the very project.
    May(Permission),
    /// The owner of the host.
    Host,
}

/// One address and method.
#[derive(Debug, Clone)]
pub struct Route {
    /// `GET`, …
    pub method: Method,
    /// In axum's syntax.
    pub path: String,
    /// Who may ask.
    pub rule: Rule,
}

struct Row {
    route: Route,
    handler: MethodRouter<Web>,
}

/// All addresses.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// The table of this server: fixed rows, and those that the dashboard brings.
    #[must_use]
    pub fn of(web: &Web) -> Self {
        use Permission::{
            Audit, Cancel, Create, Define, Delete, Drill, Import, Keys, Members, Read, RecoveryKit, Restore, Reveal,
            Vaults, View,
        };
        use Rule::{Host, May, Open};
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        let mut table = Self::default();

        table.add(&get, "/healthz", Open, health::alive);
        table.add(&get, "/readyz", Open, health::ready);
        table.add(&get, "/pkg/{hash}/{*name}", Open, site::packaged);
        table.add(&get, "/favicon.svg", Open, site::icon);
        table.add(&get, "/favicon.ico", Open, site::icon);
        table.add(&get, "/sign-in", Open, sign_in::page);
        table.add(&post, "/sign-in", Open, sign_in::sign_in);
        table.add(&get, "/sign-in/devices", Open, me::devices);
        table.add(&get, "/sign-in/break-glass", Open, break_glass::page);
        table.add(&post, "/sign-in/break-glass", Open, break_glass::sign_in);
        table.add(&get, "/sign-in/again", Open, provider::again_with_the_same);
        table.add(&post, "/sign-in/{provider}", Open, provider::begin);
        table.add(&get, "/sign-in/{provider}/callback", Open, provider::finish);
        table.add(&get, "/sign-in/{provider}/again", Open, provider::again);
        table.add(&post, "/sign-in/{provider}/back-channel-logout", Open, provider::logged_out);
        table.add(&post, "/sign-out", May(View), sign_in::sign_out);
        table.add(&get, "/ui/runs/{id}/events", May(View), stream::events);
        table.add(&get, "/ui/checkpoints/{id}/file", May(Read), browse::file);
        table.add(&get, "/ui/checkpoints/{id}/folder", May(Read), browse::archive_for_people);
        table.add(&get, "/ui/checkpoints/{id}/export", May(Read), export::for_people);
        table.add(&post, "/ui/keys", May(Keys), keys::form);
        table.add(&post, "/ui/keys/{id}/rotate", May(Keys), keys::rotate_form);
        table.add(&post, "/ui/keys/{id}/revoke", May(Keys), keys::revoke_form);
        table.add(&post, "/ui/sessions/end-others", May(View), sessions::end_others);
        table.add(&post, "/ui/sessions/{id}/end", May(View), sessions::end);
        // An archive is as large as it is.
        table.add(&post, "/ui/imports", May(Import), import::form.layer(DefaultBodyLimit::disable()));
        table.add(&get, "/ui/checkpoints/{id}/drill.json", May(View), evidence::drill);

        table.add(&get, "/pending/{id}", May(View), pending::page::show);
        table.add(&post, "/ui/pending/{id}/confirm", May(View), pending::page::confirm);
        table.add(&post, "/ui/pending/{id}/refuse", May(View), pending::page::refuse);

        table.add(&get, "/v1/me", May(View), me::me);
        table.add(&get, "/v1/pending/{id}", May(View), pending::page::view);
        table.add(&get, "/v1/projects", May(View), v1::projects);
        table.add(&get, "/v1/environments", May(View), v1::environments);
        table.add(&post, "/v1/environments", May(Define), v1::apply);
        table.add(&get, "/v1/environments/{env}", May(View), v1::environment);
        table.add(&get, "/v1/environments/{env}/logs", May(View), v1::logs);
        table.add(&get, "/v1/environments/{env}/confirmation", May(Define), v1::confirmation);
        table.add(&post, "/v1/environments/{env}/confirmation", May(Define), v1::confirm);
        table.add(&get, "/v1/checkpoints", May(View), v1::checkpoints);
        table.add(&post, "/v1/checkpoints", May(Create), v1::create);
        table.add(&get, "/v1/checkpoints/{id}", May(View), v1::checkpoint);
        table.add(&delete, "/v1/checkpoints/{id}", May(Delete), v1::delete);
        table.add(&post, "/v1/checkpoints/{id}/verify", May(Drill), v1::verify);
        table.add(&post, "/v1/checkpoints/{id}/drill", May(Drill), v1::drill);
        table.add(&post, "/v1/checkpoints/{id}/restore", May(Restore), v1::restore);
        table.add(&post, "/v1/checkpoints/{id}/restore/plan", May(Restore), v1::restore_plan);
        table.add(&get, "/v1/checkpoints/{id}/manifest", May(View), v1::manifest);
        table.add(&get, "/v1/checkpoints/{id}/content/{*path}", May(Read), v1::content);
        table.add(&get, "/v1/checkpoints/{id}/export", May(Read), export::export);
        table.add(&post, "/v1/imports", May(Import), import::import);
        table.add(&get, "/v1/checkpoints/{id}/tree", May(Read), browse::folder);
        table.add(&get, "/v1/checkpoints/{id}/folder", May(Read), browse::archive);
        table.add(&get, "/v1/checkpoints/{id}/tables", May(Read), tables::list);
        table.add(&get, "/v1/checkpoints/{id}/table", May(Read), tables::rows);
        table.add(&get, "/v1/checkpoints/{id}/diff/{other}", May(View), compare::diff);
        table.add(&get, "/v1/checkpoints/{id}/diff/{other}/file", May(Read), compare::file);
        table.add(&get, "/v1/checkpoints/{id}/diff/{other}/table", May(Read), compare::table);
        table.add(&get, "/v1/checkpoints/{id}/diff/{other}/value", May(Reveal), compare::value);
        table.add(&get, "/v1/runs", May(View), v1::runs);
        table.add(&get, "/v1/runs/{id}", May(View), v1::run);
        table.add(&post, "/v1/runs/{id}/cancel", May(Cancel), v1::cancel);
        table.add(&get, "/v1/runs/{id}/events", May(View), stream::events);
        table.add(&get, "/v1/vaults", May(View), v1::vaults);
        table.add(&post, "/v1/vaults", May(Vaults), v1::adopt);
        table.add(&post, "/v1/vaults/{project}", May(Vaults), v1::add_vault);
        table.add(&post, "/v1/vaults/{project}/prune", May(Vaults), v1::prune);
        table.add(&post, "/v1/vaults/{project}/check", May(Drill), v1::check);
        table.add(&post, "/v1/vaults/{project}/repair", May(Vaults), v1::repair);
        table.add(&post, "/v1/vaults/{project}/copy", May(Vaults), v1::copy);
        table.add(&get, "/v1/vaults/{project}/recovery-kit", May(RecoveryKit), v1::recovery_kit);
        table.add(&post, "/v1/vaults/{project}/recovery-kit/confirm", May(RecoveryKit), v1::confirm_recovery_kit);
        table.add(&post, "/v1/catalogue/copies", May(RecoveryKit), v1::copy_catalogue);
        table.add(&get, "/v1/catalogue/kit", May(RecoveryKit), v1::catalogue_kit);
        table.add(&post, "/v1/sign-in-links", Host, v1::sign_in_link);
        table.add(&get, "/v1/keys", May(Keys), keys::list);
        table.add(&post, "/v1/keys", May(Keys), keys::create);
        table.add(&post, "/v1/keys/{id}/rotate", May(Keys), keys::rotate);
        table.add(&delete, "/v1/keys/{id}", May(Keys), keys::revoke);
        table.add(&get, "/v1/members", May(Members), members::list);
        table.add(&get, "/v1/audit", May(Audit), audit::list);
        table.add(&get, "/v1/audit/verify", May(Audit), audit::verify);
        table.add(&get, "/v1/openapi.json", May(View), openapi::document);
        table.add(&get, "/ui/openapi.json", May(View), openapi::document);
        table.add(&post, gate::PATH, May(Create), gate::checkpoint);
        // So that no page of the dashboard, which may take any path, answers for the REST API.
        for method in [&get, &post, &delete, &Method::PUT, &Method::PATCH] {
            table.add(method, "/v1/{*rest}", May(View), v1::nothing);
            table.add(method, "/api/{*rest}", May(View), gate::nothing);
        }

        dashboard::add_pages(&mut table, web);
        dashboard::add_server_functions(&mut table, web);
        table
    }

    /// Adds a row; the rule is not optional.
    pub(super) fn add<H, T>(&mut self, method: &Method, path: &str, rule: Rule, handler: H)
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        let Ok(filter) = MethodFilter::try_from(method.clone()) else {
            // Only a method that axum does not route at all ends here; leaving the row out refuses it.
            tracing::error!(%method, path, "this method cannot be routed");
            return;
        };
        let route = Route { method: method.clone(), path: path.to_owned(), rule };
        self.rows.push(Row { route, handler: on(filter, handler) });
    }

    /// Every address with its rule.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        self.rows.iter().map(|row| row.route.clone()).collect()
    }

    /// The routers of programs and of people, each route behind its rule.
    pub(super) fn into_routers(self, web: &Web) -> (Router<Web>, Router<Web>) {
        let (mut programs, mut people) = (Router::new(), Router::new());
        for Row { route: Route { path, rule, .. }, handler } in self.rows {
            let guarded = handler.layer(from_fn_with_state((web.clone(), rule), guard::check));
            if for_programs(&path) {
                programs = programs.route(&path, guarded);
            } else {
                people = people.route(&path, guarded);
            }
        }
        (programs, people)
    }
}

/// Whether a bearer token, and nothing else, says who asks for an address.
pub(super) fn for_programs(path: &str) -> bool {
    path.starts_with("/v1/") || path.starts_with("/api/")
}
