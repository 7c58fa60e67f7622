//! What is measured after every epoch of a training.

use crate::evaluator::{Cost, Evaluator, robust_accuracy};
use crate::{AttackEntry, Component, Error, Examples, Kind, Result};
use candle_core::Tensor;
use gauntlet_core::record::Epoch;
use gauntlet_core::{Eps, Norm, Registry, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::atomic::AtomicBool;

/// The quick attack that accompanies a training. It changes no weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    /// PGD with 10 steps where it is registered, else the suite's first attack.
    pub attack: Component,
    /// Norm of its threat model.
    pub norm: Norm,
    /// Its budget.
    pub eps: Eps,
}

/// Training rows that are monitored where none are held out.
pub(crate) const TRAIN_ROWS: usize = 500;

impl Monitor {
    /// PGD-10 at `eps` in the L∞ ball.
    ///
    /// # Errors
    /// A registry without `pgd`.
    pub fn at(registry: &Registry, eps: Eps) -> gauntlet_core::Result<Self> {
        let given = Map::from_iter([("name".to_string(), Value::from("pgd")), ("steps".to_string(), json!(10))]);
        Ok(Monitor { attack: Component::resolve(Kind::Attack, registry, &given)?, norm: Norm::Linf, eps })
    }

    /// For a suite: at its middle L∞ budget, unless `eps` says otherwise. `None` if there is no attack at all.
    pub(crate) fn of_suite(registry: &Registry, attacks: &[AttackEntry], eps: Option<Eps>) -> Option<Self> {
        let mut budgets: Vec<Eps> =
            attacks.iter().filter(|a| a.norm == Norm::Linf).flat_map(|a| a.eps.clone()).collect();
        budgets.sort();
        budgets.dedup();
        let middle = budgets.get(budgets.len().saturating_sub(1) / 2).cloned();
        let first = attacks.first()?;
        match eps.or(middle).map(|eps| Monitor::at(registry, eps)) {
            Some(Ok(monitor)) => Some(monitor),
            _ => Some(Monitor { attack: first.attack.clone(), norm: first.norm, eps: first.eps.first()?.clone() }),
        }
    }

    /// Clean accuracy, accuracy under the quick attack and mean ‖∇ₓℓ‖ of the cross-entropy on `examples`.
    ///
    /// # Errors
    /// See [`Evaluator::attack`].
    pub(crate) fn measure(
        &self,
        registry: &Registry,
        target: &dyn Target,
        examples: &Examples,
        width: usize,
        interrupt: &AtomicBool,
    ) -> Result<Epoch> {
        let evaluator = Evaluator { width, ..Evaluator::new(target, examples, interrupt) };
        let mut cost = Cost::default();
        let clean = evaluator.clean(&mut cost)?;
        let (attack, _) = registry.attack(&self.attack.given())?;
        let entry = AttackEntry {
            label: "monitor".into(),
            attack: self.attack.clone(),
            norm: self.norm,
            eps: vec![self.eps.clone()],
        };
        let attacked = evaluator.attack(&entry, &attack, &clean, &mut cost)?;
        let (gradient_l1, gradient_l2) = gradients(target, examples)?;
        if !(gradient_l1.is_finite() && gradient_l2.is_finite()) {
            return Err(Error::Core(gauntlet_core::Error::NotFinite {
                what: "the input gradient on the monitored examples".into(),
                why: "the weights have grown out of range; a lower learning rate or a smaller weight may help".into(),
            }));
        }
        Ok(Epoch {
            epoch: 0,
            terms: Vec::new(),
            clean_accuracy: clean.accuracy(),
            robust_accuracy: attacked.first().map_or(0.0, |a| robust_accuracy(&a.verdicts)),
            gradient_l1,
            gradient_l2,
            monitored_on: String::new(),
        })
    }
}

/// Mean ‖∇ₓℓ‖₁ and ‖∇ₓℓ‖₂ of the cross-entropy, in pixel units.
fn gradients(target: &dyn Target, examples: &Examples) -> Result<(f64, f64)> {
    let n = examples.len();
    let (mut l1, mut l2) = (0.0, 0.0);
    for start in (0..n).step_by(256) {
        let len = 256.min(n - start);
        let linear = target.linearise(&examples.pixels().narrow(0, start, len)?)?;
        let labels = &examples.labels()[start..start + len];
        let mut cotangent: Vec<f64> = Vec::new();
        for (row, label) in gauntlet_core::attack::rows(linear.logits())?.iter().zip(labels) {
            // d ℓ / d logits = softmax − onehot.
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = row.iter().map(|z| (z - top).exp()).collect();
            let sum: f64 = exps.iter().sum();
            cotangent.extend(exps.iter().enumerate().map(|(k, e)| e / sum - f64::from(u8::from(k == *label as usize))));
        }
        let logits = linear.logits();
        let cotangent = Tensor::from_vec(cotangent, logits.dims(), logits.device())?.to_dtype(logits.dtype())?;
        let g = linear.pull(&cotangent)?;
        l1 += Norm::L1.size(&g)?.iter().sum::<f64>();
        l2 += Norm::L2.size(&g)?.iter().sum::<f64>();
    }
    Ok((l1 / n as f64, l2 / n as f64))
}
