//! The norm that bounds a perturbation.

use crate::nearest::nearest;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The norm that bounds a perturbation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// max |δᵢ|.
    Linf,
    /// √Σ δᵢ².
    L2,
    /// Σ |δᵢ|.
    L1,
    /// How many values are changed, δᵢ ≠ 0: every channel of a pixel counts for itself.
    L0,
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Norm::Linf => "linf",
            Norm::L2 => "l2",
            Norm::L1 => "l1",
            Norm::L0 => "l0",
        })
    }
}

/// A sentence with the norms in it as people read them: `pgd at linf 0.3` becomes `pgd at L∞ 0.3`.
pub fn for_people(sentence: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        bare.parse::<Norm>().map_or_else(|_| word.to_string(), |norm| word.replace(bare, norm.symbol()))
    };
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

impl FromStr for Norm {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "linf" => Ok(Norm::Linf),
            "l2" => Ok(Norm::L2),
            "l1" => Ok(Norm::L1),
            "l0" => Ok(Norm::L0),
            other => Err(Error::Unknown {
                kind: "norm".into(),
                name: other.into(),
                hint: nearest(other, ["linf", "l2", "l1", "l0"].into_iter()),
                known: ["linf", "l2", "l1", "l0"].map(String::from).to_vec(),
            }),
        }
    }
}

impl Norm {
    /// What people read: L∞, L2, L1, L0. Files and arguments say `linf`, `l2`, `l1`, `l0`.
    pub fn symbol(self) -> &'static str {
        match self {
            Norm::Linf => "L∞",
            Norm::L2 => "L2",
            Norm::L1 => "L1",
            Norm::L0 => "L0",
        }
    }

    /// The norm of a sequence. A NaN stays one.
    ///
    /// ```
    /// use gauntlet_records::Norm;
    /// assert_eq!(Norm::L2.of([3.0, -4.0].into_iter()), 5.0);
    /// ```
    pub fn of(self, values: impl Iterator<Item = f64>) -> f64 {
        match self {
            Norm::Linf => values.fold(0.0, |m, v| if v.abs() > m || v.is_nan() { v.abs() } else { m }),
            Norm::L2 => values.map(|v| v * v).sum::<f64>().sqrt(),
            Norm::L1 => values.map(f64::abs).sum(),
            Norm::L0 => values.map(changed).sum(),
        }
    }

    /// The norm q with 1/p + 1/q = 1: how far a linear function falls per unit of this one is its gradient's. L0, which is none, has that
    /// of single values: a linear function falls by at most this for each that is changed by 1.
    pub fn dual(self) -> Norm {
        match self {
            Norm::Linf => Norm::L1,
            Norm::L2 => Norm::L2,
            Norm::L1 | Norm::L0 => Norm::Linf,
        }
    }
}

/// What a change counts in L0.
pub fn changed(v: f64) -> f64 {
    if v.is_nan() { v } else { f64::from(u8::from(v != 0.0)) }
}
