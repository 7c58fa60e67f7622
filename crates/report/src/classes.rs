//! Accuracy class by class.
//!
//! Looked at clean, and per norm in the column that speaks for the largest ε at which some row still holds more than a model
//! that names one class always: lower than that, classes say nothing.

use crate::pair::Rows;
use crate::{Column, Summary};
use gauntlet_records::statistics::{mean_sd, wilson};

/// How many examples of one class one training got right in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassCount {
    /// Index of the row.
    pub row: usize,
    /// Training seed.
    pub seed: u64,
    /// Index of the column.
    pub column: usize,
    /// Name of the class.
    pub class: String,
    /// Examples of that class.
    pub n: u64,
    /// Correct ones.
    pub correct: u64,
}

impl ClassCount {
    /// Accuracy in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.correct as f64 / self.n as f64
    }
    /// Wilson's 95 % interval in percent.
    pub fn interval(&self) -> (f64, f64) {
        let (low, high) = wilson(self.correct, self.n, 1.96);
        (100.0 * low, 100.0 * high)
    }
}

/// The class that a row holds worst in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct WorstClass {
    /// Index of the row.
    pub row: usize,
    /// Index of the column.
    pub column: usize,
    /// Its name, the first of several that share the lowest mean over seeds.
    pub class: String,
    /// How many other classes share it.
    pub ties: usize,
    /// Examples of it in each training.
    pub n: u64,
    /// Trainings.
    pub seeds: usize,
    /// Mean accuracy over seeds, in percent.
    pub mean: f64,
    /// Sample standard deviation over seeds (0 for one).
    pub sd: f64,
    /// Wilson's 95 % interval of the first training, in percent.
    pub interval: (f64, f64),
    /// Mean over classes of their mean accuracies, in percent.
    pub all: f64,
    /// Classes with examples.
    pub classes: usize,
}

/// Counts per row × seed × column × class, in that order. Classes without examples are left out, and columns in which an attack
/// failed (`fails`).
pub(crate) fn counts(rows: &Rows<'_>, columns: &[Column], summary: &Summary, fails: &[bool]) -> Vec<ClassCount> {
    let mut counts = Vec::new();
    let chosen = chosen(rows, columns, summary, fails);
    for (row, answers) in rows.iter().enumerate() {
        for a in answers {
            let labels: Vec<usize> = a.record.result.clean.iter().map(|v| v.label as usize).collect();
            let names = a.record.result.configuration.get("classes").and_then(|c| c.as_array());
            for &column in &chosen {
                let Some(right) = a.right(&columns[column]) else { continue };
                let mut tally = vec![(0, 0); labels.iter().max().map_or(0, |l| l + 1)];
                for (&label, right) in labels.iter().zip(right).filter_map(|(l, r)| Some((l, (*r)?))) {
                    tally[label].0 += 1;
                    tally[label].1 += u64::from(right);
                }
                for (label, (n, correct)) in tally.into_iter().enumerate().filter(|(_, t)| t.0 > 0) {
                    let name = names.and_then(|names| names.get(label)?.as_str());
                    let class = name.map_or_else(|| label.to_string(), str::to_string);
                    counts.push(ClassCount { row, seed: a.record.seed, column, class, n, correct });
                }
            }
        }
    }
    counts
}

/// Clean, and the columns of the module's rule.
fn chosen(rows: &Rows<'_>, columns: &[Column], summary: &Summary, fails: &[bool]) -> Vec<usize> {
    let constant = constant(rows);
    let holds = |k: usize| (0..rows.len()).filter_map(|r| summary.value(r, k)).any(|v| v.low > constant);
    let mut chosen: Vec<usize> = (0..columns.len()).filter(|k| columns[*k] == Column::Clean).collect();
    for k in (0..columns.len()).filter(|k| columns[*k].decides(columns) && !fails[*k]) {
        let Some((norm, eps)) = columns[k].budget().filter(|_| holds(k)) else { continue };
        let of_norm = |c: &usize| columns[*c].budget().is_some_and(|b| b.0 == norm);
        match chosen.iter().position(of_norm) {
            Some(at) if columns[chosen[at]].budget().is_some_and(|b| b.1 < eps) => chosen[at] = k,
            Some(_) => {}
            None => chosen.push(k),
        }
    }
    chosen.sort_unstable();
    chosen
}

/// What the most frequent class alone gives, in percent.
fn constant(rows: &Rows<'_>) -> f64 {
    let Some(first) = rows.iter().flatten().find(|a| !a.record.result.clean.is_empty()) else { return 0.0 };
    let mut labels: Vec<u32> = first.record.result.clean.iter().map(|v| v.label).collect();
    labels.sort_unstable();
    let most = labels.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap_or(0);
    100.0 * most as f64 / labels.len() as f64
}

/// Per column and row, the class with the lowest mean over seeds; none where there is but one class, or where the row holds no
/// more than a model that names one class always.
pub(crate) fn worst(counts: &[ClassCount], rows: &Rows<'_>, summary: &Summary) -> Vec<WorstClass> {
    let constant = constant(rows);
    let mut list: Vec<WorstClass> = Vec::new();
    for group in counts.chunk_by(|c, d| c.row == d.row) {
        let mut columns: Vec<usize> = group.iter().map(|c| c.column).collect();
        columns.sort_unstable();
        columns.dedup();
        for column in columns {
            if summary.value(group[0].row, column).is_none_or(|v| v.mean <= constant) {
                continue;
            }
            let cell: Vec<&ClassCount> = group.iter().filter(|c| c.column == column).collect();
            let mut names: Vec<&str> = Vec::new();
            for c in &cell {
                if !names.contains(&c.class.as_str()) {
                    names.push(&c.class);
                }
            }
            let of = |name: &str| cell.iter().filter(|c| c.class == name).map(|c| c.percent()).collect::<Vec<_>>();
            let means: Vec<(f64, f64)> = names.iter().filter_map(|name| mean_sd(&of(name))).collect();
            let lowest = means.iter().map(|m| m.0).fold(f64::INFINITY, f64::min);
            let Some(at) = means.iter().position(|m| m.0 == lowest).filter(|_| names.len() > 1) else { continue };
            let Some(first) = cell.iter().find(|c| c.class == names[at]) else { continue };
            list.push(WorstClass {
                row: first.row,
                column,
                class: first.class.clone(),
                ties: means.iter().filter(|m| m.0 == lowest).count() - 1,
                n: first.n,
                seeds: of(names[at]).len(),
                mean: means[at].0,
                sd: means[at].1,
                interval: first.interval(),
                all: means.iter().map(|m| m.0).sum::<f64>() / means.len() as f64,
                classes: names.len(),
            });
        }
    }
    list.sort_by_key(|w| (w.column, w.row));
    list
}
