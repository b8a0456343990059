//! `holdfast checkpoint drill`.

use clap::Args;
use holdfast_model::state::RunState;

use super::super::{
    Ending,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        steps::{Show, Steps},
        text::{self, plain},
    },
    session::Session,
};

/// Options of `checkpoint drill`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 proven, 3 not proven, 1 the drill could not be carried out.")]
pub struct DrillArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
    /// Name every comparison
    #[arg(long, short)]
    verbose: bool,
}

/// Drills it and says the verdict.
pub async fn run(session: &Session<'_>, arguments: DrillArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let id = client.checkpoint(&arguments.id).await?.id;
    let mut interrupts = Interrupts::new()?;
    let Some(run) = interrupts.during(client.drill(id.as_str())).await? else {
        return Ok(Ending::Left);
    };
    let mut steps = Steps::new(output, if arguments.verbose { Show::Everything } else { Show::Steps });
    steps.line(format!("Drilling {id}\n"))?;
    let run = match follow(&client, output, run, &mut steps, interrupts).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(Ending::Left),
    };
    drop(steps);
    if run.gate_open.is_none() || run.state == RunState::Cancelled {
        return Err(super::failed("the drill", &run));
    }
    let view = client.checkpoint(id.as_str()).await?;
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(format!("\n{id} is {}: {}", text::proof(view.proof), super::verdict(&view)))?;
        for gap in view.drill.iter().flat_map(|drill| &drill.report.components).flat_map(|part| &part.gaps) {
            let accepted = if gap.accepted { " (accepted)" } else { "" };
            output.line(format!(
                "  not compared: {} {} {}: {}{accepted}",
                plain(&gap.component),
                plain(&gap.kind),
                plain(&gap.name),
                plain(&gap.reason)
            ))?;
        }
    }
    Ok(if run.gate_open == Some(true) { Ending::Done } else { Ending::GateShut })
}
