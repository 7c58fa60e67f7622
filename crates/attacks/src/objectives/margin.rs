//! The margin loss.

use super::runner_up;
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Goal, Objective, Spec};
use std::sync::Arc;

/// max_{i≠y} z_i − z_y: positive exactly where the example is misclassified; targeted: z_t − z_y.
#[derive(Debug, Clone, Copy)]
pub struct Margin {
    /// Against the target class instead of the strongest other one.
    pub targeted: bool,
}

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "margin",
    summary: "largest other logit minus the true one; does not saturate",
    formula: "max_{i≠y} z_i − z_y",
    paper: "Carlini & Wagner 2017",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Margin { targeted: false })),
};

/// Registration, targeted.
pub const TARGETED: Spec<BuildObjective> = Spec {
    name: "margin-t",
    summary: "the target's logit minus the true one",
    formula: "z_t − z_y",
    paper: "Gowal et al. 2019 (multi-targeted)",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Margin { targeted: true })),
};

impl Objective for Margin {
    fn name(&self) -> &str {
        if self.targeted { "margin-t" } else { "margin" }
    }
    fn classes(&self) -> usize {
        2
    }
    fn targeted(&self) -> bool {
        self.targeted
    }
    fn ascend(&self, z: &[f64], goal: &Goal, slope: &mut [f64]) -> f64 {
        let y = goal.label;
        let other = if self.targeted { goal.target.unwrap_or_else(|| runner_up(z, y)) } else { runner_up(z, y) };
        slope[other] += 1.0;
        slope[y] -= 1.0;
        z[other] - z[y]
    }
}
