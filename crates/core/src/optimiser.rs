//! Optimisers with PyTorch's arithmetic, one pass over each parameter.

use crate::{Error, Result, Weights};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::kernels::Real;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

    /// What is wrong with the hyper-parameters, if anything.
    pub fn validate(&self) -> Result<(), String> {
        let fraction = |what: &str, x: f64| {
            if (0.0..1.0).contains(&x) { Ok(()) } else { Err(format!("{what} must lie in [0, 1), got {x}")) }
        };
        let (lr, decay) = match self {
            Optimiser::Sgd { lr, momentum, nesterov, weight_decay } => {
                fraction("momentum", *momentum)?;
                if *nesterov && *momentum == 0.0 {
                    return Err("nesterov needs a momentum above 0".into());
                }
                (*lr, *weight_decay)
            }
            Optimiser::Adam { lr, beta1, beta2, eps, weight_decay }
            | Optimiser::AdamW { lr, beta1, beta2, eps, weight_decay } => {
                fraction("beta1", *beta1)?;
                fraction("beta2", *beta2)?;
                if !(*eps >= 0.0 && eps.is_finite()) {
                    return Err(format!("eps must be at least 0, got {eps}"));
                }
                (*lr, *weight_decay)
            }
        };
        if !(lr > 0.0 && lr.is_finite()) {
            return Err(format!("lr must be positive, got {lr}"));
        }
        if !(decay >= 0.0 && decay.is_finite()) {
            return Err(format!("weight_decay must be at least 0, got {decay}"));
        }
        Ok(())
    }
}

/// Moments and step count: what must be saved to resume.
#[derive(Debug, Clone, Default)]
pub struct OptimiserState {
    /// Steps taken.
    pub steps: u64,
    /// `momentum.<parameter>` or `m.<parameter>`, `v.<parameter>`.
    pub moments: BTreeMap<String, Tensor>,
}

impl OptimiserState {
    /// One step: every trained parameter of `weights` needs its gradient (same order and shapes as
    /// [`crate::Params::trained`]). `lr` is the scheduled rate.
    ///
    /// # Errors
    /// A gradient that is missing or not finite, naming the parameter; `weights` are then unchanged.
    pub fn step(&mut self, how: &Optimiser, weights: &mut Weights, grads: &[(&str, Tensor)], lr: f64) -> Result<()> {
        let names: Vec<String> = weights.iter().filter(|(_, _, t)| *t).map(|(n, _, _)| n.to_string()).collect();
        let mut updated = Vec::with_capacity(names.len());
        let mut moments = Vec::new();
        let t = self.steps + 1;
        for name in &names {
            let (_, gradient) = grads.iter().find(|(n, _)| n == name).ok_or_else(|| {
                Error::Message(format!("parameter {name:?} has no gradient: the loss does not reach it"))
            })?;
            let p = weights.get(name)?;
            let slots: &[&str] = match how {
                Optimiser::Sgd { momentum, .. } if *momentum > 0.0 => &["momentum"],
                Optimiser::Sgd { .. } => &[],
                _ => &["m", "v"],
            };
            let old: Vec<Option<&Tensor>> = slots.iter().map(|s| self.moments.get(&format!("{s}.{name}"))).collect();
            let (p, new) = match p.dtype() {
                DType::F64 => update::<f64>(how, name, p, gradient, &old, lr, t)?,
                _ => update::<f32>(how, name, p, gradient, &old, lr, t)?,
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
}

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
    let read = |x: &Tensor| -> Result<Vec<T>> { Ok(x.flatten_all()?.to_vec1()?) };
    let (mut p, g) = (read(p)?, read(gradient)?);
    if let Some(bad) = g.iter().find(|g| !g.is_finite()) {
        return Err(Error::NotFinite {
            what: format!("the gradient of {name:?}"),
            why: format!("an entry is {bad}; a smaller learning rate, a smaller penalty weight or a ramp may help"),
        });
    }
    let mut moments =
        old.iter().map(|m| m.map_or_else(|| Ok(vec![T::zero(); p.len()]), read)).collect::<Result<Vec<Vec<T>>>>()?;
    let first = old.first().is_some_and(|m| m.is_none());
    let c = T::of;
    match how {
        Optimiser::Sgd { momentum, nesterov, weight_decay, .. } => {
            let (mu, decay, lr) = (c(*momentum), c(*weight_decay), c(lr));
            for (i, p) in p.iter_mut().enumerate() {
                let g = g[i] + decay * *p;
                let d = match moments.first_mut() {
                    None => g,
                    Some(b) => {
                        // PyTorch's buffer starts as the first gradient, not as zero.
                        b[i] = if first { g } else { mu * b[i] + g };
                        if *nesterov { g + mu * b[i] } else { b[i] }
                    }
                };
                *p -= lr * d;
            }
        }
        Optimiser::Adam { beta1, beta2, eps, weight_decay, .. }
        | Optimiser::AdamW { beta1, beta2, eps, weight_decay, .. } => {
            let decoupled = matches!(how, Optimiser::AdamW { .. });
            let (b1, b2) = (c(*beta1), c(*beta2));
            let (k1, k2) = (c(1.0 - beta1), c(1.0 - beta2));
            let size = c(lr / (1.0 - beta1.powf(t as f64)));
            let root = c((1.0 - beta2.powf(t as f64)).sqrt());
            let (eps, decay, shrink) = (c(*eps), c(*weight_decay), c(1.0 - lr * weight_decay));
            let [m, v] = moments.as_mut_slice() else {
                return Err(Error::Message("adam keeps two moments".into()));
            };
            for (i, p) in p.iter_mut().enumerate() {
                let g = if decoupled {
                    *p *= shrink;
                    g[i]
                } else {
                    g[i] + decay * *p
                };
                m[i] = b1 * m[i] + k1 * g;
                v[i] = b2 * v[i] + k2 * g * g;
                *p -= size * m[i] / (v[i].sqrt() / root + eps);
            }
        }
    }
    let back = |v: Vec<T>| Ok::<_, Error>(Tensor::from_vec(v, dims.as_slice(), &Device::Cpu)?);
    Ok((back(p)?, moments.into_iter().map(back).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

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
