//! Two rows on the same images, example by example.
//!
//! A pair compares two trained models of the same seed. What differs between them may be the recipe or the luck of the
//! training: the test says nothing about which.

use crate::Column;
use crate::answers::Answers;
use gauntlet_records::statistics::{detectable, mcnemar};

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
