//! Laws and closed forms of the attacks, on linear models where the worst case is known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet_core::attack::{Backwards, Open, Slots, lockstep, predicted, rows};
use gauntlet_core::{
    Activation, Attack, Clean, Goal, Job, Key, Linear, ModelInfo, Objective, Outcome, Purpose, Registry, Result,
    Target, ThreatModel,
};
use gauntlet_records::{Family, Norm};
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

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry).unwrap();
    registry
}

fn attack(v: Value) -> Arc<dyn Attack> {
    registry().attack(v.as_object().unwrap()).unwrap().0
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
    run(attack, target, x, labels, threat, width, (false, false))
}

/// The same; `smallest`: the least perturbation whatever its size; `randomised`: as on a model that answers by chance.
fn run(
    attack: &dyn Attack,
    target: &dyn Target,
    x: &Tensor,
    labels: &[u32],
    threat: ThreatModel,
    width: usize,
    (smallest, randomised): (bool, bool),
) -> Vec<Outcome> {
    let info = target.info();
    let key = Key::new(0, Purpose::AttackStart);
    let open = Open { input: info.input, classes: info.classes, threat, key, lockstep: false, smallest, randomised };
    let logits = rows(&target.logits(x).unwrap()).unwrap();
    let clean: Vec<Clean> = (0..labels.len())
        .map(|i| Clean { index: i, id: i as u64, label: labels[i], logits: logits[i].clone() })
        .collect();
    let mut todo: Vec<Vec<Job>> = clean.iter().map(|c| attack.jobs(c, &threat).into_iter().rev().collect()).collect();
    let mut waiting: Vec<usize> = (0..labels.len()).rev().collect();
    let mut slots = Slots::<f64>::new(width, open.input, open.classes);
    let mut ends: Vec<Option<Outcome>> = vec![None; labels.len()];
    let pixels: Vec<Vec<f64>> = x.flatten_from(1).unwrap().to_vec2().unwrap();
    loop {
        for slot in slots.free() {
            let Some(i) = waiting.pop() else { break };
            let job = todo[i].pop().unwrap();
            slots.load(slot, attack, &open, &job, &clean[i], &pixels[i]);
        }
        if slots.busy() == 0 {
            return ends.into_iter().flatten().collect();
        }
        for outcome in slots.turn(target, attack.backwards() != Backwards::None).unwrap().ended {
            let i = outcome.index;
            if (smallest || !outcome.broken) && !todo[i].is_empty() {
                waiting.push(i);
            }
            // The smallest, if that is asked for; else the last.
            let size = |o: &Outcome| {
                let delta = (&o.x_adv - x.get(i).unwrap()).unwrap().flatten_all().unwrap();
                if o.broken { threat.norm.of(delta.to_vec1::<f64>().unwrap().into_iter()) } else { f64::INFINITY }
            };
            if !smallest || ends[i].as_ref().is_none_or(|old| size(&outcome) < size(old)) {
                ends[i] = Some(outcome);
            }
        }
    }
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
                let i = outcome.index;
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

/// The worst case in L1 inside the box is a fractional knapsack: the budget goes to the pixels by falling slope, into
/// each as much as it has room for. Most of these pixels are black or white, and many of the largest slopes point out.
#[test]
fn in_l1_pgd_reaches_the_worst_case_of_a_linear_model_in_the_box() {
    let mut s = Key::new(9, Purpose::Init).stream(0, 0, 0);
    let w: Vec<f64> = (0..D).map(|_| s.normal()).collect();
    let rows2: Vec<f64> = w.iter().chain(&w.iter().map(|v| -v).collect::<Vec<_>>()).copied().collect();
    let x = images(40, 3).affine(3.0, -1.0).unwrap().clamp(0.0, 1.0).unwrap();
    let pixels: Vec<Vec<f64>> = x.flatten_from(1).unwrap().to_vec2().unwrap();
    let target = Affine::new(&rows2, &[0.0, 0.0]);
    let labels = clean_labels(&target, &x);
    let margin = |x: &Tensor, y: u32| {
        let z = rows(&target.logits(x).unwrap()).unwrap().remove(0);
        z[y as usize] - z[1 - y as usize]
    };
    let (mut broken, mut robust) = (0, 0);
    for eps in [0.5, 1.5, 3.0] {
        let threat = ThreatModel::new(Norm::L1, eps);
        for random in [false, true] {
            let given = json!({ "name": "pgd", "steps": 400, "alpha": "eps/50", "random_start": random });
            for outcome in drive(&*attack(given), &target, &x, &labels, threat, 7) {
                let (i, y) = (outcome.index, labels[outcome.index]);
                let down: Vec<f64> = w.iter().map(|w| if y == 0 { -2.0 * w } else { 2.0 * w }).collect();
                let mut order: Vec<usize> = (0..D).collect();
                order.sort_by(|a, b| down[*b].abs().total_cmp(&down[*a].abs()));
                let (mut left, mut drop) = (eps, 0.0);
                for k in order {
                    let room = if down[k] > 0.0 { 1.0 - pixels[i][k] } else { pixels[i][k] };
                    drop += down[k].abs() * room.min(left);
                    left -= room.min(left);
                }
                let worst = margin(&x.narrow(0, i, 1).unwrap(), y) - drop;
                let adv = margin(&outcome.x_adv.unsqueeze(0).unwrap(), y);
                assert!(adv >= worst - 1e-9, "below the worst case: {adv} < {worst}");
                if worst.abs() > 0.02 * drop {
                    assert_eq!(outcome.broken, worst < 0.0, "ε {eps}, example {i}: worst {worst}, found {adv}");
                }
                if !outcome.broken {
                    assert!(adv <= worst + 0.05 * drop, "ε {eps}, example {i}: {adv} instead of {worst}");
                }
                *if outcome.broken { &mut broken } else { &mut robust } += 1;
            }
        }
    }
    assert!(broken > 40 && robust > 40, "{broken} {robust}: the budgets decide nothing");
}

/// Towards class t the margin z_t − z_y of a linear model rises fastest along sign(w_t − w_y).
#[test]
fn a_targeted_step_aims_at_the_runner_up_and_tries_as_many_as_it_is_told_to() {
    let (target, x) = (Affine::random(6, 5), images(60, 4));
    let labels = clean_labels(&target, &x);
    let w: Vec<Vec<f64>> = target.w.to_vec2().unwrap();
    let (pixels, logits): (Vec<Vec<f64>>, _) =
        (x.flatten_from(1).unwrap().to_vec2().unwrap(), rows(&target.logits(&x).unwrap()).unwrap());
    let clean = |i: usize| Clean { index: i, id: i as u64, label: labels[i], logits: logits[i].clone() };
    let threat = ThreatModel::new(Norm::Linf, 0.08);
    // The step into class t by hand, and what the model says there.
    let by_hand = |i: usize, t: u32| {
        let slope = |k: usize| w[t as usize][k] - w[labels[i] as usize][k];
        let moved: Vec<f64> = (0..D).map(|k| (pixels[i][k] + 0.08 * slope(k).signum()).clamp(0.0, 1.0)).collect();
        let answer = clean_labels(&target, &Tensor::from_slice(&moved, (1, 1, 4, 4), &Device::Cpu).unwrap())[0];
        (moved, answer)
    };
    for outcome in drive(&*attack(json!({ "name": "fgsm", "objective": "margin-t" })), &target, &x, &labels, threat, 9)
    {
        let i = outcome.index;
        let runner_up = clean(i).runners_up(1)[0];
        assert_eq!((outcome.job.target, outcome.backwards), (Some(runner_up), 1));
        let (moved, answer) = by_hand(i, runner_up);
        let got: Vec<f64> = outcome.x_adv.flatten_all().unwrap().to_vec1().unwrap();
        assert!(got.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-12), "example {i}");
        assert_eq!(outcome.broken, answer != labels[i]);
    }
    for outcome in drive(&*attack(json!({ "name": "fgsm", "objective": "ce-t" })), &target, &x, &labels, threat, 9) {
        assert_eq!((outcome.job.target, outcome.backwards), (clean(outcome.index).runners_up(1).pop(), 1));
    }
    // Nine: every class in turn until one step breaks it.
    let nine = json!({ "name": "fgsm", "objective": "margin-t", "targets": 9 });
    for outcome in drive(&*attack(nine.clone()), &target, &x, &labels, threat, 9) {
        let i = outcome.index;
        assert_eq!(attack(nine.clone()).jobs(&clean(i), &threat), Job::targets(&clean(i).runners_up(4), 1));
        let any = clean(i).runners_up(9).into_iter().any(|t| by_hand(i, t).1 != labels[i]);
        assert_eq!(outcome.broken, any, "example {i}");
    }
    // The target alone counts: where a third class wins, nothing is broken.
    let mut kinds = [0; 3];
    for seed in 6..26 {
        let target = Affine::random(seed, 8);
        let labels = clean_labels(&target, &x);
        let only = json!({ "name": "fgsm", "objective": "margin-t", "success": "target" });
        for outcome in drive(&*attack(only), &target, &x, &labels, threat, 9) {
            let aim = outcome.job.target.unwrap();
            let answer = clean_labels(&target, &outcome.x_adv.unsqueeze(0).unwrap())[0];
            assert_eq!((outcome.broken, outcome.aim), (answer == aim, Some(aim)), "example {}", outcome.index);
            kinds[[aim, labels[outcome.index]].iter().position(|k| *k == answer).unwrap_or(2)] += 1;
        }
    }
    assert!(kinds.iter().all(|n| *n > 0), "{kinds:?}: the scene decides nothing");
    // One target each is the default of all that step; AutoAttack's keep their nine.
    for (name, jobs) in [("r-fgsm", 1), ("bim", 1), ("pgd", 1), ("mi-fgsm", 1), ("eot-pgd", 1), ("apgd-t", 4)] {
        let given = match name {
            "apgd-t" => json!({ "name": name }),
            _ => json!({ "name": name, "objective": "dlr-t" }),
        };
        assert_eq!(attack(given).jobs(&clean(0), &threat).len(), jobs, "{name}");
    }
}

#[test]
fn what_does_not_fit_a_step_is_said() {
    let refused = |given: Value| registry().attack(given.as_object().unwrap()).err().unwrap().to_string();
    for (given, says) in [
        (
            json!({ "name": "fgsm", "targets": 2 }),
            "fgsm.targets: needs a targeted objective (ce-t, margin-t, dlr-t), ce",
        ),
        (json!({ "name": "pgd", "success": "target" }), "pgd.success: needs a targeted objective"),
        (json!({ "name": "bim", "objective": "ce-t", "success": "targte" }), "did you mean \"target\"?"),
        (json!({ "name": "bim", "objective": "ce-t", "targets": 0 }), "bim.targets: must be at least 1, got 0"),
        (json!({ "name": "mi-fgsm", "sparsity": 1.0 }), "mi-fgsm.sparsity: must be below 1, got 1"),
        (json!({ "name": "eot-pgd", "sparsity": -0.5 }), "eot-pgd.sparsity: must be at least 0, got -0.5"),
        (json!({ "name": "mi-fgsm", "spectrum": 1.5 }), "mi-fgsm.spectrum: must be at most 1"),
        (json!({ "name": "mi-fgsm", "copies": 3 }), "mi-fgsm.copies: is for spectrum or blocks; give that too"),
        (json!({ "name": "mi-fgsm", "rotation": 3 }), "mi-fgsm.rotation: is for blocks; give that too"),
        (json!({ "name": "md", "steps": 5, "change": 5 }), "md.change: must be below steps = 5, got 5"),
        (json!({ "name": "pdpgd", "average": 1.0 }), "pdpgd.average: must be below 1, got 1"),
        (json!({ "name": "jsma", "theta": 0.0 }), "jsma.theta: must not be 0"),
        (json!({ "name": "jsma", "gamma": 1.5 }), "jsma.gamma: must be at most 1, got 1.5"),
        (json!({ "name": "sparse-rs", "p_init": 2.0 }), "sparse-rs.p_init: must be at most 1, got 2"),
        (
            json!({ "name": "pgd-l0", "objective": "ce-t" }),
            "pgd-l0.objective: ce-t needs a target, which this attack has not",
        ),
        (json!({ "name": "fmn", "alpha": -1.0 }), "fmn.alpha: must be at least 0, got -1"),
    ] {
        let error = refused(given.clone());
        assert!(error.contains(says), "{given}: {error}");
    }
    let threat = ThreatModel::new(Norm::L2, 1.0);
    let key = Key::new(0, Purpose::AttackStart);
    let open = Open { input: (1, 4, 4), classes: 3, threat, key, lockstep: false, smallest: false, randomised: false };
    let error = attack(json!({ "name": "pgd", "sparsity": 0.9 })).fits(&open).unwrap_err().to_string();
    assert!(error.contains("pgd.sparsity: is for steps in l1, the norm is l2; leave it out"), "{error}");
    let error = attack(json!({ "name": "mi-fgsm", "blocks": 5 })).fits(&open).unwrap_err().to_string();
    assert!(error.contains("mi-fgsm.blocks: is 5, the shorter side of an image of 4 × 4 has 4 pixels"), "{error}");
}

/// Short versions of everything with a budget.
fn budgeted(norm: Norm) -> Vec<Value> {
    let mut all = vec![
        json!({ "name": "fgsm" }),
        json!({ "name": "pgd", "steps": 5, "restarts": 2, "alpha": "eps/3" }),
        json!({ "name": "bim", "steps": 4, "objective": "margin-t" }),
        json!({ "name": "mi-fgsm", "steps": 4 }),
        json!({ "name": "pgd", "steps": 4, "objective": "ce-t", "success": "target", "targets": 2 }),
        json!({ "name": "eot-pgd", "steps": 3, "draws": 2 }),
        json!({ "name": "apgd-ce", "steps": 12 }),
        json!({ "name": "apgd-dlr", "steps": 12 }),
        json!({ "name": "apgd-t", "steps": 12, "targets": 2 }),
        json!({ "name": "fab", "steps": 6 }),
        json!({ "name": "fab-t", "steps": 6, "targets": 2 }),
        json!({ "name": "square", "queries": 30 }),
        json!({ "name": "noise", "draws": 3 }),
        json!({ "name": "fmn", "steps": 10 }),
        json!({ "name": "mi-fgsm", "steps": 2, "nesterov": true, "scales": 2, "neighbours": 2, "translation": 3 }),
        json!({ "name": "mi-fgsm", "steps": 2, "diversity": 0.7, "resize": 1.6 }),
        json!({ "name": "mi-fgsm", "steps": 2, "spectrum": 0.5, "blocks": 2, "copies": 3 }),
    ];
    if norm != Norm::L1 {
        all.extend([
            json!({ "name": "multi-targeted", "steps": 4, "restarts": 2, "targets": 2 }),
            json!({ "name": "acg", "steps": 12 }),
            json!({ "name": "hopskipjump", "steps": 1, "evaluations": 20, "queries": 80 }),
            json!({ "name": "geoda", "queries": 80, "frequencies": 3 }),
            json!({ "name": "simba", "queries": 30 }),
            json!({ "name": "simba", "queries": 30, "frequencies": 3 }),
            json!({ "name": "spsa", "steps": 2, "draws": 8 }),
            json!({ "name": "nes", "queries": 30, "draws": 10 }),
            json!({ "name": "nattack", "steps": 2, "population": 15 }),
            json!({ "name": "bandits", "queries": 30 }),
        ]);
    }
    match norm {
        Norm::Linf => all.extend([
            json!({ "name": "r-fgsm" }),
            json!({ "name": "deepfool" }),
            json!({ "name": "trust-region", "steps": 20 }),
            json!({ "name": "pdpgd", "steps": 20 }),
            json!({ "name": "md", "steps": 8, "restarts": 2 }),
            json!({ "name": "malt", "steps": 8, "targets": 2 }),
            json!({ "name": "rays", "queries": 80 }),
            json!({ "name": "cw-linf", "steps": 10, "c": 1.0, "lr": 0.05 }),
        ]),
        Norm::L2 => all.extend([
            json!({ "name": "boundary", "steps": 40, "queries": 80 }),
            json!({ "name": "sign-opt", "queries": 80, "starts": 5, "draws": 10 }),
            json!({ "name": "surfree", "queries": 80 }),
            json!({ "name": "deepfool" }),
            json!({ "name": "superdeepfool", "steps": 10 }),
            json!({ "name": "trust-region", "steps": 20 }),
            json!({ "name": "pdpgd", "steps": 20 }),
            json!({ "name": "ddn", "steps": 10, "levels": 0 }),
            json!({ "name": "cw-l2", "steps": 20, "searches": 3, "lr": 0.1, "c": 0.1 }),
            json!({ "name": "alma", "steps": 20 }),
        ]),
        Norm::L1 => all.extend([
            json!({ "name": "ead", "steps": 20, "searches": 3, "c": 0.1 }),
            json!({ "name": "pdpgd", "steps": 20 }),
            json!({ "name": "malt", "steps": 8, "targets": 2, "candidates": 2 }),
            json!({ "name": "alma", "steps": 20 }),
        ]),
        Norm::L0 => unreachable!("attacks in L0 have laws of their own, `sparse`"),
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Inside ball and box always, and broken means misclassified; ε = 0 is the clean image; more restarts and more
    /// steps never help the model.
    #[test]
    fn laws_of_random_models(seed in 0u64..500, eps in 0.0f64..0.5, which in 0usize..3) {
        let norm = [Norm::Linf, Norm::L2, Norm::L1][which];
        let (target, x) = (Affine::random(seed, 4), images(12, seed));
        let labels = clean_labels(&target, &x);
        let threat = ThreatModel::new(norm, eps);
        let broken = |given: Value, threat: ThreatModel| -> Vec<bool> {
            let ends = drive(&*attack(given.clone()), &target, &x, &labels, threat, 5);
            assert_eq!(ends.len(), 12);
            for outcome in &ends {
                let clean = x.get(outcome.index).unwrap();
                let verdict = threat.check(&outcome.x_adv, &clean).unwrap();
                assert!(verdict.is_ok(), "{given} {norm}: {verdict:?}");
                let wrong = clean_labels(&target, &outcome.x_adv.unsqueeze(0).unwrap())[0] != labels[outcome.index];
                assert!(wrong || !outcome.broken, "{given} {norm} claims what is not so");
            }
            ends.iter().map(|o| o.broken).collect()
        };
        let pgd = |restarts: usize, steps: usize| json!({ "name": "pgd", "steps": steps, "restarts": restarts, "alpha": "eps/3" });
        let more = [
            (pgd(1, 5), pgd(3, 5)),
            (pgd(1, 5), pgd(1, 10)),
            (json!({ "name": "apgd-ce", "steps": 10 }), json!({ "name": "apgd-ce", "steps": 10, "restarts": 3 })),
            (json!({ "name": "apgd-t", "steps": 8, "targets": 1 }), json!({ "name": "apgd-t", "steps": 8, "targets": 3 })),
            (json!({ "name": "fab-t", "steps": 5, "targets": 1 }), json!({ "name": "fab-t", "steps": 10, "targets": 3 })),
            (json!({ "name": "square", "queries": 20 }), json!({ "name": "square", "queries": 40, "restarts": 2 })),
        ];
        for (less, more) in more {
            let (few, many) = (broken(less.clone(), threat), broken(more.clone(), threat));
            for (few, many) in few.iter().zip(&many) {
                prop_assert!(!few | many, "{norm}: {more} lost an example that {less} broke");
            }
        }
        for given in budgeted(norm) {
            broken(given.clone(), threat);
            prop_assert!(!broken(given, ThreatModel::new(norm, 0.0)).contains(&true));
        }
    }
}

proptest! {
    // Each case is several thousand steps.
    #![proptest_config(ProptestConfig::with_cases(9))]
    /// On a linear model the distance to the boundary is known: no attack finds less, and those for the smallest
    /// perturbation find (nearly) that. Those that follow the strongest class may end at another class's boundary, so
    /// they are given two.
    #[test]
    fn smallest_perturbations_of_linear_models(seed in 0u64..500, which in 0usize..3) {
        let norm = [Norm::Linf, Norm::L2, Norm::L1][which];
        let dual = [Norm::L1, Norm::L2, Norm::Linf][which];
        let x = images(6, seed).affine(0.1, 0.45).unwrap();
        let all = ThreatModel::new(norm, f64::INFINITY);
        for given in budgeted(norm) {
            let attack = attack(given.clone());
            // How near those by decisions come is tested with questions enough, beside this.
            if !attack.minimal() || attack.family() == Family::Decisions {
                continue;
            }
            let every = ["fab", "fab-t", "deepfool", "superdeepfool", "trust-region", "alma"].contains(&attack.name());
            let target = Affine::random(seed, if every { 4 } else { 2 });
            let labels = clean_labels(&target, &x);
            let w: Vec<Vec<f64>> = target.w.to_vec2().unwrap();
            let logits = rows(&target.logits(&x).unwrap()).unwrap();
            let longer = match attack.name() {
                "fmn" => json!({ "name": "fmn", "steps": 400, "alpha_last": 1e-4, "gamma_last": 1e-4 }),
                "ddn" => json!({ "name": "ddn", "steps": 400, "levels": 0 }),
                "cw-l2" => json!({ "name": "cw-l2", "steps": 1500, "searches": 9, "lr": 0.01, "c": 0.1 }),
                "fab-t" => json!({ "name": "fab-t", "steps": 30, "targets": 3 }),
                "alma" => json!({ "name": "alma", "steps": 1000 }),
                "pdpgd" => json!({ "name": "pdpgd", "steps": 1000 }),
                "trust-region" => json!({ "name": "trust-region" }),
                "cw-linf" => json!({ "name": "cw-linf", "steps": 200, "c": 0.01, "tau_least": "0.001" }),
                "ead" => json!({ "name": "ead", "steps": 400, "searches": 12, "c": 0.1, "beta": 0.01 }),
                _ => json!({ "name": attack.name(), "steps": 30 }),
            };
            for outcome in run(&*self::attack(longer), &target, &x, &labels, all, 6, (true, false)) {
                let (i, y) = (outcome.index, labels[outcome.index] as usize);
                let distance = (0..w.len())
                    .filter(|k| *k != y)
                    .map(|k| (logits[i][y] - logits[i][k]) / dual.of(w[y].iter().zip(&w[k]).map(|(a, b)| a - b)))
                    .fold(f64::INFINITY, f64::min);
                // Pixels lie in [0.45, 0.55]: the box does not bind below this.
                if norm.of([distance].into_iter()) > if norm == Norm::Linf { 0.4 } else { 0.42 } {
                    continue;
                }
                let clean = x.get(i).unwrap().flatten_all().unwrap();
                let delta = (outcome.x_adv.flatten_all().unwrap() - clean).unwrap();
                let size = norm.of(delta.to_vec1::<f64>().unwrap().into_iter());
                // FMN steps onto the linearised boundary itself: here rounding alone decides whether it is crossed.
                if attack.name() == "fmn" && !outcome.broken {
                    continue;
                }
                prop_assert!(outcome.broken, "{given} {norm}: nothing found at distance {distance}");
                prop_assert!(size >= distance * (1.0 - 1e-9), "{given} {norm}: {size} is below {distance}");
                // What each promises: a tight search, a step with overshoot, a search by radii.
                let slack = match attack.name() {
                    "fab" | "fab-t" => 1.002,
                    "deepfool" => 1.05,
                    "superdeepfool" => 1.002,
                    // Every step of a thousandth goes a ten-thousandth too far, and all of them by a fiftieth.
                    "trust-region" => 1.3,
                    "cw-l2" => 1.05,
                    // The square of the elastic net spreads what L1 alone would put into one pixel.
                    "ead" => 1.2,
                    _ => 1.1,
                };
                // Steps of one length for every pixel leave all of them changed, which L1 adds up.
                if attack.name() == "alma" && norm == Norm::L1 {
                    continue;
                }
                prop_assert!(size <= distance * slack + 5e-3, "{given} {norm}: {size} for a distance of {distance}");
            }
        }
    }
}

/// Everything in L0, short.
fn sparse() -> Vec<Value> {
    vec![
        json!({ "name": "fmn", "steps": 60 }),
        json!({ "name": "sigma-zero", "steps": 60 }),
        json!({ "name": "jsma", "gamma": 1.0, "targets": 3 }),
        json!({ "name": "pgd-l0", "steps": 10, "restarts": 3 }),
        json!({ "name": "pgd-l0", "steps": 10, "restarts": 2, "pixels": true, "objective": "margin" }),
        json!({ "name": "sparse-rs", "queries": 60 }),
        json!({ "name": "sparse-rs", "queries": 60, "restarts": 2, "pixels": true }),
    ]
}

/// The fewest values that turn a linear model of two classes round: those with the largest slope × room, one after the other.
#[test]
fn in_l0_no_attack_changes_fewer_values_than_a_linear_model_needs_and_all_get_near() {
    let (mut found, mut near, mut budgets) = ([0; 3], [0; 3], [0; 3]);
    for seed in 0..8 {
        let (target, x) = (Affine::random(seed, 2), images(10, seed));
        let labels = clean_labels(&target, &x);
        let (pixels, w): (Vec<Vec<f64>>, Vec<Vec<f64>>) =
            (x.flatten_from(1).unwrap().to_vec2().unwrap(), target.w.to_vec2().unwrap());
        let logits = rows(&target.logits(&x).unwrap()).unwrap();
        let least = |i: usize| {
            let y = labels[i] as usize;
            let fall = |k: usize| {
                let slope = w[1 - y][k] - w[y][k];
                slope.abs() * if slope > 0.0 { 1.0 - pixels[i][k] } else { pixels[i][k] }
            };
            let mut falls: Vec<f64> = (0..D).map(fall).collect();
            falls.sort_by(|a, b| b.total_cmp(a));
            let mut left = logits[i][y] - logits[i][1 - y];
            falls.iter().position(|fall| {
                left -= fall;
                left < 0.0
            })
        };
        let size = |o: &Outcome| {
            let clean = x.get(o.index).unwrap();
            Norm::L0.of((&o.x_adv - clean).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap().into_iter())
        };
        let all = ThreatModel::new(Norm::L0, f64::INFINITY);
        let minimal = [
            json!({ "name": "sigma-zero" }),
            json!({ "name": "fmn", "steps": 300 }),
            json!({ "name": "jsma", "gamma": 1.0 }),
        ];
        for (k, given) in minimal.iter().enumerate() {
            for outcome in run(&*attack(given.clone()), &target, &x, &labels, all, 6, (true, false)) {
                let Some(fewest) = least(outcome.index).map(|k| k as f64 + 1.0) else {
                    assert!(!outcome.broken, "{given}");
                    continue;
                };
                assert!(!outcome.broken || size(&outcome) >= fewest, "{given}: {} below {fewest}", size(&outcome));
                found[k] += usize::from(outcome.broken);
                // JSMA moves values in pairs, and only upwards.
                near[k] += usize::from(outcome.broken && size(&outcome) <= fewest + if k == 2 { 6.0 } else { 1.0 });
            }
        }
        let given = [
            json!({ "name": "pgd-l0", "steps": 30 }),
            json!({ "name": "pgd-l0", "steps": 30, "alpha": 5.0, "objective": "margin" }),
            json!({ "name": "sparse-rs", "queries": 2000 }),
        ];
        for (k, given) in given.iter().enumerate() {
            let threat = ThreatModel::new(Norm::L0, 4.0);
            for outcome in drive(&*attack(given.clone()), &target, &x, &labels, threat, 6) {
                let possible = least(outcome.index).is_some_and(|k| k < 4);
                assert!(size(&outcome) <= 4.0 && (possible || !outcome.broken), "{given}");
                budgets[k] += usize::from(possible) - usize::from(outcome.broken);
            }
        }
    }
    assert!(found[0] >= 70 && found[1] >= 70 && found[2] >= 30, "{found:?}");
    assert!(
        near[0] * 10 >= found[0] * 9 && near[1] * 10 >= found[1] * 9 && near[2] * 2 >= found[2],
        "{near:?} of {found:?}"
    );
    assert!(budgets.iter().all(|missed| *missed <= 8), "{budgets:?} missed");
}

#[test]
fn attacks_in_l0_keep_within_ball_and_box_whatever_the_slots() {
    let x = images(12, 3).affine(3.0, -1.0).unwrap().clamp(0.0, 1.0).unwrap();
    for (seed, eps) in [(3, 0.0), (4, 1.0), (5, 3.0), (6, 9.0)] {
        let target = Affine::random(seed, 4);
        let (labels, threat) = (clean_labels(&target, &x), ThreatModel::new(Norm::L0, eps));
        for given in sparse() {
            let attack = attack(given.clone());
            let run = |width| drive(&*attack, &target, &x, &labels, threat, width);
            let (one, wide) = (run(1), run(7));
            for (a, b) in one.iter().zip(&wide) {
                assert!(
                    bits(&a.x_adv) == bits(&b.x_adv) && (a.broken, a.forwards) == (b.broken, b.forwards),
                    "{given}"
                );
                let verdict = threat.check(&a.x_adv, &x.get(a.index).unwrap()).unwrap();
                assert!(verdict.is_ok() && !(eps == 0.0 && a.broken), "{given} {eps}: {verdict:?}");
                let wrong = clean_labels(&target, &a.x_adv.unsqueeze(0).unwrap())[0] != labels[a.index];
                assert!(wrong || !a.broken, "{given} claims what is not so");
            }
        }
    }
    // A model that answers NaN is never broken.
    let broken = Affine::new(&[f64::NAN; 2 * D], &[0.0, 0.0]);
    for given in sparse() {
        let ends = drive_unchecked(&*attack(given.clone()), &broken, &x, ThreatModel::new(Norm::L0, 3.0));
        assert!(ends.iter().all(|o| !o.broken), "{given}");
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
        json!({ "name": "r-fgsm" }),
        json!({ "name": "bim", "objective": "dlr-t" }),
        json!({ "name": "mi-fgsm", "objective": "ce-t", "targets": 2 }),
        json!({ "name": "eot-pgd", "steps": 4, "draws": 3 }),
        json!({ "name": "apgd-ce", "steps": 20, "restarts": 2 }),
        json!({ "name": "apgd-dlr", "steps": 20 }),
        json!({ "name": "apgd-t", "steps": 10, "targets": 3 }),
        json!({ "name": "fab", "steps": 10, "restarts": 2 }),
        json!({ "name": "fab-t", "steps": 10, "targets": 3 }),
        json!({ "name": "square", "queries": 60, "restarts": 2 }),
        json!({ "name": "deepfool" }),
        json!({ "name": "fmn", "steps": 20 }),
        json!({ "name": "multi-targeted", "steps": 6, "restarts": 2, "targets": 3 }),
        json!({ "name": "malt", "steps": 10, "targets": 3 }),
        json!({ "name": "acg", "steps": 20, "restarts": 2, "objective": "ce" }),
        json!({ "name": "md", "steps": 10, "restarts": 2 }),
        json!({ "name": "trust-region", "steps": 30 }),
        json!({ "name": "pdpgd", "steps": 20 }),
        json!({ "name": "mi-fgsm", "steps": 2, "spectrum": 0.5, "blocks": 2, "copies": 3, "neighbours": 1 }),
        json!({ "name": "mi-fgsm", "steps": 3, "diversity": 0.7, "resize": 1.6, "neighbours": 2, "scales": 2 }),
        json!({ "name": "hopskipjump", "steps": 1, "evaluations": 40, "queries": 100 }),
        json!({ "name": "rays", "queries": 60 }),
        json!({ "name": "geoda", "queries": 90, "frequencies": 3 }),
        json!({ "name": "simba", "queries": 30 }),
        json!({ "name": "spsa", "steps": 2, "draws": 8, "restarts": 2 }),
        json!({ "name": "nes", "queries": 60, "draws": 10 }),
        json!({ "name": "nattack", "steps": 2, "population": 20 }),
        json!({ "name": "bandits", "queries": 40, "tiles": 2 }),
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
                assert!(same, "{given}: example {} differs at width {width}", a.index);
            }
        }
    }
}

#[test]
fn empty_slots_change_and_cost_nothing() {
    let (target, x) = (Affine::random(4, 3), images(4, 5));
    let pgd = attack(json!({ "name": "pgd", "steps": 3 }));
    let threat = ThreatModel::new(Norm::Linf, 1e-6);
    let key = Key::new(0, Purpose::AttackStart);
    let open = Open { input: (1, 4, 4), classes: 3, threat, key, lockstep: false, smallest: false, randomised: false };
    let labels = clean_labels(&target, &x);
    let clean = Clean { index: 2, id: 2, label: labels[2], logits: vec![] };
    let job = Job { restart: 0, target: None };
    let x0: Vec<f64> = x.get(2).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let finish = |slots: &mut Slots<f64>| loop {
        if let Some(end) = slots.turn(&target, true).unwrap().ended.pop() {
            return end;
        }
    };
    let mut many = Slots::<f64>::new(4, (1, 4, 4), 3);
    many.load(2, &*pgd, &open, &job, &clean, &x0);
    let turned = many.turn(&target, true).unwrap();
    assert_eq!((turned.ended.len(), turned.forwards, turned.backwards, many.busy()), (0, 1, 1, 1));
    let mut one = Slots::<f64>::new(1, (1, 4, 4), 3);
    one.load(0, &*pgd, &open, &job, &clean, &x0);
    let (a, b) = (finish(&mut many), finish(&mut one));
    assert!(bits(&a.x_adv) == bits(&b.x_adv) && a.forwards == b.forwards && a.forwards == 4 && a.backwards == 3);
}

#[test]
fn a_model_that_answers_nan_is_never_broken() {
    let target = Affine::new(&[f64::NAN; 2 * D], &[0.0, 0.0]);
    let x = images(3, 1);
    let threat = ThreatModel::new(Norm::Linf, 0.3);
    let gradients = [
        "pgd",
        "fgsm",
        "r-fgsm",
        "bim",
        "mi-fgsm",
        "eot-pgd",
        "apgd-ce",
        "fab",
        "fab-t",
        "deepfool",
        "multi-targeted",
        "malt",
        "md",
        "acg",
        "trust-region",
        "pdpgd",
    ];
    let scores = ["square", "simba", "spsa", "nes", "nattack", "bandits"];
    let decisions = ["hopskipjump", "rays", "geoda", "boundary", "sign-opt", "surfree"];
    for name in gradients.into_iter().chain(scores).chain(decisions) {
        let mut given = json!({ "name": name });
        for (key, value) in [("steps", 3), ("queries", 9), ("draws", 2), ("frequencies", 3), ("population", 4)] {
            let declared = registry().attacks.get(name).unwrap().params.iter().any(|p| p.name == key);
            if declared {
                given[key] = value.into();
            }
        }
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
fn as_on_a_randomised_model_every_step_is_taken_and_all_that_falls_at_the_first_success_falls() {
    let (target, x) = (Affine::random(4, 5), images(60, 5));
    let labels = clean_labels(&target, &x);
    for (norm, eps) in [(Norm::Linf, 0.05), (Norm::L2, 0.2), (Norm::L1, 0.6)] {
        let threat = ThreatModel::new(norm, eps);
        for given in [
            json!({ "name": "fgsm" }),
            json!({ "name": "pgd", "steps": 6, "alpha": "eps/3" }),
            json!({ "name": "bim", "steps": 6, "objective": "dlr" }),
            json!({ "name": "mi-fgsm", "steps": 6 }),
            json!({ "name": "apgd-ce", "steps": 10 }),
            json!({ "name": "apgd-dlr", "steps": 10 }),
        ] {
            let run = |randomised| run(&*attack(given.clone()), &target, &x, &labels, threat, 7, (false, randomised));
            let (first, every) = (run(false), run(true));
            let (mut broken, mut later) = (0, 0);
            for (a, b) in first.iter().zip(&every) {
                let clean = x.get(b.index).unwrap();
                assert!(threat.check(&b.x_adv, &clean).unwrap().is_ok());
                let wrong = clean_labels(&target, &b.x_adv.unsqueeze(0).unwrap())[0] != labels[b.index];
                assert_eq!(wrong, b.broken, "{given} {norm}: it proposes another iterate than it says");
                assert!(!a.broken || b.broken, "{given} {norm}: lost an example that the first success breaks");
                assert!(b.backwards >= a.backwards && b.steps >= a.steps || !a.broken, "{given} {norm}");
                let last = every.iter().map(|o| o.backwards).max();
                assert_eq!(Some(b.backwards), last, "{given} {norm}: ended early");
                broken += usize::from(b.broken);
                later += usize::from(b.broken && b.steps > a.steps);
            }
            assert!(
                broken > 3 && (later > 0 || given["name"] == "fgsm"),
                "{given} {norm}: {broken} broken, {later} later"
            );
        }
        // The mean over draws of a model that is not random is the draw.
        let one = json!({ "name": "pgd", "steps": 6, "alpha": "eps/3" });
        let three = json!({ "name": "eot-pgd", "steps": 6, "alpha": "eps/3", "draws": 2 });
        let run = |given: Value| run(&*attack(given), &target, &x, &labels, threat, 7, (false, true));
        for (a, b) in run(one).iter().zip(&run(three)) {
            assert!(bits(&a.x_adv) == bits(&b.x_adv) && a.steps == b.steps, "{norm}");
            assert_eq!((b.forwards, b.backwards), (2 * a.forwards, 2 * a.backwards));
        }
    }
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
        let linear = target.linearise(&by_hand).unwrap();
        let ce = gauntlet_attacks::objectives::ce::Ce { targeted: false };
        let mut slopes = vec![0.0; 15];
        for ((z, y), slope) in rows(linear.logits()).unwrap().iter().zip(&labels).zip(slopes.chunks_exact_mut(3)) {
            ce.ascend(z, &Goal { label: *y as usize, ..Goal::default() }, slope);
        }
        let cotangent = Tensor::from_vec(slopes, (5, 3), &Device::Cpu).unwrap();
        by_hand = threat.step(&by_hand, &x, &linear.pull(&cotangent).unwrap(), &[0.1; 5]).unwrap();
    }
    assert_eq!(bits(&last), bits(&by_hand));
}
