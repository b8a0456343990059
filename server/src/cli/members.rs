//! `holdfast members`: who may do what, and where it comes from.

use holdfast_model::member::{Members, Roles};
use time::OffsetDateTime;

use super::{
    Ending,
    failure::Failure,
    print::{table::Table, text::plain, times},
    session::Session,
};

/// Prints people, programs and rules, a table each.
pub async fn run(session: &Session<'_>) -> Result<Ending, Failure> {
    let members = session.client()?.members().await?;
    let output = session.output;
    if output.is_json() {
        output.json(&members)?;
        return Ok(Ending::Done);
    }
    output.line(page(&members, OffsetDateTime::now_utc()))?;
    output.note(
        "Roles are not changed here: put somebody into another group at the provider, or change `roles` in holdfast.toml and \
         start the server again.",
    )?;
    Ok(Ending::Done)
}

fn page(members: &Members, now: OffsetDateTime) -> String {
    let mut parts = Vec::new();
    if members.people.is_empty() {
        parts.push("Nobody has signed in yet.".to_owned());
    } else {
        let mut table = Table::new(&["PERSON", "BY", "MAY", "LAST SEEN"]);
        for person in &members.people {
            table.row(vec![
                plain(&person.name).to_string(),
                person.provider.clone().unwrap_or_else(|| "one-time link".to_owned()),
                person.roles.words(),
                times::ago(person.last_seen_at, now),
            ]);
        }
        parts.push(table.render());
    }
    if !members.programs.is_empty() {
        let mut table = Table::new(&["PROGRAM", "IS", "IN", "MAY", "CAME LAST"]);
        for program in &members.programs {
            let by = program.provider.as_ref().map_or_else(String::new, |provider| format!(" by {provider}"));
            let may: Vec<&str> = program.may.iter().map(|permission| permission.as_str()).collect();
            table.row(vec![
                plain(&program.name).to_string(),
                format!("{}{by}", program.kind.words()),
                places(&program.roles),
                may.join(", "),
                program.last_seen_at.map_or_else(|| "never".to_owned(), |at| times::ago(at, now)),
            ]);
        }
        parts.push(table.render());
    }
    for source in &members.sources {
        let head = source
            .claim
            .as_ref()
            .map_or_else(|| "REPOSITORY".to_owned(), |claim| format!("`{claim}` AT {}", source.provider));
        let mut table = Table::new(&[&head, "BRINGS"]);
        for rule in &source.rules {
            table.row(vec![plain(&rule.value).to_string(), rule.roles.words()]);
        }
        parts.push(table.render());
    }
    if members.break_glass == Some(true) {
        parts.push("A break-glass password is set; `holdfast break-glass off` takes it away.".to_owned());
    }
    parts.join("\n\n")
}

fn places(roles: &Roles) -> String {
    if roles.everywhere.is_some() {
        return "every project".to_owned();
    }
    roles.projects.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
