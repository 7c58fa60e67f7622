//! ADR: the label gives way, as far as can be trusted, to the softened answer of the weights' own moving average.

use crate::ascent::{ALPHA, Ascent, STEPS};
use crate::inner::{EPS, MODE, RAMP};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::{blend_each, one_hot};
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{
    Frozen, Memory, ParamDoc, ParamKind, Params, Range, Recipe, Result, Spec, Step, Target, Term, ThreatModel,
};
use std::sync::Arc;

/// L = mean −Σₖ qₖ log pₖ(x'), q = s t + (1 − s) y, t = softmax(z̄(x)/T), s = min(1, max(0, λ − (maxₖ tₖ − t_y))), z̄ the logits of the
/// weights' moving average in eval mode; Wu, Wang & Chen 2024.
///
/// The average θ̄ ← d θ̄ + (1 − d) θ moves after every step, buffers with it, and begins at the initial weights. T and λ go from their
/// first to their last value along a half cosine, step by step. x' ascends the loss itself from x + U(−ε, ε)^d. Where the average is
/// wrong about x by more than λ, the label stands alone. Smoothed and mixed targets take the label's place.
#[derive(Debug, Clone)]
pub struct Adr {
    /// The inner attack.
    pub ascent: Ascent,
    /// d.
    pub decay: f64,
    /// T at the beginning and at the end.
    pub temperature: (f64, f64),
    /// λ at the beginning and at the end.
    pub share: (f64, f64),
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "adr",
    summary: "adversarial training on labels that the softened answer of the weights' own moving average rectifies",
    formula: "mean −Σₖ qₖ log pₖ(x'),  q = s t + (1 − s) y, t = softmax(z̄(x)/T), s = clip(λ − (maxₖ tₖ − t_y), 0, 1)",
    paper: "Wu, Wang & Chen 2024",
    params: &[
        EPS,
        ParamDoc {
            name: "decay",
            kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
            default: "0.995",
            unit: "",
            doc: "d of the moving average, per step",
        },
        ParamDoc {
            name: "temperature",
            kind: ParamKind::POSITIVE,
            default: "2.5",
            unit: "",
            doc: "T before the first step",
        },
        ParamDoc {
            name: "last_temperature",
            kind: ParamKind::POSITIVE,
            default: "2.0",
            unit: "",
            doc: "T after the last step",
        },
        ParamDoc { name: "share", kind: ParamKind::SHARE, default: "0.7", unit: "", doc: "λ before the first step" },
        ParamDoc {
            name: "last_share",
            kind: ParamKind::SHARE,
            default: "0.95",
            unit: "",
            doc: "λ after the last step",
        },
        STEPS,
        ALPHA,
        MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Adr {
            ascent: Ascent::read(args)?,
            decay: args.f64("decay")?,
            temperature: (args.f64("temperature")?, args.f64("last_temperature")?),
            share: (args.f64("share")?, args.f64("last_share")?),
        }))
    },
};

/// The average of a parameter or buffer, by its name.
const AVERAGE: &str = "adr.average/";
/// The step that the average stands before, a scalar.
const AT: &str = "adr.step";

/// last + ½ (first − last) (1 + cos π t), t the share of the training's steps that is done.
pub(crate) fn annealed((first, last): (f64, f64), position: &Position) -> f64 {
    let done = position.epochs_done() / f64::from(position.epochs.max(1));
    last + 0.5 * (first - last) * (1.0 + libm::cos(std::f64::consts::PI * done))
}

impl Adr {
    /// Brings the average up to this step, once: attacks on the weights, replays and parts of a batch find it there.
    fn follow(&self, step: &mut Step<'_>) -> Result<()> {
        let p = step.position();
        let now = f64::from(p.epoch) * f64::from(p.steps) + f64::from(p.step);
        let last = step.memory().get(AT).map(|at| at.to_dtype(DType::F64)?.to_vec1::<f64>()).transpose()?;
        if last.as_deref() == Some(&[now]) {
            return Ok(());
        }
        let (network, params) = (step.network(), step.params());
        let names: Vec<String> = network.specs().into_iter().map(|s| s.name).collect();
        let mut current = Vec::with_capacity(names.len());
        for name in &names {
            current.push(params.get(name)?.tensor().clone());
        }
        if last.is_some() {
            let averages = names.iter().map(|name| Ok(step.remembered(&format!("{AVERAGE}{name}"))?.clone()));
            let averages = averages.collect::<Result<Vec<Tensor>>>()?;
            let pairs: Vec<(&Tensor, &Tensor)> = averages.iter().zip(&current).collect();
            current = blend_each((self.decay, 1.0 - self.decay), &pairs)?;
        }
        let memory: &mut Memory = step.memory();
        for (name, average) in names.iter().zip(current) {
            memory.insert(format!("{AVERAGE}{name}"), average);
        }
        memory.insert(AT.to_string(), Tensor::from_vec(vec![now], 1, &Device::Cpu)?);
        Ok(())
    }

    /// The average in eval mode.
    fn average(step: &mut Step<'_>) -> Result<Frozen> {
        let network = step.network();
        let mut entries = Vec::new();
        for spec in network.specs() {
            let average = step.remembered(&format!("{AVERAGE}{}", spec.name))?.clone();
            entries.push((spec.name, Var::constant(average), spec.trainable));
        }
        Ok(Frozen::new(network, Params::from_entries(entries)))
    }

    /// q, `(N, K)`, a constant.
    fn rectified(&self, step: &mut Step<'_>) -> Result<Var> {
        self.follow(step)?;
        let position = step.position();
        let z = Self::average(step)?.logits(step.input().tensor())?;
        let t = Var::constant(z).affine(1.0 / annealed(self.temperature, &position), 0.0)?.softmax()?;
        let own = Var::constant(one_hot(step.labels(), t.dim(1)?, t.tensor())?);
        let of_label = t.mul(&own)?.sum_keepdim(&[1])?;
        let largest: Vec<f64> = gauntlet_core::attack::rows(t.tensor())?
            .iter()
            .map(|row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max))
            .collect();
        let largest = gauntlet_autograd::kernels::numbers_like(&largest, of_label.dims(), t.tensor())?;
        let wrong = Var::constant(largest).sub(&of_label)?;
        let share = wrong.affine(-1.0, annealed(self.share, &position))?.clamp(0.0, 1.0)?;
        let label = step.targets().distribution(&t, step.labels())?;
        Ok(t.broadcast_mul(&share)?.add(&label.broadcast_mul(&share.affine(-1.0, 1.0)?)?)?)
    }
}

impl Recipe for Adr {
    fn name(&self) -> &str {
        "adr"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.ascent.at(position))
    }
    fn held_constant(&self) -> Option<&'static str> {
        Some("the rectified labels, which in the first step come from the weights themselves")
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let q = self.rectified(step)?;
        let eps = self.ascent.at(&step.position()).eps;
        let start = x.detach().add(&step.uniform_pixels("adr", (-eps, eps))?)?.clamp(0.0, 1.0)?;
        let away = |z: &Var, _: &Var| Ok(z.softmax()?.sub(&q)?);
        let x_adv = Var::leaf(self.ascent.examples(step, &start, &away)?);
        let values = step.forward(&x_adv)?.log_softmax()?.mul(&q)?.sum_per_example()?.neg()?;
        Ok(vec![Term::new("rectified_ce", 1.0, values)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_annealed_goes_along_half_a_cosine() {
        let at = |epoch: u32, step: u32| Position { epoch, epochs: 4, step, steps: 10, replay: 0 };
        let value = |epoch, step| annealed((2.5, 2.0), &at(epoch, step));
        assert!((value(0, 0) - 2.5).abs() < 1e-12 && (value(2, 0) - 2.25).abs() < 1e-12);
        // A quarter of the way: 2 + 0.25 (1 + cos 45°).
        assert!((value(1, 0) - (2.25 + 0.25 * 0.5f64.sqrt())).abs() < 1e-12);
        assert!(value(3, 9) > 2.0 && value(3, 9) < value(3, 8));
    }
}
