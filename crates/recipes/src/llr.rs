//! Local linearity regularisation.

use crate::inner::EPS;
use crate::slope::slope;
use candle_core::Tensor;
use gauntlet_autograd::{Graph, Var};
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{AttackMode, ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// λ · mean γ + μ · mean |δ*·g(x)|, γ = |ℓ(x + δ*) − ℓ(x) − δ*·g(x)| at the δ* of the ball that makes it largest;
/// Qin et al. 2019.
///
/// δ* by a few sign steps of ε/steps from 0.001 · N(0, I) with the current weights (train-mode batch norm, running
/// statistics untouched), detached, inside ball and box. All quantities are of one example: the copy of the code that
/// is in circulation averages before the absolute value and multiplies all pairs of examples.
#[derive(Debug, Clone)]
pub struct Llr {
    /// ε in pixels (L∞).
    pub eps: Eps,
    /// Ascent steps for δ*.
    pub steps: usize,
    /// λ.
    pub weight: f64,
    /// μ.
    pub taylor_weight: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "llr",
    summary: "penalty on how far the loss is from linear around x, and on its linear rise",
    formula: "λ · mean γ + μ · mean |δ*·g|,  γ = max_{‖δ‖_∞ ≤ ε} |ℓ(x + δ) − ℓ(x) − δ·g(x)|",
    paper: "Qin et al. 2019",
    params: &[
        EPS,
        ParamDoc {
            name: "steps",
            kind: ParamKind::COUNT,
            default: "2",
            unit: "",
            doc: "ascent steps of ε/steps for δ*",
        },
        ParamDoc { name: "weight", kind: ParamKind::WEIGHT, default: "4.0", unit: "", doc: "λ of the nonlinearity" },
        ParamDoc {
            name: "taylor_weight",
            kind: ParamKind::WEIGHT,
            default: "3.0",
            unit: "",
            doc: "μ of the linear rise",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Llr {
            eps: args.eps("eps")?,
            steps: args.usize("steps")?,
            weight: args.f64("weight")?,
            taylor_weight: args.f64("taylor_weight")?,
        }))
    },
};

impl Llr {
    /// x + δ*, `(N, C, H, W)`.
    fn furthest(&self, step: &mut Step<'_>) -> Result<Tensor> {
        let x = step.input().detach();
        let n = x.dim(0)?;
        let threat = ThreatModel::new(Norm::Linf, self.eps.value());
        let (base, g) = slope(step, x.tensor(), AttackMode::Train)?;
        let noise = step.normal_pixels("llr")?.affine(0.001, 0.0)?;
        let mut point = threat.project(x.add(&noise)?.tensor(), x.tensor())?;
        let alpha = vec![self.eps.value() / self.steps as f64; n];
        for _ in 0..self.steps {
            let (loss, there) = slope(step, &point, AttackMode::Train)?;
            let linear = g.mul(&Var::constant(point.clone()).sub(&x)?)?.sum_per_example()?;
            // d|h|/dδ = sign(h) · (∇ℓ(x + δ) − g).
            let side = loss.sub(&base)?.sub(&linear)?.sign()?.reshape(&[n, 1, 1, 1])?;
            point = threat.step(&point, x.tensor(), there.sub(&g)?.broadcast_mul(&side)?.tensor(), &alpha)?;
        }
        Ok(point)
    }
}

impl Recipe for Llr {
    fn name(&self) -> &str {
        "llr"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let x_adv = Var::leaf(self.furthest(step)?);
        let delta = x_adv.detach().sub(&x.detach())?;
        let ce = step.cross_entropy(&x)?;
        let rise = step.input_gradient(&ce, &x, Graph::Keep)?.dot_per_example(&delta)?;
        let gap = step.cross_entropy(&x_adv)?.sub(&ce)?.sub(&rise)?.abs()?;
        Ok(vec![Term::new("nonlinearity", self.weight, gap), Term::new("taylor", self.taylor_weight, rise.abs()?)])
    }
}
