//! `holdfast checkpoint`: one file a command, and what they share.

use clap::Subcommand;
use holdfast_model::{
    state::{Proof, RunState},
    view::{CheckpointView, RunView, Subject},
};

use super::{Ending, failure::Failure, print::text::plain, session::Session};

mod cat;
mod create;
mod delete;
mod diff;
mod drill;
mod export;
mod import;
mod list;
mod restore;
mod show;
mod verify;

/// What `checkpoint` can do. ID may be shortened to any unique prefix; `ENV@latest` is the newest of an environment.
#[derive(Debug, Subcommand)]
pub enum CheckpointCommand {
    /// Capture, seal and prove an environment
    Create(create::CreateArguments),
    /// List checkpoints, newest first
    List(list::ListArguments),
    /// Show one: states, sizes, ledger, proof, and how to get it back
    Show(show::ShowArguments),
    /// Read the sealed copy back and check every byte of it
    Verify(verify::VerifyArguments),
    /// Restore it into a throwaway copy and compare that with what was sealed
    Drill(drill::DrillArguments),
    /// What changed between two: configuration, files, git, schema, rows
    Diff(diff::DiffArguments),
    /// Put it back
    Restore(restore::RestoreArguments),
    /// Delete it; this cannot be undone
    Delete(delete::DeleteArguments),
    /// Print one file of it
    Cat(cat::CatArguments),
    /// Take it with you: an archive or a folder that can be read without Holdfast
    Export(export::ExportArguments),
    /// Take one back that was exported: seal and prove it here
    Import(import::ImportArguments),
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: CheckpointCommand) -> Result<Ending, Failure> {
    match command {
        CheckpointCommand::Create(arguments) => create::run(session, arguments).await,
        CheckpointCommand::List(arguments) => list::run(session, arguments).await,
        CheckpointCommand::Show(arguments) => show::run(session, arguments).await,
        CheckpointCommand::Verify(arguments) => verify::run(session, arguments).await,
        CheckpointCommand::Drill(arguments) => drill::run(session, arguments).await,
        CheckpointCommand::Diff(arguments) => diff::run(session, arguments).await,
        CheckpointCommand::Restore(arguments) => restore::run(session, arguments).await,
        CheckpointCommand::Delete(arguments) => delete::run(session, arguments).await,
        CheckpointCommand::Cat(arguments) => cat::run(session, arguments).await,
        CheckpointCommand::Export(arguments) => export::run(session, arguments).await,
        CheckpointCommand::Import(arguments) => import::run(session, arguments).await,
    }
}

/// A run that ended without its result, as an error. `what` is "the checkpoint", "the drill", …
pub(super) fn failed(what: &str, run: &RunView) -> Failure {
    let why = run.message.as_deref().map(|message| plain(message).into_owned());
    let message = match (run.state, why) {
        (RunState::Cancelled, Some(why)) if why.starts_with("cancelled") => format!("{what} was {why}"),
        (RunState::Cancelled, why) => {
            format!("{what} was cancelled{}", why.map(|why| format!(": {why}")).unwrap_or_default())
        }
        (_, Some(why)) => format!("{what} failed: {why}"),
        (_, None) => format!("{what} failed"),
    };
    Failure::Run {
        message,
        run: run.id.clone(),
        mend: match &run.subject {
            Subject::Environment(e) => {
                format!("see what happened with: holdfast logs {}/{} --component checkpoint-agent", e.project, e.name)
            }
            Subject::Vault(_) => "see what happened on the dashboard's page of this run".into(),
        },
    }
}

/// The verdict in one line, with the figures behind it.
fn verdict(view: &CheckpointView) -> String {
    let Some(drill) = &view.drill else {
        return "no drill has been run".into();
    };
    let rows: u64 = view.ledger.values().flat_map(|tables| tables.values()).map(|table| table.rows).sum();
    let tables: usize = view.ledger.values().map(std::collections::BTreeMap::len).sum();
    let passed = drill.checks.iter().filter(|check| check.passed).count();
    let mut text = format!(
        "{passed} of {} checks equal in {}",
        drill.checks.len(),
        super::print::times::span(drill.report.duration_ms)
    );
    if tables > 0 && view.proof != Proof::Failed {
        text.push_str(&format!(
            ", {} of {}",
            super::print::text::counted(rows, "row", "rows"),
            super::print::text::counted(tables as u64, "table", "tables")
        ));
    }
    if let Some(reason) = &drill.report.reason {
        text.push_str(&format!("; {}", plain(reason)));
    }
    text
}
