//! Searches for the smallest perturbation that found none: what they leave is the attack's failure, not robustness.

use crate::unbroken::{Unbroken, fails};
use crate::{Column, Report};
use gauntlet_records::record::MOST_UNBROKEN;

/// What marks such a number and the heading of its column.
pub(crate) const MARK: &str = "‡";

impl Report {
    /// Where the r-th row's number in the k-th column is a search that failed: the share of the correct images that it broke at no
    /// size, in percent, the largest of the seeds.
    pub fn failing(&self, r: usize, k: usize) -> Option<f64> {
        let own = |u: &&Unbroken| u.row == self.rows[r] && u.column == self.columns[k] && u.fails();
        self.unbroken.iter().filter(own).map(|u| u.percent).reduce(f64::max)
    }

    /// Whether any number of the k-th column is one: no row of it is marked as the best.
    pub fn fails(&self, k: usize) -> bool {
        fails(&self.unbroken, &self.columns[k])
    }

    /// The k-th column's heading, marked where a search failed.
    pub(crate) fn marked_heading(&self, k: usize) -> String {
        let mark = if self.fails(k) { format!(" {MARK}") } else { String::new() };
        format!("{}{mark}", self.heading(k))
    }

    /// What the mark means, with the figures; `None`: nothing is marked.
    pub(crate) fn failing_sentence(&self) -> Option<String> {
        let mut attacks: Vec<(String, Vec<String>)> = Vec::new();
        for (k, column) in self.columns.iter().enumerate() {
            let Column::Attack { attack, norm, .. } = column else { continue };
            let name = format!("{attack} {}", norm.symbol());
            // Every budget is read off one search.
            if attacks.iter().any(|a| a.0 == name) {
                continue;
            }
            let row = |r: usize| Some(format!("`{}` {:.1} %", self.rows[r], self.failing(r, k)?));
            let rows: Vec<String> = (0..self.rows.len()).filter_map(row).collect();
            if !rows.is_empty() {
                attacks.push((name, rows));
            }
        }
        let told: Vec<String> = attacks.iter().map(|(name, rows)| format!("{name}: {}", rows.join(", "))).collect();
        (!told.is_empty()).then(|| {
            format!(
                "{MARK}: the search for the smallest perturbation found none of any size for over {:.0} % of the correct images \
                 ({}). What it leaves is its own failure and no robustness: nothing is marked as the best of such a column, and it \
                 makes no worst case alone.",
                100.0 * MOST_UNBROKEN,
                told.join("; ")
            )
        })
    }
}
