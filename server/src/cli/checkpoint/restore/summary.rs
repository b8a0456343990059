//! What a person reads before and after a restore.

use holdfast_model::{
    id::CheckpointId,
    request::RestoreCheckpoint,
    state::{Kind, RunKind, RunState, selects},
    view::{CheckpointView, ComponentSize, EnvironmentView, RunView},
};
use time::OffsetDateTime;

use super::super::super::{
    client::Client,
    failure::Failure,
    print::{
        table::Table,
        text::{self, plain},
        times,
    },
};

/// The components that the request means; every word must mean one.
pub fn chosen<'v>(view: &'v CheckpointView, request: &RestoreCheckpoint) -> Result<Vec<&'v ComponentSize>, Failure> {
    let words = &request.components;
    let means = |word: &String, part: &ComponentSize| selects(word, part.name.as_str(), part.kind);
    if let Some(word) = words.iter().find(|word| !view.components.iter().any(|part| means(word, part))) {
        let known: Vec<&str> = view.components.iter().map(|part| part.name.as_str()).collect();
        return Err(Failure::Usage {
            message: format!("`{word}` is no component of {}", view.id),
            mend: format!("it has: {}", known.join(", ")),
        });
    }
    let wanted = |part: &&ComponentSize| match words.is_empty() {
        true if !request.tables.is_empty() => part.kind == Kind::Postgres,
        true => request.paths.is_empty() || part.kind == Kind::Files,
        false => words.iter().any(|word| means(word, part)),
    };
    Ok(view.components.iter().filter(wanted).collect())
}

/// What no checkpoint would hold without a safety checkpoint, and where alone it would be kept.
pub fn losses(
    view: &CheckpointView,
    environment: &EnvironmentView,
    chosen: &[&ComponentSize],
    now: OffsetDateTime,
) -> String {
    let mut table = Table::new(&["COMPONENT", "LOCATION", "KEPT ONLY AS"]).indented(2);
    for part in chosen {
        let location = environment.components.iter().find(|known| known.name == part.name);
        let kept = match part.kind {
            Kind::Postgres | Kind::Mysql => "the old database, under another name",
            Kind::Sqlite | Kind::Config => "the old file, in a trash folder",
            Kind::Files => "replaced and newer files, in a trash folder",
            Kind::Git => "commits and uncommitted work, in the repository itself",
            Kind::Redis | Kind::Process | Kind::Container | Kind::Network => "nothing: it is lost",
        };
        let location = location.map(|known| plain(&known.location).into_owned()).unwrap_or_default();
        table.row(vec![part.name.to_string(), location, kept.into()]);
    }
    let newest = match &environment.latest {
        Some(latest) if latest.created_at > view.created_at => format!(
            "\nThe newest checkpoint, {}, holds the state of {}; what came after that is in none.",
            latest.id,
            times::moment_and_age(latest.created_at, now)
        ),
        _ => String::new(),
    };
    format!(
        "Without a safety checkpoint, no checkpoint would hold what changed since {}.\nIt would lie on this host alone, until somebody removes it:\n\n{}\n{newest}",
        times::moment_and_age(view.created_at, now),
        table.render()
    )
}

/// The safety checkpoint that a part of this run has sealed.
pub async fn safety(client: &Client, run: &RunView) -> Result<Option<CheckpointId>, Failure> {
    let Some(environment) = run.subject.environment() else { return Ok(None) };
    let runs = client.runs(environment.id.as_str()).await?;
    let part = runs
        .into_iter()
        .find(|part| part.kind == RunKind::Create && part.parent.as_ref() == Some(&run.id) && part.sealed);
    Ok(part.and_then(|part| part.checkpoint))
}

/// A restore that came to its end.
pub struct Done<'a> {
    pub view: &'a CheckpointView,
    /// Where it went, or the one that it was asked of.
    pub environment: &'a EnvironmentView,
    pub chosen: &'a [&'a ComponentSize],
    pub run: &'a RunView,
    pub safety: Option<&'a CheckpointId>,
    /// `folder: /srv/copy`
    pub place: String,
}

impl Done<'_> {
    /// What was done, what was kept, and what comes next.
    pub fn summary(&self, request: &RestoreCheckpoint, facts: &[String]) -> String {
        let Self { view, environment, chosen, run, safety, place } = self;
        let elsewhere = request.to_dir.is_some() || request.to_url.is_some();
        let names: Vec<&str> = chosen.iter().map(|part| part.name.as_str()).collect();
        let took = run.started_at.zip(run.ended_at).and_then(|(start, end)| {
            u64::try_from((end - start).whole_milliseconds()).ok().map(|ms| format!(" in {}", times::span(ms)))
        });
        let mut lines = vec![format!("\nRestored{}.\n", took.unwrap_or_default())];
        lines.push(format!("  Checkpoint:  {}", view.id));
        lines.push(format!("  Restored:    {}", names.join(", ")));
        if let Some(safety) = safety {
            lines.push(format!("  Before it:   {safety} (safety checkpoint)"));
        }
        let mut next = Vec::new();
        for fact in facts {
            match fact.split_once(": ") {
                Some(("table", what)) => lines.push(format!("  Table:       {}", plain(what))),
                Some(("matched", what)) => lines.push(format!("  Matched:     {}", plain(what))),
                Some(("kept", what)) => lines.push(format!("  Kept:        {}", plain(what))),
                Some(("next", command)) => next.push(plain(command).into_owned()),
                _ => lines.push(format!("               {}", plain(fact))),
            }
        }
        if elsewhere {
            lines.push(format!("  Into:        {}", plain(place)));
        } else {
            lines.push(format!("  Application: {}/{}", environment.project, environment.name));
        }
        if let Some(address) = environment.address.as_ref().filter(|_| !elsewhere) {
            lines.push(format!("  Address:     {}", plain(address)));
        }
        if run.state == RunState::Warning {
            let message = run.message.as_deref().map(|message| plain(message).into_owned());
            lines.push(format!("  State:       {}: {}", text::run_state(run.state), message.unwrap_or_default()));
        }
        lines.push(String::new());
        if next.is_empty() {
            next.push(format!("holdfast env status {}/{}", environment.project, environment.name));
        }
        lines.extend(next.into_iter().map(|command| format!("Next: {command}")));
        if let Some(safety) = safety {
            lines.push(format!("To undo: holdfast checkpoint restore {safety}"));
        }
        lines.join("\n")
    }
}
