//! What is measured after every epoch of a training.

use crate::{Error, Result};
use candle_core::{DType, Tensor};
use gauntlet_core::norm::Measure;
use gauntlet_core::{Key, Purpose, Registry, Target, ThreatModel};
use gauntlet_evaluate::{AttackEntry, Component, Cost, Evaluator, Examples, Kind, evaluate};
use gauntlet_records::{Eps, Norm, record::Epoch, verdict::robust_accuracy};
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

impl Monitor {
    /// PGD-10 at `eps` in the L∞ ball.
    ///
    /// # Errors
    /// A registry without `pgd`; a budget that cannot be meant.
    pub fn at(registry: &Registry, eps: Eps) -> gauntlet_core::Result<Self> {
        gauntlet_core::budget::sensible(&eps, &[], Norm::Linf, None)?;
        let given = Map::from_iter([("name".to_string(), Value::from("pgd")), ("steps".to_string(), json!(10))]);
        Ok(Monitor { attack: Component::resolve(Kind::Attack, registry, &given)?, norm: Norm::Linf, eps })
    }

    /// For a suite: at its middle L∞ budget, unless `eps` says otherwise. `None` if there is neither.
    pub(crate) fn of_suite(registry: &Registry, attacks: &[AttackEntry], eps: Option<Eps>) -> Option<Self> {
        let mut budgets: Vec<Eps> =
            attacks.iter().filter(|a| a.norm == Norm::Linf).flat_map(|a| a.eps.clone()).collect();
        budgets.sort();
        budgets.dedup();
        let middle = budgets.get(budgets.len().saturating_sub(1) / 2).cloned();
        if let Some(Ok(monitor)) = eps.or(middle).map(|eps| Monitor::at(registry, eps)) {
            return Some(monitor);
        }
        let first = attacks.first()?;
        Some(Monitor { attack: first.attack.clone(), norm: first.norm, eps: first.eps.first()?.clone() })
    }

    /// Clean accuracy, accuracy under the quick attack, mean ‖∇ₓℓ‖ and gradient alignment of the cross-entropy on
    /// `examples`; with `own`, what the recipe trains against, the accuracies under FGSM and PGD-10 there.
    ///
    /// # Errors
    /// See [`Evaluator::attack`]; gradients that are not finite.
    pub(crate) fn measure(
        &self,
        registry: &Registry,
        target: &dyn Target,
        examples: &Examples,
        own: Option<ThreatModel>,
        width: usize,
        interrupt: &AtomicBool,
    ) -> Result<Epoch> {
        let evaluator = Evaluator { width, ..Evaluator::new(target, examples, interrupt) };
        // A network of ours answers the same again.
        let clean = evaluator.classify(&mut Cost::default())?;
        let evaluator = Evaluator { clean: Some(&clean), ..evaluator };
        let robust_accuracy = accuracy(&evaluator, registry, (&self.attack, self.norm, &self.eps))?;
        let noise = (self.norm == Norm::Linf).then(|| self.eps.value());
        let Gradients { l1, l2, alignment } = gradients(target, examples, noise)?;
        if !(l1.is_finite() && l2.is_finite()) {
            return Err(Error::Core(gauntlet_core::Error::NotFinite {
                what: "the input gradient on the monitored examples".into(),
                why: "the weights have grown out of range; a lower learning rate or a smaller weight may help".into(),
            }));
        }
        let own = match own {
            Some(threat) => self::own(&evaluator, registry, threat)?,
            None => None,
        };
        Ok(Epoch {
            epoch: 0,
            terms: Vec::new(),
            clean_accuracy: clean.accuracy(),
            robust_accuracy,
            gradient_l1: l1,
            gradient_l2: l2,
            alignment,
            own_fgsm_accuracy: own.map(|(fgsm, _)| fgsm),
            own_pgd_accuracy: own.map(|(_, pgd)| pgd),
            monitored_on: String::new(),
            evaluated: false,
        })
    }
}

/// Accuracy under one attack, in `[0, 1]`.
fn accuracy(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    (attack, norm, eps): (&Component, Norm, &Eps),
) -> Result<f64> {
    let entry =
        AttackEntry { label: "monitor".into(), attack: attack.clone(), norm, eps: vec![eps.clone()], examples: None };
    let cells = evaluate(evaluator, std::slice::from_ref(&entry), registry, &mut ())?.attacked;
    Ok(cells.first().map_or(0.0, |a| robust_accuracy(&a.verdicts)))
}

/// Accuracies under FGSM and PGD-10 with steps of ε/4, both at `threat`; `None` where the registry lacks either or it
/// does not know the norm.
fn own(evaluator: &Evaluator<'_>, registry: &Registry, threat: ThreatModel) -> Result<Option<(f64, f64)>> {
    let eps: Eps = threat.eps.to_string().parse()?;
    let mut found = Vec::new();
    for given in [json!({ "name": "fgsm" }), json!({ "name": "pgd", "steps": 10, "alpha": "eps/4" })] {
        let given = gauntlet_core::args::given("monitor", &given)?;
        let known = given.get("name").and_then(Value::as_str).is_some_and(|n| registry.attacks.contains(n));
        if !known || !registry.attack(&given)?.0.norms().contains(&threat.norm) {
            return Ok(None);
        }
        let attack = Component::resolve(Kind::Attack, registry, &given)?;
        found.push(accuracy(evaluator, registry, (&attack, threat.norm, &eps))?);
    }
    Ok(Some((found[0], found[1])))
}

/// Means over examples.
struct Gradients {
    /// ‖∇ₓℓ‖₁.
    l1: f64,
    /// ‖∇ₓℓ‖₂.
    l2: f64,
    /// cos(∇ₓℓ(x), ∇ₓℓ(x+η)).
    alignment: Option<f64>,
}

/// Sizes of ∇ₓℓ of the cross-entropy in pixel units, and its alignment with the gradient at x + η, η ~ U(−ε, ε)^d where
/// there is such an ε. η is keyed by the data set row alone: the same in every epoch and for every recipe. x + η may
/// leave the box, as in GradAlign.
fn gradients(target: &dyn Target, examples: &Examples, noise: Option<f64>) -> Result<Gradients> {
    let n = examples.len();
    let (mut l1, mut l2, mut cosines) = (0.0, 0.0, Vec::new());
    for start in (0..n).step_by(256) {
        let len = 256.min(n - start);
        let x = examples.pixels().narrow(0, start, len)?;
        let labels = &examples.labels()[start..start + len];
        let g = input_gradient(target, &x, labels)?;
        l1 += Norm::L1.size(&g)?.iter().sum::<f64>();
        l2 += Norm::L2.size(&g)?.iter().sum::<f64>();
        if let Some(eps) = noise {
            let eta = uniform(&x, &examples.ids()[start..start + len], eps)?;
            cosines.extend(row_cosines(&g, &input_gradient(target, &(x + eta)?, labels)?)?);
        }
    }
    let alignment = (!cosines.is_empty()).then(|| cosines.iter().sum::<f64>() / cosines.len() as f64);
    Ok(Gradients { l1: l1 / n as f64, l2: l2 / n as f64, alignment })
}

/// ∇ₓℓ of the cross-entropy, per example, shape of x.
pub(crate) fn input_gradient(target: &dyn Target, x: &Tensor, labels: &[u32]) -> Result<Tensor> {
    let linear = target.linearise(x)?;
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
    Ok(linear.pull(&cotangent)?)
}

/// Independent draws from U(−ε, ε) for every pixel of `x`, keyed by data set row.
fn uniform(x: &Tensor, ids: &[u64], eps: f64) -> Result<Tensor> {
    let each = x.elem_count() / ids.len().max(1);
    let mut values = Vec::with_capacity(x.elem_count());
    for id in ids {
        let mut stream = Key::new(0, Purpose::Monitor).stream(*id, 0, 0);
        values.extend((0..each).map(|_| eps * (2.0 * stream.uniform() - 1.0)));
    }
    Ok(Tensor::from_vec(values, x.dims(), x.device())?.to_dtype(x.dtype())?)
}

/// cos(aₙ, bₙ) of the rows where it is defined: neither is zero, and both are finite.
fn row_cosines(a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
    let rows = |t: &Tensor| Ok::<_, Error>(t.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2::<f64>()?);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b): (&Vec<f64>, &Vec<f64>)| dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt());
    Ok(rows(a)?.iter().zip(&rows(b)?).map(cosine).filter(|c| c.is_finite()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rows_without_a_direction_have_no_cosine() {
        let t = |v: [[f64; 2]; 3]| Tensor::new(&v, &Device::Cpu).unwrap().reshape((3, 1, 1, 2)).unwrap();
        let (a, b) = (t([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]]), t([[4.0, 3.0], [1.0, 1.0], [-2.0, 0.0]]));
        let found = row_cosines(&a, &b).unwrap();
        assert!(found.len() == 2 && (found[0] - 0.96).abs() < 1e-12 && (found[1] + 1.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn what_a_row_draws_depends_on_the_row_alone_and_stays_within_eps() {
        let x = Tensor::zeros((3, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        let all = uniform(&x, &[7, 8, 9], 0.1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let one =
            uniform(&x.narrow(0, 0, 1).unwrap(), &[8], 0.1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(all[4..8], one[..]);
        assert!(all.iter().all(|v| v.abs() <= 0.1) && all.iter().any(|v| *v < -0.03) && all.iter().any(|v| *v > 0.03));
    }
}
