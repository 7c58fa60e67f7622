//! Which attack broke how much: of an ensemble its stages, of separate attacks the first in the suite's order.

use super::palette::{PALE, REST, SERIES};
use super::{Plot, Subject, bars, one, parts, slug, strictest};
use crate::{Report, Result};
use gauntlet_core::record::Fate;
use gauntlet_core::{Attacked, Eps, Norm, Record};

/// Rows of one picture.
const MOST: usize = 30;

/// Who broke the i-th example of a record; `None`: nobody.
type Blame<'a> = Box<dyn Fn(&Record, usize) -> Option<String> + 'a>;

/// Who is blamed in one picture, and how an example is.
struct Trial<'a> {
    title: String,
    name: String,
    culprits: Vec<String>,
    blame: Blame<'a>,
}

/// A picture for every ensemble, and for all attacks together, at every norm and ε.
pub(super) fn plots(report: &Report, records: &[Record]) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for (_, norm, eps) in strictest::columns(&report.columns) {
        for trial in trials(records, norm, &eps) {
            for (range, file, of) in parts(report.rows.len(), MOST) {
                let rows = &report.rows[range];
                let bars: Vec<(String, Vec<f64>)> =
                    rows.iter().filter_map(|row| Some((row.clone(), shares(&trial, records, row)?))).collect();
                if !bars.is_empty() {
                    plots.push(plot(&trial, &bars, &file, &of)?);
                }
            }
        }
    }
    Ok(plots)
}

fn plot(trial: &Trial<'_>, bars: &[(String, Vec<f64>)], file: &str, of: &str) -> Result<Plot> {
    let title = format!("{}{of}", trial.title);
    let mut labels = vec![(PALE, "wrong without any attack".to_string())];
    // More culprits than colours share the last one.
    labels.extend(trial.culprits.iter().enumerate().map(|(k, c)| (SERIES[k.min(SERIES.len() - 1)], c.clone())));
    labels.push((REST, "withstood".to_string()));
    let mut header = vec!["recipe".to_string()];
    header.extend(labels.iter().map(|(_, l)| format!("{l}, %")));
    let lines: Vec<Vec<String>> = bars
        .iter()
        .map(|(row, shares)| std::iter::once(row.clone()).chain(shares.iter().map(|s| one(*s))).collect())
        .collect();
    let told = bars.iter().map(|(row, shares)| {
        let named = labels.iter().zip(shares).filter(|(_, s)| **s > 0.0);
        format!("{row}: {}", named.map(|((_, l), s)| format!("{l} {} %", one(*s))).collect::<Vec<_>>().join(", "))
    });
    Ok(Plot {
        name: format!("{}{file}", trial.name),
        subject: Subject::Culprits,
        description: format!("A bar for each row, of all its examples. {}.", told.collect::<Vec<_>>().join("; ")),
        drawing: bars::draw(&title, &labels, bars)?,
        header,
        lines,
        title,
    })
}

fn trials<'a>(records: &'a [Record], norm: Norm, eps: &'a Eps) -> Vec<Trial<'a>> {
    let mut attacks: Vec<&str> = Vec::new();
    let mut ensembles: Vec<&str> = Vec::new();
    for cell in records.iter().flat_map(|r| cells(r, norm, eps)) {
        if !attacks.contains(&cell.attack.as_str()) {
            attacks.push(&cell.attack);
        }
        if !ensembles.contains(&cell.attack.as_str()) && cell.verdicts.iter().any(|v| !v.broken_by.is_empty()) {
            ensembles.push(&cell.attack);
        }
    }
    let mut trials: Vec<Trial<'a>> = ensembles.into_iter().map(|e| stages(records, norm, eps, e)).collect();
    if attacks.len() > 1 {
        trials.push(Trial {
            title: format!("What broke first, of all attacks at {}", strictest::budget(norm, eps)),
            name: format!("broken-by-{}", slug(&format!("{norm}-{eps}"))),
            culprits: attacks.iter().map(ToString::to_string).collect(),
            blame: Box::new(move |record, i| cells(record, norm, eps).find(|c| broken(c, i)).map(|c| c.attack.clone())),
        });
    }
    trials
}

fn stages<'a>(records: &'a [Record], norm: Norm, eps: &'a Eps, ensemble: &'a str) -> Trial<'a> {
    let of = move |record: &'a Record| cells(record, norm, eps).find(move |c| c.attack == ensemble);
    let mut culprits: Vec<String> = Vec::new();
    for cell in records.iter().filter_map(of) {
        for i in (0..cell.verdicts.len()).filter(|i| broken(cell, *i)) {
            let culprit = stage(cell, i);
            if !culprits.iter().any(|c| c == culprit) {
                culprits.push(culprit.to_string());
            }
        }
    }
    // In the order of the ensemble where its parameters tell it, else by name: never by chance.
    culprits.sort();
    if let Some(cell) = records.iter().find_map(of) {
        let text = cell.parameters.to_string();
        culprits.sort_by_key(|c| text.find(&format!("\"{c}\"")).unwrap_or(usize::MAX));
    }
    Trial {
        title: format!("What broke first, within {ensemble} at {}", strictest::budget(norm, eps)),
        name: format!("broken-within-{}", slug(&format!("{ensemble}-{norm}-{eps}"))),
        culprits,
        blame: Box::new(move |record, i| {
            let cell = cells(record, norm, eps).find(|c| c.attack == ensemble)?;
            broken(cell, i).then(|| stage(cell, i).to_string())
        }),
    }
}

/// The complete cells of a record at one norm and ε.
fn cells<'a>(record: &'a Record, norm: Norm, eps: &'a Eps) -> impl Iterator<Item = &'a Attacked> {
    let n = record.result.clean.len();
    record.result.attacked.iter().filter(move |c| c.norm == norm && c.eps == *eps && c.verdicts.len() == n && n > 0)
}

/// The stage of an ensemble that broke an example; the ensemble itself where that was not kept.
fn stage(cell: &Attacked, i: usize) -> &str {
    let named = &cell.verdicts[i].broken_by;
    if named.is_empty() { &cell.attack } else { named }
}

fn broken(cell: &Attacked, i: usize) -> bool {
    matches!(cell.verdicts[i].fate, Fate::Broken | Fate::Carried)
}

/// Shares in percent over all seeds of a row: wrong clean, each culprit, withstood.
fn shares(trial: &Trial<'_>, records: &[Record], row: &str) -> Option<Vec<f64>> {
    let mut counts = vec![0u64; trial.culprits.len() + 2];
    for record in records.iter().filter(|r| r.row == row && !r.result.attacked.is_empty()) {
        for (i, clean) in record.result.clean.iter().enumerate() {
            let place = if clean.label != clean.predicted {
                0
            } else {
                match (trial.blame)(record, i) {
                    Some(culprit) => 1 + trial.culprits.iter().position(|c| *c == culprit)?,
                    None => counts.len() - 1,
                }
            };
            counts[place] += 1;
        }
    }
    let all: u64 = counts.iter().sum();
    (all > 0).then(|| counts.iter().map(|c| 100.0 * *c as f64 / all as f64).collect())
}
