//! Attacks that ask the model: what they cannot see changes nothing, and what they find on models where it is known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet_core::attack::{Open, Slots, predicted, rows};
use gauntlet_core::{
    Activation, Attack, Clean, Key, Linear, ModelInfo, Outcome, Purpose, Registry, Result, Target, ThreatModel,
};
use gauntlet_records::{Family, Norm};
use serde_json::{Value, json};
use std::sync::Arc;

const D: usize = 16;

/// Logits of rows of pixels by a plain function; there is no gradient to be had.
struct Scorer<F> {
    f: F,
    info: ModelInfo,
}

impl<F: Fn(&[f64]) -> Vec<f64> + Send + Sync> Scorer<F> {
    fn new(classes: usize, f: F) -> Self {
        let (activation, mean, std) = (Activation::Relu, vec![], vec![]);
        let info = ModelInfo { name: "scorer".into(), input: (1, 4, 4), classes, activation, mean, std, numerics: 1 };
        Scorer { f, info }
    }
}

impl<F: Fn(&[f64]) -> Vec<f64> + Send + Sync> Target for Scorer<F> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let all: Vec<Vec<f64>> = x.flatten_from(1)?.to_vec2()?;
        let z: Vec<f64> = all.iter().flat_map(|row| (self.f)(row)).collect();
        Ok(Tensor::from_vec(z, (all.len(), self.info.classes), &Device::Cpu)?)
    }
    fn linearise(&self, _: &Tensor) -> Result<Box<dyn Linear>> {
        panic!("a gradient was asked for");
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

fn open(threat: ThreatModel, classes: usize, smallest: bool) -> Open {
    let key = Key::new(3, Purpose::AttackStart);
    Open { input: (1, 4, 4), classes, threat, key, lockstep: false, smallest, randomised: false }
}

fn images(n: usize, low: f64, high: f64) -> Vec<Vec<f64>> {
    (0..n as u64)
        .map(|i| {
            let mut s = Key::new(11, Purpose::Sample).stream(i, 0, 0);
            (0..D).map(|_| low + (high - low) * s.uniform()).collect()
        })
        .collect()
}

/// Every image's first job; labels are the model's answers.
fn run(attack: &dyn Attack, target: &dyn Target, images: &[Vec<f64>], threat: ThreatModel) -> Vec<Outcome> {
    let open = open(threat, target.info().classes, attack.minimal() && !threat.eps.is_finite());
    let mut slots = Slots::<f64>::new(images.len(), open.input, open.classes);
    for (i, image) in images.iter().enumerate() {
        let x = Tensor::from_slice(image, (1, 1, 4, 4), &Device::Cpu).unwrap();
        let logits = rows(&target.logits(&x).unwrap()).unwrap().remove(0);
        let clean = Clean { index: i, id: i as u64, label: predicted(&logits).unwrap(), logits };
        let job = attack.jobs(&clean, &threat).remove(0);
        slots.load(i, attack, &open, &job, &clean, image);
    }
    let mut ends: Vec<Option<Outcome>> = vec![None; images.len()];
    while slots.busy() > 0 {
        for outcome in slots.turn(target, false).unwrap().ended {
            let index = outcome.index;
            ends[index] = Some(outcome);
        }
    }
    ends.into_iter().flatten().collect()
}

fn pixels(outcome: &Outcome) -> Vec<f64> {
    outcome.x_adv.flatten_all().unwrap().to_vec1().unwrap()
}

/// ⟨w, x⟩ − b as two logits.
fn plane(seed: u64) -> (Vec<f64>, f64) {
    let mut s = Key::new(seed, Purpose::Init).stream(0, 0, 0);
    let w: Vec<f64> = (0..D).map(|_| s.normal()).collect();
    let b = 0.5 * w.iter().sum::<f64>() + 0.3;
    (w, b)
}

fn height(w: &[f64], b: f64, x: &[f64]) -> f64 {
    w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() - b
}

fn decisions(norm: Norm) -> Vec<Value> {
    match norm {
        Norm::Linf => vec![
            json!({ "name": "hopskipjump", "steps": 6 }),
            json!({ "name": "rays", "queries": 500 }),
            json!({ "name": "geoda", "queries": 500, "frequencies": 4 }),
        ],
        _ => vec![
            json!({ "name": "hopskipjump", "steps": 6 }),
            json!({ "name": "boundary", "steps": 300 }),
            json!({ "name": "sign-opt", "queries": 500, "draws": 20 }),
            json!({ "name": "surfree", "steps": 50 }),
            json!({ "name": "geoda", "queries": 500, "frequencies": 4 }),
        ],
    }
}

/// Three models that decide alike, with other logits: all that is proposed is the same, bit for bit.
#[test]
fn attacks_by_decisions_see_nothing_but_decisions() {
    let (w, b) = plane(5);
    let images = images(8, 0.0, 1.0);
    let plain = Scorer::new(2, |x: &[f64]| vec![height(&w, b, x), 0.0]);
    let steep = Scorer::new(2, |x: &[f64]| vec![1e3 * height(&w, b, x) + 7.0, 7.0]);
    let labels = Scorer::new(2, |x: &[f64]| if height(&w, b, x) < 0.0 { vec![0.0, 1.0] } else { vec![1.0, 0.0] });
    for norm in [Norm::Linf, Norm::L2] {
        for given in decisions(norm) {
            let attack = attack(given.clone());
            assert_eq!(attack.family(), Family::Decisions);
            let threat = ThreatModel::new(norm, f64::INFINITY);
            let all = [&plain as &dyn Target, &steep, &labels].map(|t| run(&*attack, t, &images, threat));
            for (a, (b, c)) in all[0].iter().zip(all[1].iter().zip(&all[2])) {
                assert!(a.broken && pixels(a) == pixels(b) && pixels(a) == pixels(c), "{given} {norm}");
                assert_eq!((a.forwards, a.backwards), (b.forwards, 0));
            }
        }
    }
}

/// Along the signs of w, and along none other, the plane is nearest in L∞: flips of single pixels find all of them.
#[test]
fn rays_finds_the_signs_of_a_plane() {
    let images = images(12, 0.45, 0.55);
    let threat = ThreatModel::new(Norm::Linf, f64::INFINITY);
    for seed in 1..5 {
        let (w, b) = plane(seed);
        let target = Scorer::new(2, |x: &[f64]| vec![height(&w, b, x), 0.0]);
        let found = run(&*attack(json!({ "name": "rays" })), &target, &images, threat);
        for (outcome, x) in found.iter().zip(&images) {
            let h = height(&w, b, x);
            let distance = h.abs() / Norm::L1.of(w.iter().copied());
            if distance > 0.4 {
                continue;
            }
            let delta: Vec<f64> = pixels(outcome).iter().zip(x).map(|(a, x)| a - x).collect();
            let size = Norm::Linf.of(delta.iter().copied());
            // A bisection ends at 0.001 in L2, which is a quarter of that per pixel; signs of no weight may stay.
            assert!(size >= distance && size <= distance + 2.6e-4, "seed {seed}: {size} for {distance}");
            assert!(outcome.forwards < 10_000, "it ends once no pixel is left");
        }
    }
}

/// How near each comes to a plane's distance with its default settings. (Two thousand steps of the boundary attack.)
#[test]
fn normals_estimated_from_decisions_lead_to_the_nearest_point_of_a_plane() {
    let images = images(6, 0.45, 0.55);
    for (given, norm, slack) in [
        (json!({ "name": "hopskipjump", "steps": 25 }), Norm::L2, 1.02),
        (json!({ "name": "hopskipjump", "steps": 25 }), Norm::Linf, 1.05),
        (json!({ "name": "geoda", "frequencies": 4 }), Norm::L2, 1.01),
        (json!({ "name": "geoda", "frequencies": 4 }), Norm::Linf, 1.05),
        (json!({ "name": "boundary", "steps": 4000 }), Norm::L2, 1.05),
        (json!({ "name": "sign-opt", "queries": 5000, "draws": 50 }), Norm::L2, 1.02),
        (json!({ "name": "surfree" }), Norm::L2, 1.1),
    ] {
        let (w, b) = plane(2);
        let target = Scorer::new(2, |x: &[f64]| vec![height(&w, b, x), 0.0]);
        let threat = ThreatModel::new(norm, f64::INFINITY);
        for (outcome, x) in run(&*attack(given.clone()), &target, &images, threat).iter().zip(&images) {
            let distance = height(&w, b, x).abs() / norm.dual().of(w.iter().copied());
            let size = norm.of(pixels(outcome).iter().zip(x).map(|(a, x)| a - x));
            assert!(size >= distance * (1.0 - 1e-9), "{given} {norm}: {size} is below {distance}");
            assert!(size <= distance * slack, "{given} {norm}: {size} for a distance of {distance}");
        }
    }
}

/// The height of a plane over the worst point of the budget is known: who follows scores well goes (nearly) there.
#[test]
fn attacks_by_scores_reach_the_worst_case_of_a_plane_without_a_gradient() {
    let images = images(6, 0.4, 0.6);
    for (given, norm, eps, share) in [
        (json!({ "name": "simba", "step": 0.1, "queries": 200 }), Norm::Linf, 0.1, 0.99),
        (json!({ "name": "simba", "step": 0.02, "queries": 2000 }), Norm::L2, 0.1, 0.9),
        (json!({ "name": "simba", "step": 0.02, "queries": 2000, "frequencies": 4 }), Norm::L2, 0.1, 0.9),
        (json!({ "name": "spsa", "steps": 40, "draws": 64 }), Norm::Linf, 0.1, 0.98),
        (json!({ "name": "spsa", "steps": 40, "draws": 64, "lr": 0.005 }), Norm::L2, 0.1, 0.85),
        (json!({ "name": "nes", "queries": 3000, "sigma": 0.01 }), Norm::Linf, 0.1, 0.98),
        (json!({ "name": "nes", "queries": 3000, "sigma": 0.01 }), Norm::L2, 0.1, 0.95),
        (json!({ "name": "nattack", "steps": 60, "population": 100 }), Norm::Linf, 0.1, 0.85),
        (json!({ "name": "bandits", "queries": 1500 }), Norm::Linf, 0.1, 0.6),
        (json!({ "name": "bandits", "queries": 1500, "alpha": "0.02", "lr": 1.0 }), Norm::L2, 0.1, 0.6),
    ] {
        let (w, b) = plane(7);
        // Two classes that no budget turns round: all questions are asked, and how far down they lead is read off.
        let target = Scorer::new(2, |x: &[f64]| {
            let h = height(&w, b, x);
            if height(&w, b, &[0.5; D]) > 0.0 { vec![h + 5.0, 0.0] } else { vec![0.0, 5.0 - h] }
        });
        let attack = attack(given.clone());
        assert_eq!(attack.family(), Family::Scores);
        let threat = ThreatModel::new(norm, eps);
        for (outcome, x) in run(&*attack, &target, &images, threat).iter().zip(&images) {
            assert!(!outcome.broken);
            let x_adv = pixels(outcome);
            let most = eps * norm.dual().of(w.iter().copied());
            let fell = (height(&w, b, &x_adv) - height(&w, b, x)).abs();
            let size = norm.of(x_adv.iter().zip(x).map(|(a, x)| a - x));
            assert!(size <= eps * (1.0 + 1e-9), "{given} {norm}: {size}");
            assert!(fell >= share * most, "{given} {norm}: {fell} of {most}");
        }
    }
}

#[test]
fn what_they_cannot_do_is_said() {
    let threat = ThreatModel::new(Norm::L2, 1.0);
    for (given, says) in [
        (json!({ "name": "geoda" }), "geoda.frequencies: is 10, images of 4 × 4 have 4 along their shorter side"),
        (json!({ "name": "simba", "frequencies": 5 }), "simba.frequencies: is 5, images of 4 × 4 have 4"),
        (json!({ "name": "bandits", "tiles": 5 }), "bandits.tiles: is 5, more than the 4 pixels of the shorter side"),
    ] {
        let error = attack(given.clone()).fits(&open(threat, 3, false)).unwrap_err().to_string();
        assert!(error.contains(says), "{given}: {error}");
    }
    let lockstep = Open { lockstep: true, ..open(threat, 3, false) };
    let error = attack(json!({ "name": "hopskipjump" })).fits(&lockstep).unwrap_err().to_string();
    assert!(error.contains("hopskipjump: asks until an example is broken"), "{error}");
    let refused = |given: Value| registry().attack(given.as_object().unwrap()).err().unwrap().to_string();
    let error = refused(json!({ "name": "geoda", "mu": 1.5 }));
    assert!(error.contains("geoda.mu: must be at most 1, got 1.5"), "{error}");
    let error = refused(json!({ "name": "surfree", "rho": 2.0 }));
    assert!(error.contains("surfree.rho: must be at most 1, got 2"), "{error}");
    for (given, says) in [
        (json!({ "name": "mi-fgsm", "diversity": 1.5 }), "mi-fgsm.diversity: must be at most 1, got 1.5"),
        (json!({ "name": "mi-fgsm", "resize": 1.2 }), "mi-fgsm.resize: is for diversity; give that too"),
        (json!({ "name": "mi-fgsm", "radius": 1.2 }), "mi-fgsm.radius: is for neighbours; give that too"),
        (json!({ "name": "mi-fgsm", "translation": 4 }), "mi-fgsm.translation: must be odd"),
        (json!({ "name": "mi-fgsm", "scales": 31 }), "mi-fgsm.scales: must be at most 30"),
        (json!({ "name": "ead", "rule": "l2" }), "ead.rule"),
    ] {
        let error = refused(given.clone());
        assert!(error.contains(says), "{given}: {error}");
    }
    let small =
        attack(json!({ "name": "mi-fgsm", "diversity": 0.5 })).fits(&open(threat, 3, false)).unwrap_err().to_string();
    assert!(small.contains("mi-fgsm.resize: 1.1 does not enlarge images of 4 × 4; give resize = 1.250"), "{small}");
    let error = refused(json!({ "name": "rays", "queries": 0 }));
    assert!(error.contains("rays.queries: must be at least 1, got 0"), "{error}");
}
