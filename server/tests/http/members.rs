//! Who may do what, as each of them is told.

use holdfast::{actions::ActionError, auth::Caller, store::Came};
use holdfast_model::{
    access::{Access, Permission, Role},
    member::ProgramKind,
};
use serde_json::json;

use crate::{
    harness::Server,
    issuer::{Issuer, sign, with},
    tokens::config,
};

fn in_projects(projects: &[(&str, Role)]) -> Access {
    let projects = projects.iter().map(|(project, role)| (project.parse().unwrap(), *role)).collect();
    Access { projects, ..Access::default() }
}

#[tokio::test]
async fn an_admin_of_some_projects_is_told_of_these_alone() {
    let issuer = Issuer::start().await;
    let rules = "{ claim = 'wiki-team', role = 'admin', projects = ['wiki'] }, { claim = 'ops'";
    let server = Server::with(&config(&issuer).replacen("{ claim = 'ops'", rules, 1)).await;
    let actions = server.launched.actions();
    for (name, access) in [
        ("ada", Access::everywhere(Role::Admin)),
        ("otto", in_projects(&[("shop", Role::Operator), ("wiki", Role::Admin)])),
        ("wanda", in_projects(&[("wiki", Role::Viewer)])),
        ("gone", Access::default()),
    ] {
        let subject = format!("{}#{name}", issuer.url);
        let came = Came { subject: &subject, name, program: false, issuer: Some(&issuer.url), access: &access };
        actions.store().member_came(came).await.unwrap();
    }
    let person = |access| actions.by(Caller::person("p".into(), "issuer#p".into(), access, false));
    let told = async |access| {
        let members = person(access).members().await.unwrap();
        let mut people: Vec<String> =
            members.people.iter().map(|one| format!("{}: {}", one.name, one.roles.words())).collect();
        people.sort();
        (people, members)
    };

    let (people, all) = told(Access::everywhere(Role::Admin)).await;
    assert_eq!(
        people,
        [
            "ada: admin everywhere",
            "gone: no role any more",
            "otto: operator in shop, admin in wiki",
            "wanda: viewer in wiki"
        ]
    );
    assert_eq!(all.people[0].provider.as_deref(), Some("sso"));
    assert_eq!((all.sources.len(), all.sources[0].rules.len(), all.break_glass), (1, 2, Some(false)));

    let (people, some) = told(in_projects(&[("shop", Role::Admin), ("wiki", Role::Operator)])).await;
    assert_eq!(people, ["ada: admin in shop", "otto: operator in shop"]);
    let said = serde_json::to_string(&some).unwrap();
    assert!(!said.contains("wiki") && !said.contains("wanda"), "{said}");
    assert_eq!(some.break_glass, None);

    for role in [Role::Viewer, Role::Operator, Role::Restorer] {
        let refused = person(in_projects(&[("shop", role)])).members().await;
        assert!(matches!(refused, Err(ActionError::Forbidden(_))), "{role}");
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn programs_are_members_by_their_key_or_their_token() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let token = sign(&issuer.claims());
    assert_eq!(server.ask("GET", "/v1/projects").bearer_auth(&token).send().await.unwrap().status(), 200);
    let refused = sign(&with(issuer.claims(), json!({ "sub": "other", "groups": [] })));
    assert_eq!(server.ask("GET", "/v1/projects").bearer_auth(refused).send().await.unwrap().status(), 403);
    let admin = Caller::person("ada".into(), "issuer#ada".into(), Access::everywhere(Role::Admin), true);
    let members = server.launched.actions().by(admin).members().await.unwrap();
    assert!(members.people.is_empty(), "{members:?}");
    let [program] = members.programs.as_slice() else { panic!("{members:?}") };
    assert_eq!((program.kind, program.name.as_str()), (ProgramKind::ServiceAccount, "holdfast-ci"));
    assert_eq!(program.may, [Permission::View, Permission::Create, Permission::Drill, Permission::Cancel]);
    server.launched.stop().await.unwrap();

    let server = Server::start().await;
    server.environment().await;
    let key = server.key(&["shop"], &[Permission::View]).await;
    let (status, said) = server.json(server.host("GET", "/v1/members")).await;
    assert_eq!((status, &said["programs"][0]["kind"]), (200, &json!("key")), "{said}");
    assert_eq!(said["programs"][0]["roles"], json!({ "projects": { "shop": "viewer" } }));
    assert!(!said.to_string().contains(&key));
    assert_eq!(server.json(server.ask("GET", "/v1/members").bearer_auth(&key)).await.0, 403);
    let cookie = server.sign_in().await;
    let page = server.ask("GET", "/settings/members").header("cookie", cookie).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("a pipeline") && html.contains("No identity provider is set"), "{html}");
    server.launched.stop().await.unwrap();
}
