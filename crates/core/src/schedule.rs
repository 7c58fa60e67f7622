//! Learning-rate schedules.

use crate::position::Position;
use crate::{ParamDoc, Spec};
use serde::{Deserialize, Serialize};

/// How the learning rate moves over a training; `base` is the optimiser's rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// base.
    Constant {},
    /// base · factorᵏ after the k-th of the listed epochs has begun.
    Step {
        /// Epochs (from 0) at which the rate drops.
        at: Vec<u32>,
        /// Factor of each drop.
        #[serde(default = "tenth")]
        factor: f64,
    },
    /// base · (1 + cos(π t)) / 2, t from 0 to 1, per step.
    Cosine {},
    /// 0 → base at `peak` of the training → 0, linearly, per step (Wong et al. 2020).
    Triangular {
        /// Fraction of the training at which the rate is highest, in (0, 1).
        #[serde(default = "two_fifths")]
        peak: f64,
    },
}

fn tenth() -> f64 {
    0.1
}
fn two_fifths() -> f64 {
    0.4
}

const fn spec(
    name: &'static str,
    summary: &'static str,
    formula: &'static str,
    paper: &'static str,
    params: &'static [ParamDoc],
) -> Spec<()> {
    Spec { name, summary, formula, paper, params, numerics: 1, origin: "built-in", build: () }
}

impl Schedule {
    /// Every schedule that suites can name.
    pub const SPECS: [Spec<()>; 4] = [
        spec("constant", "the optimiser's rate throughout", "base", "-", &[]),
        spec(
            "step",
            "the rate drops at the beginning of the listed epochs",
            "base · factorᵏ  after k of them",
            "-",
            &[
                ParamDoc {
                    name: "at",
                    kind: "list of ints",
                    default: "",
                    unit: "epochs",
                    doc: "epochs, from 0, at which the rate drops",
                },
                ParamDoc { name: "factor", kind: "float", default: "0.1", unit: "", doc: "factor of each drop" },
            ],
        ),
        spec("cosine", "half a cosine, step by step", "base · (1 + cos πt) / 2,  t from 0 to 1", "-", &[]),
        spec(
            "triangular",
            "linearly up to the rate and down to 0, step by step",
            "base · min(t / peak, (1 − t) / (1 − peak))",
            "Wong, Rice & Kolter 2020",
            &[ParamDoc {
                name: "peak",
                kind: "float",
                default: "0.4",
                unit: "",
                doc: "fraction of the training at which the rate is highest, in (0, 1)",
            }],
        ),
    ];

    /// What is wrong with the parameters, if anything.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Schedule::Triangular { peak } if !(*peak > 0.0 && *peak < 1.0) => {
                Err(format!("peak must lie between 0 and 1, got {peak}"))
            }
            Schedule::Step { factor, .. } if !(*factor > 0.0 && factor.is_finite()) => {
                Err(format!("factor must be positive, got {factor}"))
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of a step.
    pub fn lr(&self, base: f64, at: Position) -> f64 {
        let steps = f64::from(at.steps) * f64::from(at.epochs);
        let done = f64::from(at.epoch) * f64::from(at.steps) + f64::from(at.step);
        match self {
            Schedule::Constant {} => base,
            Schedule::Step { at: drops, factor } => {
                base * factor.powi(drops.iter().filter(|d| **d <= at.epoch).count() as i32)
            }
            Schedule::Cosine {} => base * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done / steps.max(1.0))),
            Schedule::Triangular { peak } => {
                // The rate of step i is read at its end, so that the first step moves and the last is 0 only at 1.
                let t = (done + 1.0) / (steps + 1.0).max(1.0);
                base * if t < *peak { t / peak } else { (1.0 - t) / (1.0 - peak) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32, step: u32) -> Position {
        Position { epoch, epochs: 10, step, steps: 10, replay: 0 }
    }

    #[test]
    fn shapes() {
        assert_eq!(Schedule::Constant {}.lr(0.1, at(9, 9)), 0.1);
        let step = Schedule::Step { at: vec![5, 8], factor: 0.1 };
        assert_eq!((step.lr(1.0, at(4, 9)), step.lr(1.0, at(5, 0))), (1.0, 0.1));
        assert!((step.lr(1.0, at(8, 0)) - 0.01).abs() < 1e-15);
        assert_eq!(Schedule::Cosine {}.lr(1.0, at(0, 0)), 1.0);
        assert!((Schedule::Cosine {}.lr(1.0, at(5, 0)) - 0.5).abs() < 1e-12);
        let tri = Schedule::Triangular { peak: 0.4 };
        let all: Vec<f64> = (0..100).map(|i| tri.lr(1.0, at(i / 10, i % 10))).collect();
        let peak = all.iter().copied().fold(0.0, f64::max);
        assert!(all[0] > 0.0 && all[99] > 0.0 && peak > 0.97 && peak <= 1.0);
        assert_eq!(all.iter().position(|x| *x == peak), Some(39));
    }

    #[test]
    fn parameters_are_checked() {
        assert!(Schedule::Triangular { peak: 1.0 }.validate().is_err());
        assert!(serde_json::from_str::<Schedule>(r#"{"name":"triangular","peek":0.3}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Schedule>(r#"{"name":"triangular"}"#).unwrap(),
            Schedule::Triangular { peak: 0.4 }
        );
    }
}
