//! Charts as SVG from the server: readable axes, direct labels, a table behind them. No script is needed to read them.

use holdfast_model::{
    size,
    state::RunKind,
    view::{CheckpointSummary, RunView, StorageSeries},
};
use leptos::prelude::*;
use time::OffsetDateTime;

use super::layout::{bytes, folded, plain, table};
use crate::{
    chart::{Canvas, Stacked, labelled, sparkline as points, stacked},
    text,
};

/// For windows with room beside the plot.
const WIDE: Canvas = Canvas { width: 600.0, height: 250.0, left: 60.0, right: 148.0, top: 14.0, bottom: 28.0 };
/// For narrow windows: the same letters in half the width.
const NARROW: Canvas = Canvas { width: 344.0, height: 240.0, left: 52.0, right: 124.0, top: 14.0, bottom: 28.0 };
/// So many colours there are; more projects begin again.
const COLOURS: usize = 6;

/// Stored bytes per project by day. `whole` is what would be stored without deduplication.
pub fn storage(series: &[StorageSeries]) -> AnyView {
    let Some(wide) = stacked(series, WIDE) else {
        return view! { <p class="note">"The first sample is taken with the first checkpoint."</p> }.into_any();
    };
    let narrow = stacked(series, NARROW);
    let latest: Vec<u64> = wide.layers.iter().map(|l| l.values.last().copied().unwrap_or(0)).collect();
    let percent = size::percentages(&latest);
    let sum = latest.iter().fold(0_u64, |a, b| a.saturating_add(*b));
    let spoken = format!(
        "Stored bytes by project, {} in all: {}",
        size::display(sum),
        wide.layers
            .iter()
            .zip(latest.iter().zip(&percent))
            .map(|(l, (n, p))| format!("{} {} ({p}%)", l.name, size::display(*n)))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let rows = wide
        .layers
        .iter()
        .zip(latest.iter().zip(&percent))
        .rev()
        .map(|(l, (n, p))| vec![plain(l.name.clone()), bytes(*n), plain(format!("{p}%"))])
        .collect();
    let days = wide
        .days
        .iter()
        .enumerate()
        .rev()
        .map(|(at, day)| {
            let mut cells = vec![plain(day.to_string())];
            cells.extend(wide.layers.iter().map(|l| bytes(l.values[at])));
            cells
        })
        .collect::<Vec<_>>();
    let by_day = (wide.layers.len() == 1 && wide.days.len() > 1)
        .then(|| table("Stored bytes by day", &[("Day", false), ("Stored", true)], days));
    view! {
        <figure class="storage">
            {drawing(&wide, WIDE, "chart wide", &percent, spoken.clone(), 5)}
            {narrow.map(|narrow| drawing(&narrow, NARROW, "chart narrow", &percent, spoken, 3))}
            <figcaption>
                {folded(
                    "As a table".to_owned(),
                    view! {
                        {table("Stored by project", &[("Project", false), ("Stored", true), ("Share", true)], rows)}
                        {by_day}
                    }
                    .into_any(),
                )}
            </figcaption>
        </figure>
    }
    .into_any()
}

fn drawing(
    chart: &Stacked,
    canvas: Canvas,
    class: &'static str,
    percent: &[u64],
    spoken: String,
    labels: usize,
) -> AnyView {
    let (edge, floor) = (chart.edge, canvas.height - canvas.bottom);
    let grid: Vec<_> = chart
        .grid
        .iter()
        .map(|(value, y)| {
            let name = if *value == 0 { "0".to_owned() } else { axis(*value) };
            view! {
                <line class="grid" x1=canvas.left x2=edge y1=*y y2=*y />
                <text class="tick end" x=canvas.left - 8.0 y=*y + 4.0>{name}</text>
            }
        })
        .collect();
    let areas: Vec<_> = chart
        .layers
        .iter()
        .enumerate()
        .map(|(at, layer)| view! { <path class=format!("area s{}", at % COLOURS) d=layer.area.clone() /> })
        .collect();
    let names: Vec<_> = chart
        .layers
        .iter()
        .zip(percent)
        .enumerate()
        .map(|(at, (layer, percent))| {
            let stored = size::display(layer.values.last().copied().unwrap_or(0));
            view! {
                <rect class=format!("key s{}", at % COLOURS) x=edge + 12.0 y=layer.label_y - 12.0 width="4" height="26" rx="2" />
                <text class="label" x=edge + 22.0 y=layer.label_y - 2.0>{layer.name.clone()}</text>
                <text class="tick" x=edge + 22.0 y=layer.label_y + 13.0>{format!("{stored} ({percent}%)")}</text>
            }
        })
        .collect();
    let last = chart.days.len() - 1;
    let days: Vec<_> = labelled(chart.days.len(), labels)
        .into_iter()
        .map(|at| {
            let anchor = match at {
                _ if last == 0 => "tick middle",
                0 => "tick",
                _ if at == last => "tick end",
                _ => "tick middle",
            };
            view! { <text class=anchor x=chart.xs[at] y=floor + 18.0>{text::day(chart.days[at])}</text> }
        })
        .collect();
    let width = if last == 0 {
        edge - canvas.left
    } else {
        (edge - canvas.left) / f64::from(u16::try_from(last).unwrap_or(u16::MAX))
    };
    let hits: Vec<_> = chart
        .days
        .iter()
        .enumerate()
        .map(|(at, day)| {
            let all: Vec<String> =
                chart.layers.iter().rev().map(|l| format!("{} {}", l.name, size::display(l.values[at]))).collect();
            let left = (chart.xs[at] - width / 2.0).max(canvas.left);
            let right = (chart.xs[at] + width / 2.0).min(edge);
            view! {
                <rect class="hit" x=left y=canvas.top width=(right - left).max(0.0) height=floor - canvas.top>
                    <title>{format!("{day}: {}", all.join(", "))}</title>
                </rect>
            }
        })
        .collect();
    view! {
        <svg class=class viewBox=format!("0 0 {} {}", canvas.width, canvas.height) role="img" aria-label=spoken>
            {grid}
            {areas}
            {names}
            {days}
            {hits}
        </svg>
    }
    .into_any()
}

/// A value of the axis: round, so without the zeros behind the point.
fn axis(value: u64) -> String {
    let text = size::display(value);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// The last sizes of a component as a small line; a dash where there is nothing to compare yet.
pub fn sparkline(sizes: &[u64]) -> AnyView {
    match (points(sizes, 96.0, 24.0), sizes.first(), sizes.last()) {
        (Some(points), Some(first), Some(last)) => {
            let spoken = format!("from {} to {}", size::display(*first), size::display(*last));
            view! {
                <svg class="spark" viewBox="0 0 96 24" width="96" height="24" role="img" aria-label=spoken>
                    <polyline points=points />
                </svg>
            }
            .into_any()
        }
        _ => plain("–"),
    }
}

/// Checkpoints and restores on one line of time, oldest at the left. Nothing for fewer than two checkpoints.
pub fn timeline(now: OffsetDateTime, checkpoints: &[CheckpointSummary], runs: &[RunView]) -> Option<AnyView> {
    let oldest = checkpoints.iter().map(|c| c.created_at).min()?;
    if checkpoints.len() < 2 {
        return None;
    }
    let (from, until, width) = (16.0, 744.0, 760.0);
    let whole = text::millis(oldest, now).max(1);
    let x = |at: OffsetDateTime| {
        let permille = text::millis(oldest, at).saturating_mul(10_000) / whole;
        from + (until - from) * f64::from(u16::try_from(permille.min(10_000)).unwrap_or(0)) / 10_000.0
    };
    let dots: Vec<_> = checkpoints
        .iter()
        .rev()
        .map(|c| {
            let (tone, _, state) = super::word::proof_look(c.proof);
            let name = c.name.clone().unwrap_or_else(|| text::short_id(c.id.as_str()));
            let said = format!("{name}: {state}, {}", text::absolute(c.created_at));
            let named = said.clone();
            view! {
                <a href=format!("/checkpoints/{}", c.id) aria-label=named>
                    <circle class=format!("mark-{}", tone.class()) cx=x(c.created_at) cy="22" r="5">
                        <title>{said}</title>
                    </circle>
                </a>
            }
        })
        .collect();
    let restores: Vec<_> = runs
        .iter()
        .filter(|r| r.kind == RunKind::Restore && r.created_at >= oldest)
        .map(|r| {
            let at = x(r.created_at);
            view! {
                <path class="mark-restore" d=format!("M{at},6l5,-5h-10z")>
                    <title>{format!("Restore, {}: {}", r.state, text::absolute(r.created_at))}</title>
                </path>
                <line class="mark-restore" x1=at x2=at y1="6" y2="36" />
            }
        })
        .collect();
    let restored = runs.iter().filter(|r| r.kind == RunKind::Restore && r.created_at >= oldest).count();
    let spoken = format!(
        "Time line: {} and {} since {}",
        text::counted(u64::try_from(checkpoints.len()).unwrap_or(0), "checkpoint"),
        text::counted(u64::try_from(restored).unwrap_or(0), "restore"),
        text::absolute(oldest)
    );
    Some(
        view! {
            <svg class="timeline" viewBox=format!("0 0 {width} 52") role="group" aria-label=spoken>
                <line class="grid" x1=from x2=until y1="22" y2="22" />
                {restores}
                {dots}
                <text class="tick" x=from - 6.0 y="48">{text::ago(now, oldest)}</text>
                <text class="tick end" x=until + 6.0 y="48">"now"</text>
            </svg>
        }
        .into_any(),
    )
}
