//! One step of a training: loss, gradients, optimiser, running statistics.

use crate::{Error, Result};
use candle_core::{DType, Tensor};
use gauntlet_autograd::grad_last;
use gauntlet_core::optimiser::{Optimiser, OptimiserState};
use gauntlet_core::recipe::{Memory, Position};
use gauntlet_core::{Batch, BatchStats, Loss, Network, Params, Recipe, Step, Target, Weights};
use std::sync::Arc;

/// What stays the same from step to step.
pub struct TrainingStep<'a> {
    /// The model.
    pub network: &'a Arc<dyn Network>,
    /// The objective.
    pub recipe: &'a dyn Recipe,
    /// Its hyper-parameters.
    pub optimiser: &'a Optimiser,
    /// Largest norm of the gradient of all parameters together.
    pub clip: Option<f64>,
    /// The trained model that the row names as its teacher.
    pub teacher: Option<Arc<dyn Target>>,
}

/// What a step found out on its way.
#[derive(Debug, Clone)]
pub struct Stepped {
    /// The loss.
    pub loss: f64,
    /// Its terms, unweighted means.
    pub terms: Vec<(String, f64)>,
}

impl TrainingStep<'_> {
    /// Moves the weights once; `(seed, position, learning rate)`.
    ///
    /// # Errors
    /// A loss, term or gradient that is not finite, parameters that the loss does not reach (by name).
    pub fn take(
        &self,
        weights: &mut Weights,
        optimiser: &mut OptimiserState,
        memory: &mut Memory,
        batch: &Batch,
        (seed, position, rate): (u64, Position, f64),
    ) -> Result<Stepped> {
        let params = weights.leaves();
        let mut step =
            Step::new(self.network.clone(), &params, batch, seed, position, memory)?.taught_by(self.teacher.clone());
        let loss = self.recipe.loss(&mut step)?;
        let stepped = self.read(&loss, position)?;
        step.forget();
        let gradients = self.gradients(loss, &params, &mut step)?;
        let stats = std::mem::take(&mut step.stats);
        optimiser.step(self.optimiser, weights, &gradients, rate)?;
        move_statistics(weights, &stats)?;
        self.recipe.after(&mut step)?;
        Ok(stepped)
    }

    /// Loss and terms on the host: what is logged, and the sums for the curve.
    fn read(&self, loss: &Loss, position: Position) -> Result<Stepped> {
        let total: f64 = loss.total.tensor().to_dtype(DType::F64)?.sum_all()?.to_scalar()?;
        let mut terms = Vec::new();
        for (name, _, values) in &loss.terms {
            let values: Vec<f64> = values.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
            let sum: f64 = values.iter().sum();
            terms.push((name.to_string(), sum / values.len().max(1) as f64));
        }
        if !total.is_finite() || terms.iter().any(|(_, v)| !v.is_finite()) {
            let shown: Vec<String> = loss
                .terms
                .iter()
                .zip(&terms)
                .map(|((name, weight, _), (_, mean))| format!("{name} = {mean} (weight {weight})"))
                .collect();
            return Err(Error::Core(gauntlet_core::Error::NotFinite {
                what: format!("the loss of {}", self.recipe.name()),
                why: format!(
                    "step {} of epoch {}: total {total}, {}; a lower learning rate, a smaller weight or a ramp may help",
                    position.step + 1,
                    position.epoch + 1,
                    shown.join(", ")
                ),
            }));
        }
        Ok(Stepped { loss: total, terms })
    }

    fn gradients<'p>(&self, loss: Loss, params: &'p Params, step: &mut Step<'_>) -> Result<Vec<(&'p str, Tensor)>> {
        let (mut names, mut leaves): (Vec<&str>, Vec<_>) = params.trained().unzip();
        let watched = step.watched();
        if let Some(x) = &watched {
            names.push("(the watched input)");
            leaves.push(x);
        }
        let mut gradients = match grad_last(loss.total, &leaves) {
            Ok(gradients) => gradients,
            Err(gauntlet_autograd::Error::Unreached { positions }) => {
                let lost: Vec<&str> = positions.iter().filter_map(|i| names.get(*i).copied()).collect();
                return Err(Error::message(format!(
                    "the loss of {} does not reach the parameters {}: they would never be trained; \
                     was a value detached on the way?",
                    self.recipe.name(),
                    lost.join(", ")
                )));
            }
            Err(other) => return Err(other.into()),
        };
        if watched.is_some()
            && let Some(gradient) = gradients.pop()
        {
            step.set_gradient_of_watched(gradient);
        }
        if let Some(limit) = self.clip {
            let mut squares = 0.0;
            for g in &gradients {
                let values: Vec<f64> = g.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
                squares += values.iter().map(|v| v * v).sum::<f64>();
            }
            if squares.sqrt() > limit {
                let scale = limit / squares.sqrt();
                gradients = gradients.iter().map(|g| g.affine(scale, 0.0)).collect::<Result<_, _>>()?;
            }
        }
        Ok(names.into_iter().zip(gradients).collect())
    }
}

/// running = (1 − m) · running + m · batch, in the order in which the batches were seen.
fn move_statistics(weights: &mut Weights, stats: &[BatchStats]) -> Result<()> {
    for seen in stats {
        for (leaf, batch) in [("running_mean", &seen.mean), ("running_var", &seen.var)] {
            let name = format!("{}.{leaf}", seen.layer);
            let kept = weights.get(&name)?.affine(1.0 - seen.momentum, 0.0)?;
            weights.set(&name, (kept + batch.affine(seen.momentum, 0.0)?)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn running_statistics_move_once_per_batch_seen() {
        let t = |v: [f64; 2]| Tensor::new(&v, &Device::Cpu).unwrap();
        let entries = [("bn.running_mean", t([0.0, 1.0])), ("bn.running_var", t([1.0, 1.0]))];
        let mut weights = Weights::from_entries(entries.map(|(n, t)| (n.to_string(), t, false)));
        let seen = |mean, var| BatchStats { layer: "bn".into(), mean: t(mean), var: t(var), momentum: 0.1 };
        move_statistics(&mut weights, &[seen([1.0, 1.0], [2.0, 0.0]), seen([3.0, 1.0], [1.0, 1.0])]).unwrap();
        let read = |name: &str| weights.get(name).unwrap().to_vec1::<f64>().unwrap();
        let close = |a: Vec<f64>, b: [f64; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        // 0.9 · (0.9 · 0 + 0.1 · 1) + 0.1 · 3, and so on.
        assert!(close(read("bn.running_mean"), [0.39, 1.0]));
        assert!(close(read("bn.running_var"), [0.9 * 1.1 + 0.1, 0.9 * 0.9 + 0.1]));
        let other = BatchStats { layer: "bn2".into(), ..seen([0.0, 0.0], [1.0, 1.0]) };
        assert!(move_statistics(&mut weights, &[other]).unwrap_err().to_string().contains("bn2.running_mean"));
    }
}
