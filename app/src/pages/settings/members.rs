//! Who may do what: people, programs, and where their roles come from.

use holdfast_model::{
    access::Permission,
    member::{Member, Members as All, ProgramKind, ProgramMember, RoleSource, Roles},
};
use leptos::prelude::*;
use time::OffsetDateTime;

use super::parts;
use crate::{
    api::read_members,
    backend::MembersPage,
    components::{
        copy,
        icon::{Icon, icon},
        layout::{ago, empty, heading, plain, section, table},
        loaded::loaded,
        word::Tone,
    },
    may::may_everywhere,
    text,
};

/// What `holdfast.toml` says in the simplest case.
const EXAMPLE: &str = r#"roles = [
  { claim = "holdfast-admins", role = "admin", projects = ["*"] },
  { claim = "shop-team", role = "operator", projects = ["shop"] },
]"#;

/// The page.
#[component]
pub fn Members() -> impl IntoView {
    loaded(read_members(), |page| draw(&page))
}

fn draw(page: &MembersPage) -> AnyView {
    let (now, members) = (page.now, &page.members);
    let count = |length: usize| u64::try_from(length).unwrap_or(0);
    let people = match count(members.people.len()) {
        1 => "1 person has".to_owned(),
        many => format!("{} people have", text::count(many)),
    };
    let programs = text::counted(count(members.programs.len()), "program");
    let said = format!("{people} signed in, {programs} may come.");
    let why = "Roles are not changed here: they come from your identity provider and from holdfast.toml, see below.";
    view! {
        {heading("Members".to_owned(), Tone::Plain, said, why.to_owned())}
        {parts("/settings/members")}
        {section("people", "People", Some("Roles as of their last sign-in, or as they were read again, at most five minutes ago while they are here.".to_owned()), people_of(now, members))}
        {section("programs", "Programs", Some("They view, create, drill and cancel; whatever their role, nothing else.".to_owned()), programs_of(now, members))}
        {section("roles", "Where roles come from", None, sources(members))}
        <p class="note">"The same from a terminal:"</p>
        {copy::commands("holdfast members".to_owned(), "the command that lists the members")}
    }
    .into_any()
}

fn people_of(now: OffsetDateTime, members: &All) -> AnyView {
    if members.people.is_empty() {
        return empty("Nobody has signed in yet who has a role in your projects.", ().into_any());
    }
    let columns =
        [("Person", false), ("Signed in by", false), ("May", false), ("Last seen", false), ("What they did", false)];
    let rows = members.people.iter().map(|person| person_row(now, person)).collect();
    table("People who have signed in, the latest first", &columns, rows)
}

fn person_row(now: OffsetDateTime, person: &Member) -> Vec<AnyView> {
    vec![
        view! { <strong title=person.subject.clone()>{person.name.clone()}</strong> }.into_any(),
        plain(person.provider.clone().unwrap_or_else(|| "one-time link".to_owned())),
        roles(&person.roles),
        ago(now, person.last_seen_at),
        did(&person.name),
    ]
}

fn programs_of(now: OffsetDateTime, members: &All) -> AnyView {
    if members.programs.is_empty() {
        let next = view! { <a class="button" href="/settings/keys#new">"Make a key"</a> };
        return empty("No program may do anything here. A key lets a pipeline take checkpoints.", next.into_any());
    }
    let columns = [
        ("Program", false),
        ("Is", false),
        ("In", false),
        ("May", false),
        ("Came last", false),
        ("What it did", false),
    ];
    let rows = members.programs.iter().map(|program| program_row(now, program)).collect();
    table("Keys, service accounts and workflows", &columns, rows)
}

fn program_row(now: OffsetDateTime, program: &ProgramMember) -> Vec<AnyView> {
    let name = if program.kind == ProgramKind::Key {
        view! { <a class="named" href="/settings/keys">{program.name.clone()}</a> }.into_any()
    } else {
        view! { <strong title=program.subject.clone()>{program.name.clone()}</strong> }.into_any()
    };
    let by = program.provider.clone().map(|provider| format!(" by {provider}"));
    let may: Vec<&str> = program.may.iter().map(|permission| permission.as_str()).collect();
    vec![
        name,
        view! { {program.kind.words()} {by} }.into_any(),
        plain(places(&program.roles)),
        plain(may.join(", ")),
        program.last_seen_at.map_or_else(|| plain("never"), |at| ago(now, at)),
        did(&program.name),
    ]
}

/// Where a program may do it; its role says nothing more.
fn places(roles: &Roles) -> String {
    if roles.everywhere.is_some() {
        return "every project".to_owned();
    }
    roles.projects.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn roles(roles: &Roles) -> AnyView {
    let words = roles.words();
    if roles.is_empty() { view! { <span class="dim">{words}</span> }.into_any() } else { plain(words) }
}

/// The audit log of somebody, for those who may read it.
fn did(name: &str) -> AnyView {
    if !may_everywhere(Permission::Audit) {
        return plain("–");
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("who", name);
    let label = format!("Audit log of {name}");
    view! { <a href=format!("/settings/audit?{}", query.finish()) aria-label=label>"Audit log"</a> }.into_any()
}

fn sources(members: &All) -> AnyView {
    let glass = members.break_glass.filter(|set| *set).map(|_| {
        view! {
            <p class="aside warn">
                {icon(Icon::Alert)}
                <span>"A break-glass password is set: whoever knows it is an admin everywhere for an hour when the identity \
                    provider does not answer. "<code>"holdfast break-glass off"</code>" takes it away."</span>
            </p>
        }
    });
    if members.sources.is_empty() {
        return view! {
            <p class="prose">
                "No identity provider is set. Whoever owns the data directory is the one admin, and signs in by a link from "
                <code>"holdfast sign-in-link"</code>". With a provider ("<code>"[[identity]]"</code>" in holdfast.toml) each \
                person signs in with their own name and has roles."
            </p>
            {glass}
        }
        .into_any();
    }
    let tables: Vec<_> = members.sources.iter().map(source).collect();
    view! {
        {tables}
        <p class="prose">
            "To change what somebody may do, put them into another group at the provider, or change the rule in "
            <code>"holdfast.toml"</code>" and start the server again. What changed at the provider counts within five minutes, \
            also for those who are signed in. A rule names a value of the claim, a role and projects:"
        </p>
        {copy::commands(EXAMPLE.to_owned(), "rules of holdfast.toml")}
        {glass}
    }
    .into_any()
}

fn source(source: &RoleSource) -> AnyView {
    let rows = source
        .rules
        .iter()
        .map(|rule| vec![view! { <code>{rule.value.clone()}</code> }.into_any(), roles(&rule.roles)])
        .collect();
    let (first, what) = match &source.claim {
        Some(claim) => ("Value", view! { "Whoever signs in with " <strong>{source.provider.to_string()}</strong> ", by the values of the claim " <code>{claim.clone()}</code> ":" }.into_any()),
        None => ("Repository", view! { "Workflows, by the number of their repository (" <strong>{source.provider.to_string()}</strong> "):" }.into_any()),
    };
    view! {
        <p class="prose" title=source.issuer.clone()>{what}</p>
        {table(format!("Rules of {}", source.provider), &[(first, false), ("Brings", false)], rows)}
    }
    .into_any()
}
