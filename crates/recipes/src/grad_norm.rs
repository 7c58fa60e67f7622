//! The input-gradient norm penalty, also known as double backpropagation.

use crate::reading::{GRAPH, graph};
use gauntlet_autograd::kernels::{argmax_rows, runner_up};
use gauntlet_autograd::{Graph, Var};
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Error, ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// L = … + weight · mean_n q(∇ₓℓ_n), q a norm of the gradient in pixel units.
///
/// Drucker & LeCun 1991 (½ ‖·‖₂²), Ross & Doshi-Velez 2018 (their λ is λ/2B here), Simon-Gabriel et al. 2019 (‖·‖₁).
#[derive(Debug, Clone)]
pub struct GradNorm {
    /// q.
    pub norm: GradientNorm,
    /// What is differentiated by the input.
    pub of: Of,
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

/// The function whose input gradient is penalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The cross-entropy ℓ.
    Loss,
    /// The cross-entropy to the uniform distribution, Ross & Doshi-Velez's "insensitive" variant.
    Uniform,
    /// The true class's logit z_y.
    TrueLogit,
    /// The margin z_y − max_{k≠y} z_k.
    Margin,
    /// Every logit: q is summed over the classes (l2sq: the Jacobian's squared Frobenius norm). One backward per class.
    Logits,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "grad-norm",
    summary: "penalty on the norm of the input gradient (double backpropagation); smooth activations (gelu, softplus) help it \
              far more than relu",
    formula: "weight · mean_n q(∇ₓℓ_n),  q = ‖·‖₂², ‖·‖₂, ‖·‖₁ or ‖·‖_∞",
    paper: "Drucker & LeCun 1991; Ross & Doshi-Velez 2018; Simon-Gabriel et al. 2019",
    params: &[
        ParamDoc {
            name: "norm",
            kind: ParamKind::Choice(&["l2sq", "l2", "l1", "linf"]),
            default: "\"l2sq\"",
            unit: "",
            doc: "the norm q of the gradient; l1 is the dual of an L∞ adversary",
        },
        ParamDoc {
            name: "of",
            kind: ParamKind::Choice(&["loss", "uniform", "true-logit", "margin", "logits"]),
            default: "\"loss\"",
            unit: "",
            doc: "whose gradient: the cross-entropy, that to the uniform distribution, z_y, z_y − max_{k≠y} z_k, or \
                  every logit (q summed over classes)",
        },
        ParamDoc {
            name: "weight",
            kind: ParamKind::WEIGHT,
            default: "",
            unit: "",
            doc: "weight of the penalty, in pixel units",
        },
        ParamDoc {
            name: "ramp",
            kind: ParamKind::WEIGHT,
            default: "0.0",
            unit: "epochs",
            doc: "the weight grows linearly from 0",
        },
        GRAPH,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let norm = match args.str("norm")? {
            "l2" => GradientNorm::L2,
            "l1" => GradientNorm::L1,
            "linf" => GradientNorm::Linf,
            _ => GradientNorm::L2Squared,
        };
        let of = match args.str("of")? {
            "uniform" => Of::Uniform,
            "true-logit" => Of::TrueLogit,
            "margin" => Of::Margin,
            "logits" => Of::Logits,
            _ => Of::Loss,
        };
        let (weight, ramp) = (args.f64("weight")?, args.f64("ramp")?);
        Ok(Arc::new(GradNorm { norm, of, weight, ramp, graph: graph(args)? }))
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
                sizes.gather_labels(&argmax_rows(sizes.tensor())?)?
            }
        })
    }
}

impl Of {
    /// The functions to be differentiated, each `(N,)`.
    fn values(self, step: &mut Step<'_>, x: &Var) -> Result<Vec<Var>> {
        if self == Of::Loss {
            return Ok(vec![step.cross_entropy(x)?]);
        }
        let z = step.forward(x)?;
        Ok(match self {
            Of::Loss | Of::Uniform => vec![z.log_softmax()?.mean_per_example()?.neg()?],
            Of::TrueLogit => vec![z.gather_labels(step.labels())?],
            Of::Margin => {
                let rival = z.gather_labels(&runner_up(z.tensor(), step.labels())?)?;
                vec![z.gather_labels(step.labels())?.sub(&rival)?]
            }
            Of::Logits => (0..z.dim(1)?).map(|k| Ok(z.narrow(1, k, 1)?.squeeze(1)?)).collect::<Result<_>>()?,
        })
    }
}

impl Recipe for GradNorm {
    fn name(&self) -> &str {
        "grad-norm"
    }
    fn held_constant(&self) -> Option<&'static str> {
        (self.graph == Graph::Free).then_some("the input gradient (graph = \"cut\")")
    }
    fn repeats(&self, position: &Position) -> bool {
        position.grown(self.ramp) >= 1.0
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let mut q: Option<Var> = None;
        for value in self.of.values(step, &x)? {
            let one = self.norm.of(&step.input_gradient(&value, &x, self.graph)?)?;
            q = Some(match q {
                None => one,
                Some(sum) => sum.add(&one)?,
            });
        }
        let q = q.ok_or_else(|| Error::Message("a model without classes has no gradient to penalise".into()))?;
        let grown = step.position().grown(self.ramp);
        Ok(vec![Term::new("grad_norm", self.weight * grown, q)])
    }
}
