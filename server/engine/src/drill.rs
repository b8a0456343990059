//! The drill: a sealed checkpoint is restored into scratch space and compared with what was sealed.

use std::{collections::HashSet, path::PathBuf, time::Instant};

use holdfast_model::{
    definition::DrillPlan,
    drill::{ComponentDrill, DrillReport, Gap},
    event::StepState,
    manifest::{FORMAT, Manifest, ManifestComponent},
    size,
    state::{Kind, Proof},
};
use holdfast_vault::{PackId, TreeId, Vault};
use time::OffsetDateTime;

use crate::{
    accept::Accept,
    context::{Context, elapsed},
    failure::Failure,
    place,
    tools::Tools,
};

mod component;
mod reread;

/// What to drill.
#[derive(Clone)]
pub struct DrillWork {
    /// Where the checkpoint lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
    /// Smoke checks and accepted gaps.
    pub plan: DrillPlan,
    /// A folder of this run for throwaway copies; made and removed by the caller.
    pub scratch: PathBuf,
    /// Packs that were read whole and found sound recently enough.
    pub fresh_packs: HashSet<PackId>,
    /// How long the last drill of this environment took, in milliseconds.
    pub expected_ms: Option<u64>,
}

/// What a drill found.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// The report with its verdict; `failed` for a broken copy.
    pub report: DrillReport,
    /// Packs that were read whole and found sound in this drill.
    pub packs_read: Vec<PackId>,
}

/// Why a drill could not be carried out at all; the verdict stays what it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DrillError {
    /// Somebody said so.
    #[error("cancelled")]
    Cancelled,
    /// There is not enough room for the throwaway copies: free some, or give the scratch folder a bigger disk.
    #[error("the drill needs about {needed} in {place} and {free} are free; free some space and run it again")]
    NoScratchSpace {
        /// The scratch folder.
        place: String,
        /// For people.
        needed: String,
        /// For people.
        free: String,
    },
    /// The manifest is of a newer format than this version reads: use a newer Holdfast.
    #[error("the manifest has format {found}; this version reads up to {known}")]
    Format {
        /// What it says.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// The host failed, not the copy: scratch folder not writable, a program that could not be started.
    #[error("{0}")]
    Host(String),
    /// The vault could not be reached or is locked.
    #[error("the vault: {0}")]
    Vault(holdfast_vault::Error),
}

/// Restores a sealed checkpoint into scratch space and compares it with its manifest.
///
/// # Errors
/// Only when the drill could not be carried out; a broken copy is a report that says `failed`.
pub async fn drill(work: DrillWork, tools: &Tools, ctx: &Context) -> Result<Drilled, DrillError> {
    let (begun, started_at) = (Instant::now(), OffsetDateTime::now_utc());
    let manifest = &work.manifest;
    if manifest.format > FORMAT {
        return Err(DrillError::Format { found: manifest.format, known: FORMAT });
    }
    let accept = Accept::new(&work.plan.accept).map_err(DrillError::Host)?;
    room(&work)?;
    let expected = work.expected_ms.map(|ms| format!("about {} by the last one", seconds(ms)));
    ctx.step("drill", TITLE, StepState::Started, None, expected);

    let read = match reread::read_back(&work, ctx).await {
        Ok(read) => read,
        Err(failure) => return Err(stop(ctx, failure)),
    };
    let mut components = Vec::new();
    for component in &manifest.components {
        let step = format!("drill:{}", component.name);
        let name = Some(component.name.as_str());
        ctx.step(&step, "Component drilled", StepState::Started, name, None);
        match component::drill(&work, component, &accept, &read, tools, ctx).await {
            Ok(drilled) => {
                let (state, detail) = match drilled.verdict {
                    Proof::Failed => (StepState::Failed, first_fault(&drilled).unwrap_or_else(|| "failed".to_owned())),
                    verdict => (StepState::Done, format!("{verdict}, {} checks", drilled.checks.len())),
                };
                ctx.step(&step, "Component drilled", state, name, Some(detail));
                components.push(drilled);
            }
            Err(failure) => {
                ctx.step(&step, "Component drilled", StepState::Failed, name, Some(failure.to_string()));
                return Err(stop(ctx, failure));
            }
        }
    }
    // A checkpoint of nothing proves nothing.
    let worst = components.iter().map(|component| component.verdict).reduce(Proof::worst).unwrap_or(Proof::Unproven);
    let needs_server = manifest.components.iter().any(|component| component.kind == Kind::Postgres);
    let report = DrillReport {
        verdict: worst,
        started_at,
        duration_ms: elapsed(begun),
        sandbox: needs_server.then(|| tools.sandbox().to_string()),
        reason: reason(&components),
        components,
        bytes_read: read.bytes_now,
        bytes_read_earlier: read.bytes_earlier,
    };
    let state = if worst == Proof::Failed { StepState::Failed } else { StepState::Done };
    ctx.step(
        "drill",
        TITLE,
        state,
        None,
        Some(report.reason.clone().unwrap_or_else(|| format!("{worst} in {}", seconds(report.duration_ms)))),
    );
    Ok(Drilled { report, packs_read: read.packs_read })
}

const TITLE: &str = "Restored into scratch space and compared";

fn stop(ctx: &Context, failure: Failure) -> DrillError {
    ctx.step("drill", TITLE, StepState::Failed, None, Some(failure.to_string()));
    match failure {
        Failure::Cancelled => DrillError::Cancelled,
        _ if ctx.cancel.is_cancelled() => DrillError::Cancelled,
        Failure::Vault(error) => DrillError::Vault(error),
        Failure::Said(message) => DrillError::Host(message),
    }
}

/// Databases and repositories are restored for real: each into a file of its size, a server into about twice that.
fn room(work: &DrillWork) -> Result<(), DrillError> {
    let need = |component: &ManifestComponent| match component.kind {
        Kind::Postgres => component.size.saturating_mul(5) / 2,
        Kind::Sqlite | Kind::Git => component.size.saturating_add(component.size / 10),
        _ => 0,
    };
    // One after the other, and each is removed before the next.
    let needed = work.manifest.components.iter().map(need).max().unwrap_or(0);
    let place = work.scratch.display().to_string();
    let free = place::free(&work.scratch).map_err(|error| DrillError::Host(format!("{place}: {error}")))?;
    if free < needed {
        return Err(DrillError::NoScratchSpace { place, needed: size::display(needed), free: size::display(free) });
    }
    Ok(())
}

fn seconds(milliseconds: u64) -> String {
    if milliseconds < 1000 { format!("{milliseconds} ms") } else { format!("{} s", milliseconds.div_ceil(1000)) }
}

fn first_fault(component: &ComponentDrill) -> Option<String> {
    let check = component.checks.iter().find(|check| !check.passed)?;
    Some(check.message.clone().unwrap_or_else(|| format!("`{}` is not what was sealed", check.name)))
}

/// One sentence that names the worst finding.
fn reason(components: &[ComponentDrill]) -> Option<String> {
    let worst = components.iter().min_by_key(|component| component.verdict)?;
    let sentence = |text: String| {
        let text = text.trim_end_matches('.');
        let is_a_thing = text.starts_with(|first: char| first.is_ascii_digit())
            || ["other ", "another ", "no ", "a ", "damaged "].iter().any(|word| text.starts_with(word));
        match text {
            _ if text.starts_with(char::is_uppercase) => format!("{text}."),
            _ if is_a_thing => format!("The drill found {text}."),
            _ => format!("The drill found that {text}."),
        }
    };
    match worst.verdict {
        Proof::Failed => first_fault(worst).map(sentence),
        Proof::Partial => {
            let open: Vec<&Gap> = components.iter().flat_map(|c| &c.gaps).filter(|gap| !gap.accepted).collect();
            let gap = open.first()?;
            let more = match open.len() - 1 {
                0 => String::new(),
                1 => ", and 1 more thing".to_owned(),
                more => format!(", and {more} more things"),
            };
            Some(format!(
                "All that was compared was equal, but `{}` of `{}` could not be compared{more}: {}.",
                gap.name,
                gap.component,
                gap.reason.trim_end_matches('.')
            ))
        }
        Proof::Unproven => Some(format!("Nothing of `{}` could be compared.", worst.name)),
        Proof::Proven | Proof::Stale => None,
    }
}
