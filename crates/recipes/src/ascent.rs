//! An ascent inside a recipe on an objective of its own, which no registered attack knows.

use crate::inner::mode;
use candle_core::Tensor;
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::{Args, AttackMode, ParamDoc, ParamKind, Result, Step, Target, ThreatModel};
use gauntlet_records::{Eps, Norm};

/// Steps of α · ε · sign(∇ₓ objective) in the L∞ ball and the box, every one taken; the last iterate counts.
#[derive(Debug, Clone)]
pub struct Ascent {
    /// ε in pixels.
    pub eps: Eps,
    /// Steps.
    pub steps: usize,
    /// α, as a multiple of ε.
    pub alpha: f64,
    /// What batch norm and dropout do in its forwards.
    pub mode: AttackMode,
    /// Epochs over which ε grows from 0.
    pub ramp: f64,
}

/// The parameter `steps`.
pub(crate) const STEPS: ParamDoc =
    ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "10", unit: "", doc: "steps of the inner attack" };
/// The parameter `alpha`.
pub(crate) const ALPHA: ParamDoc = ParamDoc {
    name: "alpha",
    kind: ParamKind::WEIGHT,
    default: "0.25",
    unit: "ε",
    doc: "size of a step, as a multiple of ε",
};

impl Ascent {
    /// From the parameters `eps`, `steps`, `alpha`, `attack_mode` and `ramp`.
    pub(crate) fn read(args: &Args) -> Result<Self> {
        Ok(Ascent {
            eps: args.eps("eps")?,
            steps: args.usize("steps")?,
            alpha: args.f64("alpha")?,
            mode: mode(args)?,
            ramp: args.f64("ramp")?,
        })
    }

    /// Norm and budget at a position of the training.
    pub(crate) fn at(&self, position: &Position) -> ThreatModel {
        ThreatModel::new(Norm::Linf, position.grown(self.ramp) * self.eps.value())
    }

    /// The last iterate, `(N, C, H, W)`, from `start`; `slope` is the objective's derivative by the logits, `(N, K)`, of the logits
    /// of an iterate and of the clean images.
    pub(crate) fn examples(
        &self,
        step: &mut Step<'_>,
        start: &Var,
        slope: &dyn Fn(&Var, &Var) -> Result<Var>,
    ) -> Result<Tensor> {
        let eps = self.at(&step.position()).eps;
        let x = step.input().detach();
        let target = step.frozen(self.mode);
        let clean = Var::constant(target.logits(x.tensor())?);
        let mut at = start.detach();
        for _ in 0..self.steps {
            let linear = target.linearise(at.tensor())?;
            let slope = slope(&Var::constant(linear.logits().clone()), &clean)?;
            let g = Var::constant(linear.pull(slope.tensor())?);
            let moved = at.add(&g.sign()?.affine(self.alpha * eps, 0.0)?)?;
            at = x.add(&moved.sub(&x)?.clamp(-eps, eps)?)?.clamp(0.0, 1.0)?;
        }
        if self.mode == AttackMode::TrainMoving {
            step.stats.append(&mut target.seen());
        }
        Ok(at.tensor().clone())
    }
}

/// Σₖ vₖ ∂pₖ/∂z of p = softmax z: p ⊙ (v − Σₖ pₖ vₖ), all `(N, K)`.
pub(crate) fn through_softmax(p: &Var, v: &Var) -> Result<Var> {
    let mean = p.mul(v)?.sum_keepdim(&[1])?;
    Ok(p.mul(&v.broadcast_sub(&mean)?)?)
}
