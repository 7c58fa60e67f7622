//! Columns of a table, and the counts that fill them.

use gauntlet_records::{Eps, Norm, Quantity, statistics::wilson};
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
    /// Proved by one certification at one ε, and broken by no attack.
    Certified {
        /// Label in the suite.
        certify: String,
        /// Norm of the budget.
        norm: Norm,
        /// Budget.
        eps: Eps,
    },
    /// Correct under every attack of that norm and ε, a certification's search included.
    Worst {
        /// Norm of the budget.
        norm: Norm,
        /// Budget.
        eps: Eps,
    },
}

impl Column {
    /// `clean`, `worst case`, or the label of the attack or certification.
    pub fn attack(&self) -> &str {
        match self {
            Column::Clean => "clean",
            Column::Attack { attack, .. } => attack,
            Column::Certified { certify, .. } => certify,
            Column::Worst { .. } => "worst case",
        }
    }
    /// Norm and budget; none for clean.
    pub fn budget(&self) -> Option<(Norm, &Eps)> {
        match self {
            Column::Clean => None,
            Column::Attack { norm, eps, .. } | Column::Certified { norm, eps, .. } | Column::Worst { norm, eps } => {
                Some((*norm, eps))
            }
        }
    }
    /// Whether it speaks for its norm and ε among these columns: clean, a worst case, a certification, an attack that stands alone.
    pub fn decides(&self, among: &[Column]) -> bool {
        let worst = |c: &Column| matches!(c, Column::Worst { .. }) && c.budget() == self.budget();
        !matches!(self, Column::Attack { .. }) || !among.iter().any(worst)
    }
    /// The column of a number that was published; a point of a training curve has none.
    pub fn of(quantity: &Quantity) -> Option<Column> {
        match quantity.clone() {
            Quantity::Clean => Some(Column::Clean),
            Quantity::Attack { attack, norm, eps } => Some(Column::Attack { attack, norm, eps }),
            Quantity::Certified { certify, norm, eps } => Some(Column::Certified { certify, norm, eps }),
            Quantity::Worst { norm, eps } => Some(Column::Worst { norm, eps }),
            Quantity::Curve { .. } => None,
        }
    }
}

/// `clean`, `pgd ε = 0.3`, `pgd L2 ε = 0.5` (L∞ goes without saying).
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.budget() {
            None => f.write_str(self.attack()),
            Some((Norm::Linf, eps)) => write!(f, "{} ε = {eps}", self.attack()),
            Some((norm, eps)) => write!(f, "{} {} ε = {eps}", self.attack(), norm.symbol()),
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
}
