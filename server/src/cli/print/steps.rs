//! The steps of a run as they pass: a moving line for what is going on where somebody watches, and one plain line
//! for each step that has ended everywhere else.

use std::{collections::BTreeMap, time::Duration};

use console::style;
use holdfast_model::{
    event::{Event, EventBody, Level, StepState},
    size,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::{count, plain};
use crate::cli::{failure::Failure, output::Output};

/// What is shown of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Nothing: `--quiet`.
    Nothing,
    /// Steps, warnings and errors.
    Steps,
    /// The log and every comparison too: `--verbose`.
    Everything,
}

/// Draws one run.
#[derive(Debug)]
pub struct Steps<'a> {
    output: &'a Output,
    show: Show,
    bars: Option<MultiProgress>,
    going: BTreeMap<String, ProgressBar>,
    sizes: BTreeMap<String, u64>,
    facts: Vec<String>,
}

impl<'a> Steps<'a> {
    /// Draws nothing until the first event.
    pub fn new(output: &'a Output, show: Show) -> Self {
        let bars = (show != Show::Nothing && output.can_draw())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Self { output, show, bars, going: BTreeMap::new(), sizes: BTreeMap::new(), facts: Vec::new() }
    }

    /// What a restore's own log says at its end: `table: …`, `matched: …`, `kept: …` and `next: …`.
    pub fn facts(&self) -> &[String] {
        &self.facts
    }

    /// Takes one event of the run.
    ///
    /// # Errors
    /// When a line cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), Failure> {
        match &event.body {
            EventBody::State { .. } => Ok(()),
            EventBody::Step { step, title, state, component, detail } => {
                let title = match component {
                    Some(component) => format!("{}: {}", plain(title), plain(component)),
                    None => plain(title).into_owned(),
                };
                self.step(step, title, *state, detail.as_deref())
            }
            EventBody::Progress { step, files, bytes, total, tables, current, .. } => {
                self.sizes.insert(step.clone(), *bytes);
                if let Some(bar) = self.going.get(step) {
                    if let Some(total) = total.filter(|total| *total > 0) {
                        bar.set_length(total);
                        bar.set_style(measured());
                    } else if *bytes > 0 {
                        bar.set_style(counting());
                    }
                    bar.set_position(*bytes);
                    bar.set_message(doing(*files, *tables, current.as_deref()));
                }
                Ok(())
            }
            EventBody::Check { check } => {
                if !check.passed {
                    let found = match (&check.expected, &check.found) {
                        (Some(expected), Some(found)) => format!("sealed {expected}, restored {found}"),
                        _ => check.message.clone().unwrap_or_else(|| "not equal".into()),
                    };
                    return self.line(format!(
                        "    {} {} {}: {}",
                        style("✗").red(),
                        plain(&check.component),
                        plain(&check.name),
                        plain(&found)
                    ));
                }
                if self.show == Show::Everything {
                    return self.line(format!("    {} {}", plain(&check.component), plain(&check.name)));
                }
                Ok(())
            }
            EventBody::Log { level, component, message } => self.log(*level, component.as_deref(), message),
        }
    }

    /// A line between the moving ones.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.show == Show::Nothing {
            return Ok(());
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| self.output.line(text)),
            None => self.output.line(text),
        }
    }

    /// A line on stderr, even where nothing else is shown.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        match &self.bars {
            Some(bars) => bars.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }

    /// Removes the moving lines, for a question or for the end.
    pub fn rest(&mut self) {
        for bar in std::mem::take(&mut self.going).into_values() {
            bar.finish_and_clear();
        }
        if let Some(bars) = &self.bars {
            // What cannot be cleared stays on the screen; no answer depends on it.
            let _ = bars.clear();
        }
    }

    fn step(&mut self, step: &str, title: String, state: StepState, detail: Option<&str>) -> Result<(), Failure> {
        if state == StepState::Started {
            if let Some(bars) = &self.bars {
                let bar = bars.add(ProgressBar::new_spinner().with_style(spinning()).with_prefix(title));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.going.insert(step.to_owned(), bar);
            }
            return Ok(());
        }
        if let Some(bar) = self.going.remove(step) {
            bar.finish_and_clear();
        }
        let size = self.sizes.remove(step).filter(|bytes| *bytes > 0).map(size::display);
        let detail = detail.filter(|text| !text.is_empty()).map(|text| plain(text).into_owned());
        self.line(match state {
            StepState::Failed => {
                let reason = detail.map(|text| format!(": {text}")).unwrap_or_default();
                format!("  {} {title}{reason}", style("✗").red())
            }
            StepState::Skipped => format!("  {} {title}{}", style("-").dim(), in_brackets(detail)),
            StepState::Done | StepState::Started => {
                format!("  {} {title}{}", style("✓").green(), in_brackets(detail.or(size)))
            }
        })
    }

    fn log(&mut self, level: Level, component: Option<&str>, message: &str) -> Result<(), Failure> {
        if component.is_none()
            && ["table: ", "matched: ", "kept: ", "next: "].iter().any(|fact| message.starts_with(fact))
        {
            self.facts.push(message.to_owned());
            return Ok(());
        }
        let message = plain(message);
        let line = match component {
            Some(component) => format!("{}: {message}", plain(component)),
            None => message.into_owned(),
        };
        match level {
            Level::Info if self.show == Show::Everything => self.line(format!("    {line}")),
            Level::Info => Ok(()),
            Level::Warning => self.line(format!("  {} {line}", style("!").yellow())),
            Level::Error => self.line(format!("  {} {line}", style("!").red())),
        }
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        self.rest();
    }
}

fn in_brackets(text: Option<String>) -> String {
    text.map(|text| format!(" ({text})")).unwrap_or_default()
}

fn doing(files: u64, tables: u64, current: Option<&str>) -> String {
    let mut parts = Vec::new();
    if files > 0 {
        parts.push(format!("{} files", count(files)));
    }
    if tables > 0 {
        parts.push(format!("{} tables", count(tables)));
    }
    parts.extend(current.map(|current| plain(current).into_owned()));
    parts.join(", ")
}

fn spinning() -> ProgressStyle {
    styled("  {spinner} {prefix} … {wide_msg:.dim}")
}

fn counting() -> ProgressStyle {
    styled("  {spinner} {prefix} … {decimal_bytes} {decimal_bytes_per_sec} {wide_msg:.dim}")
}

fn measured() -> ProgressStyle {
    styled(
        "  {spinner} {prefix} … {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg:.dim}",
    )
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
