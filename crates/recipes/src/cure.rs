//! Curvature regularisation.

use gauntlet_autograd::Graph;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Error, Mode, ParamDoc, ParamKind, Range, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// weight · mean_n ‖g(x + h·u) − g(x)‖₂, u = sign(g)/‖sign(g)‖₂ detached; Moosavi-Dezfooli et al. 2019.
///
/// The norm, not its square, as published in code. Both forwards are in eval mode, and both gradients keep their
/// graph. h grows from epoch to epoch. Everything is in pixel units: the authors' h is in units of normalised inputs
/// (about 0.2 of ours), their weight on the batch-mean loss is N times ours.
#[derive(Debug, Clone)]
pub struct Cure {
    /// h of every epoch, the last one from then on, in pixels.
    pub h: Vec<f64>,
    /// Weight in the total.
    pub weight: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "cure",
    summary: "penalty on the change of the input gradient along its own sign: curvature",
    formula: "weight · mean_n ‖∇ₓℓ(x + h·u) − ∇ₓℓ(x)‖₂,  u = sign(∇ₓℓ)/‖sign(∇ₓℓ)‖₂, detached",
    paper: "Moosavi-Dezfooli et al. 2019",
    params: &[
        ParamDoc {
            name: "h",
            kind: ParamKind::Floats(Range::above(0.0)),
            default: "[0.02, 0.08, 0.16, 0.36, 0.6]",
            unit: "pixels",
            doc: "length of the step in each epoch, the last one from then on",
        },
        ParamDoc { name: "weight", kind: ParamKind::WEIGHT, default: "", unit: "", doc: "weight of the penalty" },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let h = args.f64s("h")?;
        if h.is_empty() {
            return Err(Error::value("cure.h", "must be a list of lengths, such as [0.1], one for each epoch"));
        }
        Ok(Arc::new(Cure { h, weight: args.f64("weight")? }))
    },
};

impl Recipe for Cure {
    fn name(&self) -> &str {
        "cure"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let epoch = (step.position().epoch as usize).min(self.h.len() - 1);
        let ce = step.forward_in(&x, Mode::Eval)?.cross_entropy(step.labels())?;
        let here = step.input_gradient(&ce, &x, Graph::Keep)?;
        let up = here.detach().sign()?.flatten()?;
        let unit = up.broadcast_mul(&up.norm_l2_per_example()?.guarded_recip()?.unsqueeze(1)?)?.reshape(x.dims())?;
        let moved = x.detach().add(&unit.affine(self.h[epoch], 0.0)?)?.to_leaf();
        let ahead = step.forward_in(&moved, Mode::Eval)?.cross_entropy(step.labels())?;
        let there = step.input_gradient(&ahead, &moved, Graph::Keep)?;
        Ok(vec![Term::new("grad_diff", self.weight, there.sub(&here)?.norm_l2_per_example()?)])
    }
}
