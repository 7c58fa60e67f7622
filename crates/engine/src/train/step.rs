//! One step of a training: loss, gradients, optimiser, running statistics.

use crate::{Error, Perturb, Result, Tricks};
use candle_core::{DType, Device, Tensor};
#[cfg(feature = "cuda")]
use gauntlet_autograd::cuda::overwrite_each;
use gauntlet_autograd::kernels::blend_each;
#[cfg(feature = "cuda")]
use gauntlet_autograd::kernels::zeros_like;
use gauntlet_autograd::{Var, grad_last};
use gauntlet_core::Memory;
use gauntlet_core::optimiser::{Optimiser, OptimiserState};
use gauntlet_core::position::Position;
use gauntlet_core::step::Made;
use gauntlet_core::{Batch, BatchStats, Loss, Mixed, Network, Params, Recipe, Step, Target, Targets, Weights};
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
    /// The recorded step of this training, where there is one.
    pub graphs: Option<&'a dyn Recorder>,
    /// What is done beside the recipe.
    pub tricks: &'a Tricks,
    /// Second labels of this batch, where its images are mixtures.
    pub mixed: Option<&'a Mixed>,
}

/// Loss and gradients of a batch, with what its forwards saw and its attacks made.
struct Found {
    taken: Taken,
    gradients: Vec<(String, Tensor)>,
    stats: Vec<BatchStats>,
    /// Of every part of the batch.
    made: Vec<Vec<Made>>,
}

/// Perturbed weights that a step is lent, with the examples of the same step at the weights themselves.
struct Lent<'a> {
    weights: &'a Weights,
    made: &'a [Vec<Made>],
}

/// What a step found out, read or still on the device.
#[derive(Debug)]
pub struct Taken(Values);

/// Somebody who may have recorded the step: loss and gradients without computing them operation by operation.
pub trait Recorder {
    /// Loss and gradients of this step; `None` where they have to be computed as usual.
    ///
    /// # Errors
    /// A device that fails.
    fn step(&self, step: &TrainingStep<'_>, of: Of<'_>) -> Result<Option<Computed>>;
}

/// What a step is of: seed and position, and weights, memory and batch.
pub type Of<'a> = ((u64, Position), &'a Weights, &'a mut Memory, &'a Batch);

/// Loss, and gradients by name.
pub type Computed = (Taken, Vec<(String, Tensor)>);

#[derive(Debug)]
enum Values {
    Read(Stepped),
    There { total: Tensor, terms: Vec<(String, f64, Tensor)>, recipe: String, position: Position },
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
    ) -> Result<Taken> {
        if let Some(graphs) = self.graphs
            && self.tricks.leaves_the_gradient()
            && self.mixed.is_none()
            && let Some((taken, gradients)) = graphs.step(self, ((seed, position), weights, memory, batch))?
        {
            let gradients: Vec<(&str, Tensor)> = gradients.iter().map(|(name, g)| (name.as_str(), g.clone())).collect();
            optimiser.step_decaying(self.optimiser, self.tricks.decay, weights, &gradients, rate)?;
            return Ok(taken);
        }
        let at = (seed, position);
        let perturb = self.tricks.perturb.filter(|p| position.epochs_done() >= p.start());
        let first = self.found(weights, None, memory, batch, (at, perturb.is_none()))?;
        let Some(perturb) = perturb else {
            self.move_weights(optimiser, weights, first.gradients, rate)?;
            move_statistics(weights, &first.stats)?;
            return Ok(first.taken);
        };
        let (mut moved, added) = perturb.moved(weights, &first.gradients)?;
        match perturb {
            // As the authors do: the optimiser steps from the perturbed weights, then the perturbation is taken back, and batch
            // norm's statistics are those of the second forward.
            Perturb::Awp { .. } => {
                let lent = Lent { weights: &moved, made: &first.made };
                let second = self.found(weights, Some(&lent), memory, batch, (at, true))?;
                self.move_weights(optimiser, &mut moved, second.gradients, rate)?;
                for (name, delta) in &added {
                    let back = Var::constant(moved.get(name)?.clone()).sub(&Var::constant(delta.clone()))?;
                    moved.set(name, back.tensor().clone())?;
                }
                move_statistics(&mut moved, &second.stats)?;
                *weights = moved;
            }
            // Back first, and the statistics of the first forward.
            Perturb::Sam { .. } | Perturb::Asam { .. } => {
                let second = self.found(&moved, None, memory, batch, (at, true))?;
                self.move_weights(optimiser, weights, second.gradients, rate)?;
                move_statistics(weights, &first.stats)?;
            }
        }
        Ok(first.taken)
    }

    /// The optimiser's step with gradients of the whole batch.
    fn move_weights(
        &self,
        optimiser: &mut OptimiserState,
        weights: &mut Weights,
        gradients: Vec<(String, Tensor)>,
        rate: f64,
    ) -> Result<()> {
        let (names, gradients): (Vec<String>, Vec<Tensor>) = gradients.into_iter().unzip();
        let gradients = self.within_the_clip(gradients)?;
        let named: Vec<(&str, Tensor)> = names.iter().map(String::as_str).zip(gradients).collect();
        Ok(optimiser.step_decaying(self.optimiser, self.tricks.decay, weights, &named, rate)?)
    }

    /// Loss and gradients of the whole batch, in as many parts as it is to be taken in; `last`: the recipe is told that the
    /// sweep is over.
    fn found(
        &self,
        weights: &Weights,
        lent: Option<&Lent<'_>>,
        memory: &mut Memory,
        batch: &Batch,
        (at, last): ((u64, Position), bool),
    ) -> Result<Found> {
        let n = batch.len();
        let size = n.div_ceil(self.tricks.accumulate.unwrap_or(1).max(1)).max(1);
        if size >= n {
            return self.found_of(weights, lent.map(|l| (l, 0)), memory, (batch, self.mixed.cloned()), (at, last));
        }
        if self.recipe.replays() > 1 {
            let text = format!(
                "{} keeps what belongs to a place in the batch, which cannot be taken in parts; leave `accumulate` out",
                self.recipe.name()
            );
            return Err(Error::message(text));
        }
        let mut sums: Option<(Stepped, Vec<(String, Var)>)> = None;
        let (mut stats, mut made) = (Vec::new(), Vec::new());
        for (i, start) in (0..n).step_by(size).enumerate() {
            let len = size.min(n - start);
            let part = Batch {
                x: batch.x.narrow(0, start, len)?,
                y: batch.y.narrow(0, start, len)?,
                ids: batch.ids[start..start + len].to_vec(),
            };
            let mixed = self.mixed.map(|m| m.part(start, len)).transpose()?;
            let found = self.found_of(weights, lent.map(|l| (l, i)), memory, (&part, mixed), (at, last))?;
            let share = len as f64 / n as f64;
            let Stepped { loss, terms } = found.taken.settle()?;
            let terms = terms.into_iter().map(|(name, mean)| (name, share * mean));
            let own = found.gradients.into_iter().map(|(name, g)| Ok((name, Var::constant(g).affine(share, 0.0)?)));
            let own = own.collect::<Result<Vec<_>>>()?;
            match &mut sums {
                None => sums = Some((Stepped { loss: share * loss, terms: terms.collect() }, own)),
                Some((stepped, gradients)) => {
                    stepped.loss += share * loss;
                    for ((_, sum), (_, mean)) in stepped.terms.iter_mut().zip(terms) {
                        *sum += mean;
                    }
                    for ((_, sum), (_, g)) in gradients.iter_mut().zip(own) {
                        *sum = sum.add(&g)?;
                    }
                }
            }
            stats.extend(found.stats);
            made.extend(found.made);
        }
        let Some((stepped, gradients)) = sums else { return Err(Error::message("a batch without an example")) };
        let gradients = gradients.into_iter().map(|(name, g)| (name, g.tensor().clone())).collect();
        Ok(Found { taken: Taken(Values::Read(stepped)), gradients, stats, made })
    }

    /// The same of one part; `lent` says which.
    fn found_of(
        &self,
        weights: &Weights,
        lent: Option<(&Lent<'_>, usize)>,
        memory: &mut Memory,
        (batch, mixed): (&Batch, Option<Mixed>),
        ((seed, position), last): ((u64, Position), bool),
    ) -> Result<Found> {
        let params = weights.leaves();
        let moved = lent.map(|(lent, part)| (lent.weights.leaves(), lent.made.get(part).cloned().unwrap_or_default()));
        let mut step = Step::new(self.network.clone(), &params, batch, seed, position, memory)?
            .taught_by(self.teacher.clone())
            .with_targets(Targets { smoothing: self.tricks.smoothing.unwrap_or(0.0), mixed });
        if let Some((moved, made)) = &moved {
            step = step.lend(moved, made.clone());
        }
        let loss = self.recipe.loss(&mut step)?;
        let there = self.there(&loss, position)?;
        // On the CPU nothing waits, and nothing is made of a loss that is no number.
        let taken = if batch.x.device().is_cpu() { Taken(Values::Read(there.settle()?)) } else { there };
        step.forget();
        let gradients = self.unclipped(loss, moved.as_ref().map_or(&params, |(moved, _)| moved), &mut step)?;
        let gradients = gradients.into_iter().map(|(name, g)| (name.to_string(), g)).collect();
        let (stats, made) = (std::mem::take(&mut step.stats), vec![step.take_made()]);
        if last {
            self.recipe.after(&mut step)?;
        }
        Ok(Found { taken, gradients, stats, made })
    }

    /// Loss and means of the terms, where they are.
    pub(crate) fn there(&self, loss: &Loss, position: Position) -> Result<Taken> {
        let total = loss.total.tensor().clone();
        let mean = |values: &Tensor| Ok::<_, Error>(Var::constant(values.clone()).mean_all()?.tensor().clone());
        let cpu = total.device().is_cpu();
        let terms = loss.terms.iter().map(|(name, weight, values)| {
            Ok((name.to_string(), *weight, if cpu { values.clone() } else { mean(values)? }))
        });
        let (terms, recipe) = (terms.collect::<Result<_>>()?, self.recipe.name().to_string());
        Ok(Taken(Values::There { total, terms, recipe, position }))
    }

    /// Gradients of the parameters, within the clip.
    #[cfg(feature = "cuda")]
    pub(crate) fn gradients<'p>(
        &self,
        loss: Loss,
        params: &'p Params,
        step: &mut Step<'_>,
    ) -> Result<Vec<(&'p str, Tensor)>> {
        let (names, gradients): (Vec<&str>, Vec<Tensor>) = self.unclipped(loss, params, step)?.into_iter().unzip();
        Ok(names.into_iter().zip(self.within_the_clip(gradients)?).collect())
    }

    fn unclipped<'p>(&self, loss: Loss, params: &'p Params, step: &mut Step<'_>) -> Result<Vec<(&'p str, Tensor)>> {
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
        Ok(names.into_iter().zip(gradients).collect())
    }

    fn within_the_clip(&self, mut gradients: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if let Some(limit) = self.clip
            && gradients.iter().any(|g| !g.device().is_cpu())
        {
            gradients = clipped(&gradients, limit)?;
        } else if let Some(limit) = self.clip {
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
        Ok(gradients)
    }
}

#[cfg(feature = "cuda")]
impl Taken {
    pub(crate) fn there(total: Tensor, terms: Vec<(String, f64, Tensor)>, recipe: String, position: Position) -> Self {
        Taken(Values::There { total, terms, recipe, position })
    }
    /// What is still on the device, with where it is to be written: `total` and the terms' buffers, which are made if they are
    /// not there yet.
    pub(crate) fn values(
        self,
        total: &Tensor,
        buffers: &mut Vec<(String, f64, Tensor)>,
    ) -> Result<Vec<(Tensor, Tensor)>> {
        let Values::There { total: found, terms, .. } = self.0 else {
            return Err(Error::message("a loss on the host"));
        };
        if buffers.is_empty() {
            for (name, weight, value) in &terms {
                buffers.push((name.clone(), *weight, zeros_like(value)?));
            }
        }
        let mut values = vec![(total.clone(), found)];
        values.extend(buffers.iter().zip(terms).map(|((_, _, to), (_, _, from))| (to.clone(), from)));
        Ok(values)
    }
    /// The same values in buffers of their own, of another step.
    pub(crate) fn copied(&self, position: Position) -> Result<Self> {
        let Values::There { total, terms, recipe, .. } = &self.0 else {
            return Err(Error::message("a loss on the host"));
        };
        let fresh = |t: &Tensor| zeros_like(t);
        let (to, kept) = (fresh(total)?, terms.iter().map(|(_, _, t)| fresh(t)).collect::<Result<Vec<_>, _>>()?);
        let mut pairs = vec![(&to, total)];
        pairs.extend(kept.iter().zip(terms).map(|(to, (_, _, from))| (to, from)));
        overwrite_each(&pairs)?;
        let terms = terms.iter().zip(kept).map(|((name, weight, _), t)| (name.clone(), *weight, t)).collect();
        Ok(Taken::there(to, terms, recipe.clone(), position))
    }
}

impl Taken {
    /// Loss and terms on the host. Waits for the device.
    ///
    /// # Errors
    /// One that is not finite, with step, terms and a hint.
    pub fn settle(self) -> Result<Stepped> {
        let (total, terms, recipe, position) = match self.0 {
            Values::Read(stepped) => return Ok(stepped),
            Values::There { total, terms, recipe, position } => (total, terms, recipe, position),
        };
        let read = |t: &Tensor| -> Result<Vec<f64>> {
            Ok(t.to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
        };
        let total: f64 = read(&total)?.iter().sum();
        let mut means = Vec::new();
        for (name, _, values) in &terms {
            let values = read(values)?;
            let sum: f64 = values.iter().sum();
            means.push((name.clone(), sum / values.len().max(1) as f64));
        }
        if !total.is_finite() || means.iter().any(|(_, v)| !v.is_finite()) {
            let shown: Vec<String> = terms
                .iter()
                .zip(&means)
                .map(|((name, weight, _), (_, mean))| format!("{name} = {mean} (weight {weight})"))
                .collect();
            return Err(Error::Core(gauntlet_core::Error::NotFinite {
                what: format!("the loss of {recipe}"),
                why: format!(
                    "step {} of epoch {}: total {total}, {}; a lower learning rate, a smaller weight or a ramp may help",
                    position.step + 1,
                    position.epoch + 1,
                    shown.join(", ")
                ),
            }));
        }
        Ok(Stepped { loss: total, terms: means })
    }
}

/// Gradients divided by max(1, ‖all of them‖ / limit), without a look at the norm from the host.
fn clipped(gradients: &[Tensor], limit: f64) -> Result<Vec<Tensor>> {
    let mut squares: Option<Var> = None;
    for g in gradients {
        let own = Var::constant(g.clone()).sqr()?.sum_all()?;
        squares = Some(squares.map_or(Ok(own.clone()), |s| s.add(&own))?);
    }
    let Some(squares) = squares else { return Ok(Vec::new()) };
    let factor = squares.sqrt()?.affine(1.0 / limit, 0.0)?.clamp(1.0, f64::INFINITY)?.recip()?;
    let scaled = |g: &Tensor| Ok(Var::constant(g.clone()).broadcast_mul(&factor)?.tensor().clone());
    gradients.iter().map(scaled).collect()
}

/// running = (1 − m) · running + m · batch, in the order in which the batches were seen.
pub(crate) fn move_statistics(weights: &mut Weights, stats: &[BatchStats]) -> Result<()> {
    let mut rest = stats;
    while let Some(first) = rest.first() {
        // Layers that this forward moved: a layer seen twice was moved by the next.
        let again = |i: usize| {
            rest[i].momentum.total_cmp(&first.momentum).is_ne() || rest[..i].iter().any(|s| s.layer == rest[i].layer)
        };
        let (now, later) = rest.split_at((1..rest.len()).find(|i| again(*i)).unwrap_or(rest.len()));
        let leaves: Vec<(String, &Tensor)> = now
            .iter()
            .flat_map(|s| [("running_mean", &s.mean), ("running_var", &s.var)].map(|(leaf, t)| (s, leaf, t)))
            .map(|(s, leaf, batch)| (format!("{}.{leaf}", s.layer), batch))
            .collect();
        let pairs = leaves.iter().map(|(name, batch)| Ok((weights.get(name)?, *batch))).collect::<Result<Vec<_>>>()?;
        let moved = blend_each((1.0 - first.momentum, first.momentum), &pairs)?;
        for ((name, _), moved) in leaves.iter().zip(moved) {
            weights.set(name, moved)?;
        }
        rest = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
