//! The transfer matrix: examples crafted on one model, tried on the others.

use super::classes::heat_map_line;
use super::plot::{Plot, Subject, one, parts, slug};
use super::{heat_map, strictest};
use crate::{Report, Result};
use gauntlet_records::{Eps, Norm};

/// Rows of one picture.
const MOST: usize = 30;

/// How a suite labels an attack that was crafted elsewhere.
const LABEL: &str = "transfer from ";

/// A picture for every norm and ε with columns of that kind.
pub(super) fn plots(report: &Report) -> Result<Vec<Plot>> {
    let mut budgets: Vec<(Norm, Eps)> = Vec::new();
    for (norm, eps) in report.columns.iter().filter(|c| c.attack().starts_with(LABEL)).filter_map(|c| c.budget()) {
        if !budgets.contains(&(norm, eps.clone())) {
            budgets.push((norm, eps.clone()));
        }
    }
    let mut plots = Vec::new();
    for (norm, eps) in budgets {
        let columns: Vec<(usize, String)> = report
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| c.budget() == Some((norm, &eps)))
            .filter_map(|(k, c)| Some((k, c.attack().strip_prefix(LABEL)?.to_string())))
            .collect();
        let names: Vec<String> = columns.iter().map(|c| c.1.clone()).collect();
        for (range, file, of) in parts(report.rows.len(), MOST) {
            let value = |r: usize, k: usize| report.summary.value(r, k).map(|v| v.mean);
            let lines: Vec<(String, Vec<Option<f64>>)> =
                range.map(|r| (report.rows[r].clone(), columns.iter().map(|(k, _)| value(r, *k)).collect())).collect();
            let title =
                format!("Accuracy in percent on what was crafted elsewhere, {}{of}", strictest::budget(norm, &eps));
            let told = lines.iter().map(|(row, values)| {
                let each = names.iter().zip(values).filter_map(|(name, v)| Some(format!("{} on {name}'s", one((*v)?))));
                format!("{row}: {}", each.collect::<Vec<_>>().join(", "))
            });
            plots.push(Plot {
                name: format!("transfer-{}{file}", slug(&format!("{norm}-{eps}"))),
                subject: Subject::Transfer,
                leads: false,
                description: format!(
                    "A row for each model that is attacked, a column for each that the examples were made on. {}.",
                    told.collect::<Vec<_>>().join("; ")
                ),
                drawing: heat_map::draw(&title, &names, &lines)?,
                header: std::iter::once("attacked".to_string())
                    .chain(names.iter().map(|n| format!("made on {n}")))
                    .collect(),
                lines: lines.iter().map(|(row, values)| heat_map_line(row, values)).collect(),
                title,
            });
        }
    }
    Ok(plots)
}
