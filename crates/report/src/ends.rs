//! Both ends of a robust accuracy: what is proved, and what no attack breaks.

use crate::{Column, Report, Value};

/// A robust accuracy from both sides, over the seeds of its row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// Proved by the certification that proves most.
    pub proved: Value,
    /// Right under every attack.
    pub attacked: Value,
    /// Of every training, the two are one.
    pub exact: bool,
}

impl Report {
    /// Both ends of the r-th row in the k-th column; `None`: it is no worst case, or nothing was to be proved at its norm and ε.
    pub fn ends(&self, r: usize, k: usize) -> Option<Ends> {
        let column = &self.columns[k];
        if !matches!(column, Column::Worst { .. }) {
            return None;
        }
        let same = |c: &usize| {
            matches!(self.columns[*c], Column::Certified { .. }) && self.columns[*c].budget() == column.budget()
        };
        let attacked = self.summary.value(r, k)?;
        let beside = (0..self.columns.len()).filter(same).filter_map(|c| Some((c, self.summary.value(r, c)?)));
        let (best, proved) = beside.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))?;
        let count = |c: &Column, seed: u64| self.count(&self.rows[r], seed, c).map(|c| (c.n, c.correct));
        let exact = self.seeds.iter().all(|seed| count(column, *seed) == count(&self.columns[best], *seed));
        Some(Ends { proved, attacked, exact })
    }

    /// Both ends as a cell: `91.3–93.8`, or `95.3 (exact)` where they meet.
    pub(crate) fn between(&self, r: usize, k: usize) -> Option<String> {
        let Ends { proved, attacked, exact } = self.ends(r, k)?;
        let one =
            |v: Value| if v.seeds > 1 { format!("{:.1} ± {:.1}", v.mean, v.sd) } else { format!("{:.1}", v.mean) };
        Some(match (exact, attacked.seeds > 1) {
            (true, _) => format!("{} (exact)", one(attacked)),
            (false, false) => format!("{}–{}", one(proved), one(attacked)),
            (false, true) => format!("{} – {}", one(proved), one(attacked)),
        })
    }
}
