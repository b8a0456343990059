//! Every route of the table, with every kind of credential.

use holdfast::{
    actions::ActionError,
    auth::Caller,
    http::{Route, Rule},
};
use holdfast_model::{
    access::{Access, Permission, Role},
    key::CreateKey,
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use crate::harness::Server;

/// The path with something in place of its parts.
fn path(route: &Route) -> String {
    let mut path = String::new();
    for part in route.path.split('/').skip(1) {
        path.push('/');
        path.push_str(if part.starts_with('{') { "latest" } else { part });
    }
    path
}

fn asks_for(route: &Route, server: &Server) -> RequestBuilder {
    server.ask(route.method.as_str(), &path(route))
}

async fn status(request: RequestBuilder) -> StatusCode {
    let answer = request.send().await.unwrap();
    assert!(answer.status() < StatusCode::INTERNAL_SERVER_ERROR, "{}: {}", answer.url(), answer.status());
    answer.status()
}

/// Keys for all that a key may be made for: with the scopes of each, its token.
async fn keys(server: &Server) -> Vec<(Vec<Permission>, String)> {
    use Permission::{Cancel, Create, Drill, View};
    let mut keys = Vec::new();
    for scopes in
        [vec![View], vec![View, Create], vec![View, Drill], vec![View, Cancel], vec![View, Create, Drill, Cancel]]
    {
        for everywhere in [false, true] {
            let projects: &[&str] = if everywhere { &[] } else { &["shop"] };
            keys.push((scopes.clone(), server.key(projects, &scopes).await));
        }
    }
    keys
}

#[tokio::test]
async fn another_projects_things_are_not_there_for_a_key_or_a_person_of_one() {
    let server = Server::start().await;
    server.environment().await;
    let theirs = server.environment_of("blog").await;
    let run = server.queue(&theirs).await;
    let key =
        server.key(&["shop"], &[Permission::View, Permission::Create, Permission::Drill, Permission::Cancel]).await;
    let mut tried = 0;
    for route in server.launched.routes().iter().filter(|route| route.path.starts_with("/v1/")) {
        let Rule::May(permission) = route.rule else { continue };
        let of_one = ["{id}", "{env}", "{project}"].iter().any(|part| route.path.contains(part));
        if !of_one || !permission.for_programs() {
            continue;
        }
        let id = if route.path.contains("/runs/") { run.as_str() } else { "blog~staging@latest" };
        let path = route.path.replace("{id}", id).replace("{env}", "blog~staging").replace("{project}", "blog");
        let path = path.replace("{other}", "latest").replace("{*path}", "x");
        let asked = server.ask(route.method.as_str(), &path).bearer_auth(&key);
        let body = if path.ends_with("/check") { json!({ "depth": "structure" }) } else { json!({}) };
        let asked = if route.method == "POST" { asked.json(&body) } else { asked };
        let got = status(asked).await;
        assert_eq!(got, 404, "{} {path}", route.method);
        let theirs = server.host(route.method.as_str(), &path);
        let theirs = if route.method == "POST" { theirs.json(&body) } else { theirs };
        let host = theirs.send().await.unwrap().status();
        tried += usize::from(host != 404);
    }
    assert!(tried >= 5, "for the host there is something behind these addresses: {tried}");
    for (method, path, body) in [
        ("POST", "/v1/checkpoints", json!({ "environment": "blog/staging" })),
        ("POST", "/v1/checkpoints", json!({ "environment": theirs })),
        ("POST", "/api/checkpoint", json!({ "database": "blog/staging", "tag": "v1" })),
        ("POST", "/api/checkpoint", json!({ "database": theirs, "tag": "v1" })),
    ] {
        assert_eq!(status(server.ask(method, path).bearer_auth(&key).json(&body)).await, 404, "{body}");
    }
    for path in ["/v1/projects", "/v1/environments", "/v1/runs", "/v1/checkpoints", "/v1/vaults"] {
        let said = server.ask("GET", path).bearer_auth(&key).send().await.unwrap().text().await.unwrap();
        assert!(!said.contains("blog"), "{path}: {said}");
    }
    // The same for a person, through the actions that both worlds come by.
    let access = Access { projects: [("shop".parse().unwrap(), Role::Admin)].into(), ..Access::default() };
    let ada = server.launched.actions().by(Caller::person("ada".into(), "issuer#ada".into(), access, true));
    assert!(matches!(ada.environment("blog/staging").await, Err(ActionError::NotFound(_))));
    assert!(matches!(ada.run(&run).await, Err(ActionError::NotFound(_))));
    assert!(matches!(ada.cancel(&run).await, Err(ActionError::NotFound(_))));
    assert!(matches!(ada.recovery_kit("blog", None).await, Err(ActionError::NotFound(_))));
    assert_eq!(ada.list_environments(None).await.unwrap().len(), 1);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_taken_back_asks_a_person_to_sign_in_again() {
    let server = Server::start().await;
    server.environment().await;
    let person = |role, fresh| {
        let access = Access { projects: [("shop".parse().unwrap(), role)].into(), ..Access::default() };
        server.launched.actions().by(Caller::person("ada".into(), "issuer#ada".into(), access, fresh))
    };
    let stale = person(Role::Admin, false);
    assert!(matches!(stale.recovery_kit("shop", None).await, Err(ActionError::SignInAgain)));
    let request = || CreateKey { name: "x".into(), projects: ["shop".parse().unwrap()].into(), ..CreateKey::default() };
    assert!(matches!(stale.create_key(request()).await, Err(ActionError::SignInAgain)));
    assert!(person(Role::Admin, true).create_key(request()).await.is_ok());
    for role in [Role::Viewer, Role::Operator, Role::Restorer] {
        assert!(matches!(person(role, true).create_key(request()).await, Err(ActionError::Forbidden(_))), "{role}");
    }
    let everywhere = CreateKey { name: "x".into(), everywhere: true, ..CreateKey::default() };
    let refused = person(Role::Admin, true).create_key(everywhere).await;
    assert!(matches!(refused, Err(ActionError::Forbidden(_))), "an admin of one project makes no key for all");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn every_route_keeps_its_rule_with_every_credential() {
    let server = Server::start().await;
    server.environment().await;
    let cookie = server.sign_in().await;
    let keys = keys(&server).await;
    let routes = server.launched.routes();
    assert!(routes.len() > 30, "the table is not the whole one: {}", routes.len());
    for route in routes {
        let shown = format!("{} {} {:?}", route.method, route.path, route.rule);
        let nothing = asks_for(route, &server).send().await.unwrap();
        let unknown = status(asks_for(route, &server).bearer_auth("hfk_unknown")).await;
        let host = status(asks_for(route, &server).bearer_auth(&server.token)).await;
        let for_programs = ["/v1/", "/api/"].iter().any(|world| route.path.starts_with(world));
        match route.rule {
            Rule::Open => assert_ne!(nothing.status(), 401, "{shown}"),
            Rule::May(_) | Rule::Host if for_programs => {
                assert_eq!(nothing.status(), 401, "{shown}");
                assert_eq!(unknown, 401, "{shown}");
                let with_cookie = status(asks_for(route, &server).header("cookie", &cookie)).await;
                assert_eq!(with_cookie, 401, "{shown}: a cookie must count for nothing");
                assert!(host != 401 && host != 403, "{shown}: {host}");
                for (scopes, token) in &keys {
                    let got = status(asks_for(route, &server).bearer_auth(token)).await;
                    assert_ne!(got, 401, "{shown}: a key of {scopes:?}");
                    let may = matches!(route.rule, Rule::May(permission) if scopes.contains(&permission));
                    assert_eq!(got != 403, may, "{shown}: a key of {scopes:?} got {got}");
                }
            }
            Rule::May(_) | Rule::Host => {
                let key = status(asks_for(route, &server).bearer_auth(&keys[0].1)).await;
                for (who, status) in [("nobody", nothing.status()), ("host", host), ("key", key)] {
                    assert!(status == 401 || status == 303, "{shown}: {who} got {status}");
                }
                if nothing.status() == 303 {
                    let to = nothing.headers()["location"].to_str().unwrap();
                    assert!(to.starts_with("/sign-in?next=%2F"), "{shown}: {to}");
                }
            }
        }
    }
    // Last, because signing out ends the session.
    let of_people = |route: &&Route| {
        route.rule != Rule::Open && !route.path.starts_with("/v1/") && !route.path.starts_with("/api/")
    };
    for route in routes.iter().filter(of_people).filter(|route| route.path != "/sign-out") {
        let answer = asks_for(route, &server).header("cookie", &cookie).send().await.unwrap();
        let to = answer.headers().get("location").map_or("", |to| to.to_str().unwrap()).to_owned();
        assert!(answer.status() != 401 && !to.starts_with("/sign-in"), "{} {}: {to}", route.method, route.path);
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_open_and_what_programs_may_is_written_down_here_too() {
    let server = Server::start().await;
    let of = |wanted: &dyn Fn(Rule) -> bool| -> Vec<String> {
        let routes = server.launched.routes().iter().filter(|route| wanted(route.rule));
        routes.map(|route| format!("{} {}", route.method, route.path)).collect()
    };
    assert_eq!(
        of(&|rule| rule == Rule::Open),
        [
            "GET /healthz",
            "GET /readyz",
            "GET /pkg/{hash}/{*name}",
            "GET /favicon.svg",
            "GET /favicon.ico",
            "GET /sign-in",
            "POST /sign-in",
            "GET /sign-in/devices",
            "GET /sign-in/break-glass",
            "POST /sign-in/break-glass",
            "GET /sign-in/again",
            "POST /sign-in/{provider}",
            "GET /sign-in/{provider}/callback",
            "GET /sign-in/{provider}/again",
            "POST /sign-in/{provider}/back-channel-logout",
        ]
    );
    let changes = of(&|rule| matches!(rule, Rule::May(permission) if permission.for_programs()));
    let changes: Vec<&str> = changes
        .iter()
        .map(String::as_str)
        .filter(|route| !route.starts_with("GET ") && (route.contains(" /v1/") || route.contains(" /api/")))
        .filter(|route| !route.ends_with("{*rest}"))
        .collect();
    assert_eq!(
        changes,
        [
            "POST /v1/checkpoints",
            "POST /v1/checkpoints/{id}/verify",
            "POST /v1/checkpoints/{id}/drill",
            "POST /v1/runs/{id}/cancel",
            "POST /v1/vaults/{project}/check",
            "POST /api/checkpoint",
        ],
        "all that a key may ever change"
    );
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_method_that_a_route_does_not_take_is_no_way_around_its_rule() {
    let server = Server::start().await;
    for path in ["/v1/projects", "/v1/checkpoints/latest", "/v1/runs/x/events"] {
        assert_eq!(status(server.ask("PUT", path)).await, 401, "{path}");
        assert_eq!(status(server.host("PUT", path)).await, 405, "{path}");
        assert_eq!(status(server.ask("HEAD", path)).await, 401, "{path}");
    }
    server.launched.stop().await.unwrap();
}
