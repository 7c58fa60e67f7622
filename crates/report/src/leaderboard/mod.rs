//! Rows of any number of reports in one order: by accuracy under the worst case, ties where intervals overlap.
//!
//! Only what was attacked with the same norm and budget on the same data set stands on one board. Which attacks an entry
//! withstood is told beside it: a worst case is as hard as the hardest of them.

mod forms;
mod terminal;

use crate::{Column, Folder, Report, Result};
use gauntlet_core::{Eps, Norm, Record};
use serde::Serialize;
use serde_json::Value;

/// One row of one report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// One more than the number of entries whose interval lies above this one's.
    pub rank: usize,
    /// Row of its suite.
    pub row: String,
    /// Its suite.
    pub suite: String,
    /// Architecture.
    pub model: String,
    /// Accuracy in percent without any attack, mean over seeds.
    pub clean: f64,
    /// Accuracy in percent under the worst case, mean over seeds.
    pub robust: f64,
    /// Standard deviation over seeds.
    pub sd: f64,
    /// Lowest lower end of the seeds' 95 % intervals.
    pub low: f64,
    /// Highest upper end of the seeds' 95 % intervals.
    pub high: f64,
    /// Trainings.
    pub seeds: u32,
    /// Examples of each.
    pub n: u64,
    /// The attacks that make the worst case.
    pub attacks: Vec<String>,
    /// Flags that the referee raised for any seed.
    pub flags: Vec<String>,
}

/// Entries that may be compared, the best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Board {
    /// Data set.
    pub data: String,
    /// Norm of the budget.
    pub norm: Norm,
    /// Budget.
    pub eps: Eps,
    /// In order of rank, then of accuracy.
    pub standings: Vec<Ranked>,
}

/// Every board that some reports give.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leaderboard {
    /// By data set, norm and budget.
    pub boards: Vec<Board>,
    /// What is wrong with the folders, and which rows were left out, one sentence each.
    pub problems: Vec<String>,
}

impl Leaderboard {
    /// Ranks the rows of these folders.
    ///
    /// # Errors
    /// An aggregation fails.
    pub fn new(folders: &[Folder]) -> Result<Leaderboard> {
        let mut board = Leaderboard { boards: Vec::new(), problems: Vec::new() };
        for folder in folders {
            board.add(folder)?;
        }
        for board in &mut board.boards {
            rank(&mut board.standings);
        }
        board.boards.sort_by(|a, b| (&a.data, a.norm, &a.eps).cmp(&(&b.data, b.norm, &b.eps)));
        Ok(board)
    }

    fn add(&mut self, folder: &Folder) -> Result<()> {
        let report = Report::new(folder)?;
        let suite = &report.suite;
        self.problems.extend(report.problems.iter().map(|p| format!("{suite}: {p}")));
        for failure in &report.failures {
            self.problems.push(format!(
                "{suite}: `{}` is left out, seed {} of it failed: {}",
                failure.row, failure.seed, failure.reason
            ));
        }
        let strictest = crate::plots::strictest::columns(&report.columns);
        let clean = report.columns.iter().position(|c| *c == Column::Clean);
        for (r, row) in report.rows.iter().enumerate().filter(|(_, row)| !report.failed(row)) {
            let records: Vec<&Record> = folder.records.iter().filter(|r| r.row == *row).collect();
            for (k, norm, eps) in &strictest {
                let values = clean.and_then(|c| Some((report.summary.value(r, c)?, report.summary.value(r, *k)?)));
                let Some((clean, robust)) = values else { continue };
                let standing = Ranked {
                    rank: 0,
                    row: row.clone(),
                    suite: suite.clone(),
                    model: setting(&records, "/training/model/name"),
                    clean: clean.mean,
                    robust: robust.mean,
                    sd: robust.sd,
                    low: robust.low,
                    high: robust.high,
                    seeds: robust.seeds,
                    n: robust.n,
                    attacks: attacks(&records, *norm, eps),
                    flags: flags(&records),
                };
                self.enter(setting(&records, "/data"), *norm, eps, standing);
            }
        }
        Ok(())
    }

    fn enter(&mut self, data: String, norm: Norm, eps: &Eps, standing: Ranked) {
        let is = |b: &&mut Board| (&b.data, b.norm, &b.eps) == (&data, norm, eps);
        match self.boards.iter_mut().find(is) {
            Some(board) => board.standings.push(standing),
            None => self.boards.push(Board { data, norm, eps: eps.clone(), standings: vec![standing] }),
        }
    }
}

/// Orders by accuracy and counts for each how many are better beyond doubt.
fn rank(standings: &mut [Ranked]) {
    standings.sort_by(|a, b| {
        b.robust
            .total_cmp(&a.robust)
            .then(b.clean.total_cmp(&a.clean))
            .then_with(|| (&a.suite, &a.row).cmp(&(&b.suite, &b.row)))
    });
    let lows: Vec<f64> = standings.iter().map(|s| s.low).collect();
    for standing in standings {
        standing.rank = 1 + lows.iter().filter(|low| **low > standing.high).count();
    }
}

fn setting(records: &[&Record], pointer: &str) -> String {
    let value = records.iter().find_map(|r| r.result.configuration.pointer(pointer)).and_then(Value::as_str);
    value.unwrap_or("unknown").to_string()
}

fn attacks(records: &[&Record], norm: Norm, eps: &Eps) -> Vec<String> {
    let cells = records.iter().flat_map(|r| &r.result.attacked).filter(|c| c.norm == norm && c.eps == *eps);
    distinct(cells.map(|c| c.attack.clone()))
}

fn flags(records: &[&Record]) -> Vec<String> {
    distinct(records.iter().flat_map(|r| &r.result.flags).map(|f| f.name.clone()))
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_intervals_share_a_rank() {
        let standing = |row: &str, robust: f64, half: f64| Ranked {
            rank: 0,
            row: row.into(),
            suite: "s".into(),
            model: "m".into(),
            clean: 90.0,
            robust,
            sd: 0.0,
            low: robust - half,
            high: robust + half,
            seeds: 1,
            n: 100,
            attacks: vec![],
            flags: vec![],
        };
        let mut standings =
            [standing("d", 20.0, 3.0), standing("b", 58.0, 3.0), standing("a", 60.0, 3.0), standing("c", 53.0, 3.0)];
        rank(&mut standings);
        let ranks: Vec<(&str, usize)> = standings.iter().map(|s| (s.row.as_str(), s.rank)).collect();
        // b cannot be told from a, nor c from b; but a is better than c.
        assert_eq!(ranks, [("a", 1), ("b", 1), ("c", 2), ("d", 4)]);
    }
}
