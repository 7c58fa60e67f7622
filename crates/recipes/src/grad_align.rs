//! Gradient alignment against catastrophic overfitting.

use crate::alignment::Alignment;
use crate::inner::EPS;
use gauntlet_autograd::Graph;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// weight · mean_n (1 − cos(∇ₓℓ(x), ∇ₓℓ(x + η))), η ~ U(−ε, ε)^d, not clamped; Andriushchenko & Flammarion 2020.
///
/// As a recipe: plus mean ℓ at FGSM examples of the same ε. All forwards are in train mode. By default the gradient
/// at x is detached, as in the authors' code for FGSM training; `two_sided` keeps its graph. A row with a negligible
/// gradient counts 0 and stays in the denominator (the authors leave it out): the logged term `dropped` counts them.
#[derive(Debug, Clone)]
pub struct GradAlign {
    /// ε in pixels.
    pub eps: Eps,
    /// Weight λ in the total.
    pub weight: f64,
    /// Differentiate the gradient at x too.
    pub two_sided: bool,
    /// With the cross-entropy at FGSM examples: the recipe.
    pub adversarial: bool,
}

const PARAMS: &[ParamDoc] = &[
    EPS,
    ParamDoc {
        name: "weight",
        kind: ParamKind::WEIGHT,
        default: "0.2",
        unit: "",
        doc: "λ (the authors on CIFAR-10: 0.2 at 8/255, 2.0 at 16/255)",
    },
    ParamDoc {
        name: "two_sided",
        kind: ParamKind::Bool,
        default: "false",
        unit: "",
        doc: "differentiate the gradient at x too, not only the one at x + η",
    },
];

/// Registration as a recipe: FGSM training with the penalty.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "grad-align",
    summary: "FGSM adversarial training with a penalty on the angle between neighbouring input gradients",
    formula: "mean ℓ(clip(x + ε·sign ∇ₓℓ)) + weight · mean_n (1 − cos(∇ₓℓ(x), ∇ₓℓ(x + η))),  η ~ U(−ε, ε)^d",
    paper: "Andriushchenko & Flammarion 2020",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(GradAlign {
            eps: args.eps("eps")?,
            weight: args.f64("weight")?,
            two_sided: args.bool("two_sided")?,
            adversarial: true,
        }))
    },
};

/// Registration as a penalty for any base.
pub const PENALTY: Spec<BuildRecipe> = Spec {
    name: "grad-align",
    summary: "penalty on the angle between neighbouring input gradients, for any base",
    formula: "weight · mean_n (1 − cos(∇ₓℓ(x), ∇ₓℓ(x + η))),  η ~ U(−ε, ε)^d",
    paper: "Andriushchenko & Flammarion 2020",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(GradAlign {
            eps: args.eps("eps")?,
            weight: args.f64("weight")?,
            two_sided: args.bool("two_sided")?,
            adversarial: false,
        }))
    },
};

impl GradAlign {
    fn penalty(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        if self.weight == 0.0 {
            return Ok(Vec::new());
        }
        let (x, eps) = (step.input(), self.eps.value());
        let ce = step.cross_entropy(&x)?;
        let here = step.input_gradient(&ce, &x, if self.two_sided { Graph::Keep } else { Graph::Free })?;
        let noise = step.uniform_pixels("grad-align", (-eps, eps))?;
        let moved = x.detach().add(&noise)?.to_leaf();
        let ahead = step.cross_entropy(&moved)?;
        let there = step.input_gradient(&ahead, &moved, Graph::Keep)?;
        Ok(Alignment::of(&here, &there)?.terms(self.weight))
    }
}

impl Recipe for GradAlign {
    fn name(&self) -> &str {
        "grad-align"
    }
    fn threat(&self, _: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, self.eps.value()))
    }
    fn held_constant(&self) -> Option<&'static str> {
        (!self.two_sided).then_some("the gradient at x (two_sided = false)")
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let mut terms = Vec::new();
        if self.adversarial {
            let x = step.input();
            let ce = step.cross_entropy(&x)?;
            let up = step.input_gradient(&ce, &x, Graph::Free)?.sign()?;
            let moved = x.detach().add(&up.affine(self.eps.value(), 0.0)?)?;
            let x_adv = moved.clamp(0.0, 1.0)?.to_leaf();
            terms.push(Term::new("adv_ce", 1.0, step.cross_entropy(&x_adv)?));
        }
        terms.extend(self.penalty(step)?);
        Ok(terms)
    }
}
