//! Averages of a training's weights, and which weights are measured.

use crate::Result;
use crate::train::state::TrainingState;
use crate::train::step::move_statistics;
use crate::train::trainer::TrainingJob;
use crate::train::tricks::Ema;
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::blend_each;
use gauntlet_core::{BatchStats, Key, Pass, Purpose, Weights};

impl TrainingState {
    /// The average begins with the weights as they are.
    pub(crate) fn begin_average(&mut self) {
        let trained = self.weights.iter().filter(|(_, _, trained)| *trained);
        self.average = trained.map(|(name, t, _)| (name.to_string(), t.clone())).collect();
    }

    /// θ̄ ← d · θ̄ + (1 − d) · θ.
    fn follow(&mut self, d: f64) -> Result<()> {
        let names: Vec<String> = self.average.keys().cloned().collect();
        let mut pairs = Vec::with_capacity(names.len());
        for (name, average) in &self.average {
            pairs.push((average, self.weights.get(name)?));
        }
        self.average = names.into_iter().zip(blend_each((d, 1.0 - d), &pairs)?).collect();
        Ok(())
    }

    /// After step `number` (from 1) of a training of `steps` steps an epoch.
    pub(crate) fn follow_step(&mut self, ema: &Ema, number: u64, steps: u32) -> Result<()> {
        match ema.decay_at(number, steps) {
            0.0 => self.begin_average(),
            d => self.follow(d)?,
        }
        Ok(())
    }

    /// After an epoch whose weights are the `count`-th of their mean.
    pub(crate) fn follow_epoch(&mut self, count: u32) -> Result<()> {
        match count {
            0 | 1 => self.begin_average(),
            n => self.follow(1.0 - 1.0 / f64::from(n))?,
        }
        Ok(())
    }

    /// The weights with the average in place of what is trained; batch norm's statistics are those of the training.
    fn averaged(&self) -> Result<Weights> {
        let mut weights = self.weights.clone();
        for (name, average) in &self.average {
            weights.set(name, average.clone())?;
        }
        Ok(weights)
    }
}

impl TrainingJob<'_> {
    /// The weights that are measured after `epoch`: of a moving average the statistics of batch norm are those of the training
    /// (as in Gowal et al.'s code), of an average over epochs they are gathered anew on the training images (as in Izmailov et al.'s).
    pub(crate) fn measured(&self, current: &TrainingState, rows: usize, epoch: u32) -> Result<Weights> {
        let tricks = &self.config.tricks;
        if tricks.evaluate.averages() {
            return current.averaged();
        }
        match &tricks.swa {
            Some(_) if !current.average.is_empty() => self.gathered(current.averaged()?, rows, epoch),
            _ => Ok(current.weights.clone()),
        }
    }

    /// The weights with batch norm's statistics from one passage over the training images in their order, every batch weighted by
    /// its size.
    fn gathered(&self, mut weights: Weights, rows: usize, epoch: u32) -> Result<Weights> {
        if !weights.iter().any(|(name, _, trained)| !trained && name.ends_with("running_mean")) {
            return Ok(weights);
        }
        let params = weights.constants();
        let key = Key::new(self.seed, Purpose::Dropout).named("statistics").child(u64::from(epoch));
        for first in (0..rows).step_by(self.config.batch) {
            let chosen: Vec<usize> = (first..rows.min(first + self.config.batch)).collect();
            let batch = self.shown(&chosen, epoch)?.0;
            let mut pass = Pass::train(&batch.ids, key.child(first as u64));
            self.network.forward(&params, &Var::constant(batch.x.clone()), &mut pass)?;
            let momentum = chosen.len() as f64 / (first + chosen.len()) as f64;
            let stats: Vec<BatchStats> = pass.stats.into_iter().map(|s| BatchStats { momentum, ..s }).collect();
            move_statistics(&mut weights, &stats)?;
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::state::Progress;
    use candle_core::{Device, Tensor};
    use gauntlet_core::Memory;
    use gauntlet_core::optimiser::OptimiserState;
    use std::collections::BTreeMap;

    fn state(w: f64) -> TrainingState {
        let t = |v: f64| Tensor::new(&[v, -v], &Device::Cpu).unwrap();
        let entries = [("w".to_string(), t(w), true), ("bn.running_mean".to_string(), t(10.0 * w), false)];
        TrainingState {
            weights: Weights::from_entries(entries),
            optimiser: OptimiserState::default(),
            memory: Memory::new(),
            average: BTreeMap::new(),
            best: None,
            progress: Progress::default(),
        }
    }
    fn read(weights: &Weights, name: &str) -> Vec<f64> {
        weights.get(name).unwrap().to_vec1().unwrap()
    }

    /// Steps 1, 2, ... with weights 1, 4, 9, ...; two steps an epoch.
    #[test]
    fn a_moving_average_is_its_recursion_and_keeps_the_statistics() {
        for ema in [
            Ema { decay: 0.5, start: 0.0, dynamic: false },
            Ema { decay: 0.995, start: 0.0, dynamic: true },
            Ema { decay: 0.9, start: 1.5, dynamic: false },
        ] {
            let mut current = state(0.0);
            current.begin_average();
            let mut want = 0.0;
            for number in 1..=8u64 {
                let w = (number * number) as f64;
                current.weights = state(w).weights;
                current.follow_step(&ema, number, 2).unwrap();
                let d = ema.decay_at(number, 2);
                want = d * want + (1.0 - d) * w;
                let averaged = current.averaged().unwrap();
                let got = read(&averaged, "w");
                assert!((got[0] - want).abs() < 1e-12 && got[1] == -got[0], "{ema:?}, step {number}: {got:?} {want}");
                assert_eq!(read(&averaged, "bn.running_mean"), [10.0 * w, -10.0 * w]);
                assert_eq!(read(&current.weights, "w")[0], w, "the training goes on from its own weights");
            }
        }
    }

    #[test]
    fn an_average_over_epochs_is_their_mean() {
        let mut current = state(0.0);
        let mut sum = 0.0;
        for count in 1..=6u32 {
            let w = f64::from(count * count);
            current.weights = state(w).weights;
            current.follow_epoch(count).unwrap();
            sum += w;
            assert!((read(&current.averaged().unwrap(), "w")[0] - sum / f64::from(count)).abs() < 1e-12);
        }
    }
}
