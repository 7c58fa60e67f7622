//! Both ends of a robust accuracy: what is proved, and what no attack breaks.

use crate::{Column, Count, Report, Value};
use std::collections::BTreeMap;

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

/// Which rows are proved better than which others: of every training of the first more examples are proved than withstand every
/// attack of the other's training of that seed. One sentence for every column and row that is.
pub(crate) fn proved_better(rows: &[String], columns: &[Column], counts: &[Count]) -> Vec<String> {
    let mut sentences = Vec::new();
    for worst in columns.iter().filter(|c| matches!(c, Column::Worst { .. })) {
        let of = |row: &str, column: &Column| -> BTreeMap<u64, (u64, u64)> {
            let own = counts.iter().filter(|c| c.row == row && c.column == *column);
            own.map(|c| (c.seed, (c.n, c.correct))).collect()
        };
        let certified: Vec<&Column> =
            columns.iter().filter(|c| matches!(c, Column::Certified { .. }) && c.budget() == worst.budget()).collect();
        for row in rows {
            let better = |other: &&String| {
                let theirs = of(other, worst);
                let beats = |column: &&Column| {
                    let ours = of(row, column);
                    let each = |(seed, (n, proved)): (&u64, &(u64, u64))| {
                        theirs.get(seed).is_some_and(|(m, attacked)| n == m && proved > attacked)
                    };
                    !ours.is_empty() && ours.iter().all(each)
                };
                *other != row && certified.iter().any(beats)
            };
            let beaten: Vec<String> = rows.iter().filter(better).map(|r| format!("`{r}`")).collect();
            if let (false, Some((norm, eps))) = (beaten.is_empty(), worst.budget()) {
                let at = format!("{} ε = {eps}", norm.symbol());
                sentences.push(format!(
                    "At {at} `{row}` is proved better than {} on these images: more of them are proved than withstand every attack there",
                    beaten.join(", ")
                ));
            }
        }
    }
    sentences
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
