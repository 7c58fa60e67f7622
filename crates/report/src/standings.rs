//! Which rows can be told apart from the best of their column.

use crate::answers::Answers;
use crate::pair::{Rows, compared};
use crate::{Column, Summary};
use gauntlet_records::statistics::holm;

/// How a row stands to the best of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The highest mean; of equal ones, the first.
    Best,
    /// Cannot be told apart from the best at 5 %.
    Alike,
    /// Below the best.
    Below,
    /// Shares no seed with the best, or was attacked on other images.
    Unpaired,
}

/// The standing of every row in every column.
///
/// Per seed, McNemar's exact test compares the row's model with the best row's on the same images. A row is below the best
/// if that is found for every seed: its p-value is the largest of the seeds', 1 for a seed where the row is ahead. These are
/// corrected by Holm over the rows of the column: the level holds within a column, not for the table as a whole. (The best was
/// chosen by the same data, which favours it a little.)
#[derive(Debug, Clone)]
pub struct Standings {
    columns: Vec<Vec<Option<Standing>>>,
}

impl Standings {
    /// `fails`: columns in which an attack failed; nothing stands there.
    pub(crate) fn new(rows: &Rows<'_>, columns: &[Column], summary: &Summary, fails: &[bool]) -> Standings {
        let column = |k: usize| {
            if fails[k] {
                return vec![None; rows.len()];
            }
            let means: Vec<Option<f64>> = (0..rows.len()).map(|r| summary.value(r, k).map(|v| v.mean)).collect();
            let mut best: Option<(usize, f64)> = None;
            for (r, mean) in means.iter().enumerate() {
                best = match (best, *mean) {
                    (Some((_, highest)), Some(mean)) if mean <= highest => best,
                    (_, Some(mean)) => Some((r, mean)),
                    _ => best,
                };
            }
            let Some((best, _)) = best else { return vec![None; rows.len()] };
            let mut standings: Vec<Option<Standing>> = means.iter().map(|m| m.map(|_| Standing::Unpaired)).collect();
            standings[best] = Some(Standing::Best);
            let others = (0..rows.len()).filter(|r| *r != best && means[*r].is_some());
            let (others, p): (Vec<usize>, Vec<f64>) =
                others.filter_map(|r| Some((r, largest(rows, columns, k, best, r)?))).unzip();
            for (r, p) in others.into_iter().zip(holm(&p)) {
                standings[r] = Some(if p <= 0.05 { Standing::Below } else { Standing::Alike });
            }
            standings
        };
        Standings { columns: (0..columns.len()).map(column).collect() }
    }

    /// Of the r-th row in the k-th column; `None` where nothing was counted.
    pub fn of(&self, r: usize, k: usize) -> Option<Standing> {
        self.columns[k][r]
    }

    /// The best row of the k-th column.
    pub fn best(&self, k: usize) -> Option<usize> {
        self.columns[k].iter().position(|s| *s == Some(Standing::Best))
    }

    /// Whether any row of the k-th column is found to be below its best: where none is, being the best means nothing.
    pub fn tells_apart(&self, k: usize) -> bool {
        self.columns[k].contains(&Some(Standing::Below))
    }

    /// Whether any row of the k-th column was compared with its best.
    pub fn compares(&self, k: usize) -> bool {
        self.tells_apart(k) || self.columns[k].contains(&Some(Standing::Alike))
    }

    /// Rows that were not compared with the best of some column.
    pub fn unpaired(&self) -> Vec<usize> {
        let rows = self.columns.first().map_or(0, Vec::len);
        (0..rows).filter(|r| self.columns.iter().any(|c| c[*r] == Some(Standing::Unpaired))).collect()
    }
}

/// The largest p-value over the seeds that both rows have; `None`: they have none.
fn largest(rows: &Rows<'_>, columns: &[Column], column: usize, best: usize, row: usize) -> Option<f64> {
    let pairs = compared(rows, columns, column, best, row);
    pairs.iter().map(|p| if p.only_a > p.only_b { p.p } else { 1.0 }).reduce(f64::max)
}

/// Answers by row, in the rows' order.
pub(crate) fn by_row<'a>(rows: &[String], answers: Vec<Answers<'a>>) -> Rows<'a> {
    let mut grouped: Rows<'a> = rows.iter().map(|_| Vec::new()).collect();
    for a in answers {
        if let Some(r) = rows.iter().position(|row| *row == a.record.row) {
            grouped[r].push(a);
        }
    }
    grouped
}
