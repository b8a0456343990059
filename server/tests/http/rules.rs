//! Every route of the table, with every kind of credential.

use holdfast::http::{Route, Rule};
use reqwest::{RequestBuilder, StatusCode};

use crate::harness::{PROGRAM, Server};

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

#[tokio::test]
async fn every_route_keeps_its_rule_with_every_credential() {
    let server = Server::start().await;
    let cookie = server.sign_in().await;
    let routes = server.launched.routes();
    assert!(routes.len() > 30, "the table is not the whole one: {}", routes.len());
    for route in routes {
        let shown = format!("{} {} {:?}", route.method, route.path, route.rule);
        let nothing = asks_for(route, &server).send().await.unwrap();
        let unknown = status(asks_for(route, &server).bearer_auth("hfk_unknown")).await;
        let program = status(asks_for(route, &server).bearer_auth(PROGRAM)).await;
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
                let may = matches!(route.rule, Rule::May(permission) if permission.for_programs());
                assert_eq!(program != 403, may, "{shown}: {program}");
            }
            Rule::May(_) | Rule::Host => {
                for (who, status) in [("nobody", nothing.status()), ("host", host), ("program", program)] {
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
