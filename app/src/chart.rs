//! The geometry of charts: round ticks, stacked areas, sparklines. Numbers in, SVG coordinates out; no markup.

use holdfast_model::view::StorageSeries;
use time::Date;

/// Round tick values from 0 up to the first one that is not below `max`: 1, 2 or 5 times a power of ten apart,
/// three to six of them. For `max` 0 the axis goes to 1.
pub fn ticks(max: u64) -> Vec<u64> {
    let max = max.max(1);
    let mut step = 1_u64;
    'found: loop {
        for factor in [1, 2, 5] {
            let candidate = step.saturating_mul(factor);
            if candidate.saturating_mul(4) >= max {
                step = candidate;
                break 'found;
            }
        }
        step = step.saturating_mul(10);
    }
    let mut ticks = vec![0];
    while let Some(last) = ticks.last().copied()
        && last < max
    {
        ticks.push(last.saturating_add(step));
    }
    ticks
}

/// Byte values as exact floating-point numbers for drawing; beyond 2^53 a pixel does not care.
#[allow(clippy::cast_precision_loss)]
fn real(value: u64) -> f64 {
    value as f64
}

/// A place on the drawing, with one decimal.
fn place(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// The frame of a drawing: its size and the margins around the plotted area, in SVG units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Width of the whole drawing.
    pub width: f64,
    /// Height of the whole drawing.
    pub height: f64,
    /// Room for the labels of the value axis.
    pub left: f64,
    /// Room for the direct labels.
    pub right: f64,
    /// Room above.
    pub top: f64,
    /// Room for the days.
    pub bottom: f64,
}

/// One project's part of the stacked chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The project.
    pub name: String,
    /// Bytes by day.
    pub values: Vec<u64>,
    /// The closed outline of its area.
    pub area: String,
    /// Where its label stands, moved apart from its neighbours.
    pub label_y: f64,
}

/// A stacked area chart of stored bytes per project by day.
#[derive(Debug, Clone, PartialEq)]
pub struct Stacked {
    /// The days, oldest first.
    pub days: Vec<Date>,
    /// Where each day stands.
    pub xs: Vec<f64>,
    /// From the bottom of the stack to its top.
    pub layers: Vec<Layer>,
    /// Value and place of each horizontal line.
    pub grid: Vec<(u64, f64)>,
    /// Where the plotted area ends on the right.
    pub edge: f64,
}

/// Lays out the series on a canvas. A day without a sample keeps the value of the day before; before its first sample
/// a project has 0. One single day is drawn as a column, so that it can be seen. None where there is no sample at all.
pub fn stacked(series: &[StorageSeries], canvas: Canvas) -> Option<Stacked> {
    let mut days: Vec<Date> = series.iter().flat_map(|s| s.points.iter().map(|p| p.day)).collect();
    days.sort_unstable();
    days.dedup();
    if days.is_empty() {
        return None;
    }
    let values: Vec<Vec<u64>> = series
        .iter()
        .map(|s| {
            let mut last = 0;
            days.iter()
                .map(|day| {
                    if let Some(point) = s.points.iter().find(|p| p.day == *day) {
                        last = point.stored;
                    }
                    last
                })
                .collect()
        })
        .collect();
    let sum = |day: usize| values.iter().map(|v| v[day]).fold(0_u64, u64::saturating_add);
    let ticks = ticks((0..days.len()).map(sum).max().unwrap_or(0));
    let top = real(ticks.last().copied().unwrap_or(1));
    let (height, edge) = (canvas.height - canvas.top - canvas.bottom, canvas.width - canvas.right);
    let y = |value: u64| canvas.top + height * (1.0 - real(value) / top);

    // The places of the outline; a single day has two, the sides of its column.
    let span = edge - canvas.left;
    let (xs, sides): (Vec<f64>, Vec<(f64, usize)>) = if let [_] = days.as_slice() {
        let (middle, half) = (canvas.left + span / 2.0, (span / 4.0).min(48.0));
        (vec![middle], vec![(middle - half, 0), (middle + half, 0)])
    } else {
        let first = days[0];
        let whole = real(u64::try_from((days[days.len() - 1] - first).whole_days()).unwrap_or(1));
        let xs: Vec<f64> = days
            .iter()
            .map(|d| canvas.left + span * real(u64::try_from((*d - first).whole_days()).unwrap_or(0)) / whole)
            .collect();
        let sides = xs.iter().copied().enumerate().map(|(day, x)| (x, day)).collect();
        (xs, sides)
    };

    let mut below = vec![0_u64; days.len()];
    let mut layers = Vec::new();
    for (series, values) in series.iter().zip(&values) {
        let above: Vec<u64> = below.iter().zip(values).map(|(b, v)| b.saturating_add(*v)).collect();
        let point = |(x, value): (f64, u64)| format!("{},{}", place(x), place(y(value)));
        let mut outline: Vec<String> = sides.iter().map(|(x, day)| point((*x, above[*day]))).collect();
        outline.extend(sides.iter().rev().map(|(x, day)| point((*x, below[*day]))));
        let end = days.len() - 1;
        let label_y = (y(above[end]) + y(below[end])) / 2.0;
        layers.push(Layer {
            name: series.project.to_string(),
            values: values.clone(),
            area: format!("M{}Z", outline.join("L")),
            label_y,
        });
        below = above;
    }
    spread(&mut layers, 34.0, canvas.top + 12.0, canvas.height - canvas.bottom);
    Some(Stacked { days, xs, layers, grid: ticks.into_iter().map(|t| (t, y(t))).collect(), edge })
}

/// Moves labels apart so that none covers its neighbour: bottom to top, `apart` at least, within the drawing.
fn spread(layers: &mut [Layer], apart: f64, top: f64, bottom: f64) {
    let mut lowest = bottom - apart / 2.0;
    for layer in layers.iter_mut() {
        layer.label_y = layer.label_y.min(lowest);
        lowest = layer.label_y - apart;
    }
    let mut highest = top;
    for layer in layers.iter_mut().rev() {
        layer.label_y = layer.label_y.max(highest);
        highest = layer.label_y + apart;
    }
}

/// The days that get a label: first and last, and evenly between them, `most` of them at most.
pub fn labelled(days: usize, most: usize) -> Vec<usize> {
    match (days, most) {
        (0, _) | (_, 0) => Vec::new(),
        (1, _) | (_, 1) => vec![days - 1],
        _ => {
            let most = most.min(days);
            (0..most).map(|n| n * (days - 1) / (most - 1)).collect()
        }
    }
}

/// A line through the values, scaled from 0 to their largest, with 2 units of room on all sides; none for fewer than two.
pub fn sparkline(values: &[u64], width: f64, height: f64) -> Option<String> {
    if values.len() < 2 {
        return None;
    }
    let most = real(values.iter().copied().max().unwrap_or(0).max(1));
    let steps = real(u64::try_from(values.len() - 1).unwrap_or(1));
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let x = 2.0 + (width - 4.0) * real(u64::try_from(at).unwrap_or(0)) / steps;
            let y = 2.0 + (height - 4.0) * (1.0 - real(*value) / most);
            format!("{},{}", place(x), place(y))
        })
        .collect();
    Some(points.join(" "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use holdfast_model::view::StoragePoint;

    use super::*;

    const CANVAS: Canvas = Canvas { width: 600.0, height: 240.0, left: 60.0, right: 140.0, top: 10.0, bottom: 30.0 };

    fn series(name: &str, points: &[(i64, u64)]) -> StorageSeries {
        let first = Date::from_ordinal_date(2026, 300).unwrap();
        StorageSeries {
            project: name.parse().unwrap(),
            points: points
                .iter()
                .map(|(day, stored)| StoragePoint {
                    day: first + time::Duration::days(*day),
                    stored: *stored,
                    total: stored * 3,
                })
                .collect(),
        }
    }

    #[test]
    fn ticks_are_round_and_cover_the_largest_value() {
        assert_eq!(ticks(0), [0, 1]);
        assert_eq!(ticks(7), [0, 2, 4, 6, 8]);
        assert_eq!(ticks(125_400_000_000), [0, 50_000_000_000, 100_000_000_000, 150_000_000_000]);
        for max in [1, 2, 3, 9, 10, 99, 101, 4_999, 5_001, 170_000_000, u64::MAX / 2] {
            let ticks = ticks(max);
            assert!((2..=6).contains(&ticks.len()), "{max}: {ticks:?}");
            assert!(ticks.last().unwrap() >= &max && ticks[ticks.len() - 2] < max, "{max}: {ticks:?}");
        }
    }

    #[test]
    fn one_day_is_a_column() {
        let chart = stacked(&[series("shop", &[(0, 50)])], CANVAS).unwrap();
        assert_eq!(chart.xs, [260.0]);
        // 50 of 60, the top of the axis.
        assert_eq!(chart.layers[0].area, "M212,43.3L308,43.3L308,210L212,210Z");
    }

    #[test]
    fn layers_stand_on_each_other_and_gaps_keep_the_value_before() {
        let chart = stacked(&[series("a", &[(0, 100), (4, 100)]), series("b", &[(2, 300)])], CANVAS).unwrap();
        assert_eq!(chart.xs, [60.0, 260.0, 460.0]);
        assert_eq!(chart.layers[0].values, [100, 100, 100]);
        assert_eq!(chart.layers[1].values, [0, 300, 300]);
        // 400 is the top of the axis, and b ends at a + b.
        assert_eq!(chart.grid.last().unwrap(), &(400, 10.0));
        assert_eq!(chart.layers[1].area, "M60,160L260,10L460,10L460,160L260,160L60,160Z");
    }

    #[test]
    fn labels_never_cover_each_other() {
        let many: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| series(name, &[(0, 1), (1, 1)])).collect();
        let chart = stacked(&many, CANVAS).unwrap();
        for pair in chart.layers.windows(2) {
            assert!(pair[0].label_y - pair[1].label_y >= 33.9, "{pair:?}");
        }
    }

    #[test]
    fn no_sample_no_chart() {
        assert_eq!(stacked(&[series("a", &[])], CANVAS), None);
        assert_eq!(stacked(&[], CANVAS), None);
    }

    #[test]
    fn labelled_days_reach_both_ends() {
        assert_eq!(labelled(1, 5), [0]);
        assert_eq!(labelled(3, 5), [0, 1, 2]);
        assert_eq!(labelled(30, 4), [0, 9, 19, 29]);
        assert_eq!(labelled(0, 4), Vec::<usize>::new());
    }

    #[test]
    fn a_sparkline_needs_two_values() {
        assert_eq!(sparkline(&[5], 100.0, 20.0), None);
        assert_eq!(sparkline(&[0, 10, 5], 104.0, 20.0).as_deref(), Some("2,18 52,2 102,10"));
        assert_eq!(sparkline(&[0, 0], 104.0, 20.0).as_deref(), Some("2,18 102,18"));
    }
}
