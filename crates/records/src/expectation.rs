//! What was published about a number of a suite, and where ours should lie.

use crate::statistics::wilson_share;
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
    /// The published value, in the number's own unit; `None`: no number was published, and the expectation is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Standard deviation of the published value over trainings, or of reading it off a plot, in its unit; `None`: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<f64>,
    /// Test images that the published accuracy was measured on; `None`: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Where ours is compatible with what was published, if it does not reproduce the value: an ordering, a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// A second outcome that was published too. With it every seed is judged for itself: the mean of two outcomes is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or: Option<Alternative>,
    /// Where it was published; `None`: nowhere, it is an observation of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
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
    /// Share in percent that a certification proves.
    Certified {
        /// Label in the suite.
        certify: String,
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
    /// Where it lies.
    pub band: Band,
    /// The flag that the record must carry then, so that the outcome is known for what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

/// `clean`, `pgd ε = 0.3`, `pgd L2 ε = 0.5`, `alignment, epoch 30` (L∞ goes without saying).
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = |f: &mut fmt::Formatter<'_>, attack: &str, norm: &Norm, eps: &Eps| match norm {
            Norm::Linf => write!(f, "{attack} ε = {eps}"),
            _ => write!(f, "{attack} {} ε = {eps}", norm.symbol()),
        };
        match self {
            Quantity::Clean => f.write_str("clean"),
            Quantity::Attack { attack, norm, eps } => budget(f, attack, norm, eps),
            Quantity::Certified { certify, norm, eps } => budget(f, certify, norm, eps),
            Quantity::Worst { norm, eps } => budget(f, "worst case", norm, eps),
            Quantity::Curve { curve, epoch, scale } if *scale == 1.0 => write!(f, "{curve}, epoch {epoch}"),
            Quantity::Curve { curve, epoch, scale } => write!(f, "{scale} · {curve}, epoch {epoch}"),
        }
    }
}

/// Lowest and highest value, ends included; an end that is `None` is open. In JSON `[low, high]`, `null` for an open end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band(pub Option<f64>, pub Option<f64>);

impl Band {
    /// How far a value lies outside, in its own unit: 0 inside, infinitely far for a NaN.
    pub fn distance(&self, value: f64) -> f64 {
        let (low, high) = (self.0.unwrap_or(f64::NEG_INFINITY), self.1.unwrap_or(f64::INFINITY));
        if value.is_nan() { f64::INFINITY } else { (low - value).max(value - high).max(0.0) }
    }

    /// Whether a value lies inside.
    pub fn holds(&self, value: f64) -> bool {
        self.distance(value) == 0.0
    }
}

/// `82 to 93`, `at least 82`, `at most 93`.
impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(low), Some(high)) => write!(f, "{low} to {high}"),
            (Some(low), None) => write!(f, "at least {low}"),
            (None, Some(high)) => write!(f, "at most {high}"),
            (None, None) => f.write_str("any"),
        }
    }
}

impl Expectation {
    /// Whether it counts: a number was published, and it is said where.
    pub fn counts(&self) -> bool {
        self.value.is_some() && self.source.is_some()
    }

    /// The published value's own 95 % interval as its distances below and above it, (0, 0) where no error is stated:
    /// 1.96 `sd`, Wilson's interval of an accuracy on `n` images, or the root of the sum of both squared.
    pub fn published_error(&self) -> (f64, f64) {
        let trainings = 1.96 * self.sd.unwrap_or(0.0);
        let (below, above) = match (self.value, self.n) {
            (Some(value), Some(n)) => {
                // A percentage as printed need not be a whole number of images.
                let (low, high) = wilson_share(value / 100.0, n as f64, 1.96);
                ((value - 100.0 * low).max(0.0), (100.0 * high - value).max(0.0))
            }
            _ => (0.0, 0.0),
        };
        (trainings.hypot(below), trainings.hypot(above))
    }

    /// The published value with its error: `35.58 ± 0.49`, half its 95 % interval.
    pub fn published(&self) -> Option<String> {
        let value = self.value?;
        Some(match self.published_error() {
            (0.0, 0.0) => value.to_string(),
            (below, above) => format!("{value} ± {:.2}", below.max(above)),
        })
    }

    /// Whether two are judged alike: all but where it was published and with which setting.
    pub fn judged_as(&self, other: &Expectation) -> bool {
        let bare = |e: &Expectation| Expectation { source: None, published_with: None, ..e.clone() };
        bare(self) == bare(other)
    }
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
            sd: None,
            n: None,
            band: Some(Band(Some(82.0), Some(93.0))),
            or: None,
            source: Some("a table".into()),
            published_with: None,
        }
    }

    #[test]
    fn ends_belong_to_the_band_and_a_nan_to_none() {
        let band = Band(Some(82.0), Some(93.0));
        assert!(band.holds(82.0) && band.holds(93.0) && !band.holds(81.999) && !band.holds(93.001));
        assert_eq!((band.distance(80.0), band.distance(95.5)), (2.0, 2.5));
        let (least, most) = (Band(Some(85.0), None), Band(None, Some(3.0)));
        assert!(least.holds(1e9) && !least.holds(84.9) && most.holds(-1e9) && !most.holds(3.1));
        for band in [band, least, most, Band(None, None)] {
            assert!(!band.holds(f64::NAN), "{band}");
        }
        assert_eq!([band, least, most].map(|b| b.to_string()), ["82 to 93", "at least 85", "at most 3"]);
    }

    #[test]
    fn the_published_side_has_an_error_of_its_own() {
        let mut e = expectation(Quantity::Clean, None);
        assert_eq!((e.published_error(), e.published().as_deref()), ((0.0, 0.0), Some("90")));
        e.sd = Some(0.5);
        assert_eq!(e.published().as_deref(), Some("90 ± 0.98"));
        // 90 of 100: Wilson's interval is 82.56 to 94.48.
        (e.sd, e.n) = (None, Some(100));
        let (below, above) = e.published_error();
        assert!((below - 7.4368).abs() < 1e-3 && (above - 4.4775).abs() < 1e-3, "{below} {above}");
        e.sd = Some(1.0);
        assert!((e.published_error().1 - 1.96f64.hypot(above)).abs() < 1e-12);
        // Nothing right of 1,000 does not mean that nothing ever is.
        (e.value, e.sd, e.n) = (Some(0.0), None, Some(1000));
        let (below, above) = e.published_error();
        assert!(below == 0.0 && (above - 0.3827).abs() < 1e-3, "{above}");
    }

    #[test]
    fn none_without_a_number_and_its_source_counts() {
        let e = expectation(Quantity::Clean, None);
        assert!(e.counts());
        assert!(
            !Expectation { value: None, ..e.clone() }.counts() && !Expectation { source: None, ..e.clone() }.counts()
        );
        assert!(e.judged_as(&Expectation { source: None, published_with: Some("x".into()), ..e.clone() }));
        assert!(!e.judged_as(&Expectation { band: None, ..e.clone() }));
    }

    #[test]
    fn it_is_named_and_comes_back_from_json() {
        let eps: Eps = "8/255".parse().unwrap();
        let attack = |norm| Quantity::Attack { attack: "pgd".into(), norm, eps: eps.clone() };
        let plain = Operand { row: "plain".into(), of: attack(Norm::Linf) };
        let e = expectation(attack(Norm::Linf), Some(plain));
        assert_eq!(e.to_string(), "at − plain: pgd ε = 8/255");
        assert_eq!(attack(Norm::L2).to_string(), "pgd L2 ε = 8/255");
        let curve = Quantity::Curve { curve: "jac_sq".into(), epoch: 5, scale: 0.5 };
        assert_eq!(expectation(curve, None).to_string(), "at: 0.5 · jac_sq, epoch 5");
        let json = serde_json::to_string(&e).unwrap();
        assert_eq!(serde_json::from_str::<Expectation>(&json).unwrap(), e);
        let open = Expectation { band: Some(Band(None, Some(3.0))), ..e };
        let json = serde_json::to_string(&open).unwrap();
        assert!(json.contains("\"band\":[null,3.0]"), "{json}");
        assert_eq!(serde_json::from_str::<Expectation>(&json).unwrap(), open);
    }
}
