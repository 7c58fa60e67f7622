//! IKL: the divergence between predictions taken apart into squared differences of logits and a cross-entropy.

use crate::inner::{EPS, EVAL_MODE, InnerAttack, KL_ATTACK, NORM, RAMP};
use candle_core::{Device, Tensor};
use gauntlet_autograd::{Var, kernels};
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Memory, ParamDoc, ParamKind, Recipe, Result, Setup, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean ℓ(x) + β · mean ¼ Σⱼₖ wⱼ wₖ (Δⱼₖ(x) − Δⱼₖ(x'))² + α · mean −Σₖ p̄ₖ(x) log pₖ(x'), Δⱼₖ = zⱼ − zₖ, p̄ held constant;
/// Cui et al. 2024.
///
/// w belongs to the label: the mean of softmax(z(x)/T) over the label's images in the epoch before (uniform in the first, and for
/// a class that no image of the epoch had). With d = z(x) − z(x') the double sum is ½ (Σ w · Σ w d² − (Σ w d)²).
pub struct Ikl {
    /// PGD on the KL.
    pub inner: InnerAttack,
    /// α.
    pub alpha: f64,
    /// β.
    pub beta: f64,
    /// T.
    pub temperature: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "ikl",
    summary: "TRADES with the improved KL: weighted squared differences of logits and a cross-entropy between predictions",
    formula: "mean ℓ(x) + β · mean ¼ Σⱼₖ wⱼ wₖ (Δⱼₖ(x) − Δⱼₖ(x'))² + α · mean −Σₖ p̄ₖ(x) log pₖ(x')",
    paper: "Cui et al. 2024",
    params: &[
        EPS,
        NORM,
        ParamDoc { name: "alpha", kind: ParamKind::WEIGHT, default: "4.0", unit: "", doc: "α" },
        ParamDoc { name: "beta", kind: ParamKind::WEIGHT, default: "20.0", unit: "", doc: "β" },
        ParamDoc {
            name: "temperature",
            kind: ParamKind::POSITIVE,
            default: "4.0",
            unit: "",
            doc: "T of the classes' weights",
        },
        KL_ATTACK,
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        Ok(Arc::new(Ikl {
            inner: InnerAttack::read(args, registry)?,
            alpha: args.f64("alpha")?,
            beta: args.f64("beta")?,
            temperature: args.f64("temperature")?,
        }))
    },
};

/// Weights of this epoch, `(K, K)`, a row for each label.
const WEIGHTS: &str = "ikl.weights";
/// Sums of predictions of this epoch, `(K, K)`.
const SUMS: &str = "ikl.sums";
/// The epoch that the sums are of, a scalar.
const EPOCH: &str = "ikl.epoch";
/// Predictions of the batch at hand, `(N, K)`, until the step is done.
const PENDING: &str = "ikl.pending";

/// In the first step of an epoch the sums of the one before become its weights.
fn turn(step: &mut Step<'_>) -> Result<()> {
    let now = f64::from(step.position().epoch);
    let of: Vec<Vec<f64>> = gauntlet_core::attack::rows(&step.remembered(EPOCH)?.unsqueeze(0)?)?;
    if of.concat().first() == Some(&now) {
        return Ok(());
    }
    let like = step.remembered(SUMS)?.clone();
    let sums: Vec<Vec<f64>> = gauntlet_core::attack::rows(&like)?;
    let mut weights: Vec<Vec<f64>> = gauntlet_core::attack::rows(step.remembered(WEIGHTS)?)?;
    for (to, sums) in weights.iter_mut().zip(&sums) {
        let total: f64 = sums.iter().sum();
        if total > 0.0 {
            to.iter_mut().zip(sums).for_each(|(w, sum)| *w = sum / total);
        }
    }
    let k = sums.len();
    let memory = step.memory();
    memory.insert(WEIGHTS.to_string(), kernels::numbers_like(&weights.concat(), &[k, k], &like)?);
    memory.insert(SUMS.to_string(), kernels::numbers_like(&vec![0.0; k * k], &[k, k], &like)?);
    memory.insert(EPOCH.to_string(), kernels::numbers_like(&[now], &[1], &like)?);
    Ok(())
}

impl Recipe for Ikl {
    fn name(&self) -> &str {
        "ikl"
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> Result<Memory> {
        let k = setup.model.classes;
        let zeros = Tensor::zeros((k, k), setup.precision.dtype(), &Device::Cpu)?;
        let uniform = kernels::numbers_like(&vec![1.0 / k as f64; k * k], &[k, k], &zeros)?;
        let epoch = kernels::numbers_like(&[0.0], &[1], &zeros)?;
        Ok(Memory::from([(WEIGHTS.to_string(), uniform), (SUMS.to_string(), zeros), (EPOCH.to_string(), epoch)]))
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.inner.at(position))
    }
    fn held_constant(&self) -> Option<&'static str> {
        Some("the clean prediction in the cross-entropy between the two")
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        turn(step)?;
        let x = step.input();
        let x_adv = Var::leaf(self.inner.examples(step)?);
        let ce = step.cross_entropy(&x)?;
        let (z, z_adv) = (step.forward(&x)?, step.forward(&x_adv)?);
        let seen = z.detach().affine(1.0 / self.temperature, 0.0)?.softmax()?;
        step.memory().insert(PENDING.to_string(), seen.tensor().clone());
        let w = Var::constant(step.remembered(WEIGHTS)?.index_select(step.labels(), 0)?);
        let d = z.sub(&z_adv)?;
        let (all, first, second) =
            (w.sum_per_example()?, w.mul(&d)?.sum_per_example()?, w.mul(&d.sqr()?)?.sum_per_example()?);
        let squares = all.mul(&second)?.sub(&first.sqr()?)?.affine(0.5, 0.0)?;
        let shared = z.detach().softmax()?.mul(&z_adv.log_softmax()?)?.sum_per_example()?.neg()?;
        Ok(vec![
            Term::new("ce", 1.0, ce),
            Term::new("squares", self.beta, squares),
            Term::new("shared_ce", self.alpha, shared),
        ])
    }
    fn after(&self, step: &mut Step<'_>) -> Result<()> {
        let Some(pending) = step.memory().remove(PENDING) else { return Ok(()) };
        let mut sums: Vec<Vec<f64>> = gauntlet_core::attack::rows(step.remembered(SUMS)?)?;
        let labels: Vec<u32> = step.labels().to_vec1()?;
        for (row, label) in gauntlet_core::attack::rows(&pending)?.iter().zip(labels) {
            if let Some(to) = sums.get_mut(label as usize) {
                to.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
            }
        }
        let k = sums.len();
        let sums = kernels::numbers_like(&sums.concat(), &[k, k], &pending)?;
        step.memory().insert(SUMS.to_string(), sums);
        Ok(())
    }
}
