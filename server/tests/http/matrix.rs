//! Each route of the table, for each role, in one's own project and in another one, with each kind of credential.

use holdfast::{
    actions::Apply,
    http::{Route, Rule},
};
use holdfast_model::{
    access::{Access, Permission, Role},
    request::CreateCheckpoint,
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{
    harness::Server,
    issuer::{Issuer, sign, with},
};

/// What somebody comes with.
enum Credential {
    /// A browser's session; whether the password was asked for a short time ago.
    Session { cookie: String, fresh: bool },
    /// A person's access token.
    Token(String),
    /// A service account's access token.
    Service(String),
}

struct Holder {
    what: String,
    access: Access,
    everywhere: bool,
    credential: Credential,
}

impl Holder {
    fn asks(&self, server: &Server, route: &Route, project: &str, run: &str) -> RequestBuilder {
        let id = if route.path.contains("/runs/") { run.to_owned() } else { format!("{project}~staging@latest") };
        let path = route.path.replace("{id}", &id).replace("{env}", &format!("{project}~staging"));
        let path = path.replace("{project}", project).replace("{other}", "latest").replace("{*path}", "x");
        let path = path.replace("{*rest}", "x").replace("{environment}", "staging");
        let asked = match path.rsplit('/').next().filter(|_| for_programs(route)) {
            Some("tree" | "folder" | "tables") => "?component=x",
            Some("table") => "?component=x&table=t",
            Some("file") => "?component=x&path=a",
            Some("value") => "?component=x&variable=v",
            _ => "",
        };
        let request = server.ask(route.method.as_str(), &format!("{path}{asked}"));
        let request = match (route.method.as_str(), for_programs(route)) {
            ("POST", true) if path.ends_with("/check") => request.json(&json!({ "depth": "structure" })),
            ("POST", true) if ["/v1/vaults/{project}", "/v1/vaults/{project}/copy"].contains(&route.path.as_str()) => {
                request.json(&json!({ "location": "/nowhere/vault" }))
            }
            ("POST", true) => request.json(&json!({})),
            _ => request,
        };
        match &self.credential {
            Credential::Session { cookie, .. } => request.header("cookie", cookie),
            Credential::Token(token) | Credential::Service(token) => request.bearer_auth(token),
        }
    }
}

fn for_programs(route: &Route) -> bool {
    ["/v1/", "/api/"].iter().any(|world| route.path.starts_with(world))
}

async fn holders(server: &Server, issuer: &Issuer) -> Vec<Holder> {
    let mut all = Vec::new();
    for role in Role::ALL {
        for everywhere in [false, true] {
            let group = format!("{role}-{}", if everywhere { "everywhere" } else { "shop" });
            let access = if everywhere {
                Access::everywhere(*role)
            } else {
                Access { projects: [("shop".parse().unwrap(), *role)].into(), ..Access::default() }
            };
            let person = |name: &str| format!("{name}-{group}");
            for fresh in [true, false] {
                let name = person(if fresh { "fresh" } else { "stale" });
                let cookie = issuer.sign_in(server, &name, &group, if fresh { 0 } else { 7_200 }).await;
                let credential = Credential::Session { cookie, fresh };
                all.push(Holder {
                    what: format!("the session of {name}"),
                    access: access.clone(),
                    everywhere,
                    credential,
                });
            }
            let token = sign(&issuer.person(&person("terminal"), &group));
            let credential = Credential::Token(token);
            all.push(Holder { what: format!("a token of {group}"), access: access.clone(), everywhere, credential });
            let service = json!({ "sub": format!("service-{group}"), "groups": [group] });
            let credential = Credential::Service(sign(&with(issuer.claims(), service)));
            let access = access.of_program();
            all.push(Holder { what: format!("a service account of {group}"), access, everywhere, credential });
        }
    }
    all
}

fn config(issuer: &Issuer) -> String {
    let rules = Role::ALL.iter().flat_map(|role| {
        [("shop", "shop"), ("everywhere", "*")].map(|(place, project)| {
            format!("{{ claim = '{role}-{place}', role = '{role}', projects = ['{project}'] }}")
        })
    });
    format!(
        "workers = 0\nrequests_per_second = 10000\n[[identity]]\nname = 'sso'\nissuer = '{}'\nclient_id = \
         'holdfast'\naudience = 'holdfast-api'\nroles = [{}]\n",
        issuer.url,
        rules.collect::<Vec<_>>().join(", ")
    )
}

/// An environment and a run that waits in it; gives the run's id.
async fn waiting(server: &Server, project: &str) -> String {
    let folder = server.folder.path().join(project);
    std::fs::create_dir_all(&folder).unwrap();
    let definition = json!({ "project": project, "environment": "staging",
        "components": [{ "name": "uploads", "kind": "files", "path": folder }] });
    let actions = server.launched.actions();
    actions.apply(Apply { definition, dry_run: false }).await.unwrap();
    let environment = format!("{project}/staging");
    actions.create(CreateCheckpoint { environment, ..CreateCheckpoint::default() }).await.unwrap().id.to_string()
}

/// Routes that tell of, or change, what belongs to no project.
const OF_ALL: [&str; 5] =
    ["GET /v1/audit", "GET /v1/audit/verify", "GET /v1/catalogue/kit", "POST /v1/catalogue/copies", "POST /v1/vaults"];

/// What is to be decided is shown without a new sign-in; deciding takes one.
const ONLY_SHOWN: [&str; 2] = ["GET /v1/environments/{env}/confirmation", "GET /v1/keys"];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_for_every_role_project_and_credential() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let (ours, theirs) = (waiting(&server, "shop").await, waiting(&server, "blog").await);
    let holders = holders(&server, &issuer).await;
    let guarded = server.launched.routes().iter().filter(|route| route.rule != Rule::Open && route.path != "/sign-out");
    let (mut allowed, mut refused, mut hidden, mut again) = (0, 0, 0, 0);
    for route in guarded {
        for holder in &holders {
            let shown = format!("{} {} by {}", route.method, route.path, holder.what);
            let answer = holder.asks(&server, route, "shop", &ours).send().await.unwrap();
            let status = answer.status().as_u16();
            let location = answer.headers().get("location").map_or("", |to| to.to_str().unwrap()).to_owned();
            let is_session = matches!(holder.credential, Credential::Session { .. });
            if for_programs(route) == is_session {
                assert!(
                    status == 401 || location.starts_with("/sign-in?"),
                    "{shown}: another world's credential got {status}"
                );
                continue;
            }
            let Rule::May(permission) = route.rule else {
                assert_eq!(status, 403, "{shown}: it is the host owner's");
                continue;
            };
            if !holder.access.may_somewhere(permission) {
                assert_eq!(status, 403, "{shown}");
                refused += 1;
                continue;
            }
            // A form without its fields is the dashboard's own fault.
            let answered = status < 500 || route.path.starts_with("/ui/");
            assert!(answered && status != 401 && !location.starts_with("/sign-in?"), "{shown}: {status} {location}");
            allowed += 1;
            if is_session {
                continue;
            }
            // A stream of a run that waits goes on; its head has told enough.
            if route.path.ends_with("/events") {
                continue;
            }
            let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
            let of_all = OF_ALL.contains(&format!("{} {}", route.method, route.path).as_str());
            match (status, said["type"].as_str()) {
                (403, Some("sign-in-again")) => {
                    assert!(permission.needs_fresh_sign_in(), "{shown}");
                    again += 1;
                }
                (403, kind) => assert!(of_all && !holder.everywhere, "{shown}: {kind:?} {said}"),
                (200..300, _) => {
                    let only_shown = ONLY_SHOWN.contains(&format!("{} {}", route.method, route.path).as_str());
                    let proven = only_shown || !permission.needs_fresh_sign_in();
                    assert!(proven, "{shown}: a token proves no presence");
                    assert!(!of_all || holder.everywhere, "{shown}: it tells of every project");
                }
                _ => {}
            }
            let of_one = ["{id}", "{env}", "{project}"].iter().any(|part| route.path.contains(part));
            if !of_one || holder.everywhere || route.path.contains("/keys/") || route.path.contains("/pending/") {
                continue;
            }
            let answer = holder.asks(&server, route, "blog", &theirs).send().await.unwrap();
            let status = answer.status().as_u16();
            let said = answer.text().await.unwrap();
            // Whoever makes a first vault names a project that need not be there.
            let any_name = route.path == "/v1/vaults/{project}" && status == 403;
            assert!(status == 404 || any_name, "{shown}, of another project: {status} {said}");
            hidden += 1;
        }
    }
    for (what, many) in [("allowed", allowed), ("refused", refused), ("hidden", hidden), ("asked to sign in", again)] {
        assert!(many > 10, "{what}: {many}");
    }
    let fresh = holders.iter().filter(|holder| matches!(holder.credential, Credential::Session { fresh: true, .. }));
    assert_eq!(fresh.count(), 8);
    assert!(Permission::ALL.len() > 15);
    server.launched.stop().await.unwrap();
}
