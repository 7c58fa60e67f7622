//! Columns of a table, and the counts that fill them.

use gauntlet_core::record::Fate;
use gauntlet_core::statistics::wilson;
use gauntlet_core::{Eps, Norm, Record};
use std::fmt;

/// What a number of the table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Correct without any attack.
    Clean,
    /// Correct under one attack at one ε.
    Attack {
        /// Label in the suite.
        attack: String,
        /// Norm of the budget.
        norm: Norm,
        /// Budget.
        eps: Eps,
    },
    /// Correct under every attack of that norm and ε.
    Worst {
        /// Norm of the budget.
        norm: Norm,
        /// Budget.
        eps: Eps,
    },
}

impl Column {
    /// `clean`, `worst case`, or the attack's label.
    pub fn attack(&self) -> &str {
        match self {
            Column::Clean => "clean",
            Column::Attack { attack, .. } => attack,
            Column::Worst { .. } => "worst case",
        }
    }
    /// Norm and budget; none for clean.
    pub fn budget(&self) -> Option<(Norm, &Eps)> {
        match self {
            Column::Clean => None,
            Column::Attack { norm, eps, .. } | Column::Worst { norm, eps } => Some((*norm, eps)),
        }
    }
}

/// `clean`, `pgd ε = 0.3`, `pgd l2 ε = 0.5` (L∞ goes without saying).
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.budget() {
            None => f.write_str(self.attack()),
            Some((Norm::Linf, eps)) => write!(f, "{} ε = {eps}", self.attack()),
            Some((norm, eps)) => write!(f, "{} {norm} ε = {eps}", self.attack()),
        }
    }
}

/// How many examples one training got right in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// What was counted.
    pub column: Column,
    /// Examples.
    pub n: u64,
    /// Correct ones.
    pub correct: u64,
}

impl Count {
    /// Accuracy in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.correct as f64 / self.n as f64
    }
    /// Wilson's 95 % interval in percent.
    pub fn interval(&self) -> (f64, f64) {
        let (low, high) = wilson(self.correct, self.n, 1.96);
        (100.0 * low, 100.0 * high)
    }

    /// All counts of a record: clean, each attack × ε in the record's order, worst cases where several attacks share a
    /// norm and ε. An attack without a verdict on every example (it failed on the way) has no count.
    pub fn of(record: &Record) -> Vec<Count> {
        let result = &record.result;
        let n = result.clean.len();
        if n == 0 {
            return Vec::new();
        }
        let count = |column, correct: usize| Count {
            row: record.row.clone(),
            seed: record.seed,
            column,
            n: n as u64,
            correct: correct as u64,
        };
        let right = result.clean.iter().filter(|v| v.label == v.predicted).count();
        let mut counts = vec![count(Column::Clean, right)];
        // Per norm and ε: how many attacks, and which examples survived all of them.
        let mut worst: Vec<(Norm, Eps, usize, Vec<bool>)> = Vec::new();
        for cell in result.attacked.iter().filter(|c| c.verdicts.len() == n) {
            let robust: Vec<bool> = cell.verdicts.iter().map(|v| v.fate == Fate::Robust).collect();
            let column = Column::Attack { attack: cell.attack.clone(), norm: cell.norm, eps: cell.eps.clone() };
            counts.push(count(column, robust.iter().filter(|r| **r).count()));
            match worst.iter_mut().find(|w| (w.0, &w.1) == (cell.norm, &cell.eps)) {
                Some((.., attacks, all)) => {
                    *attacks += 1;
                    all.iter_mut().zip(&robust).for_each(|(a, r)| *a &= r);
                }
                None => worst.push((cell.norm, cell.eps.clone(), 1, robust)),
            }
        }
        worst.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (norm, eps, attacks, all) in worst {
            if attacks > 1 {
                counts.push(count(Column::Worst { norm, eps }, all.iter().filter(|r| **r).count()));
            }
        }
        counts
    }
}
