//! Learning-rate schedules.

use crate::param_kind::ParamKind;
use crate::position::Position;
use crate::range::Range;
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
    /// base · (1 + cos(π t)) / 2, t from 0 to 1, per step; with a warm-up, linearly from 0 to base before.
    Cosine {
        /// Epochs over which the rate grows from 0; the cosine takes the rest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warm_up: Option<f64>,
        /// Fraction of the rate at which the cosine ends, in [0, 1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        floor: Option<f64>,
    },
    /// 0 → base at `peak` of the training → 0, linearly, per step (Wong et al. 2020).
    Triangular {
        /// Fraction of the training at which the rate is highest, in (0, 1).
        #[serde(default = "two_fifths")]
        peak: f64,
    },
    /// base · the straight line through (at, factor), read at the end of every step.
    Piecewise {
        /// Epochs, with fraction, ascending; two that are equal are a jump.
        at: Vec<f64>,
        /// Factor of the rate at each of them.
        factor: Vec<f64>,
    },
    /// base / div → base at `peak` of the steps → base / (div · final_div), in half cosines, per step (Smith & Topin 2018).
    #[serde(rename = "one-cycle")]
    OneCycle {
        /// Fraction of the steps at which the rate is highest, in (0, 1).
        #[serde(default = "three_tenths")]
        peak: f64,
        /// The rate begins at base / div.
        #[serde(default = "twenty_five")]
        div: f64,
        /// It ends at base / (div · final_div).
        #[serde(default = "ten_thousand")]
        final_div: f64,
    },
}

fn tenth() -> f64 {
    0.1
}
fn two_fifths() -> f64 {
    0.4
}
fn three_tenths() -> f64 {
    0.3
}
fn twenty_five() -> f64 {
    25.0
}
fn ten_thousand() -> f64 {
    1e4
}

impl Schedule {
    /// Every schedule that suites can name.
    pub const SPECS: [Spec<()>; 6] = [
        Spec::described("constant", "the optimiser's rate throughout", "base", "-", &[]),
        Spec::described(
            "step",
            "the rate drops at the beginning of the listed epochs",
            "base · factorᵏ  after k of them",
            "-",
            &[
                ParamDoc {
                    name: "at",
                    kind: ParamKind::Ints(Range::ANY),
                    default: "",
                    unit: "epochs",
                    doc: "epochs, from 0, at which the rate drops",
                },
                ParamDoc {
                    name: "factor",
                    kind: ParamKind::POSITIVE,
                    default: "0.1",
                    unit: "",
                    doc: "factor of each drop",
                },
            ],
        ),
        Spec::described(
            "cosine",
            "half a cosine, step by step",
            "base · (1 + cos πt) / 2,  t from 0 to 1",
            "-",
            &[
                ParamDoc {
                    name: "warm_up",
                    kind: ParamKind::WEIGHT,
                    default: "null",
                    unit: "epochs",
                    doc: "epochs over which the rate grows linearly from 0; the cosine takes the rest",
                },
                ParamDoc {
                    name: "floor",
                    kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
                    default: "null",
                    unit: "",
                    doc: "fraction of the rate at which the cosine ends, in [0, 1); without it 0",
                },
            ],
        ),
        Spec::described(
            "triangular",
            "linearly up to the rate and down to 0, step by step",
            "base · min(t / peak, (1 − t) / (1 − peak))",
            "Wong, Rice & Kolter 2020",
            &[ParamDoc {
                name: "peak",
                kind: ParamKind::Float(Range::above(0.0).below(1.0)),
                default: "0.4",
                unit: "",
                doc: "fraction of the training at which the rate is highest, in (0, 1)",
            }],
        ),
        Spec::described(
            "piecewise",
            "straight lines between the listed epochs, read at the end of every step",
            "base · the line through (at, factor) at (epoch + (step + 1) / steps)",
            "Rice, Wong & Kolter 2020",
            &[
                ParamDoc {
                    name: "at",
                    kind: ParamKind::Floats(Range::NOT_NEGATIVE),
                    default: "",
                    unit: "epochs",
                    doc: "epochs with fraction, ascending; two that are equal are a jump",
                },
                ParamDoc {
                    name: "factor",
                    kind: ParamKind::Floats(Range::NOT_NEGATIVE),
                    default: "",
                    unit: "",
                    doc: "factor of the rate at each of them; before the first and after the last it stays",
                },
            ],
        ),
        Spec::described(
            "one-cycle",
            "in half cosines up from rate / div to the rate and down to rate / (div · final_div), step by step",
            "PyTorch's OneCycleLR with max_lr = base, step i of n",
            "Smith & Topin 2018",
            &[
                ParamDoc {
                    name: "peak",
                    kind: ParamKind::Float(Range::above(0.0).below(1.0)),
                    default: "0.3",
                    unit: "",
                    doc: "fraction of the steps at which the rate is highest, in (0, 1)",
                },
                ParamDoc {
                    name: "div",
                    kind: ParamKind::Float(Range::at_least(1.0)),
                    default: "25.0",
                    unit: "",
                    doc: "it begins at rate / div",
                },
                ParamDoc {
                    name: "final_div",
                    kind: ParamKind::Float(Range::at_least(1.0)),
                    default: "10000.0",
                    unit: "",
                    doc: "it ends at rate / (div · final_div)",
                },
            ],
        ),
    ];

    /// What is wrong with the parameters, if anything.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Schedule::Triangular { peak } => Range::POSITIVE.below(1.0).check_named("peak", *peak),
            Schedule::OneCycle { peak, div, final_div } => {
                Range::POSITIVE.below(1.0).check_named("peak", *peak)?;
                Range::at_least(1.0).check_named("div", *div)?;
                Range::at_least(1.0).check_named("final_div", *final_div)
            }
            Schedule::Cosine { warm_up, floor } => {
                warm_up.map_or(Ok(()), |w| Range::NOT_NEGATIVE.check_named("warm_up", w))?;
                floor.map_or(Ok(()), |f| Range::FRACTION.check_named("floor", f))
            }
            Schedule::Piecewise { at, factor } if at.is_empty() || at.len() != factor.len() => Err(format!(
                "factor must have one entry for each of `at`, which has {}, got {}",
                at.len(),
                factor.len()
            )),
            Schedule::Piecewise { at, .. }
                if at.iter().any(|x| !(*x >= 0.0 && x.is_finite())) || at.windows(2).any(|w| w[0] > w[1]) =>
            {
                Err(format!("at must ascend from 0 or more, got {at:?}"))
            }
            Schedule::Piecewise { factor, .. } => {
                factor.iter().try_for_each(|x| Range::NOT_NEGATIVE.check_named("factor", *x))
            }
            Schedule::Step { factor, .. } => Range::POSITIVE.check_named("factor", *factor),
            Schedule::Constant {} => Ok(()),
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
            Schedule::Cosine { warm_up: None, floor: None } => {
                base * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done / steps.max(1.0)))
            }
            Schedule::Cosine { warm_up, floor } => {
                let (warm, floor) = (warm_up.unwrap_or(0.0) * f64::from(at.steps), floor.unwrap_or(0.0));
                if done < warm {
                    // At the end of the step, so that the first one moves.
                    return base * ((done + 1.0) / warm).min(1.0);
                }
                let t = (done - warm) / (steps - warm).max(1.0);
                base * (floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * t)))
            }
            Schedule::Piecewise { at: knots, factor } => {
                base * line(knots, factor, (done + 1.0) / f64::from(at.steps.max(1)))
            }
            Schedule::OneCycle { peak, div, final_div } => {
                // PyTorch's phases: steps 0 to peak · n − 1, and from there to n − 1.
                let (up, last) = (peak * steps - 1.0, steps - 1.0);
                let (low, end) = (base / div, base / div / final_div);
                let between =
                    |from: f64, to: f64, t: f64| to + (from - to) / 2.0 * (1.0 + libm::cos(std::f64::consts::PI * t));
                if done <= up {
                    between(low, base, if up > 0.0 { done / up } else { 1.0 })
                } else {
                    between(base, end, ((done - up) / (last - up).max(1e-12)).min(1.0))
                }
            }
            Schedule::Triangular { peak } => {
                // The rate of step i is read at its end, so that the first step moves and the last is 0 only at 1.
                let t = (done + 1.0) / (steps + 1.0).max(1.0);
                base * if t < *peak { t / peak } else { (1.0 - t) / (1.0 - peak) }
            }
        }
    }
}

/// The straight line through the knots at `x`; before the first and after the last their own factor.
fn line(at: &[f64], factor: &[f64], x: f64) -> f64 {
    let Some(i) = at.iter().rposition(|k| *k <= x) else { return factor.first().copied().unwrap_or(1.0) };
    match (at.get(i + 1), factor.get(i + 1)) {
        (Some(next), Some(to)) => factor[i] + (to - factor[i]) * (x - at[i]) / (next - at[i]),
        _ => factor[i],
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
        let cosine = Schedule::Cosine { warm_up: None, floor: None };
        assert_eq!(cosine.lr(1.0, at(0, 0)), 1.0);
        assert!((cosine.lr(1.0, at(5, 0)) - 0.5).abs() < 1e-12);
        let tri = Schedule::Triangular { peak: 0.4 };
        let all: Vec<f64> = (0..100).map(|i| tri.lr(1.0, at(i / 10, i % 10))).collect();
        let peak = all.iter().copied().fold(0.0, f64::max);
        assert!(all[0] > 0.0 && all[99] > 0.0 && peak > 0.97 && peak <= 1.0);
        assert_eq!(all.iter().position(|x| *x == peak), Some(39));
    }

    #[test]
    fn a_cosine_can_warm_up_and_end_above_zero() {
        let how = Schedule::Cosine { warm_up: Some(2.0), floor: Some(0.1) };
        assert!((how.lr(1.0, at(0, 0)) - 0.05).abs() < 1e-12 && (how.lr(1.0, at(0, 9)) - 0.5).abs() < 1e-12);
        assert_eq!((how.lr(1.0, at(1, 9)), how.lr(1.0, at(2, 0))), (1.0, 1.0));
        // Half of the eight epochs that are left: the middle of 1 and 0.1.
        assert!((how.lr(1.0, at(6, 0)) - 0.55).abs() < 1e-12);
        let none = Schedule::Cosine { warm_up: Some(0.0), floor: None };
        assert_eq!(none.lr(0.3, at(3, 4)), Schedule::Cosine { warm_up: None, floor: None }.lr(0.3, at(3, 4)));
    }

    /// `numpy.interp` at (epoch + (i + 1) / n), as robust_overfitting's `linear` and fast_adversarial's `cyclic` read it.
    #[test]
    fn piecewise_is_numpy_interp() {
        let how = Schedule::Piecewise { at: vec![0.0, 3.0, 6.0, 10.0], factor: vec![1.0, 1.0, 0.1, 0.01] };
        assert_eq!(how.lr(0.1, at(2, 9)), 0.1);
        // 4.5 epochs: half way from 1 to 0.1.
        assert!((how.lr(1.0, at(4, 4)) - 0.55).abs() < 1e-12);
        assert!((how.lr(1.0, at(9, 9)) - 0.01).abs() < 1e-12);
        let jump = Schedule::Piecewise { at: vec![0.0, 5.0, 5.0], factor: vec![1.0, 1.0, 0.1] };
        assert_eq!((jump.lr(1.0, at(4, 8)), jump.lr(1.0, at(4, 9))), (1.0, 0.1));
        let late = Schedule::Piecewise { at: vec![1.0, 2.0], factor: vec![0.5, 1.0] };
        assert_eq!((late.lr(1.0, at(0, 3)), late.lr(1.0, at(9, 3))), (0.5, 1.0));
    }

    /// torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=100): printed by PyTorch 2.
    #[test]
    fn one_cycle_is_pytorchs() {
        let how = Schedule::OneCycle { peak: 0.3, div: 25.0, final_div: 1e4 };
        let published = ONE_CYCLE;
        for (i, want) in published {
            let got = how.lr(1.0, at(i / 10, i % 10));
            assert!((got - want).abs() < 1e-9, "step {i}: {got}, PyTorch {want}");
        }
    }
    const ONE_CYCLE: [(u32, f64); 6] = [
        (0, 0.040000000000000036),
        (10, 0.29516394846410077),
        (29, 1.0),
        (30, 0.9994965352845243),
        (60, 0.5892800902855287),
        (99, 4e-06),
    ];

    #[test]
    fn parameters_are_checked() {
        for (text, word) in [
            (r#"{"name":"one-cycle","peak":1.0}"#, "peak must be below 1, got 1"),
            (r#"{"name":"one-cycle","div":0.5}"#, "div must be at least 1, got 0.5"),
            (r#"{"name":"one-cycle","final_div":0.0}"#, "final_div must be at least 1, got 0"),
            (r#"{"name":"cosine","warm_up":-1.0}"#, "warm_up must be at least 0, got -1"),
            (r#"{"name":"cosine","floor":1.0}"#, "floor must be below 1, got 1"),
            (r#"{"name":"piecewise","at":[0.0],"factor":[]}"#, "one entry for each of `at`, which has 1, got 0"),
            (r#"{"name":"piecewise","at":[2.0,1.0],"factor":[1.0,0.1]}"#, "at must ascend"),
            (r#"{"name":"piecewise","at":[0.0],"factor":[-1.0]}"#, "factor must be at least 0, got -1"),
        ] {
            let why = serde_json::from_str::<Schedule>(text).unwrap().validate().unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
        assert!(Schedule::Triangular { peak: 1.0 }.validate().is_err());
        assert!(serde_json::from_str::<Schedule>(r#"{"name":"triangular","peek":0.3}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Schedule>(r#"{"name":"triangular"}"#).unwrap(),
            Schedule::Triangular { peak: 0.4 }
        );
    }
}
