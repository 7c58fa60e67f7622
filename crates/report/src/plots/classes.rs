//! Accuracy per class, clean and in the strictest column of every budget.

use super::plot::{Plot, Subject, one, parts, slug};
use super::{heat_map, strictest};
use crate::answers::Answers;
use crate::{Column, Report, Result};
use gauntlet_records::Record;
use serde_json::Value;

/// Rows of one picture.
const MOST: usize = 30;

/// Classes beyond which a picture would be unreadable.
const MOST_CLASSES: usize = 40;

/// A picture for clean images and for every norm and ε.
pub(super) fn plots(report: &Report, records: &[Record]) -> Result<Vec<Plot>> {
    let names = names(records);
    let mut plots = Vec::new();
    if names.is_empty() || names.len() > MOST_CLASSES {
        return Ok(plots);
    }
    let mut columns: Vec<&Column> = report.columns.iter().filter(|c| **c == Column::Clean).collect();
    columns.extend(strictest::columns(report).iter().map(|c| &report.columns[c.0]));
    for column in columns {
        for (range, file, of) in parts(report.rows.len(), MOST) {
            let lines: Vec<(String, Vec<Option<f64>>)> = report.rows[range]
                .iter()
                .map(|row| (row.clone(), accuracies(column, records, row, names.len())))
                .filter(|(_, values)| values.iter().any(Option::is_some))
                .collect();
            if lines.is_empty() {
                continue;
            }
            let title = format!("Accuracy per class in percent, {column}{of}");
            let file_of = match column.budget() {
                None => "clean".to_string(),
                Some((norm, eps)) => slug(&format!("{norm}-{eps}")),
            };
            let told = lines.iter().map(|(row, values)| {
                let known = values.iter().enumerate().filter_map(|(k, v)| Some((k, (*v)?)));
                let worst = known.clone().min_by(|a, b| a.1.total_cmp(&b.1));
                let best = known.max_by(|a, b| a.1.total_cmp(&b.1));
                match (worst, best) {
                    (Some((w, low)), Some((b, high))) => {
                        format!("{row} from {} for {} to {} for {}", one(low), names[w], one(high), names[b])
                    }
                    _ => row.clone(),
                }
            });
            plots.push(Plot {
                name: format!("classes-{file_of}{file}"),
                subject: Subject::Classes,
                leads: false,
                description: format!("A table of colours: {}.", told.collect::<Vec<_>>().join("; ")),
                drawing: heat_map::draw(&title, &names, &lines)?,
                header: std::iter::once("recipe".to_string()).chain(names.iter().cloned()).collect(),
                lines: lines.iter().map(|(row, values)| heat_map_line(row, values)).collect(),
                title,
            });
        }
    }
    Ok(plots)
}

/// A line of numbers for a line of colours.
pub(super) fn heat_map_line(row: &str, values: &[Option<f64>]) -> Vec<String> {
    std::iter::once(row.to_string()).chain(values.iter().map(|v| v.map_or("–".into(), one))).collect()
}

/// The classes as the data set names them.
fn names(records: &[Record]) -> Vec<String> {
    let told = records.iter().find_map(|r| r.result.configuration.get("classes")?.as_array());
    if let Some(told) = told {
        return told.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_string)).collect();
    }
    let highest = records.iter().flat_map(|r| &r.result.clean).map(|v| v.label).max();
    highest.map_or_else(Vec::new, |k| (0..=k).map(|k| Value::from(k).to_string()).collect())
}

/// Accuracy in percent of each class over all seeds of a row.
fn accuracies(column: &Column, records: &[Record], row: &str, classes: usize) -> Vec<Option<f64>> {
    let mut counts = vec![(0u64, 0u64); classes];
    for record in records.iter().filter(|r| r.row == row) {
        let answers = Answers::of(record);
        let right = answers.right_or_alone(column).unwrap_or_default();
        for (clean, right) in record.result.clean.iter().zip(right).filter_map(|(c, r)| Some((c, (*r)?))) {
            if let Some((all, correct)) = counts.get_mut(clean.label as usize) {
                *all += 1;
                *correct += u64::from(right);
            }
        }
    }
    counts.iter().map(|(all, correct)| (*all > 0).then(|| 100.0 * *correct as f64 / *all as f64)).collect()
}
