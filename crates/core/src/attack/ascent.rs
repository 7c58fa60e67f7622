//! Attacks that are nothing but gradient steps, as tensor operations on a whole batch: they never leave the device.

use crate::{Key, Result, Slope, Target, ThreatModel};
use candle_core::Tensor;
use gauntlet_autograd::{Var, cross_entropy_slope, kernels};

/// x₀ → x_{t+1} = clip(Π(x_t + α · s(∇ₓ))), a fixed number of times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ascent {
    /// Where it begins.
    pub start: Beginning,
    /// Steps.
    pub steps: u32,
    /// Step size in pixels.
    pub alpha: f64,
    /// What is ascended.
    pub slope: Slope,
}

/// The first point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beginning {
    /// The clean image.
    Clean,
    /// A random point of the ball, clamped to the box.
    Ball,
    /// x + σ · N(0, I), clamped to the box.
    Gaussian(f64),
}

impl Ascent {
    /// The last iterates `(N, C, H, W)` for `x (N, C, H, W)`, `labels (N,)` u32 beside it, rows `ids`; the same points as
    /// those of the walks, up to rounding.
    ///
    /// # Errors
    /// A forward or backward that fails.
    pub fn run(
        &self,
        target: &dyn Target,
        (x, labels, ids): (&Tensor, &Tensor, &[u64]),
        threat: &ThreatModel,
        key: Key,
    ) -> Result<Tensor> {
        let probabilities = |z: &Tensor| Var::constant(z.clone()).softmax();
        let reference = match self.slope {
            Slope::Divergence => Some(probabilities(&target.logits(x)?)?),
            Slope::CrossEntropy => None,
        };
        let mut point = match self.start {
            Beginning::Clean => x.clone(),
            Beginning::Ball => threat.start(x, key, ids)?,
            Beginning::Gaussian(sigma) => {
                let noise = key.normal(ids, x.dims(), x)?;
                let moved = kernels::blend((1.0, x), (sigma, &noise))?;
                let (low, high) = threat.bounds;
                Var::constant(moved).clamp(low, high)?.tensor().clone()
            }
        };
        let alpha = vec![self.alpha; ids.len()];
        let step = |point: &Tensor| -> Result<Tensor> {
            let linear = target.linearise(point)?;
            let cotangent = match &reference {
                None => cross_entropy_slope(linear.logits(), labels)?,
                Some(p) => probabilities(linear.logits())?.sub(p)?.tensor().clone(),
            };
            threat.step(point, x, &linear.pull(&cotangent)?, &alpha)
        };
        for taken in 0..self.steps {
            if taken == 1 && repeated(target, &point, self.steps - taken, &step)? {
                break;
            }
            point = step(&point)?;
        }
        Ok(point)
    }
}

/// The remaining steps of `point`, in its place, as repetitions of one recorded step; whether that was possible.
#[cfg(feature = "cuda")]
fn repeated(target: &dyn Target, point: &Tensor, steps: u32, step: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<bool> {
    use gauntlet_autograd::cuda::{overwrite_each, record};
    /// Below this recording costs more than it saves.
    const LEAST: u32 = 4;
    if !point.device().is_cuda() || steps < LEAST || !target.repeats() {
        return Ok(false);
    }
    let recorded = record(point.device(), || {
        let next =
            step(point).map_err(|error| gauntlet_autograd::Error::Gpu { op: "a step", why: error.to_string() })?;
        overwrite_each(&[(point, &next)])
    })?;
    let Some(graph) = recorded else { return Ok(false) };
    for _ in 0..steps {
        graph.launch()?;
    }
    Ok(true)
}

#[cfg(not(feature = "cuda"))]
fn repeated(_: &dyn Target, _: &Tensor, _: u32, _: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<bool> {
    Ok(false)
}
