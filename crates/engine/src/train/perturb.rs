//! Weights at which the gradient is taken instead of the current ones.

use crate::Result;
use candle_core::Tensor;
use gauntlet_autograd::Var;
use gauntlet_core::{ParamDoc, ParamKind, Range, Spec, Weights};
use serde::{Deserialize, Serialize};

/// How the weights are moved before the gradient that is stepped with; g is the loss' gradient at the weights w.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Perturb {
    /// w + γ ‖w‖ g / ‖g‖ for every weight of two or more dimensions, at the adversarial examples of w (Wu et al. 2020).
    Awp {
        /// γ.
        #[serde(default = "hundredth")]
        gamma: f64,
        /// Epochs, with fraction, before it begins.
        #[serde(default)]
        start: f64,
    },
    /// w + ρ g / ‖g‖, the norm that of all parameters together (Foret et al. 2021).
    Sam {
        /// ρ.
        #[serde(default = "twentieth")]
        rho: f64,
    },
    /// w + ρ T² g / ‖T g‖, T = |w| + η for weights and 1 for biases (Kwon et al. 2021).
    Asam {
        /// ρ.
        #[serde(default = "half")]
        rho: f64,
        /// η.
        #[serde(default = "hundredth")]
        eta: f64,
    },
}

fn hundredth() -> f64 {
    0.01
}
fn twentieth() -> f64 {
    0.05
}
fn half() -> f64 {
    0.5
}

impl Perturb {
    /// Every perturbation that suites can name.
    pub const SPECS: [Spec<()>; 3] = [
        Spec::described(
            "awp",
            "adversarial weight perturbation: the recipe's loss at the same examples is taken where the weights make it worse",
            "w + γ ‖w‖ g / ‖g‖ layer by layer; the optimiser steps from there, then it is taken back",
            "Wu, Xia & Wang 2020",
            &[
                ParamDoc {
                    name: "gamma",
                    kind: ParamKind::POSITIVE,
                    default: "0.01",
                    unit: "",
                    doc: "γ (the authors: 0.01 for adversarial training, 0.005 for TRADES)",
                },
                ParamDoc {
                    name: "start",
                    kind: ParamKind::WEIGHT,
                    default: "0.0",
                    unit: "epochs",
                    doc: "epochs before it begins (the authors: 0 for adversarial training, 10 for TRADES)",
                },
            ],
        ),
        Spec::described(
            "sam",
            "sharpness-aware minimisation: the whole loss, inner attack and all, is taken again at the weights that raise it",
            "w + ρ g / ‖g‖",
            "Foret et al. 2021",
            &[ParamDoc { name: "rho", kind: ParamKind::POSITIVE, default: "0.05", unit: "", doc: "ρ" }],
        ),
        Spec::described(
            "asam",
            "adaptive sharpness-aware minimisation: the same in units of each weight's size",
            "w + ρ T² g / ‖T g‖,  T = |w| + η for weights, 1 for biases",
            "Kwon et al. 2021",
            &[
                ParamDoc { name: "rho", kind: ParamKind::POSITIVE, default: "0.5", unit: "", doc: "ρ" },
                ParamDoc { name: "eta", kind: ParamKind::WEIGHT, default: "0.01", unit: "", doc: "η" },
            ],
        ),
    ];

    /// What is wrong with the parameters, if anything.
    ///
    /// # Errors
    /// One outside its domain.
    pub fn validate(&self) -> Result<(), String> {
        match *self {
            Perturb::Awp { gamma, start } => {
                Range::NOT_NEGATIVE.check_named("start", start)?;
                Range::POSITIVE.check_named("gamma", gamma)
            }
            Perturb::Asam { rho, eta } => {
                Range::NOT_NEGATIVE.check_named("eta", eta)?;
                Range::POSITIVE.check_named("rho", rho)
            }
            Perturb::Sam { rho } => Range::POSITIVE.check_named("rho", rho),
        }
    }

    /// Epochs before it begins.
    pub(crate) fn start(&self) -> f64 {
        match self {
            Perturb::Awp { start, .. } => *start,
            Perturb::Sam { .. } | Perturb::Asam { .. } => 0.0,
        }
    }

    /// The moved weights, and what was added to each that moved.
    pub(crate) fn moved(
        &self,
        weights: &Weights,
        gradients: &[(String, Tensor)],
    ) -> Result<(Weights, Vec<(String, Tensor)>)> {
        let mut added = Vec::new();
        match *self {
            Perturb::Awp { gamma, .. } => {
                for (name, g) in gradients {
                    let w = Var::constant(weights.get(name)?.clone());
                    if w.dims().len() < 2 || !name.contains("weight") {
                        continue;
                    }
                    let g = Var::constant(g.clone());
                    // 1e-20 as published: a gradient of zero moves nothing.
                    let scale = size(&w)?.affine(gamma, 0.0)?.div(&size(&g)?.affine(1.0, 1e-20)?)?;
                    added.push((name.clone(), g.broadcast_mul(&scale)?));
                }
            }
            Perturb::Sam { rho } => {
                let all: Vec<Var> = gradients.iter().map(|(_, g)| Var::constant(g.clone())).collect();
                let Some(scale) = scale(&all, rho, 1e-12)? else { return Ok((weights.clone(), Vec::new())) };
                for ((name, _), g) in gradients.iter().zip(&all) {
                    added.push((name.clone(), g.broadcast_mul(&scale)?));
                }
            }
            Perturb::Asam { rho, eta } => {
                let mut sizes = Vec::new();
                for (name, g) in gradients {
                    let g = Var::constant(g.clone());
                    let t = match name.contains("weight") {
                        true => Some(Var::constant(weights.get(name)?.clone()).abs()?.affine(1.0, eta)?),
                        false => None,
                    };
                    sizes.push((t.as_ref().map_or(Ok(g.clone()), |t| g.mul(t))?, t));
                }
                let all: Vec<Var> = sizes.iter().map(|(g, _)| g.clone()).collect();
                let Some(scale) = scale(&all, rho, 1e-16)? else { return Ok((weights.clone(), Vec::new())) };
                for ((name, _), (g, t)) in gradients.iter().zip(&sizes) {
                    let g = t.as_ref().map_or(Ok(g.clone()), |t| g.mul(t))?;
                    added.push((name.clone(), g.broadcast_mul(&scale)?));
                }
            }
        }
        let mut moved = weights.clone();
        for (name, delta) in &added {
            moved.set(name, Var::constant(weights.get(name)?.clone()).add(delta)?.tensor().clone())?;
        }
        Ok((moved, added.into_iter().map(|(name, delta)| (name, delta.tensor().clone())).collect()))
    }
}

/// ‖v‖₂, a scalar where v lies.
fn size(v: &Var) -> Result<Var> {
    Ok(v.sqr()?.sum_all()?.sqrt()?)
}

/// ρ / (‖all of them‖₂ + tiny).
fn scale(all: &[Var], rho: f64, tiny: f64) -> Result<Option<Var>> {
    let mut squares: Option<Var> = None;
    for v in all {
        let own = v.sqr()?.sum_all()?;
        squares = Some(squares.map_or(Ok(own.clone()), |s| s.add(&own))?);
    }
    let Some(squares) = squares else { return Ok(None) };
    Ok(Some(squares.sqrt()?.affine(1.0, tiny)?.recip()?.affine(rho, 0.0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn moved(how: Perturb) -> Vec<Vec<f64>> {
        let t = |v: &[f64], dims: &[usize]| Tensor::from_vec(v.to_vec(), dims, &Device::Cpu).unwrap();
        let entries = [("0.weight", t(&[3.0, 4.0], &[1, 2])), ("0.bias", t(&[2.0], &[1]))];
        let weights = Weights::from_entries(entries.map(|(n, t)| (n.to_string(), t, true)));
        let gradients = [("0.weight".to_string(), t(&[0.0, 2.0], &[1, 2])), ("0.bias".to_string(), t(&[1.5], &[1]))];
        let (moved, added) = how.moved(&weights, &gradients).unwrap();
        for (name, delta) in &added {
            let want = (weights.get(name).unwrap() + delta).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(flat(moved.get(name).unwrap()), flat(&want));
        }
        moved.iter().map(|(_, t, _)| t.flatten_all().unwrap().to_vec1().unwrap()).collect()
    }
    fn close(got: &[Vec<f64>], want: &[&[f64]]) -> bool {
        got.iter().zip(want).all(|(g, w)| g.iter().zip(*w).all(|(g, w)| (g - w).abs() < 1e-12))
    }

    #[test]
    fn each_is_its_closed_form() {
        // ‖w‖ = 5, g/‖g‖ = (0, 1); biases stay.
        assert!(close(&moved(Perturb::Awp { gamma: 0.1, start: 0.0 }), &[&[3.0, 4.5], &[2.0]]));
        // ‖(0, 2, 1.5)‖ = 2.5.
        assert!(close(&moved(Perturb::Sam { rho: 0.5 }), &[&[3.0, 4.4], &[2.3]]));
        // T = (3.5, 4.5 | 1), T g = (0, 9 | 1.5).
        let r = 0.5 / (81.0f64 + 2.25).sqrt();
        let got = moved(Perturb::Asam { rho: 0.5, eta: 0.5 });
        assert!(close(&got, &[&[3.0, 4.0 + 4.5 * 9.0 * r], &[2.0 + 1.5 * r]]), "{got:?}");
    }

    #[test]
    fn a_gradient_of_zero_moves_nothing() {
        let t = Tensor::new(&[[1.0f64, 2.0]], &Device::Cpu).unwrap();
        let weights = Weights::from_entries([("weight".to_string(), t.clone(), true)]);
        let zero = [("weight".to_string(), t.zeros_like().unwrap())];
        for how in
            [Perturb::Awp { gamma: 0.1, start: 0.0 }, Perturb::Sam { rho: 0.5 }, Perturb::Asam { rho: 0.5, eta: 0.01 }]
        {
            let (moved, _) = how.moved(&weights, &zero).unwrap();
            assert_eq!(moved.get("weight").unwrap().to_vec2::<f64>().unwrap(), [[1.0, 2.0]]);
        }
    }

    #[test]
    fn documented_parameters_are_those_that_are_read() {
        for spec in &Perturb::SPECS {
            let given = serde_json::json!({ "name": spec.name });
            let read = serde_json::to_value(serde_json::from_value::<Perturb>(given).unwrap()).unwrap();
            for p in spec.params {
                assert_eq!(read[p.name], serde_json::from_str::<serde_json::Value>(p.default).unwrap(), "{}", p.name);
            }
            assert_eq!(read.as_object().unwrap().len(), 1 + spec.params.len());
        }
        for (text, word) in [
            (r#"{"name":"sam","rho":0.0}"#, "rho must be above 0"),
            (r#"{"name":"asam","eta":-1.0}"#, "eta must be at least 0"),
            (r#"{"name":"awp","start":-1.0}"#, "start must be at least 0"),
        ] {
            let why = serde_json::from_str::<Perturb>(text).unwrap().validate().unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
}
