//! `holdfast checkpoint restore`.

use holdfast_model::{plan::RestorePlan, state::RunState};
use serde_json::json;
use time::OffsetDateTime;

use super::super::{
    Ending, confirm,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        plan,
        steps::{Show, Steps},
        text::plain,
        times,
    },
    session::Session,
};

mod arguments;
mod summary;
pub use arguments::RestoreArguments;
use summary::{Done, chosen, losses, safety};

/// Says what will happen, watches it happen, and says what to do next.
pub async fn run(session: &Session<'_>, arguments: RestoreArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let now = OffsetDateTime::now_utc();
    let request = arguments.request()?;
    let view = client.checkpoint(&arguments.id).await?;
    let environment = client.environment(view.environment.id.as_str()).await?;
    let chosen = chosen(&view, &request)?;
    let name = view.name.as_deref().map(|name| format!(" ({})", plain(name))).unwrap_or_default();
    let what = format!("{}{name} of {}", view.id, times::moment_and_age(view.created_at, now));
    let planned = match arguments.dry_run || request.to.is_some() || !request.tables.is_empty() {
        true => Some(client.restore_plan(view.id.as_str(), &request).await?),
        false => None,
    };
    if let (Some(plan), true) = (&planned, arguments.dry_run) {
        return dry_run(session, &what, plan);
    }
    let place = match (&planned, &request.to_dir) {
        (Some(plan), _) => plan::target(&plan.target),
        (None, Some(folder)) => format!("folder: {}", folder.display()),
        (None, None) if request.to_url.is_some() => "another database".to_owned(),
        (None, None) => format!("environment: {}", view.environment.name),
    };
    output.line(format!("Restoring {what} to {place}\n"))?;
    if let Some(plan) = &planned {
        output.line(plan::page(plan))?;
        if !plan.refused.is_empty() {
            return Err(refused(plan));
        }
    } else if arguments.no_backup {
        output.line(losses(&view, &environment, &chosen, now))?;
    }
    if (planned.is_some() || arguments.no_backup) && !arguments.yes {
        let (question, mend) = match planned.is_some() {
            true => ("\nGo on like this?", "look at it with --dry-run, then add --yes if it is meant"),
            false => (
                "Go on without a safety checkpoint?",
                "take a safety checkpoint by leaving --no-backup out, or add --yes if it is meant",
            ),
        };
        if !confirm::typed_yes(output, question, mend).await? {
            output.note("Nothing was touched.")?;
            return Ok(Ending::Not);
        }
    }
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
        let there = match run.subject.environment() {
            Some(there) if there.id != environment.id => client.environment(there.id.as_str()).await?,
            _ => environment,
        };
        let done =
            Done { view: &view, environment: &there, chosen: &chosen, run: &run, safety: safety.as_ref(), place };
        output.line(done.summary(&request, &facts))?;
    }
    Ok(Ending::Done)
}

/// Prints the plan and nothing else; the code says whether it would be tried.
fn dry_run(session: &Session<'_>, what: &str, plan: &RestorePlan) -> Result<Ending, Failure> {
    let output = session.output;
    if output.is_json() {
        output.json(plan)?;
    } else {
        output.line(format!("This would restore {what} to {}. Nothing was touched.\n", plan::target(&plan.target)))?;
        output.line(plan::page(plan))?;
    }
    Ok(if plan.refused.is_empty() { Ending::Done } else { Ending::Not })
}

fn refused(plan: &RestorePlan) -> Failure {
    Failure::Refused(plan.refused.iter().map(|why| plain(why).into_owned()).collect())
}
