//! `holdfast checkpoint restore`.

use clap::Args;
use holdfast_model::{
    id::CheckpointId,
    request::RestoreCheckpoint,
    state::{Kind, RunKind, RunState, selects},
    view::{CheckpointView, ComponentSize, EnvironmentView, RunView},
};
use serde_json::json;
use time::OffsetDateTime;

use super::super::{
    Ending,
    client::Client,
    confirm,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        steps::{Show, Steps},
        table::Table,
        text::{self, plain},
        times,
    },
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint restore production@latest
  holdfast checkpoint restore chk_0abc… --components database
  holdfast checkpoint restore chk_0abc… --no-backup --yes

It goes back to the environment that it was taken of. First a safety checkpoint of the present state is taken; a
database that is replaced stays beside the new one under another name, and newer files are moved aside.";

/// Options of `checkpoint restore`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
    /// Only these components: names, kinds or types
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    components: Vec<String>,
    /// Take no safety checkpoint first; says what would be lost, and asks
    #[arg(long)]
    no_backup: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Show the run's log too
    #[arg(long, short)]
    verbose: bool,
}

/// Says what will happen, watches it happen, and says what to do next.
pub async fn run(session: &Session<'_>, arguments: RestoreArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let now = OffsetDateTime::now_utc();
    let view = client.checkpoint(&arguments.id).await?;
    let environment = client.environment(view.environment.id.as_str()).await?;
    let chosen = chosen(&view, &arguments.components)?;
    let name = view.name.as_deref().map(|name| format!(" ({})", plain(name))).unwrap_or_default();
    output.line(format!(
        "Restoring {}{name} of {} to environment: {}\n",
        view.id,
        times::moment_and_age(view.created_at, now),
        view.environment.name
    ))?;
    if arguments.no_backup {
        output.line(losses(&view, &environment, &chosen, now))?;
        if !arguments.yes {
            let mend = "take a safety checkpoint by leaving --no-backup out, or add --yes if it is meant";
            if !confirm::typed_yes(output, "Go on without a safety checkpoint?", mend).await? {
                output.note("Nothing was touched.")?;
                return Ok(Ending::Not);
            }
        }
    }
    let request = RestoreCheckpoint { components: arguments.components.clone(), backup: !arguments.no_backup };
    let mut interrupts = Interrupts::new()?;
    let Some(run) = interrupts.during(client.restore(view.id.as_str(), &request)).await? else {
        return Ok(Ending::Left);
    };
    let mut steps = Steps::new(output, if arguments.verbose { Show::Everything } else { Show::Steps });
    let run = match follow(&client, output, run, &mut steps, interrupts).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(Ending::Left),
    };
    let facts = steps.facts().to_vec();
    drop(steps);
    let safety = if arguments.no_backup { None } else { safety(&client, &run).await? };
    let done = matches!(run.state, RunState::Succeeded | RunState::Warning);
    if !done {
        if let Some(safety) = &safety {
            output.note(format!("\nThe state before it is sealed as {safety}."))?;
        }
        for fact in &facts {
            output.note(format!("  {}", plain(fact)))?;
        }
        return Err(super::failed("the restore", &run));
    }
    if output.is_json() {
        output.json(&json!({ "run": run, "checkpoint": view.id, "safety_checkpoint": safety, "facts": facts }))?;
    } else {
        output.line(summary(&view, &environment, &chosen, &run, safety.as_ref(), &facts))?;
    }
    Ok(Ending::Done)
}

/// The components that the words mean; every word must mean one.
fn chosen<'v>(view: &'v CheckpointView, words: &[String]) -> Result<Vec<&'v ComponentSize>, Failure> {
    let means = |word: &String, part: &ComponentSize| selects(word, part.name.as_str(), part.kind);
    if let Some(word) = words.iter().find(|word| !view.components.iter().any(|part| means(word, part))) {
        let known: Vec<&str> = view.components.iter().map(|part| part.name.as_str()).collect();
        return Err(Failure::Usage {
            message: format!("`{word}` is no component of {}", view.id),
            mend: format!("it has: {}", known.join(", ")),
        });
    }
    Ok(view.components.iter().filter(|part| words.is_empty() || words.iter().any(|word| means(word, part))).collect())
}

/// What no checkpoint would hold without a safety checkpoint, and where alone it would be kept.
fn losses(
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
async fn safety(client: &Client, run: &RunView) -> Result<Option<CheckpointId>, Failure> {
    let Some(environment) = run.subject.environment() else { return Ok(None) };
    let runs = client.runs(environment.id.as_str()).await?;
    let part = runs
        .into_iter()
        .find(|part| part.kind == RunKind::Create && part.parent.as_ref() == Some(&run.id) && part.sealed);
    Ok(part.and_then(|part| part.checkpoint))
}

fn summary(
    view: &CheckpointView,
    environment: &EnvironmentView,
    chosen: &[&ComponentSize],
    run: &RunView,
    safety: Option<&CheckpointId>,
    facts: &[String],
) -> String {
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
            Some(("kept", what)) => lines.push(format!("  Kept:        {}", plain(what))),
            Some(("next", command)) => next.push(plain(command).into_owned()),
            _ => lines.push(format!("               {}", plain(fact))),
        }
    }
    lines.push(format!("  Application: {}/{}", environment.project, environment.name));
    if let Some(address) = &environment.address {
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
