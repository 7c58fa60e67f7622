//! The difference-of-logits ratio.

use super::{ranking, runner_up};
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Goal, Objective, Spec};
use std::sync::Arc;

/// −(z_y − max_{i≠y} z_i) / (z_π1 − z_π3 + 10⁻¹²), invariant to shift and scale of the logits; needs K ≥ 3.
///
/// Targeted: −(z_y − z_t) / (z_π1 − (z_π3 + z_π4)/2 + 10⁻¹²); needs K ≥ 4.
#[derive(Debug, Clone, Copy)]
pub struct Dlr {
    /// Against the target class.
    pub targeted: bool,
}

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "dlr",
    summary: "difference of logits ratio; invariant to shift and scale, needs three classes",
    formula: "−(z_y − max_{i≠y} z_i) / (z_π1 − z_π3 + 1e-12)",
    paper: "Croce & Hein 2020",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Dlr { targeted: false })),
};

/// Registration, targeted.
pub const TARGETED: Spec<BuildObjective> = Spec {
    name: "dlr-t",
    summary: "difference of logits ratio against a target class; needs four classes",
    formula: "−(z_y − z_t) / (z_π1 − (z_π3 + z_π4)/2 + 1e-12)",
    paper: "Croce & Hein 2020",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Dlr { targeted: true })),
};

impl Objective for Dlr {
    fn name(&self) -> &str {
        if self.targeted { "dlr-t" } else { "dlr" }
    }
    fn classes(&self) -> usize {
        if self.targeted { 4 } else { 3 }
    }
    fn targeted(&self) -> bool {
        self.targeted
    }
    fn ascend(&self, z: &[f64], goal: &Goal, slope: &mut [f64]) -> f64 {
        let y = goal.label;
        let order = ranking(z);
        let other = if self.targeted { goal.target.unwrap_or_else(|| runner_up(z, y)) } else { runner_up(z, y) };
        // The classes whose mean is taken from the largest logit.
        let low = if self.targeted { &order[2..4] } else { &order[2..3] };
        let share = 1.0 / low.len() as f64;
        let below = z[order[0]] - share * low.iter().map(|k| z[*k]).sum::<f64>() + 1e-12;
        let above = z[y] - z[other];
        slope[y] -= 1.0 / below;
        slope[other] += 1.0 / below;
        let by_below = above / (below * below);
        slope[order[0]] += by_below;
        low.iter().for_each(|k| slope[*k] -= share * by_below);
        -above / below
    }
}
