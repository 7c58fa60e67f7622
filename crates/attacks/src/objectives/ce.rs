//! Cross-entropy.

use super::softmax;
use gauntlet_core::objective::Slope;
use gauntlet_core::registry::BuildObjective;
use gauntlet_core::{Goal, Objective, Spec};
use std::sync::Arc;

/// −log softmax(z)_y, its derivative softmax(z) − onehot(y); targeted: log softmax(z)_t.
#[derive(Debug, Clone, Copy)]
pub struct Ce {
    /// Towards the target class instead of away from the label.
    pub targeted: bool,
}

/// Registration.
pub const SPEC: Spec<BuildObjective> = Spec {
    name: "ce",
    summary: "cross-entropy; its gradient vanishes where logits saturate",
    formula: "−log softmax(z)_y",
    paper: "Goodfellow, Shlens & Szegedy 2015",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Ce { targeted: false })),
};

/// Registration, targeted.
pub const TARGETED: Spec<BuildObjective> = Spec {
    name: "ce-t",
    summary: "cross-entropy of a target class, negated",
    formula: "log softmax(z)_t",
    paper: "Kurakin, Goodfellow & Bengio 2017",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(Ce { targeted: true })),
};

impl Objective for Ce {
    fn name(&self) -> &str {
        if self.targeted { "ce-t" } else { "ce" }
    }
    fn targeted(&self) -> bool {
        self.targeted
    }
    fn slope(&self) -> Option<Slope> {
        (!self.targeted).then_some(Slope::CrossEntropy)
    }
    fn ascend(&self, z: &[f64], goal: &Goal, slope: &mut [f64]) -> f64 {
        let (sum, p) = softmax(z);
        let (class, sign) = if self.targeted { (goal.target.unwrap_or(goal.label), -1.0) } else { (goal.label, 1.0) };
        slope.iter_mut().zip(&p).for_each(|(s, p)| *s += sign * p);
        slope[class] -= sign;
        sign * (sum - z[class])
    }
}
