//! What an attack goes by.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an attack goes by: which results say the same of a model, and which contradict one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// One step along the gradient.
    OneStep,
    /// Steps along gradients inside the budget.
    Gradient,
    /// Looks for the smallest perturbation.
    Minimal,
    /// Goes by logits alone.
    Scores,
    /// Goes by the predicted class alone, and looks for the smallest perturbation.
    Decisions,
    /// Draws at random.
    Noise,
    /// Crafted on another model.
    Transfer,
    /// Several attacks, each on what the others left.
    Ensemble,
}

impl Family {
    /// Whether it sees no gradient of the model under attack. Where such an attack breaks more than the best that follows
    /// gradients, the gradients are masked.
    pub fn sees_no_gradient(self) -> bool {
        matches!(self, Family::Scores | Family::Decisions | Family::Noise | Family::Transfer)
    }

    /// Whether it looks for the smallest perturbation: one run answers every budget.
    pub fn seeks_smallest(self) -> bool {
        matches!(self, Family::Minimal | Family::Decisions)
    }

    /// That of a built-in attack, for records which do not say it; what has no such name follows gradients.
    pub fn of_name(name: &str) -> Family {
        match name {
            "fgsm" | "r-fgsm" => Family::OneStep,
            "deepfool" | "superdeepfool" | "trust-region" | "cw-l2" | "cw-linf" | "alma" | "pdpgd" | "ead" | "ddn"
            | "fmn" | "fab" | "fab-t" | "sigma-zero" | "jsma" => Family::Minimal,
            "square" | "sparse-rs" | "simba" | "spsa" | "nes" | "nattack" | "bandits" => Family::Scores,
            "hopskipjump" | "rays" | "boundary" | "geoda" | "sign-opt" | "surfree" => Family::Decisions,
            "noise" => Family::Noise,
            "transfer" => Family::Transfer,
            "autoattack" | "strongest" | "worst-case" => Family::Ensemble,
            _ => Family::Gradient,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Family::OneStep => "one-step",
            Family::Gradient => "gradient",
            Family::Minimal => "minimal",
            Family::Scores => "scores",
            Family::Decisions => "decisions",
            Family::Noise => "noise",
            Family::Transfer => "transfer",
            Family::Ensemble => "ensemble",
        })
    }
}
