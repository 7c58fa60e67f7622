//! How one example fared: before any attack, and under one attack at one ε.

use serde::{Deserialize, Serialize};

/// How one example fared under one attack at one ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Misclassified before any attack.
    Wrong,
    /// Correct, and no job of the attack broke it.
    Robust,
    /// Broken by this attack at this ε.
    Broken,
    /// Broken at a smaller ε and not run again.
    Carried,
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fate::Wrong => "wrong",
            Fate::Robust => "robust",
            Fate::Broken => "broken",
            Fate::Carried => "carried",
        })
    }
}

impl std::str::FromStr for Fate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fates = [Fate::Wrong, Fate::Robust, Fate::Broken, Fate::Carried];
        fates.into_iter().find(|f| f.to_string() == text).ok_or_else(|| format!("unknown fate {text:?}"))
    }
}

/// The referee's verdict on one example under one attack at one ε.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Data set row.
    pub id: u64,
    /// What happened.
    pub fate: Fate,
    /// Restart that broke it (0 otherwise).
    pub restart: u32,
    /// Steps of that restart (all steps if robust).
    pub steps: u32,
    /// ‖x_adv − x‖ of the threat model's norm, in pixels; of an attack for the smallest perturbation also above ε.
    pub size: f64,
    /// How far a robust example is from being misclassified where the attack left it: [`Verdict::margin`]. NaN: logits that
    /// are not finite.
    pub margin: Option<f64>,
    /// Forwards that this example's own jobs needed.
    pub forwards: u32,
    /// Backwards likewise.
    pub backwards: u32,
    /// The stage of an ensemble that broke it; empty otherwise.
    pub broken_by: String,
    /// Backwards whose gradient was zero everywhere or not finite somewhere.
    pub blind: u32,
    /// Broken, and still misclassified when the proposal is rounded to 8 bits.
    pub rounded: bool,
    /// Of a randomised model that was asked several times: how many of the referee's draws misclassify the proposal, the
    /// first, which decides the fate, included. `None`: it was asked once.
    pub fooled: Option<u32>,
}

/// Significant digits of a margin under attack: what comparing means of margins needs. More would be most of what a record takes on disk.
const MARGIN_DIGITS: usize = 2;

impl Verdict {
    /// What a verdict keeps of the margin z_y − max z_{j≠y} at the proposal: of a robust example two significant digits
    /// (negative where an attack counts its target class alone), of any other nothing, and NaN as it is.
    ///
    /// ```
    /// use gauntlet_records::{Fate, Verdict};
    /// assert_eq!(Verdict::margin(Fate::Robust, 2.0 / 3.0), Some(0.67));
    /// assert_eq!(Verdict::margin(Fate::Broken, -0.5), None);
    /// ```
    pub fn margin(fate: Fate, margin: f64) -> Option<f64> {
        match fate {
            Fate::Robust => Some(significant(margin, MARGIN_DIGITS)),
            Fate::Broken | Fate::Carried => margin.is_nan().then_some(margin),
            Fate::Wrong => None,
        }
    }

    /// Whether two kept margins can be the same number's: at most one unit of the last digit kept lies between them. True where neither is
    /// kept.
    pub fn same_margin(&self, other: &Self) -> bool {
        match (self.margin, other.margin) {
            (Some(a), Some(b)) => same_margin(a, b, MARGIN_DIGITS),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

/// One example before any attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanVerdict {
    /// Data set row.
    pub id: u64,
    /// True label.
    pub label: u32,
    /// Predicted class.
    pub predicted: u32,
    /// Margin z_y − max z_{j≠y}: [`CleanVerdict::margin`].
    pub margin: f64,
}

/// Significant digits of a clean margin.
const CLEAN_DIGITS: usize = 3;

impl CleanVerdict {
    /// What a verdict keeps of the margin: three significant digits, and NaN as it is.
    pub fn margin(margin: f64) -> f64 {
        significant(margin, CLEAN_DIGITS)
    }

    /// Whether both margins can be the same number's: at most one unit of the last digit kept lies between them.
    pub fn same_margin(&self, other: &Self) -> bool {
        same_margin(self.margin, other.margin, CLEAN_DIGITS)
    }

    /// Correct ÷ all.
    pub fn accuracy(verdicts: &[CleanVerdict]) -> f64 {
        let correct = verdicts.iter().filter(|v| v.predicted == v.label).count();
        correct as f64 / verdicts.len().max(1) as f64
    }
}

/// A number with so many significant decimal digits, the nearest; one that is not finite as it is.
fn significant(x: f64, digits: usize) -> f64 {
    if x.is_finite() { format!("{x:.*e}", digits - 1).parse().unwrap_or(x) } else { x }
}

/// Whether two numbers with so many significant digits can be the same number's: at most one unit of the last digit lies between
/// them, since records from before the digits became fewer were rounded twice. NaN is the same as NaN.
fn same_margin(a: f64, b: f64, digits: usize) -> bool {
    let unit = 10f64.powf(a.abs().max(b.abs()).log10().floor() + 1.0 - digits as f64);
    a == b || (a.is_nan() && b.is_nan()) || (a.is_finite() && b.is_finite() && (a - b).abs() <= 1.01 * unit)
}

/// Correct clean and under the attack ÷ all examples.
pub fn robust_accuracy(verdicts: &[Verdict]) -> f64 {
    let robust = verdicts.iter().filter(|v| v.fate == Fate::Robust).count();
    robust as f64 / verdicts.len().max(1) as f64
}

/// Mean over examples of the share of `draws` forwards that answer correctly under the attack; an example that is wrong
/// clean counts as never. `None` where some attacked example was asked once only.
pub fn robust_accuracy_over_draws(verdicts: &[Verdict], draws: u32) -> Option<f64> {
    let mut sum = 0.0;
    for v in verdicts.iter().filter(|v| v.fate != Fate::Wrong) {
        sum += 1.0 - f64::from(v.fooled?) / f64::from(draws.max(1));
    }
    Some(sum / verdicts.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_kept_where_they_say_something() {
        assert_eq!(Verdict::margin(Fate::Robust, 4.063893556594849), Some(4.1));
        assert_eq!(Verdict::margin(Fate::Robust, -1.23456e-7), Some(-1.2e-7));
        assert_eq!(Verdict::margin(Fate::Robust, f64::INFINITY), Some(f64::INFINITY));
        assert!(Verdict::margin(Fate::Robust, f64::NAN).is_some_and(f64::is_nan));
        assert!(Verdict::margin(Fate::Broken, f64::NAN).is_some_and(f64::is_nan));
        assert_eq!((Verdict::margin(Fate::Broken, -1.0), Verdict::margin(Fate::Wrong, -1.0)), (None, None));
        assert_eq!(CleanVerdict::margin(8.35342288017273), 8.35);
        // What was kept is kept again.
        for x in [0.1 + 0.2, 1.0 / 3.0, 123_456.789, 5e-324] {
            let once = significant(x, 4);
            assert_eq!(significant(once, 4), once, "{x}");
        }
    }

    #[test]
    fn margins_that_were_rounded_twice_are_the_same_and_others_are_not() {
        // 1.2496 with four digits and then two, with two at once; on both sides of a power of ten; far apart in size.
        for (a, b, same) in [
            (1.3, 1.2, true),
            (1.3, 1.1, false),
            (-1.3, -1.2, true),
            (0.1, 0.099, true),
            (0.1, 0.095, true),
            (0.1, 0.08, false),
            (0.0, 0.0, true),
            (0.0, 1e-9, false),
            (1.0, -1.0, false),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, 1.0, false),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, 1.0, false),
        ] {
            assert_eq!((same_margin(a, b, 2), same_margin(b, a, 2)), (same, same), "{a} {b}");
        }
    }
}
