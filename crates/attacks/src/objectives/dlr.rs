//! The difference-of-logits ratio.

use super::{by_row, runner_up};
use candle_core::Tensor;
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Error, Goal, Objective, Result, Spec};
use std::sync::Arc;

/// −(z_y − max_{i≠y} z_i) / (z_π1 − z_π3 + 10⁻¹²), invariant to shift and scale of the logits; needs K ≥ 3.
#[derive(Debug, Clone, Copy)]
pub struct Dlr;

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "dlr",
    summary: "difference of logits ratio; invariant to shift and scale, needs three classes",
    formula: "−(z_y − max_{i≠y} z_i) / (z_π1 − z_π3 + 1e-12)",
    paper: "Croce & Hein 2020",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Dlr)),
};

impl Objective for Dlr {
    fn name(&self) -> &str {
        "dlr"
    }
    fn ascend(&self, logits: &Tensor, goal: &Goal) -> Result<(Tensor, Tensor)> {
        let (_, k) = logits.dims2()?;
        if k < 3 {
            return Err(Error::value(
                "objective dlr",
                format!("needs at least 3 classes, the model has {k}; use \"margin\""),
            ));
        }
        by_row(logits, goal, |z, y, slope| {
            let mut order: Vec<usize> = (0..z.len()).collect();
            order.sort_by(|a, b| z[*b].total_cmp(&z[*a]));
            let (first, third) = (order[0], order[2]);
            let other = runner_up(z, y);
            let (above, below) = (z[y] - z[other], z[first] - z[third] + 1e-12);
            slope[y] -= 1.0 / below;
            slope[other] += 1.0 / below;
            let by_below = above / (below * below);
            slope[first] += by_below;
            slope[third] -= by_below;
            -above / below
        })
    }
}
