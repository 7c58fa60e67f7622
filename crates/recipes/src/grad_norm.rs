//! The input-gradient norm penalty, also known as double backpropagation.

use crate::reading::{GRAPH, graph};
use gauntlet_autograd::{Graph, Var};
use gauntlet_core::registry::BuildPenalty;
use gauntlet_core::{ParamDoc, Penalty, Result, Spec, Step, Term};
use std::sync::Arc;

/// L = … + weight · mean_n q(∇ₓℓ_n), q a norm of the gradient in pixel units.
///
/// Drucker & LeCun 1991 (½ ‖·‖₂²), Ross & Doshi-Velez 2018 (their λ is λ/2B here), Simon-Gabriel et al. 2019 (‖·‖₁).
#[derive(Debug, Clone)]
pub struct GradNorm {
    /// q.
    pub norm: GradientNorm,
    /// Weight in the total.
    pub weight: f64,
    /// The weight grows linearly from 0 over this many epochs (0: at once).
    pub ramp: f64,
    /// `Keep` trains the penalty; `Free` is the popular cut reading, which trains nothing.
    pub graph: Graph,
}

/// The quantity that is penalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GradientNorm {
    /// ‖g‖₂².
    L2Squared,
    /// ‖g‖₂, the dual of L2.
    L2,
    /// ‖g‖₁, the dual of L∞.
    L1,
    /// ‖g‖_∞, the dual of L1.
    Linf,
}

/// Registration.
pub const SPEC: Spec<BuildPenalty> = Spec {
    name: "grad-norm",
    summary: "penalty on the norm of the input gradient (double backpropagation)",
    formula: "weight · mean_n q(∇ₓℓ_n),  q = ‖·‖₂², ‖·‖₂, ‖·‖₁ or ‖·‖_∞",
    paper: "Drucker & LeCun 1991; Ross & Doshi-Velez 2018; Simon-Gabriel et al. 2019",
    params: &[
        ParamDoc {
            name: "norm",
            kind: "one of l2sq, l2, l1, linf",
            default: "\"l2sq\"",
            unit: "",
            doc: "the norm q of the gradient; l1 is the dual of an L∞ adversary",
        },
        ParamDoc { name: "weight", kind: "float", default: "", unit: "", doc: "weight of the penalty, in pixel units" },
        ParamDoc {
            name: "ramp",
            kind: "float",
            default: "0.0",
            unit: "epochs",
            doc: "the weight grows linearly from 0",
        },
        GRAPH,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let norm = match args.choice("norm", &["l2sq", "l2", "l1", "linf"])? {
            "l2" => GradientNorm::L2,
            "l1" => GradientNorm::L1,
            "linf" => GradientNorm::Linf,
            _ => GradientNorm::L2Squared,
        };
        let (weight, ramp) = (args.f64_from("weight", 0.0)?, args.f64_from("ramp", 0.0)?);
        Ok(Arc::new(GradNorm { norm, weight, ramp, graph: graph(args)? }))
    },
};

impl GradientNorm {
    /// q(g) per example, `(N,)`.
    pub fn of(self, g: &Var) -> Result<Var> {
        Ok(match self {
            GradientNorm::L2Squared => g.sqr()?.sum_per_example()?,
            GradientNorm::L2 => g.norm_l2_per_example()?,
            GradientNorm::L1 => g.norm_l1_per_example()?,
            GradientNorm::Linf => {
                let sizes = g.flatten()?.abs()?;
                sizes.gather_labels(&sizes.tensor().argmax(1)?)?
            }
        })
    }
}

impl Penalty for GradNorm {
    fn name(&self) -> &str {
        "grad-norm"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let ce = step.cross_entropy(&x)?;
        let g = step.input_gradient(&ce, &x, self.graph)?;
        let grown = step.position().grown(self.ramp);
        Ok(vec![Term::new("grad_norm", self.weight * grown, self.norm.of(&g)?)])
    }
}
