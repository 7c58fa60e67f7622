//! All pairs of rows, and what they can tell apart.

use crate::pair::{Pair, Rows, compared};
use crate::{Column, Standings};
use gauntlet_records::statistics::detectable;

/// With more rows than this, rows are paired with the best of their column alone, and lists by row are left to the CSV.
pub(crate) const MANY_ROWS: usize = 30;

/// All pairs of rows (of many rows: each with the best) in the columns that speak for their norm and ε; `fails`:
/// columns in which an attack failed, where none are.
pub(crate) fn of(rows: &Rows<'_>, columns: &[Column], standings: &Standings, fails: &[bool]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for k in (0..columns.len()).filter(|k| columns[*k].decides(columns) && !fails[*k]) {
        for a in 0..rows.len() {
            for b in a + 1..rows.len() {
                let best = standings.best(k);
                if rows.len() <= MANY_ROWS || best == Some(a) || best == Some(b) {
                    pairs.extend(compared(rows, columns, k, a, b));
                }
            }
        }
    }
    pairs
}

/// What the pairs of one column can tell apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Index of the column.
    pub column: usize,
    /// Fewest examples of its pairs.
    pub n: u64,
    /// Median over its pairs of the share of examples that exactly one of the two gets right.
    pub discordance: f64,
    /// Smallest difference in percentage points found with 80 % power at that discordance; `None`: n is too small for any.
    pub detectable: Option<f64>,
}

/// Of every column that has pairs.
pub(crate) fn power(pairs: &[Pair]) -> Vec<Power> {
    let mut list = Vec::new();
    for group in pairs.chunk_by(|p, q| p.column == q.column) {
        let n = group.iter().map(|p| p.n).min().unwrap_or(0);
        let mut shares: Vec<f64> = group.iter().map(Pair::discordance).collect();
        shares.sort_by(f64::total_cmp);
        let discordance = (shares[(shares.len() - 1) / 2] + shares[shares.len() / 2]) / 2.0;
        let detectable = detectable(n, discordance).map(|d| 100.0 * d);
        list.push(Power { column: group[0].column, n, discordance, detectable });
    }
    list
}
