//! Training on clean and FGSM examples together.

use crate::reading::{GRAPH, graph};
use gauntlet_autograd::Graph;
use gauntlet_autograd::kernels::argmax_rows;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// L = α · mean ℓ(x) + (1 − α) · mean ℓ(clip(x + ε · sign ∇ₓℓ)), Goodfellow, Shlens & Szegedy 2015.
///
/// The perturbation comes from the current weights. Cutting its graph changes nothing: sign has no derivative.
#[derive(Debug, Clone)]
pub struct FgsmAug {
    /// ε in pixels.
    pub eps: Eps,
    /// Weight α of the clean loss.
    pub alpha: f64,
    /// The perturbation ascends the loss of the predicted class, not of the label (no label leaks into the example).
    pub predicted: bool,
    /// Clamp to `[0, 1]` (the paper does not).
    pub clip: bool,
    /// Bit for bit the same in both readings.
    pub graph: Graph,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "fgsm-aug",
    summary: "half clean, half FGSM examples",
    formula: "α · mean ℓ(x) + (1−α) · mean ℓ(clip(x + ε · sign ∇ₓℓ))",
    paper: "Goodfellow, Shlens & Szegedy 2015",
    params: &[
        ParamDoc { name: "eps", kind: ParamKind::Eps, default: "", unit: "pixels", doc: "budget of the FGSM examples" },
        ParamDoc { name: "alpha", kind: ParamKind::SHARE, default: "0.5", unit: "", doc: "weight of the clean loss" },
        ParamDoc {
            name: "label",
            kind: ParamKind::Choice(&["true", "predicted"]),
            default: "\"true\"",
            unit: "",
            doc: "whose loss the perturbation ascends; predicted: Ross & Doshi-Velez's advtrain",
        },
        ParamDoc {
            name: "clip",
            kind: ParamKind::Bool,
            default: "true",
            unit: "",
            doc: "clamp the examples to [0, 1]",
        },
        GRAPH,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let alpha = args.f64("alpha")?;
        let predicted = args.str("label")? == "predicted";
        Ok(Arc::new(FgsmAug { eps: args.eps("eps")?, alpha, predicted, clip: args.bool("clip")?, graph: graph(args)? }))
    },
};

impl Recipe for FgsmAug {
    fn name(&self) -> &str {
        "fgsm-aug"
    }
    fn threat(&self, _: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, self.eps.value()))
    }
    fn repeats(&self, _: &Position) -> bool {
        true
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let ce = step.cross_entropy(&x)?;
        let ascended = if self.predicted {
            let z = step.forward(&x)?;
            z.cross_entropy(&argmax_rows(z.tensor())?)?
        } else {
            ce.clone()
        };
        let g = step.input_gradient(&ascended, &x, self.graph)?;
        let moved = x.add(&g.sign()?.affine(self.eps.value(), 0.0)?)?;
        let x_adv = if self.clip { moved.clamp(0.0, 1.0)? } else { moved };
        let adv_ce = step.cross_entropy(&x_adv)?;
        Ok(vec![Term::new("ce", self.alpha, ce), Term::new("adv_ce", 1.0 - self.alpha, adv_ce)])
    }
}
