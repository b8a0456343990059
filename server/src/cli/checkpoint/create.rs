//! `holdfast checkpoint create`.

use std::collections::BTreeMap;

use clap::Args;
use holdfast_model::{
    request::CreateCheckpoint,
    size,
    state::{RunState, Trigger},
    view::{CheckpointView, RunView},
};

use super::super::{
    Ending,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        steps::{Show, Steps},
        text::{self, plain},
        times,
    },
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint create production
  holdfast checkpoint create production --name before-migration --tags release,v2.0
  holdfast checkpoint create shop/staging --without filesystem --exclude '*.log'
  id=$(holdfast checkpoint create production --quiet) && ./deploy || exit 1

Exit codes: 0 sealed and proven (with --no-drill: sealed), 1 failed, 3 sealed but not proven.";

/// Options of `checkpoint create`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CreateArguments {
    /// name, project/name or env_…
    #[arg(value_name = "ENV")]
    environment: String,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A description for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Labels
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    tags: Vec<String>,
    /// Leave out what matches, in gitignore's style; may be given again
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Only these components: names, kinds or types
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    components: Vec<String>,
    /// All components but these: names, kinds or types
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    without: Vec<String>,
    /// The commit that is running (metadata git_commit)
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Its branch (metadata git_branch)
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// The deploy that follows (metadata deploy_id)
    #[arg(long, value_name = "ID")]
    deploy_id: Option<String>,
    /// More metadata; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    meta: Vec<(String, String)>,
    /// Seal only; the checkpoint stays unproven
    #[arg(long)]
    no_drill: bool,
    /// Do not wait; print the ids of run and checkpoint
    #[arg(long)]
    no_wait: bool,
    /// Print the checkpoint's id and nothing else
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give KEY=VALUE".into()),
    }
}

impl CreateArguments {
    fn request(&self) -> CreateCheckpoint {
        let named = [("git_commit", &self.commit), ("git_branch", &self.branch), ("deploy_id", &self.deploy_id)];
        let mut metadata: BTreeMap<String, String> = self.meta.iter().cloned().collect();
        metadata.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
        let words =
            |list: &[String]| list.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
        CreateCheckpoint {
            environment: self.environment.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            tags: words(&self.tags),
            exclude: self.exclude.clone(),
            components: words(&self.components),
            without: words(&self.without),
            metadata,
            drill: !self.no_drill,
            trigger: Some(Trigger::Manual),
        }
    }
}

/// Asks for it, watches it, and says what became of it.
pub async fn run(session: &Session<'_>, arguments: CreateArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let mut interrupts = Interrupts::new()?;
    let Some(run) = interrupts.during(client.create(&arguments.request())).await? else {
        return Ok(Ending::Left);
    };
    if arguments.no_wait {
        return started(session, &run, arguments.quiet);
    }
    let show = if arguments.quiet { Show::Nothing } else { Show::Steps };
    let mut steps = Steps::new(output, show);
    if let Some(environment) = run.subject.environment() {
        steps.line(format!("Creating checkpoint for environment: {}\n", environment.name))?;
    }
    let run = match follow(&client, output, run, &mut steps, interrupts).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(Ending::Left),
    };
    drop(steps);
    let Some(id) = run.checkpoint.as_ref().filter(|_| run.sealed) else {
        return Err(super::failed("the checkpoint", &run));
    };
    let view = client.checkpoint(id.as_str()).await?;
    let ending = ending(&run, arguments.no_drill);
    if output.is_json() {
        output.json(&view)?;
    } else if arguments.quiet {
        output.line(view.id.as_str())?;
    } else {
        output.line(summary(&view, ending))?;
    }
    if ending == Ending::GateShut {
        output.note(format!("{}: sealed, but its gate is shut{}", view.id, why(&run, &view)))?;
    }
    Ok(ending)
}

/// Sealed it is; the gate decides unless no drill was wanted.
fn ending(run: &RunView, no_drill: bool) -> Ending {
    if no_drill || run.gate_open == Some(true) { Ending::Done } else { Ending::GateShut }
}

fn why(run: &RunView, view: &CheckpointView) -> String {
    let reason = view.drill.as_ref().and_then(|drill| drill.report.reason.clone()).or_else(|| run.message.clone());
    match (reason, run.state) {
        (Some(reason), _) => format!(": {}", plain(&reason)),
        (None, RunState::Cancelled) => ": its drill was cancelled".into(),
        (None, _) => format!(": it is {}", view.proof),
    }
}

fn started(session: &Session<'_>, run: &RunView, quiet: bool) -> Result<Ending, Failure> {
    let checkpoint = run.checkpoint.as_ref().map(ToString::to_string).unwrap_or_default();
    if session.output.is_json() {
        session.output.json(run)?;
    } else if quiet {
        session.output.line(&checkpoint)?;
    } else {
        session.output.line(format!("  Run:         {}\n  Checkpoint:  {checkpoint}", run.id))?;
        session.output.note("It exists once it is sealed; until then nothing can be restored from it.")?;
    }
    Ok(Ending::Done)
}

fn summary(view: &CheckpointView, ending: Ending) -> String {
    let head = match (ending, view.drill.is_some()) {
        (Ending::Done, true) => format!("Checkpoint sealed and {}.", view.proof),
        (Ending::Done, false) => "Checkpoint sealed; no drill was wanted.".to_owned(),
        _ => format!("Checkpoint sealed, but {}.", view.proof),
    };
    let mut lines = vec![format!("\n{head}\n"), format!("  ID:          {}", view.id)];
    if let Some(name) = &view.name {
        lines.push(format!("  Name:        {}", plain(name)));
    }
    lines.push(format!("  Environment: {}", view.environment.name));
    lines.push(format!("  Size:        {} ({} stored)", view.size.display, size::display(view.size.stored)));
    lines.push(format!("  Created:     {}", times::moment(view.created_at)));
    lines.push(format!("  Proof:       {}: {}", text::proof(view.proof), super::verdict(view)));
    for skipped in &view.skipped {
        lines.push(format!(
            "  Skipped:     {} {}: {}",
            plain(&skipped.component),
            plain(&skipped.name),
            plain(&skipped.message)
        ));
    }
    lines.push(format!("\nTo restore: holdfast checkpoint restore {}", view.id));
    lines.join("\n")
}
