//! Two rows on the same images, example by example.
//!
//! A pair compares two trained models of the same seed. What differs between them may be the recipe or the luck of the
//! training: the test says nothing about which.

use crate::answers::Answers;
use crate::{Column, Standings};
use gauntlet_records::statistics::{detectable, mcnemar};

/// With more rows than this, rows are paired with the best of their column alone, and lists by row are left to the CSV.
pub(crate) const MANY_ROWS: usize = 30;

/// One seed of two rows in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Index of the first row in the report's rows.
    pub a: usize,
    /// Index of the second.
    pub b: usize,
    /// Index of the column.
    pub column: usize,
    /// Training seed of both.
    pub seed: u64,
    /// Examples.
    pub n: u64,
    /// Examples that only the first row gets right.
    pub only_a: u64,
    /// Examples that only the second row gets right.
    pub only_b: u64,
    /// McNemar's exact two-sided p-value.
    pub p: f64,
}

impl Pair {
    /// Share of the examples that exactly one of the two gets right.
    pub fn discordance(&self) -> f64 {
        (self.only_a + self.only_b) as f64 / self.n as f64
    }
    /// Smallest difference in percentage points that the test would find with 80 % power at this discordance.
    pub fn detectable(&self) -> Option<f64> {
        detectable(self.n, self.discordance()).map(|d| 100.0 * d)
    }
}

/// Each row's answers, one per seed.
pub(crate) type Rows<'a> = Vec<Vec<Answers<'a>>>;

/// The pairs of two rows in one column: one for every seed that both have, on the same images.
pub(crate) fn compared(rows: &Rows<'_>, columns: &[Column], column: usize, a: usize, b: usize) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for x in &rows[a] {
        let Some(y) = rows[b].iter().find(|y| y.record.seed == x.record.seed) else { continue };
        let (Some(right), Some(other)) = (x.right(&columns[column]), y.right(&columns[column])) else { continue };
        if !x.pairs_with(y) {
            continue;
        }
        let (mut n, mut only_a, mut only_b) = (0, 0, 0);
        for (r, o) in right.iter().zip(other).filter_map(|(r, o)| r.zip(*o)) {
            n += 1;
            only_a += u64::from(r && !o);
            only_b += u64::from(o && !r);
        }
        let seed = x.record.seed;
        if n == 0 {
            continue;
        }
        pairs.push(Pair { a, b, column, seed, n, only_a, only_b, p: mcnemar(only_a, only_b) });
    }
    pairs
}

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
