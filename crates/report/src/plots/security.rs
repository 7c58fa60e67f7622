//! Security curves: robust accuracy against ε.

use super::canvas::Drawing;
use super::panel::{Axis, Line, Panel, Point};
use super::plot::{Plot, Subject, one, parts, slug};
use super::ticks;
use crate::{Column, Report, Result, Value};
use gauntlet_records::Norm;

/// Rows of one picture: as many as there are colours.
const MOST: usize = 7;

/// A curve's columns: norm, attack, and the places of the columns with their ε.
struct Curve {
    norm: Norm,
    attack: String,
    columns: Vec<(usize, f64, String)>,
}

/// A picture for every attack, and for the worst case, with at least two budgets of one norm.
pub(super) fn plots(report: &Report) -> Result<Vec<Plot>> {
    let clean = report.columns.iter().position(|c| *c == Column::Clean);
    let mut plots = Vec::new();
    for curve in curves(&report.columns) {
        for (range, file, of) in parts(report.rows.len(), MOST) {
            let named = if curve.norm == Norm::Linf { String::new() } else { format!(" {}", curve.norm.symbol()) };
            let title = format!("Robust accuracy under {}{named}{of}", curve.attack);
            let rows: Vec<usize> =
                range.filter(|r| curve.columns.iter().any(|c| report.summary.value(*r, c.0).is_some())).collect();
            if rows.is_empty() {
                continue;
            }
            let mut columns: Vec<(usize, f64, String)> = clean.map(|k| (k, 0.0, "0".to_string())).into_iter().collect();
            columns.extend(curve.columns.iter().cloned());
            let values = |r: usize| -> Vec<(f64, Value, Option<Value>)> {
                let both = |k: usize| Some((report.summary.value(r, k)?, report.ends(r, k).map(|e| e.proved)));
                columns.iter().filter_map(|(k, x, _)| both(*k).map(|(v, proved)| (*x, v, proved))).collect()
            };
            let lines = rows.iter().map(|r| {
                let mut line = vec![report.rows[*r].clone()];
                let text = |k: usize| report.between(*r, k).unwrap_or_else(|| cell(report.summary.value(*r, k)));
                line.extend(columns.iter().map(|c| text(c.0)));
                line
            });
            let mut header = vec!["recipe".to_string()];
            header.extend(columns.iter().map(|c| if c.1 == 0.0 { "clean".into() } else { format!("ε = {}", c.2) }));
            plots.push(Plot {
                name: format!("security-{}{}{file}", slug(&curve.attack), slug_of(curve.norm)),
                subject: Subject::Security,
                leads: plots.is_empty(),
                description: describe(report, &curve, &rows, &columns),
                drawing: draw(report, &title, &rows, &columns, &values)?,
                header,
                lines: lines.collect(),
                title,
            });
        }
    }
    Ok(plots)
}

fn slug_of(norm: Norm) -> String {
    if norm == Norm::Linf { String::new() } else { format!("-{norm}") }
}

fn cell(value: Option<Value>) -> String {
    value.map_or("–".into(), |v| if v.seeds > 1 { format!("{} ± {}", one(v.mean), one(v.sd)) } else { one(v.mean) })
}

fn curves(columns: &[Column]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (k, column) in columns.iter().enumerate() {
        let Some((norm, eps)) = column.budget() else { continue };
        // They are the lower end of the worst case's.
        if matches!(column, Column::Certified { .. }) {
            continue;
        }
        let point = (k, eps.value(), eps.to_string());
        match curves.iter_mut().find(|c| c.norm == norm && c.attack == column.attack()) {
            Some(curve) => curve.columns.push(point),
            None => curves.push(Curve { norm, attack: column.attack().into(), columns: vec![point] }),
        }
    }
    curves.iter_mut().for_each(|c| c.columns.sort_by(|a, b| a.1.total_cmp(&b.1)));
    curves.retain(|c| c.columns.len() > 1);
    // The strictest first.
    curves.sort_by_key(|c| !matches!(columns[c.columns[0].0], Column::Worst { .. }));
    curves
}

fn describe(report: &Report, curve: &Curve, rows: &[usize], columns: &[(usize, f64, String)]) -> String {
    let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return String::new() };
    let ends = rows.iter().map(|r| {
        let at = |k: usize| report.summary.value(*r, k).map_or("nothing".into(), |v| one(v.mean));
        format!("{} from {} to {}", report.rows[*r], at(first.0), at(last.0))
    });
    let proved = rows.iter().any(|r| columns.iter().any(|c| report.ends(*r, c.0).is_some()));
    let band = match (proved, report.seeds.len() > 1) {
        (true, _) => "; bands reach down to what is proved",
        (false, true) => "; bands are one standard deviation over seeds",
        (false, false) => "",
    };
    format!(
        "Lines of accuracy in percent against ε from {} to {} ({}) under {}{band}. {}.",
        first.2,
        last.2,
        curve.norm,
        curve.attack,
        ends.collect::<Vec<_>>().join("; ")
    )
}

fn draw(
    report: &Report,
    title: &str,
    rows: &[usize],
    columns: &[(usize, f64, String)],
    values: &dyn Fn(usize) -> Vec<(f64, Value, Option<Value>)>,
) -> Result<Drawing> {
    let (width, plot) = (430.0, 302.0);
    let end = columns.iter().map(|c| c.1).fold(0.0, f64::max);
    // The suite's own budgets where there is room for them.
    let mut shown: Vec<(f64, String)> = Vec::new();
    for (_, x, text) in columns {
        if shown.last().is_none_or(|(last, _)| x - last >= end * 0.09) {
            shown.push((*x, text.clone()));
        }
    }
    let lines = rows.iter().enumerate().map(|(series, r)| {
        let point = |(x, v, proved): (f64, Value, Option<Value>)| {
            let sd = if v.seeds > 1 { v.sd } else { 0.0 };
            // Between the two ends lies the truth; without a lower one the band is the deviation's.
            let low = proved.map_or(v.mean - sd, |p| p.mean.min(v.mean - sd));
            Point { x, y: v.mean, low: low.max(0.0), high: (v.mean + sd).min(100.0) }
        };
        Line { series, name: report.rows[*r].clone(), points: values(*r).into_iter().map(point).collect() }
    });
    let panel = Panel {
        place: (0.0, 28.0, width, plot),
        measure: "accuracy, %",
        along: "ε",
        x: Axis { low: 0.0, high: end.max(1e-9), ticks: shown },
        y: Axis { low: 0.0, high: 100.0, ticks: ticks::linear(0.0, 100.0, 5) },
        lines: lines.collect(),
    };
    Drawing::new(width as u32, (28.0 + plot) as u32, |canvas| {
        Drawing::title(canvas, title)?;
        panel.draw(canvas)
    })
}
