//! Clean against robust accuracy, and the rows that no other beats in both.

use super::canvas::{Drawing, FINE, Side};
use super::palette::{INK, PALE, SERIES, SOFT};
use super::panel::{Axis, axes};
use super::plot::{Plot, Subject, one, slug};
use super::strictest;
use super::ticks;
use crate::{Column, Report, Result};
use plotters::prelude::*;

/// Rows beyond which only those on the front are named.
const NAMED: usize = 40;

struct Dot {
    row: String,
    clean: f64,
    robust: f64,
    /// No other row is at least as good in both and better in one.
    front: bool,
}

/// A picture for every norm and ε.
pub(super) fn plots(report: &Report) -> Result<Vec<Plot>> {
    let Some(clean) = report.columns.iter().position(|c| *c == Column::Clean) else { return Ok(Vec::new()) };
    let mut plots = Vec::new();
    let leading = strictest::leading(report);
    for (k, norm, eps) in strictest::columns(report) {
        let dots = dots(report, clean, k);
        if dots.len() < 2 {
            continue;
        }
        let column = &report.columns[k];
        let title = format!("Clean against robust accuracy, {column}");
        let line =
            |d: &Dot| vec![d.row.clone(), one(d.clean), one(d.robust), if d.front { "yes" } else { "no" }.into()];
        let front: Vec<String> = dots
            .iter()
            .filter(|d| d.front)
            .map(|d| format!("{} ({}, {})", d.row, one(d.clean), one(d.robust)))
            .collect();
        plots.push(Plot {
            name: format!("clean-against-robust-{}", slug(&format!("{norm}-{eps}"))),
            subject: Subject::Scatter,
            leads: Some(k) == leading,
            description: format!(
                "A point for each of {} rows: clean accuracy to the right, accuracy under {column} upwards, in percent. \
                 On the Pareto front: {}.",
                dots.len(),
                front.join(", ")
            ),
            drawing: draw(&title, &column.to_string(), &dots)?,
            header: vec!["recipe".into(), "clean".into(), column.to_string(), "on the Pareto front".into()],
            lines: dots.iter().map(line).collect(),
            title,
        });
    }
    Ok(plots)
}

fn dots(report: &Report, clean: usize, k: usize) -> Vec<Dot> {
    let value = |r, k| report.summary.value(r, k).map(|v| v.mean);
    let rows = report.rows.iter().enumerate();
    let mut dots: Vec<Dot> = rows
        .filter_map(|(r, row)| {
            Some(Dot { row: row.clone(), clean: value(r, clean)?, robust: value(r, k)?, front: false })
        })
        .collect();
    let pairs: Vec<(f64, f64)> = dots.iter().map(|d| (d.clean, d.robust)).collect();
    for dot in &mut dots {
        let beats = |o: &(f64, f64)| o.0 >= dot.clean && o.1 >= dot.robust && (o.0 > dot.clean || o.1 > dot.robust);
        dot.front = !pairs.iter().any(beats);
    }
    dots
}

/// An axis that leaves room around values in percent.
fn around(values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = values.fold((100.0f64, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let room = ((high - low) * 0.1).max(1.0);
    let (low, high) = ((low - room).max(-2.0), (high + room).min(102.0));
    Axis { low, high, ticks: ticks::linear(low.max(0.0), high.min(100.0), 5) }
}

fn draw(title: &str, measure: &str, dots: &[Dot]) -> Result<Drawing> {
    let x = around(dots.iter().map(|d| d.clean));
    // Every picture has the same axis upwards: robustness that is small looks small.
    let y = Axis { low: -2.0, high: 102.0, ticks: ticks::linear(0.0, 100.0, 5) };
    let mut texts = Vec::new();
    let mut drawing = Drawing::new(430, 330, |canvas| {
        Drawing::title(canvas, title)?;
        canvas.text(4.0, 35.0, 12.0, Side::Left, SOFT, &format!("{measure}, %"))?;
        canvas.text(422.0, 322.0, 12.0, Side::Right, SOFT, "clean, %")?;
        let to_pixel = axes(canvas, (0.0, 44.0, 430.0, 268.0), (&x, &y), 14.0)?;
        let at = |d: &Dot| {
            let (x, y) = to_pixel(d.clean, d.robust);
            (f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE))
        };
        let mut front: Vec<&Dot> = dots.iter().filter(|d| d.front).collect();
        front.sort_by(|a, b| a.clean.total_cmp(&b.clean));
        let path: Vec<(i32, i32)> = front.iter().map(|d| to_pixel(d.clean, d.robust)).collect();
        canvas.area.draw(&PathElement::new(path, PALE.stroke_width(FINE as u32)))?;
        let behind = || dots.iter().filter(|d| !d.front);
        // The front above the others, and named before them.
        for dot in behind().chain(front.iter().copied()) {
            let ((x, y), colour) = (at(dot), if dot.front { SERIES[0] } else { PALE });
            canvas.mark(0, x, y, if dot.front { 4.5 } else { 3.5 }, colour)?;
            texts.push(format!("{}: clean {}, robust {}", dot.row, one(dot.clean), one(dot.robust)));
        }
        let mut taken: Vec<(f64, f64, f64)> = dots.iter().map(at).map(|(x, y)| (x - 4.0, x + 4.0, y)).collect();
        for dot in front.iter().copied().chain(behind().filter(|_| dots.len() <= NAMED)) {
            name(canvas, &dot.row, at(dot), if dot.front { INK } else { SOFT }, &mut taken)?;
        }
        Ok(())
    })?;
    drawing.explain_circles(&texts);
    Ok(drawing)
}

/// Writes a name beside its point, at the first of some places where nothing stands yet; nowhere if there is none.
fn name(
    canvas: &super::canvas::Canvas<'_>,
    text: &str,
    (x, y): (f64, f64),
    colour: RGBColor,
    taken: &mut Vec<(f64, f64, f64)>,
) -> super::canvas::Drawn {
    let width = 6.8 * text.chars().count() as f64;
    for (dx, dy) in
        [(8.0, 0.0), (-8.0, 0.0), (8.0, -12.0), (-8.0, -12.0), (8.0, 12.0), (-8.0, 12.0), (8.0, -24.0), (8.0, 24.0)]
    {
        let (from, to) = if dx > 0.0 { (x + dx, x + dx + width) } else { (x + dx - width, x + dx) };
        let free = taken.iter().all(|(a, b, line)| (line - (y + dy)).abs() > 11.0 || *b < from || *a > to);
        if free && from > 44.0 && to < 424.0 && (48.0..284.0).contains(&(y + dy)) {
            taken.push((from, to, y + dy));
            let side = if dx > 0.0 { Side::Left } else { Side::Right };
            return canvas.text(x + dx, y + dy, 12.0, side, colour, text);
        }
    }
    Ok(())
}
