//! Cross-entropy.

use super::by_row;
use candle_core::Tensor;
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Goal, Objective, Result, Spec};
use std::sync::Arc;

/// −log softmax(z)_y; its derivative is softmax(z) − onehot(y).
#[derive(Debug, Clone, Copy)]
pub struct Ce;

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "ce",
    summary: "cross-entropy; its gradient vanishes where logits saturate",
    formula: "−log softmax(z)_y",
    paper: "Goodfellow, Shlens & Szegedy 2015",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Ce)),
};

impl Objective for Ce {
    fn name(&self) -> &str {
        "ce"
    }
    fn ascend(&self, logits: &Tensor, goal: &Goal) -> Result<(Tensor, Tensor)> {
        by_row(logits, goal, |z, y, slope| {
            let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = z.iter().map(|z| (z - max).exp()).sum();
            for (s, z) in slope.iter_mut().zip(z) {
                *s = (z - max).exp() / sum;
            }
            slope[y] -= 1.0;
            sum.ln() - (z[y] - max)
        })
    }
}
