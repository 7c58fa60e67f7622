//! Training curves of a row: loss terms, accuracies, gradient norms, alignment.

use super::canvas::Drawing;
use super::course::{over_seeds, trainings};
use super::panel::{Axis, Line, Panel, Point};
use super::plot::{Plot, Subject, one, slug};
use super::ticks;
use crate::{Report, Result};
use gauntlet_records::course::{Course, Moment};
use gauntlet_records::{Record, record::Epoch};

/// Epochs in the table of numbers; of a longer training they are evenly picked.
const MOST_EPOCHS: usize = 30;

/// What one panel shows.
struct Group {
    measure: &'static str,
    percent: bool,
    curves: Vec<Curve>,
}

/// A measure over epochs.
struct Curve {
    name: String,
    points: Vec<Point>,
}

/// A picture for every row that was trained.
pub(super) fn plots(report: &Report, records: &[Record]) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for row in &report.rows {
        let trainings = trainings(row, records);
        let Some(first) = trainings.first().and_then(|t| t.first()) else { continue };
        let groups = groups(&trainings, first);
        let epochs = trainings.iter().map(|t| t.len()).max().unwrap_or(0);
        plots.push(plot(row, &groups, describe(row, &groups, epochs, trainings.len(), &first.monitored_on))?);
    }
    Ok(plots)
}

fn plot(row: &str, groups: &[Group], description: String) -> Result<Plot> {
    let title = format!("Training of {row}");
    let (header, lines) = numbers(groups);
    Ok(Plot {
        name: format!("training-{}", slug(row)),
        subject: Subject::Training,
        leads: false,
        description,
        drawing: draw(&title, groups)?,
        header,
        lines,
        title,
    })
}

/// The picture of a training that goes on: its terms step by step, the rest by epochs. `None`: it took no step yet.
pub(crate) fn so_far(course: &Course) -> Result<Option<Plot>> {
    let epochs: Vec<Epoch> = course.curve.iter().map(|(_, epoch)| epoch.clone()).collect();
    let mut groups = epochs.first().map_or_else(Vec::new, |first| groups(&[&epochs], first));
    let Some(moment) = course.moments.last() else { return Ok(None) };
    let point = |m: &Moment, y: f64| Point { x: m.done as f64 / f64::from(course.steps.max(1)), y, low: y, high: y };
    let curve = |name: &String| Curve {
        name: name.clone(),
        points: course.moments.iter().filter_map(|m| Some(point(m, *m.terms.get(name)?))).collect(),
    };
    groups.retain(|g| g.measure != TERMS);
    let curves = moment.terms.keys().map(curve).collect();
    groups.insert(0, Group { measure: TERMS, percent: false, curves });
    let on = epochs.first().map_or("", |e| e.monitored_on.as_str());
    let description = match epochs.len() {
        0 => format!("{} in its first epoch: its loss terms.", course.row),
        n => describe(&course.row, &groups, n, 1, on),
    };
    Ok(Some(plot(&course.row, &groups, description)?))
}

/// What the first panel shows.
const TERMS: &str = "loss terms";

fn groups(trainings: &[&[Epoch]], first: &Epoch) -> Vec<Group> {
    let curve = |name: &str, scale: f64, of: &dyn Fn(&Epoch) -> Option<f64>| Curve {
        name: name.to_string(),
        points: over_seeds(trainings, scale, of),
    };
    let term = |name: &String| curve(name, 1.0, &|e| e.terms.iter().find(|t| t.0 == *name).map(|t| t.1));
    let terms = first.terms.iter().map(|t| term(&t.0)).collect();
    let accuracies = vec![
        curve("clean", 100.0, &|e| Some(e.clean_accuracy)),
        curve("quick attack", 100.0, &|e| Some(e.robust_accuracy)),
        curve("own budget, FGSM", 100.0, &|e| e.own_fgsm_accuracy),
        curve("own budget, PGD", 100.0, &|e| e.own_pgd_accuracy),
    ];
    // Each on an axis of its own: the first is the second times up to the root of the number of pixels.
    let norm = |name: &str, of: &dyn Fn(&Epoch) -> f64| vec![curve(name, 1.0, &|e| Some(of(e)))];
    let (l1, l2) = (norm("L1", &|e| e.gradient_l1), norm("L2", &|e| e.gradient_l2));
    let alignment = vec![curve("alignment", 1.0, &|e| e.alignment)];
    let all = [
        (TERMS, false, terms),
        ("accuracy, %", true, accuracies),
        ("alignment of input gradients", false, alignment),
        ("L2 norm of the input gradient", false, l2),
        ("L1 norm of the input gradient", false, l1),
    ];
    all.into_iter()
        .map(|(measure, percent, curves): (_, _, Vec<Curve>)| Group {
            measure,
            percent,
            curves: curves.into_iter().filter(|c| !c.points.is_empty()).collect(),
        })
        .filter(|g| !g.curves.is_empty())
        .collect()
}

fn numbers(groups: &[Group]) -> (Vec<String>, Vec<Vec<String>>) {
    let curves: Vec<(&Curve, bool)> = groups.iter().flat_map(|g| g.curves.iter().map(|c| (c, g.percent))).collect();
    let mut header = vec!["epoch".to_string()];
    header.extend(groups.iter().flat_map(|g| {
        g.curves.iter().map(|c| match g.measure {
            "L1 norm of the input gradient" | "L2 norm of the input gradient" => format!("gradient {}", c.name),
            "accuracy, %" => format!("{}, %", c.name),
            _ => c.name.clone(),
        })
    }));
    let mut epochs: Vec<f64> = curves.iter().flat_map(|(c, _)| c.points.iter().map(|p| p.x)).collect();
    epochs.sort_by(f64::total_cmp);
    epochs.dedup();
    let every = epochs.len().div_ceil(MOST_EPOCHS).max(1);
    let kept = epochs.iter().enumerate().filter(|(i, _)| i % every == 0 || i + 1 == epochs.len());
    let line = |epoch: f64| {
        let value = |(curve, percent): &(&Curve, bool)| {
            let y = curve.points.iter().find(|p| p.x == epoch).map(|p| p.y);
            y.map_or("–".into(), |y| if *percent { one(y) } else { ticks::number(y) })
        };
        std::iter::once(format!("{epoch}")).chain(curves.iter().map(value)).collect()
    };
    (header, kept.map(|(_, e)| line(*e)).collect())
}

fn describe(row: &str, groups: &[Group], epochs: usize, seeds: usize, monitored_on: &str) -> String {
    let last = |c: &Curve, percent: bool| {
        let end = c.points.last().map_or(0.0, |p| p.y);
        let end = if percent { format!("{} %", one(end)) } else { ticks::number(end) };
        format!("{} {end}", c.name)
    };
    let ends = groups.iter().map(|g| {
        format!(
            "{}: {}",
            g.measure.trim_end_matches(", %"),
            g.curves.iter().map(|c| last(c, g.percent)).collect::<Vec<_>>().join(", ")
        )
    });
    let of =
        if seeds > 1 { format!("means over {seeds} seeds, bands of one standard deviation, ") } else { String::new() };
    format!(
        "{row} over {epochs} epoch{}: {of}accuracies and gradients on monitored {monitored_on} images. At the end {}.",
        if epochs == 1 { "" } else { "s" },
        ends.collect::<Vec<_>>().join("; ")
    )
}

/// Width and height of a panel.
const PANEL: (f64, f64) = (430.0, 200.0);

fn draw(title: &str, groups: &[Group]) -> Result<Drawing> {
    let height = 28.0 + PANEL.1 * groups.len().div_ceil(2) as f64;
    Drawing::new(2 * PANEL.0 as u32, height as u32, |canvas| {
        Drawing::title(canvas, title)?;
        for (i, group) in groups.iter().enumerate() {
            panel(group, PANEL.0 * (i % 2) as f64, 28.0 + PANEL.1 * (i / 2) as f64).draw(canvas)?;
        }
        Ok(())
    })
}

fn panel(group: &Group, left: f64, top: f64) -> Panel<'static> {
    let points = || group.curves.iter().flat_map(|c| &c.points).filter(|p| p.y.is_finite());
    let epochs = points().fold((f64::MAX, 0.0f64), |(a, b), p| (a.min(p.x), b.max(p.x)));
    let (from, to) = (epochs.0.min(epochs.1), epochs.1.max(epochs.0.min(epochs.1) + 1e-6));
    let (low, high) = points().fold((f64::MAX, f64::MIN), |(a, b), p| (a.min(p.y), b.max(p.y)));
    // Terms and norms differ by orders of magnitude; a logarithm shows them all.
    let logarithmic = !group.percent && low > 0.0 && high / low > 20.0;
    let y = if group.percent {
        Axis { low: 0.0, high: 100.0, ticks: ticks::linear(0.0, 100.0, 5) }
    } else if logarithmic {
        let (low, high) = (low.log10() - 0.05, high.log10() + 0.05);
        Axis { low, high, ticks: ticks::logarithmic(low, high) }
    } else {
        let low = points().map(|p| p.low).fold(low.min(0.0), f64::min);
        let high = points().map(|p| p.high).fold(high, f64::max);
        let high = if high > low { ticks::end(low, high, 4) } else { low + 1.0 };
        Axis { low, high, ticks: ticks::linear(low, high, 4) }
    };
    let inside = |v: f64| v.clamp(y.low, y.high);
    let scaled = |v: f64| inside(if logarithmic { v.max(f64::MIN_POSITIVE).log10() } else { v });
    let point = |p: &Point| Point { x: p.x, y: scaled(p.y), low: scaled(p.low), high: scaled(p.high) };
    let finite = |c: &Curve| c.points.iter().filter(|p| p.y.is_finite()).map(point).collect();
    // A measure that is its own name needs no other.
    let name = |c: &Curve| if group.measure.starts_with(&c.name) { String::new() } else { c.name.clone() };
    let lines = group.curves.iter().enumerate();
    let lines = lines.map(|(series, c)| Line { series, name: name(c), points: finite(c) }).collect();
    Panel {
        place: (left, top, PANEL.0, PANEL.1),
        measure: group.measure,
        along: "epoch",
        x: Axis { low: from, high: to, ticks: ticks::whole(from as u32, to as u32, 6) },
        y,
        lines,
    }
}
