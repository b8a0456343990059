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
        match route.rule {
            Rule::Open => assert_ne!(nothing.status(), 401, "{shown}"),
            Rule::Bearer | Rule::HostCredential => {
                assert!(route.path.starts_with("/v1/"), "{shown}: bearer tokens belong to /v1");
                assert_eq!(nothing.status(), 401, "{shown}");
                assert_eq!(unknown, 401, "{shown}");
                let with_cookie = status(asks_for(route, &server).header("cookie", &cookie)).await;
                assert_eq!(with_cookie, 401, "{shown}: a cookie must count for nothing");
                assert!(host != 401 && host != 403, "{shown}: {host}");
                let refused = program == 401 || program == 403;
                assert_eq!(refused, route.rule == Rule::HostCredential, "{shown}: {program}");
            }
            Rule::Session => {
                assert!(!route.path.starts_with("/v1/"), "{shown}: /v1 takes no cookie");
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
    for route in routes.iter().filter(|route| route.rule == Rule::Session && route.path != "/sign-out") {
        let answer = asks_for(route, &server).header("cookie", &cookie).send().await.unwrap();
        let to = answer.headers().get("location").map_or("", |to| to.to_str().unwrap()).to_owned();
        assert!(answer.status() != 401 && !to.starts_with("/sign-in"), "{} {}: {to}", route.method, route.path);
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_open_and_what_is_the_hosts_is_written_down_here_too() {
    let server = Server::start().await;
    let of = |rule: Rule| -> Vec<String> {
        let routes = server.launched.routes().iter().filter(|route| route.rule == rule);
        routes.map(|route| format!("{} {}", route.method, route.path)).collect()
    };
    assert_eq!(
        of(Rule::Open),
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
    assert_eq!(
        of(Rule::HostCredential),
        [
            "GET /v1/environments/{env}/confirmation",
            "POST /v1/environments/{env}/confirmation",
            "DELETE /v1/checkpoints/{id}",
            "POST /v1/checkpoints/{id}/restore",
            "POST /v1/checkpoints/{id}/restore/plan",
            "GET /v1/checkpoints/{id}/content/{*path}",
            "GET /v1/checkpoints/{id}/export",
            "POST /v1/imports",
            "GET /v1/checkpoints/{id}/tree",
            "GET /v1/checkpoints/{id}/folder",
            "GET /v1/checkpoints/{id}/tables",
            "GET /v1/checkpoints/{id}/table",
            "GET /v1/checkpoints/{id}/diff/{other}/file",
            "GET /v1/checkpoints/{id}/diff/{other}/table",
            "GET /v1/checkpoints/{id}/diff/{other}/value",
            "POST /v1/vaults",
            "POST /v1/vaults/{project}",
            "POST /v1/vaults/{project}/prune",
            "POST /v1/vaults/{project}/repair",
            "POST /v1/vaults/{project}/copy",
            "GET /v1/vaults/{project}/recovery-kit",
            "POST /v1/vaults/{project}/recovery-kit/confirm",
            "POST /v1/catalogue/copies",
            "GET /v1/catalogue/kit",
            "POST /v1/sign-in-links",
        ]
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
