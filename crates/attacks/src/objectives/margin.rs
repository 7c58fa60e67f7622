//! The margin loss.

use super::{by_row, runner_up};
use candle_core::Tensor;
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Goal, Objective, Result, Spec};
use std::sync::Arc;

/// max_{i≠y} z_i − z_y: positive exactly where the example is misclassified.
#[derive(Debug, Clone, Copy)]
pub struct Margin;

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "margin",
    summary: "largest other logit minus the true one; does not saturate",
    formula: "max_{i≠y} z_i − z_y",
    paper: "Carlini & Wagner 2017",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Margin)),
};

impl Objective for Margin {
    fn name(&self) -> &str {
        "margin"
    }
    fn ascend(&self, logits: &Tensor, goal: &Goal) -> Result<(Tensor, Tensor)> {
        by_row(logits, goal, |z, y, slope| {
            let other = runner_up(z, y);
            if other == y {
                return f64::NEG_INFINITY; // one class alone cannot be confused
            }
            slope[other] = 1.0;
            slope[y] = -1.0;
            z[other] - z[y]
        })
    }
}
