//! Capture as one moment: prepare every component, hold them all, then stream them into the vault.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{
    definition::Definition,
    event::{Level, StepState},
    manifest::{Manifest, ManifestComponent},
    name::Name,
    size,
};
use holdfast_vault::{Meter, Node, TreeId, Vault, Writer};
use time::OffsetDateTime;

use crate::{
    context::{Context, now_and_then},
    failure::Failure,
    tools::Tools,
};

mod part;
use part::{Moment, Part};

/// What to capture.
#[derive(Clone)]
pub struct CaptureWork {
    /// The vault that the writer writes to; the checkpoint before is read from it.
    pub vault: Vault,
    /// The environment as it was applied.
    pub definition: Definition,
    /// The chosen components, in the definition's order.
    pub components: Vec<Name>,
    /// More patterns to leave out, for every `files` component.
    pub exclude: Vec<String>,
    /// Never captured, wherever they lie: Holdfast's data directory.
    pub forbidden: Vec<PathBuf>,
    /// The environment's checkpoint before this one, so that unchanged files are not read again.
    pub parent: Option<Parent>,
    /// A folder of this run for temporary files; made and removed by the caller.
    pub scratch: PathBuf,
    /// For a safety checkpoint: a component that fails is listed in [`Captured::failed`] and the rest goes on.
    /// Otherwise any failure fails the whole.
    pub salvage: bool,
}

/// An earlier checkpoint.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What was captured. The caller composes the root tree of it and seals.
#[derive(Debug, Clone)]
pub struct Captured {
    /// In the definition's order.
    pub components: Vec<CapturedComponent>,
    /// The moment that all components were held.
    pub held_at: OffsetDateTime,
    /// Milliseconds between the first and the last component's instant.
    pub skew_ms: u64,
    /// The tools that took part, with their versions.
    pub tools: BTreeMap<String, String>,
    /// Components that could not be captured, each with its reason; only with [`CaptureWork::salvage`].
    pub failed: Vec<(Name, String)>,
}

/// One captured component.
#[derive(Debug, Clone)]
pub struct CapturedComponent {
    /// For the manifest.
    pub manifest: ManifestComponent,
    /// For the tree; named as the last part of `manifest.place`.
    pub node: Node,
}

/// Why there is no checkpoint.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CaptureError {
    /// Somebody said so; nothing was published.
    #[error("cancelled")]
    Cancelled,
    /// A component could not be captured: mend what the message names and run again.
    #[error("component `{component}`: {message}")]
    Component {
        /// Which one.
        component: Name,
        /// What happened, and where known the mend.
        message: String,
    },
    /// The vault refused or failed.
    #[error("the vault: {0}")]
    Vault(holdfast_vault::Error),
}

/// Captures `work` into `writer`.
///
/// # Errors
/// When any component fails (unless salvaging), on cancel, and when the vault fails.
pub async fn capture(
    work: CaptureWork,
    writer: Arc<Writer>,
    tools: &Tools,
    ctx: &Context,
) -> Result<Captured, CaptureError> {
    // One failure ends the others, which is not the same as a cancelled run: hence a switch of our own.
    let (inner, _forward) = ctx.inner();
    let mut failed = Vec::new();
    let mut settle = |name: &Name, failure: Failure| -> Result<(), CaptureError> {
        match failure {
            Failure::Cancelled => Err(CaptureError::Cancelled),
            Failure::Vault(error) => Err(CaptureError::Vault(error)),
            Failure::Said(message) if work.salvage => {
                ctx.log(Level::Warning, Some(name.as_str()), format!("left out of this checkpoint: {message}"));
                failed.push((name.clone(), message));
                Ok(())
            }
            Failure::Said(message) => {
                ctx.log(Level::Error, Some(name.as_str()), message.clone());
                Err(CaptureError::Component { component: name.clone(), message })
            }
        }
    };

    ctx.step("prepare", "Components prepared", StepState::Started, None, None);
    let mut parts = Vec::new();
    for name in &work.components {
        ctx.cancel.check().map_err(|_| CaptureError::Cancelled)?;
        match Part::prepare(name, &work, tools, &inner).await {
            Ok(part) => parts.push(part),
            Err(failure) => {
                ctx.step(
                    "prepare",
                    "Components prepared",
                    StepState::Failed,
                    Some(name.as_str()),
                    Some(failure.to_string()),
                );
                settle(name, failure)?;
            }
        }
    }
    ctx.step("prepare", "Components prepared", StepState::Done, None, Some(count(parts.len())));

    ctx.step("hold", "Components held", StepState::Started, None, None);
    // The slowest to hold come first, so that the instants lie close together.
    parts.sort_by_key(Part::haste);
    let mut held = Vec::new();
    for part in parts {
        ctx.cancel.check().map_err(|_| CaptureError::Cancelled)?;
        let name = part.name().clone();
        match part.hold(&inner).await {
            Ok(part) => held.push(part),
            Err(failure) => {
                ctx.step("hold", "Components held", StepState::Failed, Some(name.as_str()), Some(failure.to_string()));
                settle(&name, failure)?;
            }
        }
    }
    let held_at = OffsetDateTime::now_utc();
    ctx.step("hold", "Components held", StepState::Done, None, Some(count(held.len())));

    let mut running = tokio::task::JoinSet::new();
    let titles: Vec<(Name, &'static str)> = held.iter().map(|moment| (moment.name().clone(), moment.title())).collect();
    for moment in held {
        let (writer, inner) = (writer.clone(), inner.clone());
        running.spawn(async move {
            let (name, title) = (moment.name().clone(), moment.title());
            let outcome = stream(moment, writer, &inner, &name, title).await;
            (name, outcome)
        });
    }
    let (mut captured, mut first) = (Vec::new(), None);
    while let Some(ended) = running.join_next().await {
        let (name, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // A worker that panicked has no name any more; the run has failed in any case.
                inner.cancel.cancel();
                let name = titles.first().map(|(name, _)| name.clone());
                let message = format!("a worker ended unexpectedly: {error}");
                first = first.or(name.map(|component| CaptureError::Component { component, message }));
                continue;
            }
        };
        match outcome {
            Ok(component) => captured.push(component),
            // It was ended because another one failed.
            Err(Failure::Cancelled) if first.is_some() => {}
            Err(failure) => {
                if let Err(error) = settle(&name, failure) {
                    inner.cancel.cancel();
                    first = first.or(Some(error));
                }
            }
        }
    }
    if ctx.cancel.is_cancelled() {
        return Err(CaptureError::Cancelled);
    }
    if let Some(error) = first {
        return Err(error);
    }
    let place = |name: &Name| work.definition.components.iter().position(|component| &component.name == name);
    captured.sort_by_key(|component: &CapturedComponent| place(&component.manifest.name));
    let mut versions = BTreeMap::new();
    for component in &captured {
        versions.extend(part::tools_of(&component.manifest, tools));
    }
    Ok(Captured { skew_ms: skew(&captured), held_at, tools: versions, failed, components: captured })
}

fn count(parts: usize) -> String {
    if parts == 1 { "1 component".to_owned() } else { format!("{parts} components") }
}

fn skew(captured: &[CapturedComponent]) -> u64 {
    let instants = captured.iter().map(|component| component.manifest.instant);
    match (instants.clone().min(), instants.max()) {
        (Some(first), Some(last)) => u64::try_from((last - first).whole_milliseconds()).unwrap_or(0),
        _ => 0,
    }
}

/// Streams one component, telling its step and its progress.
async fn stream(
    moment: Moment,
    writer: Arc<Writer>,
    ctx: &Context,
    name: &Name,
    title: &str,
) -> Result<CapturedComponent, Failure> {
    let step = format!("capture:{name}");
    ctx.step(&step, title, StepState::Started, Some(name.as_str()), None);
    let (meter, tables) = (Meter::new(), Arc::new(AtomicU64::new(0)));
    let sampler = now_and_then(ctx, &step, Some(name.as_str()), meter.clone(), tables.clone(), None);
    let outcome = moment.stream(writer, meter, tables, ctx).await;
    drop(sampler);
    match &outcome {
        Ok(component) => {
            let manifest = &component.manifest;
            for skipped in manifest.skipped.iter().take(20) {
                let line = format!("{} was left out ({}): {}", skipped.name, skipped.reason, skipped.message);
                ctx.log(Level::Warning, Some(name.as_str()), line);
            }
            let detail = format!("{}, {} new", size::display(manifest.size), size::display(manifest.stored));
            ctx.step(&step, title, StepState::Done, Some(name.as_str()), Some(detail));
        }
        Err(failure) => ctx.step(&step, title, StepState::Failed, Some(name.as_str()), Some(failure.to_string())),
    }
    outcome
}
