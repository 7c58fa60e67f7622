//! The Kullback–Leibler divergence from a fixed prediction.

use super::softmax;
use gauntlet_core::objective::Slope;
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Goal, Objective, Spec};
use std::sync::Arc;

/// KL(p ‖ softmax z), p the prediction on the clean image; its derivative is softmax(z) − p, zero at the clean image.
#[derive(Debug, Clone, Copy)]
pub struct Kl;

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "kl",
    summary: "divergence from the clean prediction; its gradient is zero at the clean image, start elsewhere",
    formula: "KL(softmax z(x) ‖ softmax z(x'))",
    paper: "Zhang et al. 2019 (TRADES)",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Kl)),
};

impl Objective for Kl {
    fn name(&self) -> &str {
        "kl"
    }
    fn refers(&self) -> bool {
        true
    }
    fn slope(&self) -> Option<Slope> {
        Some(Slope::Divergence)
    }
    fn ascend(&self, z: &[f64], goal: &Goal, slope: &mut [f64]) -> f64 {
        let (sum, q) = softmax(z);
        let Some(p) = &goal.reference else { return 0.0 };
        slope.iter_mut().zip(&q).zip(p.iter()).for_each(|((s, q), p)| *s += q - p);
        let term = |(p, z): (&f64, &f64)| if *p > 0.0 { p * (p.ln() - (z - sum)) } else { 0.0 };
        p.iter().zip(z).map(term).sum()
    }
}
