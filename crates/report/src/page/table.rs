//! The table of the page, and the table of every training.

use super::flags::Raised;
use crate::{Column, Report, Standing};
use gauntlet_records::norm::for_people;
use gauntlet_records::{Norm, Record};
use serde::Serialize;
use serde_json::Value;

/// The heading of a column.
#[derive(Serialize)]
pub(super) struct Head {
    label: String,
    attack: String,
    budget: String,
    /// A search for the smallest perturbation failed on some row.
    fails: bool,
    /// Its number of examples, where columns differ.
    n: Option<String>,
    /// The attack's parameters.
    parameters: String,
    /// The symbol of its norm; none for clean.
    group: Option<&'static str>,
    /// Whether it stays when the group is folded.
    stays: bool,
}

/// Columns of one norm, side by side.
#[derive(Serialize)]
pub(super) struct Group {
    name: &'static str,
    columns: usize,
    /// Columns that are hidden when it is folded; 0: it cannot be.
    folds: usize,
}

/// A row over its seeds.
#[derive(Serialize)]
pub(super) struct Line {
    row: String,
    failed: bool,
    /// What the filter looks through: row, recipe, penalties, model.
    words: String,
    flags: Vec<Flagged>,
    cells: Vec<Cell>,
}

/// A flag of a row.
#[derive(Serialize)]
struct Flagged {
    name: String,
    detail: String,
}

/// A number with what is known of its uncertainty.
#[derive(Serialize)]
struct Cell {
    value: Option<String>,
    text: String,
    sd: Option<String>,
    interval: String,
    /// In a column that tells its rows apart: the best.
    best: bool,
    /// In such a column: cannot be told apart from the best.
    alike: bool,
    /// Of a search that failed: the share of the correct images that it broke at no size.
    fails: Option<String>,
}

/// One training.
#[derive(Serialize)]
pub(super) struct Training {
    row: String,
    seed: u64,
    n: String,
    cost: String,
    cells: Vec<String>,
}

/// `ε = 0.3`, `L2 ε = 1`; none for clean.
pub(super) fn budget(column: &Column) -> Option<String> {
    column.budget().map(|(norm, eps)| match norm {
        Norm::Linf => format!("ε = {eps}"),
        norm => format!("{} ε = {eps}", norm.symbol()),
    })
}

/// Each text once, in order.
pub(super) fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// The columns in the order of the page: clean, then norm by norm the worst cases, which decide, and one attack after the other.
fn order(report: &Report) -> Vec<usize> {
    let norms: Vec<Norm> = norms(report);
    let place = |k: &usize| {
        let column = &report.columns[*k];
        let norm = column.budget().map(|(norm, _)| norms.iter().position(|n| *n == norm));
        (norm, !stays(column))
    };
    let mut order: Vec<usize> = (0..report.columns.len()).collect();
    order.sort_by_key(place);
    order
}

/// What decides stays where a norm is folded.
fn stays(column: &Column) -> bool {
    matches!(column, Column::Worst { .. } | Column::Certified { .. })
}

/// Every norm that is attacked in, in order.
fn norms(report: &Report) -> Vec<Norm> {
    let mut norms = Vec::new();
    for (norm, _) in report.columns.iter().filter_map(Column::budget) {
        if !norms.contains(&norm) {
            norms.push(norm);
        }
    }
    norms
}

/// The norms with how many columns each has.
pub(super) fn groups(report: &Report) -> Vec<Group> {
    let group = |norm: Norm| {
        let of_it = || report.columns.iter().filter(|c| c.budget().is_some_and(|(n, _)| n == norm));
        let (columns, stay) = (of_it().count(), of_it().filter(|c| stays(c)).count());
        Group { name: norm.symbol(), columns, folds: if stay == 0 { 0 } else { columns - stay } }
    };
    norms(report).into_iter().map(group).collect()
}

pub(super) fn heads(report: &Report, records: &[Record]) -> Vec<Head> {
    let head = |k: usize| {
        let c = &report.columns[k];
        Head {
            label: report.heading(k),
            fails: report.fails(k),
            n: report.size(k),
            attack: c.attack().to_string(),
            budget: budget(c).unwrap_or_default(),
            parameters: parameters(c, records),
            group: c.budget().map(|(norm, _)| norm.symbol()),
            stays: stays(c),
        }
    };
    order(report).into_iter().map(head).collect()
}

/// Every attack and certification with its parameters, once for all its budgets.
pub(super) fn methods(report: &Report, records: &[Record]) -> Vec<String> {
    let told = |c: &Column| match c {
        Column::Attack { attack, norm, .. } => {
            Some(format!("{attack} ({}): {}", norm.symbol(), parameters(c, records)))
        }
        Column::Certified { certify, norm, .. } => {
            Some(format!("{certify} ({}), proofs: {}", norm.symbol(), parameters(c, records)))
        }
        _ => None,
    };
    distinct(report.columns.iter().filter_map(told))
}

/// `pgd, steps 40, alpha 0.01, ...`: what an attack's numbers depend on beside its budget; empty for clean and worst case.
fn parameters(column: &Column, records: &[Record]) -> String {
    if let Column::Certified { certify, norm, eps } = column {
        let same = |c: &&gauntlet_records::Certified| (&c.certify, c.norm, &c.eps) == (certify, *norm, eps);
        let cell = records.iter().flat_map(|r| &r.result.certified).find(same);
        return cell.map_or_else(String::new, proving);
    }
    let Column::Attack { attack, norm, eps } = column else { return String::new() };
    let same = |c: &&gauntlet_records::Attacked| (&c.attack, c.norm, &c.eps) == (attack, *norm, eps);
    let Some(cell) = records.iter().flat_map(|r| &r.result.attacked).find(same) else { return String::new() };
    let shown = |v: &Value| match v {
        Value::String(text) => text.clone(),
        Value::Object(component) => component.get("name").and_then(Value::as_str).unwrap_or("{…}").to_string(),
        Value::Array(list) => format!("{} of them", list.len()),
        other => other.to_string(),
    };
    let arguments = cell.parameters.get("args").and_then(Value::as_object).into_iter().flatten();
    let arguments: Vec<String> =
        arguments.filter(|(_, v)| !v.is_null()).map(|(name, v)| format!("{name} {}", shown(v))).collect();
    std::iter::once(cell.name().to_string()).chain(arguments).collect::<Vec<_>>().join(", ")
}

/// `ibp, crown, bab, executed exact, nodes 1000`: how a certification proves.
fn proving(cell: &gauntlet_records::Certified) -> String {
    let at = |key: &str| cell.parameters.get(key);
    let methods = at("methods").and_then(Value::as_array).into_iter().flatten();
    let mut told: Vec<String> = methods.filter_map(Value::as_str).map(str::to_string).collect();
    for key in ["executed", "nodes", "undecided"] {
        told.extend(at(key).map(|v| format!("{key} {}", v.as_str().map_or_else(|| v.to_string(), str::to_string))));
    }
    told.join(", ")
}

pub(super) fn lines(report: &Report, records: &[Record], flags: &[Raised]) -> Vec<Line> {
    let line = |(r, row): (usize, &String)| {
        let failed = report.failed(row);
        let stands =
            |k: usize, as_: Standing| report.standings.tells_apart(k) && report.standings.of(r, k) == Some(as_);
        let cell = |k: usize| match report.summary.value(r, k) {
            Some(v) => Cell {
                value: Some(format!("{:.2}", v.mean)),
                text: report.between(r, k).unwrap_or_else(|| format!("{:.1}", v.mean)),
                sd: (v.seeds > 1 && report.ends(r, k).is_none()).then(|| format!("{:.1}", v.sd)),
                // From the lower limit of the lower number to the upper limit of the upper one.
                interval: format!("{:.1}–{:.1}", report.ends(r, k).map_or(v.low, |e| e.proved.low.min(v.low)), v.high),
                best: stands(k, Standing::Best),
                alike: stands(k, Standing::Alike),
                fails: report.failing(r, k).map(|percent| format!("{percent:.1}")),
            },
            None => {
                let text = if failed { "failed" } else { "–" };
                Cell {
                    value: None,
                    text: text.into(),
                    sd: None,
                    interval: String::new(),
                    best: false,
                    alike: false,
                    fails: None,
                }
            }
        };
        let raised = flags.iter().filter(|f| f.marks).filter_map(|f| {
            let places: Vec<_> = f.places.iter().filter(|p| p.row == *row).collect();
            let detail =
                places.iter().map(|p| format!("Seed {}: {}", p.seed, for_people(p.detail.trim_end_matches('.'))));
            (!places.is_empty())
                .then(|| Flagged { name: f.name.clone(), detail: detail.collect::<Vec<_>>().join(". ") + "." })
        });
        Line {
            row: report.row_name(row),
            failed,
            words: words(row, records),
            flags: raised.collect(),
            cells: order(report).into_iter().map(cell).collect(),
        }
    };
    report.rows.iter().enumerate().map(line).collect()
}

/// The names that a reader may look for: of the row, its recipe, its penalties, its model.
fn words(row: &str, records: &[Record]) -> String {
    let mut words = vec![row.to_lowercase()];
    if let Some(record) = records.iter().find(|r| r.row == row) {
        let at = |pointer: &str| record.result.configuration.pointer(pointer);
        let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_lowercase);
        words.extend(at("/training/recipe/base").and_then(name));
        words.extend(at("/training/recipe/penalties").and_then(Value::as_array).into_iter().flatten().filter_map(name));
        words.extend(at("/training/model").and_then(name));
    }
    distinct(words.into_iter()).join(" ")
}

pub(super) fn trainings(report: &Report) -> Vec<Training> {
    let mut trainings: Vec<Training> = Vec::new();
    for count in &report.counts {
        let k = order(report).into_iter().position(|k| report.columns[k] == count.column);
        if !trainings.last().is_some_and(|t| t.row == count.row && t.seed == count.seed) {
            let cost = report.costs.iter().find(|c| c.row == count.row && c.seed == count.seed);
            trainings.push(Training {
                row: count.row.clone(),
                seed: count.seed,
                n: count.n.to_string(),
                cost: cost.map_or("–".into(), |c| format!("{:.2}", c.relative_to_ce)),
                cells: vec!["–".to_string(); report.columns.len()],
            });
        }
        let cell = trainings.last_mut().zip(k).and_then(|(t, k)| t.cells.get_mut(k));
        if let Some(cell) = cell {
            let (low, high) = count.interval();
            *cell = format!("{:.1} ({low:.1}–{high:.1})", count.percent());
        }
    }
    trainings
}
