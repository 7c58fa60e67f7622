//! What was published about a number of a suite, and where ours should lie.

use crate::{Eps, Norm};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One published cell, relation or point of a training curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Row of the suite.
    pub row: String,
    /// Which number of that row.
    pub of: Quantity,
    /// The number is the difference to this one: `row`'s minus this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<Operand>,
    /// The published value, in the number's own unit; `None`: only a relation was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Lowest and highest value that counts as reproduced, ends included.
    pub band: (f64, f64),
    /// A second outcome that was published too. With it every seed is judged for itself: the mean of two outcomes is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or: Option<Alternative>,
    /// Where it was published.
    pub source: String,
    /// What the paper ran, where ours is another setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_with: Option<String>,
}

/// A number of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Accuracy in percent without any attack.
    Clean,
    /// Robust accuracy in percent under the attack of that label.
    Attack {
        /// Label in the suite.
        attack: String,
        /// Norm of the budget.
        norm: Norm,
        /// Budget.
        eps: Eps,
    },
    /// Accuracy in percent under all attacks of that norm and ε.
    Worst {
        /// Norm of the budget.
        norm: Norm,
        /// Budget.
        eps: Eps,
    },
    /// A measure or a term of the training curve, times `scale`.
    Curve {
        /// A name of [`CURVE`], or of a term of the recipe's loss.
        curve: String,
        /// Epochs done.
        epoch: u32,
        /// What ours is multiplied by, for the published unit. (Accuracies of a curve are fractions.)
        scale: f64,
    },
}

/// Measures of a training curve that every recipe has, by their names in [`crate::record::Epoch`].
pub const CURVE: [&str; 7] = [
    "clean_accuracy",
    "robust_accuracy",
    "gradient_l1",
    "gradient_l2",
    "alignment",
    "own_fgsm_accuracy",
    "own_pgd_accuracy",
];

/// The other number of a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operand {
    /// Row of the suite.
    pub row: String,
    /// Which number of that row.
    pub of: Quantity,
}

/// The second of two published outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// Lowest and highest value, ends included.
    pub band: (f64, f64),
    /// The flag that the record must carry then, so that the outcome is known for what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

/// `clean`, `pgd ε = 0.3`, `pgd l2 ε = 0.5`, `alignment, epoch 30` (L∞ goes without saying).
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = |f: &mut fmt::Formatter<'_>, attack: &str, norm: &Norm, eps: &Eps| match norm {
            Norm::Linf => write!(f, "{attack} ε = {eps}"),
            _ => write!(f, "{attack} {norm} ε = {eps}"),
        };
        match self {
            Quantity::Clean => f.write_str("clean"),
            Quantity::Attack { attack, norm, eps } => budget(f, attack, norm, eps),
            Quantity::Worst { norm, eps } => budget(f, "worst case", norm, eps),
            Quantity::Curve { curve, epoch, scale } if *scale == 1.0 => write!(f, "{curve}, epoch {epoch}"),
            Quantity::Curve { curve, epoch, scale } => write!(f, "{scale} · {curve}, epoch {epoch}"),
        }
    }
}

impl Expectation {
    /// Whether a value counts as reproduced.
    pub fn holds(&self, value: f64) -> bool {
        inside(self.band, value)
    }
}

impl Alternative {
    /// Whether a value is the second outcome.
    pub fn holds(&self, value: f64) -> bool {
        inside(self.band, value)
    }
}

fn inside((low, high): (f64, f64), value: f64) -> bool {
    // A NaN is inside nothing.
    low <= value && value <= high
}

/// `row: quantity`, or the difference of two.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.minus {
            None => write!(f, "{}: {}", self.row, self.of),
            Some(other) if other.of == self.of => write!(f, "{} − {}: {}", self.row, other.row, self.of),
            Some(other) => write!(f, "{}: {} − {}: {}", self.row, self.of, other.row, other.of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(of: Quantity, minus: Option<Operand>) -> Expectation {
        Expectation {
            row: "at".into(),
            of,
            minus,
            value: Some(90.0),
            band: (82.0, 93.0),
            or: None,
            source: "a table".into(),
            published_with: None,
        }
    }

    #[test]
    fn ends_belong_to_the_band_and_a_nan_to_none() {
        let e = expectation(Quantity::Clean, None);
        assert!(e.holds(82.0) && e.holds(93.0) && !e.holds(81.999) && !e.holds(93.001) && !e.holds(f64::NAN));
    }

    #[test]
    fn it_is_named_and_comes_back_from_json() {
        let eps: Eps = "8/255".parse().unwrap();
        let attack = |norm| Quantity::Attack { attack: "pgd".into(), norm, eps: eps.clone() };
        let plain = Operand { row: "plain".into(), of: attack(Norm::Linf) };
        let e = expectation(attack(Norm::Linf), Some(plain));
        assert_eq!(e.to_string(), "at − plain: pgd ε = 8/255");
        assert_eq!(attack(Norm::L2).to_string(), "pgd l2 ε = 8/255");
        let curve = Quantity::Curve { curve: "jac_sq".into(), epoch: 5, scale: 0.5 };
        assert_eq!(expectation(curve, None).to_string(), "at: 0.5 · jac_sq, epoch 5");
        let json = serde_json::to_string(&e).unwrap();
        assert_eq!(serde_json::from_str::<Expectation>(&json).unwrap(), e);
    }
}
