//! Optimisers with PyTorch's arithmetic, one pass over each parameter.

use crate::range::Range;
use crate::{Error, Precision, Result, Weights};
use candle_core::{Device, Tensor};
use gauntlet_autograd::kernels::{self, Real};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// An optimiser and its hyper-parameters, as written in suite files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Optimiser {
    /// Stochastic gradient descent: b ← μ b + (g + λ p); p ← p − lr · (b, or g + μ b with Nesterov).
    Sgd {
        /// Learning rate, before the schedule.
        lr: f64,
        /// μ.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's variant.
        #[serde(default)]
        nesterov: bool,
        /// λ, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam (Kingma & Ba 2015); weight decay is added to the gradient.
    Adam {
        /// Learning rate, before the schedule.
        lr: f64,
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "tiny")]
        eps: f64,
        /// λ, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// AdamW (Loshchilov & Hutter 2019); weight decay shrinks the parameter directly.
    AdamW {
        /// Learning rate, before the schedule.
        lr: f64,
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "tiny")]
        eps: f64,
        /// λ.
        #[serde(default = "hundredth")]
        weight_decay: f64,
    },
}

/// Which parameters weight decay shrinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decayed {
    /// All of them.
    #[default]
    All,
    /// Those of two or more dimensions: neither biases nor what batch norm scales and shifts by.
    Weights,
}

impl Decayed {
    /// The names in suite files.
    pub const NAMES: [&'static str; 2] = ["all", "weights"];

    /// Whether `parameter` is left alone.
    pub(crate) fn spares(self, parameter: &Tensor) -> bool {
        self == Decayed::Weights && parameter.dims().len() < 2
    }
}

fn beta1() -> f64 {
    0.9
}
fn beta2() -> f64 {
    0.999
}
fn tiny() -> f64 {
    1e-8
}
fn hundredth() -> f64 {
    0.01
}

impl Optimiser {
    /// The base learning rate.
    pub fn lr(&self) -> f64 {
        match self {
            Optimiser::Sgd { lr, .. } | Optimiser::Adam { lr, .. } | Optimiser::AdamW { lr, .. } => *lr,
        }
    }

    /// The same without weight decay.
    pub(crate) fn without_decay(&self) -> Optimiser {
        let mut how = self.clone();
        match &mut how {
            Optimiser::Sgd { weight_decay, .. }
            | Optimiser::Adam { weight_decay, .. }
            | Optimiser::AdamW { weight_decay, .. } => *weight_decay = 0.0,
        }
        how
    }

    /// What is wrong with the hyper-parameters, if anything.
    pub fn validate(&self) -> Result<(), String> {
        let (lr, decay) = match self {
            Optimiser::Sgd { lr, momentum, nesterov, weight_decay } => {
                Range::FRACTION.check_named("momentum", *momentum)?;
                if *nesterov && *momentum == 0.0 {
                    return Err("nesterov needs a momentum above 0".into());
                }
                (*lr, *weight_decay)
            }
            Optimiser::Adam { lr, beta1, beta2, eps, weight_decay }
            | Optimiser::AdamW { lr, beta1, beta2, eps, weight_decay } => {
                Range::FRACTION.check_named("beta1", *beta1)?;
                Range::FRACTION.check_named("beta2", *beta2)?;
                Range::NOT_NEGATIVE.check_named("eps", *eps)?;
                (*lr, *weight_decay)
            }
        };
        Range::POSITIVE.check_named("lr", lr)?;
        Range::NOT_NEGATIVE.check_named("weight_decay", decay)
    }
}

/// Moments and step count: what must be saved to resume.
#[derive(Debug, Clone, Default)]
pub struct OptimiserState {
    /// Steps taken.
    pub steps: u64,
    /// `momentum.<parameter>` or `m.<parameter>`, `v.<parameter>`.
    pub moments: BTreeMap<String, Tensor>,
    /// On a GPU: what says whether a gradient was not finite, without waiting for it, and the parameters in its order.
    #[cfg(feature = "cuda")]
    pub(crate) alarm: Option<(gauntlet_autograd::cuda::Alarm, Vec<String>)>,
}

impl OptimiserState {
    /// The state after so many steps, its moments still to be put in.
    pub fn after(steps: u64) -> Self {
        OptimiserState { steps, ..OptimiserState::default() }
    }

    /// One step: every trained parameter of `weights` needs its gradient (same order and shapes as
    /// [`crate::Params::trained`]). `lr` is the scheduled rate.
    ///
    /// # Errors
    /// A gradient that is missing or not finite, naming the parameter; `weights` are then unchanged.
    pub fn step(&mut self, how: &Optimiser, weights: &mut Weights, grads: &[(&str, Tensor)], lr: f64) -> Result<()> {
        self.step_decaying(how, Decayed::All, weights, grads, lr)
    }

    /// The same with weight decay on some parameters alone.
    ///
    /// # Errors
    /// See [`OptimiserState::step`].
    pub fn step_decaying(
        &mut self,
        how: &Optimiser,
        decayed: Decayed,
        weights: &mut Weights,
        grads: &[(&str, Tensor)],
        lr: f64,
    ) -> Result<()> {
        #[cfg(feature = "cuda")]
        if weights.iter().any(|(_, p, _)| p.device().is_cuda()) {
            return self.step_on_gpu(how, decayed, weights, grads, lr);
        }
        let sparing = how.without_decay();
        let names: Vec<String> = weights.iter().filter(|(_, _, t)| *t).map(|(n, _, _)| n.to_string()).collect();
        let mut updated = Vec::with_capacity(names.len());
        let mut moments = Vec::new();
        let t = self.steps + 1;
        for name in &names {
            let (_, gradient) = grads.iter().find(|(n, _)| n == name).ok_or_else(|| Self::unreached(name))?;
            let p = weights.get(name)?;
            let how = if decayed.spares(p) { &sparing } else { how };
            let slots: &[&str] = match how {
                Optimiser::Sgd { momentum, .. } if *momentum > 0.0 => &["momentum"],
                Optimiser::Sgd { .. } => &[],
                _ => &["m", "v"],
            };
            let old: Vec<Option<&Tensor>> = slots.iter().map(|s| self.moments.get(&format!("{s}.{name}"))).collect();
            let (p, new) = match Precision::of(p)? {
                Precision::F64 => update::<f64>(how, name, p, gradient, &old, lr, t)?,
                Precision::F32 => update::<f32>(how, name, p, gradient, &old, lr, t)?,
            };
            updated.push((name, p));
            moments.extend(slots.iter().zip(new).map(|(s, m)| (format!("{s}.{name}"), m)));
        }
        for (name, p) in updated {
            weights.set(name, p)?;
        }
        self.moments.extend(moments);
        self.steps = t;
        Ok(())
    }

    /// What a GPU has found out since: an error if a gradient was not finite, in which case nothing moved from then on.
    /// Waits for the GPU; on the CPU every step says so itself.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the parameters and the step.
    pub fn settle(&self, _weights: &Weights) -> Result<()> {
        #[cfg(feature = "cuda")]
        self.alarmed()?;
        Ok(())
    }

    /// Moments on another device.
    ///
    /// # Errors
    /// A copy that fails.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = self.moments.iter().map(|(name, t)| Ok((name.clone(), t.to_device(device)?)));
        Ok(OptimiserState { moments: moved.collect::<Result<_>>()?, ..self.clone() })
    }

    pub(crate) fn unreached(name: &str) -> Error {
        Error::Message(format!("parameter {name:?} has no gradient: the loss does not reach it"))
    }
}

/// Elements per task.
const CHUNK: usize = 1 << 14;

/// New values of a parameter and its moments, in one pass over memory.
fn update<T: Real>(
    how: &Optimiser,
    name: &str,
    p: &Tensor,
    gradient: &Tensor,
    old: &[Option<&Tensor>],
    lr: f64,
    t: u64,
) -> Result<(Tensor, Vec<Tensor>)> {
    let dims = p.dims().to_vec();
    let first = old.first().is_some_and(Option::is_none);
    let zeros = if first { Some(p.zeros_like()?) } else { None };
    let old: Vec<&Tensor> = old.iter().filter_map(|m| m.or(zeros.as_ref())).collect();
    let inputs: Vec<Tensor> =
        [p, gradient].into_iter().chain(old.iter().copied()).map(Tensor::contiguous).collect::<Result<_, _>>()?;
    let views: Vec<_> = inputs.iter().map(kernels::values::<T>).collect::<Result<_, _>>()?;
    let [p, g, moments @ ..] = views.as_slice() else {
        return Err(Error::Message("an optimiser reads a parameter and its gradient".into()));
    };
    let (p, g): (&[T], &[T]) = (p, g);
    let bad = AtomicBool::new(false);
    let c = T::of;
    let (moved, new) = match (how, moments) {
        (Optimiser::Sgd { weight_decay, .. }, []) => {
            let (decay, lr) = (c(*weight_decay), c(lr));
            let [moved] = kernels::pass([p, g], CHUNK, |_, [p, g], [to]| {
                watch(g, &bad);
                for (to, (p, g)) in to.iter_mut().zip(p.iter().zip(g)) {
                    *to = *p - lr * (*g + decay * *p);
                }
            });
            (moved, Vec::new())
        }
        (Optimiser::Sgd { momentum, nesterov, weight_decay, .. }, [b]) => {
            let (mu, decay, lr, nesterov) = (c(*momentum), c(*weight_decay), c(lr), *nesterov);
            let [moved, buffer] = kernels::pass([p, g, b], CHUNK, |_, [p, g, b], [to, buffer]| {
                watch(g, &bad);
                for (((to, next), (p, g)), b) in to.iter_mut().zip(buffer).zip(p.iter().zip(g)).zip(b) {
                    let g = *g + decay * *p;
                    // PyTorch's buffer starts as the first gradient, not as zero.
                    *next = if first { g } else { mu * *b + g };
                    *to = *p - lr * if nesterov { g + mu * *next } else { *next };
                }
            });
            (moved, vec![buffer])
        }
        (
            Optimiser::Adam { beta1, beta2, eps, weight_decay, .. }
            | Optimiser::AdamW { beta1, beta2, eps, weight_decay, .. },
            [m, v],
        ) => {
            let decoupled = matches!(how, Optimiser::AdamW { .. });
            let (b1, b2) = (c(*beta1), c(*beta2));
            let (k1, k2) = (c(1.0 - beta1), c(1.0 - beta2));
            let size = c(lr / (1.0 - beta1.powf(t as f64)));
            let root = c(1.0 / (1.0 - beta2.powf(t as f64)).sqrt());
            let (eps, decay, shrink) = (c(*eps), c(*weight_decay), c(1.0 - lr * weight_decay));
            let [moved, m, v] = kernels::pass([p, g, m, v], CHUNK, |_, [p, g, m, v], [to, next_m, next_v]| {
                watch(g, &bad);
                for ((((to, next_m), next_v), (p, g)), (m, v)) in
                    to.iter_mut().zip(next_m).zip(next_v).zip(p.iter().zip(g)).zip(m.iter().zip(v))
                {
                    let (p, g) = if decoupled { (*p * shrink, *g) } else { (*p, *g + decay * *p) };
                    *next_m = b1 * *m + k1 * g;
                    *next_v = b2 * *v + k2 * g * g;
                    *to = p - size * *next_m / (next_v.sqrt() * root + eps);
                }
            });
            (moved, vec![m, v])
        }
        _ => return Err(Error::Message("moments of another optimiser".into())),
    };
    if bad.load(Ordering::Relaxed) {
        let entry = g.iter().find(|g| !g.is_finite()).map_or(f64::NAN, |g| g.wide());
        return Err(Error::NotFinite {
            what: format!("the gradient of {name:?}"),
            why: format!("an entry is {entry}; a smaller learning rate, a smaller penalty weight or a ramp may help"),
        });
    }
    let back = |v: Vec<T>| Ok::<_, Error>(Tensor::from_vec(v, dims.as_slice(), &Device::Cpu)?);
    Ok((back(moved)?, new.into_iter().map(back).collect::<Result<_>>()?))
}

/// Remembers whether an entry was not finite. A sum of zeros times entries, so that it vectorises.
#[inline(always)]
fn watch<T: Real>(g: &[T], bad: &AtomicBool) {
    let mut lanes = [T::zero(); 16];
    for entries in g.chunks(16) {
        for (lane, g) in lanes.iter_mut().zip(entries) {
            *lane += *g * T::zero();
        }
    }
    if lanes.iter().any(|l| !l.is_finite()) {
        bad.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn weights(v: &[f64]) -> Weights {
        let t = Tensor::new(v, &Device::Cpu).unwrap();
        Weights::from_entries([("w".to_string(), t, true)])
    }

    fn run(how: &Optimiser, steps: usize) -> Vec<f64> {
        let mut w = weights(&[1.0, -2.0]);
        let mut state = OptimiserState::default();
        for _ in 0..steps {
            // The gradient of ½‖w‖² + w₀.
            let v: Vec<f64> = w.get("w").unwrap().to_vec1().unwrap();
            let g = Tensor::new(&[v[0] + 1.0, v[1]], &Device::Cpu).unwrap();
            state.step(how, &mut w, &[("w", g)], how.lr()).unwrap();
        }
        w.get("w").unwrap().to_vec1().unwrap()
    }

    #[test]
    fn plain_sgd_is_its_closed_form() {
        let how = Optimiser::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let got = run(&how, 3);
        let shrink = 0.9f64.powi(3);
        assert!((got[0] - (-1.0 + 2.0 * shrink)).abs() < 1e-12 && (got[1] + 2.0 * shrink).abs() < 1e-12);
    }

    #[test]
    fn the_first_adam_step_has_length_lr() {
        let how = Optimiser::Adam { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
        let got = run(&how, 1);
        assert!((got[0] - 0.99).abs() < 1e-8 && (got[1] + 1.99).abs() < 1e-8, "{got:?}");
    }

    #[test]
    fn decay_can_spare_biases_and_batch_norm() {
        let how = Optimiser::Sgd { lr: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.5 };
        let tensor = |dims: &[usize]| Tensor::ones(dims, DType::F64, &Device::Cpu).unwrap();
        let entries = [("weight", tensor(&[2, 1])), ("bias", tensor(&[2]))];
        let moved = |decayed| {
            let mut w = Weights::from_entries(entries.clone().map(|(n, t)| (n.to_string(), t, true)));
            let zeros =
                [("weight", tensor(&[2, 1]).zeros_like().unwrap()), ("bias", tensor(&[2]).zeros_like().unwrap())];
            OptimiserState::default().step_decaying(&how, decayed, &mut w, &zeros, 0.1).unwrap();
            let read = |n: &str| w.get(n).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()[0];
            (read("weight"), read("bias"))
        };
        assert_eq!(moved(Decayed::All), (0.95, 0.95));
        assert_eq!(moved(Decayed::Weights), (0.95, 1.0));
    }

    #[test]
    fn missing_and_non_finite_gradients_name_the_parameter_and_change_nothing() {
        let how = Optimiser::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 };
        let mut w = weights(&[1.0, 2.0]);
        let mut state = OptimiserState::default();
        let error = state.step(&how, &mut w, &[], 0.1).unwrap_err().to_string();
        assert!(error.contains("\"w\"") && error.contains("does not reach"), "{error}");
        let nan = Tensor::new(&[f64::NAN, 0.0], &Device::Cpu).unwrap();
        let error = state.step(&how, &mut w, &[("w", nan)], 0.1).unwrap_err().to_string();
        assert!(error.contains("\"w\"") && error.contains("NaN"), "{error}");
        assert_eq!(w.get("w").unwrap().to_vec1::<f64>().unwrap(), [1.0, 2.0]);
        assert_eq!(state.steps, 0);
    }

    #[test]
    fn hyper_parameters_are_checked() {
        let bad = [
            r#"{"name":"sgd","lr":-1}"#,
            r#"{"name":"sgd","lr":0.1,"nesterov":true}"#,
            r#"{"name":"adam","lr":0.1,"beta1":1.0}"#,
            r#"{"name":"adamw","lr":0.1,"weight_decay":-1}"#,
        ];
        for text in bad {
            assert!(serde_json::from_str::<Optimiser>(text).unwrap().validate().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Optimiser>(r#"{"name":"sgd","lr":0.1,"momentun":0.9}"#).is_err());
    }
}
