//! The optimisers on a GPU: all parameters in a few launches, and no look at the gradients from here.

use crate::optimiser::{Decayed, Optimiser, OptimiserState};
use crate::{Error, Precision, Result, Weights};
use candle_core::Tensor;
use gauntlet_autograd::cuda::{Alarm, Moments, Update, update};
use gauntlet_autograd::kernels::zeros_like;

impl OptimiserState {
    /// One step. A gradient that is not finite stops all further movement, which [`OptimiserState::settle`] reports.
    pub(crate) fn step_on_gpu(
        &mut self,
        how: &Optimiser,
        decayed: Decayed,
        weights: &mut Weights,
        grads: &[(&str, Tensor)],
        lr: f64,
    ) -> Result<()> {
        let t = self.steps + 1;
        let slots: &[&str] = match how {
            Optimiser::Sgd { momentum, .. } if *momentum > 0.0 => &["momentum"],
            Optimiser::Sgd { .. } => &[],
            _ => &["m", "v"],
        };
        // Those that decay first: one launch is of one arithmetic.
        let trained = || weights.iter().filter(|(_, _, t)| *t);
        let decaying = trained().filter(|(_, p, _)| !decayed.spares(p)).count();
        let spared = trained().filter(|(_, p, _)| decayed.spares(p));
        let names: Vec<String> =
            trained().filter(|(_, p, _)| !decayed.spares(p)).chain(spared).map(|(n, _, _)| n.to_string()).collect();
        let mut from = Vec::with_capacity(names.len());
        let mut begins = false;
        for name in &names {
            let (_, gradient) = grads.iter().find(|(n, _)| n == name).ok_or_else(|| Self::unreached(name))?;
            let parameter = weights.get(name)?.clone();
            let mut moments = Vec::new();
            for slot in slots {
                let old = self.moments.get(&format!("{slot}.{name}"));
                begins |= old.is_none();
                moments.push(old.map_or_else(|| zeros_like(&parameter), |m| Ok(m.clone()))?);
            }
            from.push(Moments { parameter, gradient: gradient.clone(), moments });
        }
        let Some(first) = from.first() else { return Ok(()) };
        if self.alarm.is_none() {
            self.alarm = Some((Alarm::new(first.parameter.device(), names.len())?, names.clone()));
        }
        let Some((alarm, _)) = &self.alarm else { return Ok(()) };
        let arithmetic = |how: &Optimiser| match *how {
            Optimiser::Sgd { momentum, nesterov, weight_decay, .. } => {
                Update::Sgd { lr, momentum, decay: weight_decay, nesterov, begins }
            }
            Optimiser::Adam { beta1, beta2, eps, weight_decay, .. } => {
                Update::Adam { lr, beta1, beta2, eps, decay: weight_decay, decoupled: false }
            }
            Optimiser::AdamW { beta1, beta2, eps, weight_decay, .. } => {
                Update::Adam { lr, beta1, beta2, eps, decay: weight_decay, decoupled: true }
            }
        };
        let (some, rest) = from.split_at(decaying);
        let parts = [(arithmetic(how), some), (arithmetic(&how.without_decay()), rest)];
        let moved = match Precision::of(&first.parameter)? {
            Precision::F64 => update::<f64>(&parts, t, alarm)?,
            Precision::F32 => update::<f32>(&parts, t, alarm)?,
        };
        for (name, (parameter, moments)) in names.into_iter().zip(moved) {
            weights.set(&name, parameter)?;
            self.moments.extend(slots.iter().zip(moments).map(|(slot, m)| (format!("{slot}.{name}"), m)));
        }
        self.steps = t;
        Ok(())
    }

    pub(crate) fn alarmed(&self) -> Result<()> {
        let Some((alarm, names)) = &self.alarm else { return Ok(()) };
        let Some((step, bad)) = alarm.read()? else { return Ok(()) };
        let bad: Vec<String> = bad.iter().filter_map(|i| names.get(*i)).map(|n| format!("{n:?}")).collect();
        Err(Error::NotFinite {
            what: format!("the gradient of {}", bad.join(", ")),
            why: format!(
                "at step {step} of the training; a smaller learning rate, a smaller penalty weight or a ramp may help"
            ),
        })
    }
}
