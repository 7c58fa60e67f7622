//! What is proved of an example: beside what attacks find, the other end of the truth.

use crate::verdict_line::{optional, parsed};
use crate::{Eps, Norm};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What became of an example that was to be certified at one ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofFate {
    /// Misclassified before anything was done to it.
    Wrong,
    /// Proved: nothing in the budget changes its class.
    Certified,
    /// Not proved.
    Open,
    /// The search for a proof found a perturbation that the referee took.
    Broken,
}

impl fmt::Display for ProofFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProofFate::Wrong => "wrong",
            ProofFate::Certified => "certified",
            ProofFate::Open => "open",
            ProofFate::Broken => "broken",
        })
    }
}

impl FromStr for ProofFate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fates = [ProofFate::Wrong, ProofFate::Certified, ProofFate::Open, ProofFate::Broken];
        fates.into_iter().find(|f| f.to_string() == text).ok_or_else(|| format!("unknown fate {text:?}"))
    }
}

/// What is proved of one example at one ε.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Data set row.
    pub id: u64,
    /// What became of it.
    pub fate: ProofFate,
    /// The method that decided, or the last one that was tried; empty where none was.
    pub method: String,
    /// A lower bound of the margin z_y − max z_{j≠y} on the whole budget: [`Proof::bound`]. `None`: none is known.
    pub bound: Option<f64>,
    /// Parts that branch and bound made.
    pub nodes: u32,
    /// Rectifiers that the bounds leave undecided.
    pub undecided: u32,
}

/// Significant digits of a bound.
const DIGITS: usize = 3;

impl Proof {
    /// The columns of a table, in the order of [`Proof::fields`].
    pub const COLUMNS: [&str; 6] = ["id", "fate", "method", "bound", "nodes", "undecided"];

    /// What a proof keeps of a lower bound: the largest number of three significant digits that is not above it, so that it is
    /// one, too. Nothing of what is not finite.
    ///
    /// ```
    /// use gauntlet_records::Proof;
    /// assert_eq!(Proof::bound(0.6667), Some(0.666));
    /// assert_eq!(Proof::bound(-0.6661), Some(-0.667));
    /// assert_eq!(Proof::bound(f64::NEG_INFINITY), None);
    /// ```
    pub fn bound(bound: f64) -> Option<f64> {
        let read = |x: f64| format!("{x:.*e}", DIGITS - 1).parse::<f64>().ok();
        let near = read(bound).filter(|x| x.is_finite())?;
        if near <= bound {
            return Some(near);
        }
        // One unit of the last digit lower; rounded again, since the difference is no decimal.
        let unit = 10f64.powf(near.abs().log10().floor() + 1.0 - DIGITS as f64);
        read(near - unit).filter(|x| *x <= bound)
    }

    /// The fields of a line. A float is the shortest decimal that reads as the same one.
    pub fn fields(&self) -> [String; Proof::COLUMNS.len()] {
        [
            self.id.to_string(),
            self.fate.to_string(),
            self.method.clone(),
            self.bound.map_or_else(String::new, |b| format!("{b:?}")),
            self.nodes.to_string(),
            self.undecided.to_string(),
        ]
    }

    /// The proof of a line's fields; `id`: the row where the line leaves it out.
    ///
    /// # Errors
    /// A field that is none of its kind, in words.
    pub fn read(fields: [&str; Proof::COLUMNS.len()], id: Option<u64>) -> Result<Proof, String> {
        let [row, fate, method, bound, nodes, undecided] = fields;
        Ok(Proof {
            id: match (row, id) {
                ("", Some(id)) => id,
                (text, _) => parsed(text, "id")?,
            },
            fate: parsed(fate, "fate")?,
            method: method.to_string(),
            bound: optional(bound, "bound")?,
            nodes: parsed(nodes, "nodes")?,
            undecided: parsed(undecided, "undecided")?,
        })
    }
}

/// One certification at one ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certified {
    /// Label in the suite, e.g. `bounds`.
    pub certify: String,
    /// Methods, budget of parts and what it is about, with all defaults filled in (canonical JSON).
    pub parameters: serde_json::Value,
    /// `linf`, `l2`, `l1`.
    pub norm: Norm,
    /// Budget as written.
    pub eps: Eps,
    /// How many examples it was run on, where they are not all of the record's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// One per example, in the order of the record's clean verdicts. Kept in the table of verdicts, not in the JSON.
    #[serde(skip)]
    pub proofs: Vec<Proof>,
}

impl Certified {
    /// How many of its examples ended so.
    pub fn count(&self, fate: ProofFate) -> usize {
        self.proofs.iter().filter(|p| p.fate == fate).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_bound_is_never_above_the_bound() {
        let mut x = 1e-12;
        while x < 1e12 {
            for b in [x, -x] {
                let kept = Proof::bound(b).unwrap();
                assert!(kept <= b && (b - kept) <= 0.011 * b.abs(), "{b}: {kept}");
                // What was kept is kept again.
                assert_eq!(Proof::bound(kept), Some(kept));
            }
            x *= 1.0173;
        }
        assert_eq!(Proof::bound(0.0), Some(0.0));
        assert_eq!((Proof::bound(f64::NAN), Proof::bound(f64::INFINITY)), (None, None));
        // The sign of a certificate stays.
        assert!(Proof::bound(1e-300).unwrap() > 0.0);
    }

    #[test]
    fn a_proof_comes_back_from_its_fields() {
        let proof = Proof {
            id: 7,
            fate: ProofFate::Certified,
            method: "bab".into(),
            bound: Some(0.012),
            nodes: 62,
            undecided: 77,
        };
        for proof in [Proof { bound: None, fate: ProofFate::Wrong, ..proof.clone() }, proof] {
            let fields = proof.fields();
            assert_eq!(Proof::read(fields.each_ref().map(String::as_str), None).unwrap(), proof);
            let mut short = fields.clone();
            short[0] = String::new();
            assert_eq!(Proof::read(short.each_ref().map(String::as_str), Some(7)).unwrap(), proof);
            for (k, text, column) in [(0, "", "id"), (1, "robust", "fate"), (3, "much", "bound"), (4, "-1", "nodes")] {
                let mut wrong = fields.clone();
                wrong[k] = text.into();
                let error = Proof::read(wrong.each_ref().map(String::as_str), None).unwrap_err();
                assert_eq!(error, format!("its column {column} holds {text:?}"));
            }
        }
    }
}
