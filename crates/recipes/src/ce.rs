//! Cross-entropy: ordinary training.

use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Range, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// L = mean ℓ, optionally with smoothed labels: (1 − s) · onehot + s/K.
#[derive(Debug, Clone)]
pub struct Ce {
    /// s, in [0, 1).
    pub smoothing: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "ce",
    summary: "ordinary training: mean cross-entropy",
    formula: "mean ℓ,  ℓ = −log p_y  (smoothed: −Σ_k ((1−s)·[k=y] + s/K) log p_k)",
    paper: "-",
    params: &[ParamDoc {
        name: "smoothing",
        kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
        default: "0.0",
        unit: "",
        doc: "label smoothing s, uniform over all classes",
    }],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Ce { smoothing: args.f64("smoothing")? })),
};

impl Recipe for Ce {
    fn name(&self) -> &str {
        "ce"
    }
    fn repeats(&self, _: &Position) -> bool {
        true
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let ce = step.cross_entropy(&x)?;
        if self.smoothing == 0.0 {
            return Ok(vec![Term::new("ce", 1.0, ce)]);
        }
        let uniform = step.forward(&x)?.log_softmax()?.mean_per_example()?.neg()?;
        let smooth = ce.affine(1.0 - self.smoothing, 0.0)?.add(&uniform.affine(self.smoothing, 0.0)?)?;
        Ok(vec![Term::new("ce_smooth", 1.0, smooth), Term::logged("ce", &ce)])
    }
}
