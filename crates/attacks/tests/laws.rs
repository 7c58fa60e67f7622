//! Laws and closed forms of the attacks, on linear models where the worst case is known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_core::attack::{Open, answer, lockstep, predicted, rows};
use gauntlet_core::{
    Activation, Attack, Clean, Job, Key, Linear, ModelInfo, Norm, Outcome, Purpose, Registry, Result, Target,
    ThreatModel,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const D: usize = 16;

/// z = W x + b over images (1, 4, 4): plain tensors, no tape.
struct Affine {
    w: Tensor,
    b: Tensor,
    info: ModelInfo,
}

struct Pull {
    logits: Tensor,
    w: Tensor,
}

impl Affine {
    fn new(w: &[f64], b: &[f64]) -> Self {
        let k = b.len();
        Affine {
            w: Tensor::from_vec(w.to_vec(), (k, D), &Device::Cpu).unwrap(),
            b: Tensor::from_vec(b.to_vec(), (1, k), &Device::Cpu).unwrap(),
            info: ModelInfo {
                name: "affine".into(),
                input: (1, 4, 4),
                classes: k,
                activation: Activation::Relu,
                mean: vec![],
                std: vec![],
                numerics: 1,
            },
        }
    }
    fn random(seed: u64, classes: usize) -> Self {
        let mut s = Key::new(seed, Purpose::Init).stream(0, 0, 0);
        let w: Vec<f64> = (0..classes * D).map(|_| s.normal()).collect();
        let b: Vec<f64> = (0..classes).map(|_| 0.3 * s.normal()).collect();
        Affine::new(&w, &b)
    }
}

impl Target for Affine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.flatten_from(1)?;
        // Row by row, so that a row's bits do not depend on the batch.
        let each = (0..rows.dim(0)?)
            .map(|i| Ok((rows.narrow(0, i, 1)?.matmul(&self.w.t()?)? + &self.b)?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&each, 0)?)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        Ok(Box::new(Pull { logits: self.logits(x)?, w: self.w.clone() }))
    }
}

impl Linear for Pull {
    fn logits(&self) -> &Tensor {
        &self.logits
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let each = (0..cotangent.dim(0)?)
            .map(|i| Ok(cotangent.narrow(0, i, 1)?.matmul(&self.w)?.reshape((1, 1, 4, 4))?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&each, 0)?)
    }
}

fn attack(v: Value) -> Arc<dyn Attack> {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry).unwrap();
    registry.attack(v.as_object().unwrap()).unwrap().0
}

fn images(n: usize, seed: u64) -> Tensor {
    let v: Vec<f64> = (0..n as u64)
        .flat_map(|i| {
            let mut s = Key::new(seed, Purpose::Sample).stream(i, 0, 0);
            (0..D).map(move |_| s.uniform()).collect::<Vec<_>>()
        })
        .collect();
    Tensor::from_vec(v, (n, 1, 4, 4), &Device::Cpu).unwrap()
}

/// Every job of every example, over `width` slots that are refilled; the first success ends an example.
fn drive(
    attack: &dyn Attack,
    target: &dyn Target,
    x: &Tensor,
    labels: &[u32],
    threat: ThreatModel,
    width: usize,
) -> Vec<Outcome> {
    let open = Open {
        width,
        input: target.info().input,
        classes: target.info().classes,
        threat,
        key: Key::new(0, Purpose::AttackStart),
        dtype: x.dtype(),
        lockstep: false,
    };
    let logits = rows(&target.logits(x).unwrap()).unwrap();
    let clean = |i: usize| Clean { index: i, id: i as u64, label: labels[i], logits: logits[i].clone() };
    let mut todo: Vec<Vec<Job>> =
        (0..labels.len()).map(|i| attack.jobs(&clean(i)).into_iter().rev().collect()).collect();
    let mut waiting: Vec<usize> = (0..labels.len()).rev().collect();
    let mut slots = attack.open(&open).unwrap();
    let mut ends: Vec<Option<Outcome>> = vec![None; labels.len()];
    let mut busy = 0;
    let load = |slots: &mut Box<dyn gauntlet_core::Slots>, slot: usize, todo: &mut Vec<Vec<Job>>, i: usize| {
        let job = todo[i].pop().unwrap();
        slots.load(slot, &job, &x.narrow(0, i, 1).unwrap()).unwrap();
    };
    for slot in 0..width {
        let Some(i) = waiting.pop() else { break };
        load(&mut slots, slot, &mut todo, i);
        busy += 1;
    }
    while busy > 0 {
        let ask = slots.ask().unwrap();
        slots.tell(&answer(target, &ask).unwrap()).unwrap();
        for (slot, outcome) in slots.poll().unwrap() {
            let i = outcome.job.index;
            let more = !outcome.broken && !todo[i].is_empty();
            ends[i] = Some(outcome);
            if more {
                load(&mut slots, slot, &mut todo, i);
            } else if let Some(next) = waiting.pop() {
                load(&mut slots, slot, &mut todo, next);
            } else {
                busy -= 1;
            }
        }
    }
    ends.into_iter().flatten().collect()
}

fn clean_labels(target: &dyn Target, x: &Tensor) -> Vec<u32> {
    rows(&target.logits(x).unwrap()).unwrap().iter().map(|z| predicted(z).unwrap()).collect()
}

fn bits(t: &Tensor) -> Vec<u64> {
    t.flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().map(|v| v.to_bits()).collect()
}

#[test]
fn fgsm_is_one_step_of_pgd_bit_for_bit() {
    let (target, x) = (Affine::random(1, 5), images(40, 2));
    let labels = clean_labels(&target, &x);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let threat = ThreatModel::new(norm, 0.1);
        let fgsm = drive(&*attack(json!({ "name": "fgsm" })), &target, &x, &labels, threat, 8);
        let one = json!({ "name": "pgd", "steps": 1, "alpha": "eps", "random_start": false });
        let pgd = drive(&*attack(one), &target, &x, &labels, threat, 8);
        for (a, b) in fgsm.iter().zip(&pgd) {
            assert!(bits(&a.x_adv) == bits(&b.x_adv) && a.broken == b.broken && a.forwards == b.forwards);
        }
    }
}

#[test]
fn on_a_binary_linear_model_fgsm_is_the_exact_worst_case_and_pgd_reaches_it() {
    // margin(x + δ) ≥ margin(x) − ε‖w‖_q with equality at the worst case, away from the box.
    let mut s = Key::new(9, Purpose::Init).stream(0, 0, 0);
    let w: Vec<f64> = (0..D).map(|_| 0.5 * s.normal()).collect();
    let rows2: Vec<f64> = w.iter().chain(&w.iter().map(|v| -v).collect::<Vec<_>>()).copied().collect();
    let target = Affine::new(&rows2, &[0.0, 0.0]);
    let x = images(20, 3).affine(0.2, 0.4).unwrap(); // pixels in [0.4, 0.6]: the box never binds
    let labels = clean_labels(&target, &x);
    let margin = |z: &[f64], y: u32| z[y as usize] - z[1 - y as usize];
    for (norm, eps, dual) in [(Norm::Linf, 0.02, Norm::L1), (Norm::L2, 0.05, Norm::L2), (Norm::L1, 0.1, Norm::Linf)] {
        let threat = ThreatModel::new(norm, eps);
        let drop = 2.0 * eps * dual.of(w.iter().copied());
        for given in [json!({ "name": "fgsm" }), json!({ "name": "pgd", "steps": 60, "alpha": "eps/10" })] {
            for outcome in drive(&*attack(given.clone()), &target, &x, &labels, threat, 7) {
                let i = outcome.job.index;
                let z = |t: &Tensor| rows(&target.logits(t).unwrap()).unwrap().remove(0);
                let clean = margin(&z(&x.narrow(0, i, 1).unwrap()), labels[i]);
                let adv = margin(&z(&outcome.x_adv.unsqueeze(0).unwrap()), labels[i]);
                assert!(adv >= clean - drop - 1e-9, "{given} {norm}: below the worst case");
                assert_eq!(outcome.broken, adv < 0.0);
                // Broken exactly when the worst case is negative, and else the worst case is reached.
                if !outcome.broken {
                    // From a random start the projections onto round balls only converge to the worst case.
                    let slack = match (given["name"] == "pgd", norm) {
                        (true, Norm::L2) => 1e-4 * drop,
                        (true, Norm::L1) => 0.05 * drop,
                        _ => 1e-9,
                    };
                    assert!(adv <= clean - drop + slack, "{given} {norm}: {adv} instead of {}", clean - drop);
                }
                if (clean - drop).abs() > 0.05 * drop {
                    assert_eq!(outcome.broken, clean - drop < 0.0, "{given} {norm}: margin {clean}, drop {drop}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Inside ball and box always; ε = 0 is the clean image; more restarts and more steps never help the model.
    #[test]
    fn laws_of_random_models(seed in 0u64..500, eps in 0.0f64..0.5, which in 0usize..3) {
        let norm = [Norm::Linf, Norm::L2, Norm::L1][which];
        let (target, x) = (Affine::random(seed, 4), images(12, seed));
        let labels = clean_labels(&target, &x);
        let threat = ThreatModel::new(norm, eps);
        let broken = |given: Value, threat| -> Vec<bool> {
            let ends = drive(&*attack(given), &target, &x, &labels, threat, 5);
            for outcome in &ends {
                let clean = x.get(outcome.job.index).unwrap();
                assert!(threat.check(&outcome.x_adv, &clean).unwrap().is_ok());
            }
            ends.iter().map(|o| o.broken).collect()
        };
        let pgd = |restarts: usize, steps: usize| json!({ "name": "pgd", "steps": steps, "restarts": restarts, "alpha": "eps/3" });
        let one = broken(pgd(1, 5), threat);
        let three = broken(pgd(3, 5), threat);
        let longer = broken(pgd(1, 10), threat);
        for ((one, three), longer) in one.iter().zip(&three).zip(&longer) {
            prop_assert!(!one | three, "a restart lost an example");
            prop_assert!(!one | longer, "more steps lost an example: any misclassified iterate counts");
        }
        for given in [pgd(1, 5), json!({ "name": "fgsm" }), json!({ "name": "noise", "draws": 3 })] {
            prop_assert!(!broken(given, ThreatModel::new(norm, 0.0)).contains(&true));
        }
    }
}

#[test]
fn outcomes_do_not_depend_on_the_number_of_slots() {
    let (target, x) = (Affine::random(4, 6), images(50, 5));
    let labels = clean_labels(&target, &x);
    for given in [
        json!({ "name": "pgd", "steps": 7, "restarts": 2, "objective": "margin" }),
        json!({ "name": "noise", "draws": 6 }),
        json!({ "name": "noise", "draws": 6, "shape": "sign" }),
        json!({ "name": "fgsm", "objective": "dlr" }),
    ] {
        let attack = attack(given.clone());
        let threat = ThreatModel::new(Norm::Linf, 0.05);
        let run = |width| drive(&*attack, &target, &x, &labels, threat, width);
        let wide = run(50);
        for width in [1, 3, 32] {
            for (a, b) in run(width).iter().zip(&wide) {
                let same = bits(&a.x_adv) == bits(&b.x_adv)
                    && (a.broken, a.steps, a.forwards, a.backwards, a.job.restart)
                        == (b.broken, b.steps, b.forwards, b.backwards, b.job.restart);
                assert!(same, "{given}: example {} differs at width {width}", a.job.index);
            }
        }
    }
}

#[test]
fn shrinking_keeps_the_slots_that_stay() {
    let (target, x) = (Affine::random(4, 3), images(4, 5));
    let pgd = attack(json!({ "name": "pgd", "steps": 3 }));
    let open = |width| Open {
        width,
        input: (1, 4, 4),
        classes: 3,
        threat: ThreatModel::new(Norm::Linf, 1e-6),
        key: Key::new(0, Purpose::AttackStart),
        dtype: DType::F64,
        lockstep: false,
    };
    let labels = clean_labels(&target, &x);
    let job = |i: usize| Job { index: i, id: i as u64, label: labels[i], restart: 0, target: None };
    let finish = |slots: &mut dyn gauntlet_core::Slots| {
        let mut ends = Vec::new();
        while ends.is_empty() {
            let ask = slots.ask().unwrap();
            slots.tell(&answer(&target, &ask).unwrap()).unwrap();
            ends = slots.poll().unwrap();
        }
        ends.remove(0).1
    };
    let mut many = pgd.open(&open(4)).unwrap();
    many.load(2, &job(2), &x.narrow(0, 2, 1).unwrap()).unwrap();
    let ask = many.ask().unwrap();
    many.tell(&answer(&target, &ask).unwrap()).unwrap();
    many.shrink(&[2]).unwrap();
    let mut one = pgd.open(&open(1)).unwrap();
    one.load(0, &job(2), &x.narrow(0, 2, 1).unwrap()).unwrap();
    let (a, b) = (finish(&mut *many), finish(&mut *one));
    assert!(bits(&a.x_adv) == bits(&b.x_adv) && a.forwards == b.forwards && a.forwards == 4 && a.backwards == 3);
}

#[test]
fn a_model_that_answers_nan_is_never_broken() {
    let target = Affine::new(&[f64::NAN; 2 * D], &[0.0, 0.0]);
    let x = images(3, 1);
    let threat = ThreatModel::new(Norm::Linf, 0.3);
    for given in [json!({ "name": "pgd", "steps": 3 }), json!({ "name": "fgsm" }), json!({ "name": "noise" })] {
        for outcome in drive_unchecked(&*attack(given), &target, &x, threat) {
            assert!(!outcome.broken);
            assert!(outcome.x_adv.flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().all(|v| v.is_finite()));
        }
    }
}

/// Like [`drive`] for a model whose clean logits are not finite.
fn drive_unchecked(attack: &dyn Attack, target: &dyn Target, x: &Tensor, threat: ThreatModel) -> Vec<Outcome> {
    drive(attack, target, x, &vec![0; x.dim(0).unwrap()], threat, 2)
}

#[test]
fn lockstep_takes_every_step_and_returns_the_last_iterate() {
    let (target, x) = (Affine::random(8, 3), images(5, 6));
    let labels = clean_labels(&target, &x);
    let threat = ThreatModel::new(Norm::Linf, 0.4);
    let ids: Vec<u64> = (0..5).collect();
    let pgd = attack(json!({ "name": "pgd", "steps": 4, "alpha": "eps/4", "random_start": false }));
    let key = Key::new(0, Purpose::RecipeAttack);
    let last = lockstep(&*pgd, &target, &x, &labels, &ids, threat, key).unwrap();
    // By hand: four steps of the threat model's own step along the cross-entropy's gradient.
    let mut by_hand = x.clone();
    for _ in 0..4 {
        let labels = Tensor::from_vec(labels.clone(), 5, &Device::Cpu).unwrap();
        let goal = gauntlet_core::Goal { labels, targets: None, reference: None };
        let linear = target.linearise(&by_hand).unwrap();
        let (_, cotangent) =
            gauntlet_core::Objective::ascend(&gauntlet_attacks::objectives::ce::Ce, linear.logits(), &goal).unwrap();
        by_hand = threat.step(&by_hand, &x, &linear.pull(&cotangent).unwrap(), &[0.1; 5]).unwrap();
    }
    assert_eq!(bits(&last), bits(&by_hand));
}
