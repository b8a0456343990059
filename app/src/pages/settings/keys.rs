//! Keys of programs: what each may do, and a new one.

use holdfast_model::{
    access::Permission,
    key::{KeyState, KeyView},
};
use leptos::prelude::*;

use super::parts;
use crate::{
    api::read_keys,
    backend::KeysPage,
    components::{
        form::{line, tick},
        icon::Icon,
        layout::{ago, empty, heading, moment, section, table},
        loaded::loaded,
        word::{self, Tone},
    },
    text,
};

/// The page.
#[component]
pub fn Keys() -> impl IntoView {
    loaded(read_keys(), |page| draw(&page))
}

fn draw(page: &KeysPage) -> AnyView {
    let active = page.keys.iter().filter(|key| key.state == KeyState::Active).count();
    let said = format!("{} working.", text::counted(u64::try_from(active).unwrap_or(0), "key"));
    let why =
        "No key can delete, unlock, restore, read content, change a definition or make keys: that takes a person.";
    let body = if page.keys.is_empty() {
        empty("A key lets a program, such as a pipeline, take checkpoints before it deploys.", ().into_any())
    } else {
        let columns = [
            ("Key", false),
            ("For", false),
            ("May", false),
            ("State", false),
            ("Until", false),
            ("Last used", false),
            ("Change", false),
        ];
        table("Keys", &columns, page.keys.iter().map(|key| row(page, key)).collect())
    };
    view! {
        {heading("Keys".to_owned(), Tone::Plain, said, why.to_owned())}
        {parts("/settings/keys")}
        {body}
        {section("new", "A new key", Some("Its token is shown once, on the next page.".to_owned()), form(page))}
    }
    .into_any()
}

fn row(page: &KeysPage, key: &KeyView) -> Vec<AnyView> {
    let projects: Vec<&str> = key.projects.iter().map(|name| name.as_str()).collect();
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let from = (!key.networks.is_empty()).then(|| format!("from {}", key.networks.join(", ")));
    let look = match key.state {
        KeyState::Active => (Tone::Good, Icon::Check, "works"),
        KeyState::Expired => (Tone::Plain, Icon::Alert, "its time is over"),
        KeyState::Revoked => (Tone::Plain, Icon::Cross, "revoked"),
    };
    let used = match key.last_used_at {
        Some(at) => {
            let from = key.last_used_from.clone().map(|from| format!(" from {from}"));
            view! { {ago(page.now, at)} {from} }.into_any()
        }
        None => "never".into_any(),
    };
    let acts = (key.state == KeyState::Active).then(|| {
        let at = |act: &str| format!("/ui/keys/{}/{act}", key.id);
        let of = |act: &str| format!("{act} {}", key.name);
        view! {
            <div class="acts">
                <form method="post" action=at("rotate")><button class="quiet" aria-label=of("Rotate")>"Rotate"</button></form>
                <form method="post" action=at("revoke")><button class="quiet danger" aria-label=of("Revoke")>"Revoke"</button></form>
            </div>
        }
    });
    vec![
        view! { <strong>{key.name.clone()}</strong> <br /> <code>{key.id.to_string()}</code> }.into_any(),
        view! { {if key.everywhere { "every project".to_owned() } else { projects.join(", ") }} " " {from} }.into_any(),
        scopes.join(", ").into_any(),
        word::word(look),
        moment(key.expires_at),
        used,
        acts.into_any(),
    ]
}

fn form(page: &KeysPage) -> AnyView {
    let mut choices: Vec<AnyView> = page
        .projects
        .iter()
        .map(|name| view! { <option value=name.to_string()>{name.to_string()}</option> }.into_any())
        .collect();
    if page.everywhere {
        choices.push(view! { <option value="*">"every project"</option> }.into_any());
    }
    let may = |scope: Permission, says: &'static str, ticked| {
        tick(scope.as_str(), "yes".to_owned(), view! { {says} }.into_any(), ticked)
    };
    view! {
        <form method="post" action="/ui/keys" class="ask">
            {line("key-name", "name", "Name".into_any(), "What holds it: the pipeline, the script.")}
            <div class="line">
                <label for="key-project">"Project"</label>
                <select id="key-project" name="project" required>{choices}</select>
            </div>
            <fieldset>
                <legend>"It may"</legend>
                {may(Permission::Create, "take checkpoints", true)}
                {may(Permission::Drill, "prove and check them again", false)}
                {may(Permission::Cancel, "stop runs", false)}
            </fieldset>
            {line("key-expires", "expires_in", "Works for".into_any(), "90d when nothing is said, 400 days at most.")}
            {line("key-networks", "networks", "Only from".into_any(), "Networks such as 10.0.0.0/8; anywhere when nothing is said.")}
            <button class="primary">"Make the key"</button>
        </form>
    }
    .into_any()
}
