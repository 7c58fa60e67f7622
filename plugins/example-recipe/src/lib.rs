//! A penalty on the saliency map "gradient × input", as a plug-in of gauntlet.

use gauntlet::autograd::Graph;
use gauntlet::core::registry::BuildRecipe;
use gauntlet::core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// L = … + weight · mean_n ‖x_n ⊙ ∇ₓℓ_n‖₂²: bright pixels shall not matter much, dark ones may.
///
/// The map is that of Shrikumar et al. 2016; x in pixels of [0,1], ℓ the cross-entropy.
pub struct GradientTimesInput {
    /// Weight in the total.
    pub weight: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "gradient-times-input",
    summary: "penalty on the saliency map gradient × input",
    formula: "weight · mean_n ‖x_n ⊙ ∇ₓℓ_n‖₂²",
    paper: "Shrikumar et al. 2016 (the map)",
    params: &[ParamDoc {
        name: "weight",
        kind: ParamKind::WEIGHT,
        default: "1.0",
        unit: "",
        doc: "weight of the penalty, in pixel units",
    }],
    numerics: 1,
    origin: "plug-in",
    build: |args, _| Ok(Arc::new(GradientTimesInput { weight: args.f64("weight")? })),
};

impl Recipe for GradientTimesInput {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input(); // (N, C, H, W), a leaf
        let ce = step.cross_entropy(&x)?; // (N,), shared with the base recipe
        let g = step.input_gradient(&ce, &x, Graph::Keep)?; // ∇ₓℓ, and it can be differentiated again
        let map = x.mul(&g)?.sqr()?.sum_per_example()?; // ‖x ⊙ ∇ₓℓ‖₂², (N,)
        Ok(vec![Term::new("gradient_times_input", self.weight, map)])
    }
}
