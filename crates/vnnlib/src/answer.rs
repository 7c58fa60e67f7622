//! What a search says.

use serde::Serialize;
use std::fmt;

/// Whether an input was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// One was found: the property is satisfied.
    Sat,
    /// None was found; there may be one.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Sat => "sat",
            Verdict::Unknown => "unknown",
        })
    }
}

/// An input that satisfies a property, with its outputs in float64.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Witness {
    /// `X_i`: in the box as float64 reads them; float32 numbers wherever the box has one.
    pub x: Vec<f64>,
    /// `Y_j` of the float64 network.
    pub y: Vec<f64>,
    /// The smallest slack of the case that is met: Σ c·Y + k, at least 0.
    pub slack: f64,
}

impl fmt::Display for Witness {
    /// As the competition has it: `((X_0 0.5)`, one variable a line, `(Y_9 1.25))`. Reading a number back gives the same one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name, values: &[f64]| -> Vec<String> {
            values.iter().enumerate().map(|(i, v)| format!("({name}_{i} {v})")).collect()
        };
        let all = [named("X", &self.x), named("Y", &self.y)].concat();
        write!(f, "({})", all.join("\n "))
    }
}

/// The answer to a property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// `sat` or `unknown`.
    pub result: Verdict,
    /// What found the witness: `centre` (the middle of a box), `corner` (one signed gradient from there), `apgd`, `odi` (APGD from where random
    /// directions of the outputs lead) or `pgd`.
    pub attack: Option<&'static str>,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Inputs whose outputs were computed, in either precision.
    pub forwards: u64,
    /// Inputs whose gradients were computed.
    pub backwards: u64,
    /// The input, where one was found.
    pub witness: Option<Witness>,
}

impl Answer {
    /// One JSON object: `{"result", "attack", "seconds", "forwards", "backwards", "witness": {"x", "y", "slack"}}`.
    ///
    /// # Errors
    /// None in practice: all numbers of a witness are finite.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl fmt::Display for Answer {
    /// The competition's format: `sat` with the witness below, or `unknown`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.witness {
            Some(witness) => write!(f, "{}\n{witness}", self.result),
            None => write!(f, "{}", self.result),
        }
    }
}
