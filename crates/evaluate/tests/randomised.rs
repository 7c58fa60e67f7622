//! Randomised models: no attack along the gradient ends at a lucky draw, and what some draws refute goes on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod built_in;

use built_in::registry;
use candle_core::{Device, Tensor};
use gauntlet_core::attack::{Backwards, Pulls, Site, Turn, Walk, predicted, rows};
use gauntlet_core::{
    Activation, Attack, Clean, Frozen, Job, Key, Linear, ModelInfo, Plan, Precision, Purpose, Result, Target,
    ThreatModel, Weights,
};
use gauntlet_evaluate::{AttackEntry, Component, Cost, Evaluator, Examples, Kind, evaluate};
use gauntlet_records::{Attacked, Fate, Norm, Verdict, verdict::robust_accuracy_over_draws};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

static GO_ON: AtomicBool = AtomicBool::new(false);

fn entry(given: Value) -> AttackEntry {
    let attack = Component::resolve(Kind::Attack, &registry(), given.as_object().unwrap()).unwrap();
    AttackEntry { label: "it".into(), attack, norm: Norm::Linf, eps: vec!["0.05".parse().unwrap()], examples: None }
}

/// A linear model W(x + σ N(0, I)) + b with new noise at every forward.
struct Noisy {
    inner: Frozen,
    sd: f64,
    asked: AtomicU64,
}

impl Noisy {
    fn new(inner: &Frozen, sd: f64) -> Self {
        Noisy { inner: inner.clone(), sd, asked: AtomicU64::new(0) }
    }
    fn noisy(&self, x: &Tensor) -> Tensor {
        let mut stream = Key::new(3, Purpose::Sample).stream(self.asked.fetch_add(1, Ordering::Relaxed), 0, 0);
        let noise: Vec<f32> = (0..x.elem_count()).map(|_| (self.sd * stream.normal()) as f32).collect();
        (x + Tensor::from_vec(noise, x.dims(), &Device::Cpu).unwrap()).unwrap()
    }
}

impl Target for Noisy {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        self.inner.logits(&self.noisy(x))
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        self.inner.linearise(&self.noisy(x))
    }
}

/// A random linear model and grey images that it answers by their labels.
fn scene(n: usize) -> (Frozen, Examples) {
    let given = json!({ "name": "linear", "init": "he" });
    let (network, _) = registry().model(given.as_object().unwrap(), (1, 8, 8), 4).unwrap();
    let weights = Weights::init(&network.specs(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
    let target = Frozen::new(network, weights.constants());
    let mut stream = Key::new(2, Purpose::Sample).stream(0, 0, 0);
    let pixels: Vec<f32> = (0..n * 64).map(|_| stream.uniform() as f32).collect();
    let x = Tensor::from_vec(pixels, (n, 1, 8, 8), &Device::Cpu).unwrap();
    let labels = rows(&target.logits(&x).unwrap()).unwrap().iter().map(|z| predicted(z).unwrap()).collect();
    (target, Examples::new(x, labels, (0..n as u64).collect()).unwrap())
}

/// Draws that proposals are judged on.
const DRAWS: u32 = 20;
/// Noise that alone turns an image in some draws.
const SD: f64 = 0.05;

fn left(inner: &Frozen, examples: &Examples, given: Value) -> (f64, Vec<Verdict>) {
    let target = Noisy::new(inner, SD);
    let evaluator = Evaluator {
        draws: DRAWS,
        attack_seed: 5,
        surrogate: Some(&target),
        ..Evaluator::new(&target, examples, &GO_ON)
    };
    let found = evaluate(&evaluator, &[entry(given)], &registry(), &mut ()).unwrap();
    let verdicts = found.attacked[0].verdicts.clone();
    (robust_accuracy_over_draws(&verdicts, DRAWS).unwrap(), verdicts)
}

#[test]
fn a_noisy_linear_model_leaves_what_its_every_step_run_leaves() {
    let (inner, examples) = scene(200);
    // The rate of what is left in 200 · 20 answers has a standard deviation below 0.008 per run; the two paths differ too.
    let bound = 0.03;
    for single in
        [json!({ "name": "eot-pgd", "steps": 20, "draws": 20 }), json!({ "name": "apgd-ce", "steps": 30, "draws": 20 })]
    {
        let every_step = json!({ "name": "transfer", "surrogate": "itself", "attack": single });
        let (ours, verdicts) = left(&inner, &examples, single.clone());
        let (all, _) = left(&inner, &examples, every_step);
        assert!((ours - all).abs() < bound, "{single}: {ours} left, {all} by every step");
        assert!(all > 0.05 && all < 0.6, "the scene decides nothing: {all}");
        let steps = single["steps"].as_u64().unwrap() as u32;
        // A single job: all its steps with 20 gradients each, and what is looked at at their end.
        for v in verdicts.iter().filter(|v| v.fate != Fate::Wrong) {
            assert_eq!(v.backwards, 20 * steps, "{single}: example {} ended early", v.id);
        }
    }
}

#[test]
fn rand_leaves_no_more_than_its_first_attack_with_every_step() {
    let (inner, examples) = scene(60);
    let every_step = json!({ "name": "transfer", "surrogate": "itself",
        "attack": { "name": "apgd-ce", "steps": 100, "draws": 20 } });
    let (rand, verdicts) = left(&inner, &examples, json!({ "name": "autoattack", "version": "rand" }));
    let (all, _) = left(&inner, &examples, every_step);
    // Two rates of 60 · 20 answers: twice their standard deviation of 0.014.
    assert!(rand < all + 0.04, "{rand} left, {all} by every step of its first attack");
    assert!(all > 0.05 && all < 0.6, "the scene decides nothing: {all}");
    // The second stage had what some draw of the first refuted.
    let both = |v: &&Verdict| v.backwards == 2 * 100 * 20;
    let one = |v: &&Verdict| v.backwards == 100 * 20;
    let wrong = verdicts.iter().filter(|v| v.fate == Fate::Wrong).count();
    let (both, one) = (verdicts.iter().filter(both).count(), verdicts.iter().filter(one).count());
    assert!(both > 0 && one > 0 && both + one + wrong == 60, "{both}, {one}, {wrong}");
    assert!(verdicts.iter().any(|v| v.broken_by == "apgd-dlr"));
}

#[test]
fn plain_attacks_take_every_step_on_a_model_that_is_seen_to_be_randomised() {
    let (inner, examples) = scene(80);
    let run = |target: &dyn Target, given: Value| {
        let evaluator = Evaluator { attack_seed: 5, ..Evaluator::new(target, &examples, &GO_ON) };
        let clean = evaluator.clean(&mut Cost::default()).unwrap();
        let (attack, _) = registry().plan(given.as_object().unwrap()).unwrap();
        let cells: Vec<Attacked> = evaluator.attack(&entry(given), &attack, &clean, &mut Cost::default()).unwrap();
        (clean.randomised.is_some(), cells.into_iter().next().unwrap().verdicts)
    };
    for given in [
        json!({ "name": "pgd", "steps": 9 }),
        json!({ "name": "bim", "steps": 9 }),
        json!({ "name": "mi-fgsm", "steps": 9 }),
        json!({ "name": "apgd-ce", "steps": 9 }),
    ] {
        let (randomised, noisy) = run(&Noisy::new(&inner, SD), given.clone());
        assert!(randomised);
        let attacked = |v: &&Verdict| v.fate != Fate::Wrong;
        assert!(noisy.iter().filter(attacked).all(|v| (v.backwards, v.forwards) == (9, 10)), "{given}");
        assert!(noisy.iter().filter(|v| v.fate == Fate::Broken).count() > 20);
        // The same model without noise is attacked as ever: to the first misclassified iterate.
        let (randomised, still) = run(&Noisy::new(&inner, 0.0), given.clone());
        let (_, plain) = run(&inner, given.clone());
        assert!(!randomised && still == plain);
        assert!(still.iter().any(|v| v.fate == Fate::Broken && v.backwards < 9), "{given}");
    }
}

/// Answers by the brightness of an image: of four answers in a row, as many are wrong as the tenths above 0.5 say.
struct Moody {
    info: ModelInfo,
    asked: Mutex<std::collections::BTreeMap<u32, u32>>,
}

impl Target for Moody {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let mut answers = Vec::new();
        for i in 0..x.dim(0)? {
            let mean = x.get(i)?.mean_all()?.to_scalar::<f32>()?;
            let level = (10.0 * mean - 5.0).round().max(0.0) as u32;
            let mut asked = self.asked.lock().unwrap();
            let asked = asked.entry(level).or_default();
            let wrong = *asked % 4 < level;
            *asked += 1;
            answers.extend(if wrong { [0.0f32, 1.0] } else { [1.0, 0.0] });
        }
        Ok(Tensor::from_vec(answers, (x.dim(0)?, 2), &Device::Cpu)?)
    }
    fn linearise(&self, _: &Tensor) -> Result<Box<dyn Linear>> {
        Err(gauntlet_core::Error::Message("no gradient".into()))
    }
}

/// Proposes one brightness per job.
struct Brighten(Vec<f32>);

impl Attack for Brighten {
    fn name(&self) -> &str {
        "brighten"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf]
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(self.0.len() as u32)
    }
    fn backwards(&self) -> Backwards {
        Backwards::None
    }
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        site.x.fill(self.0[site.job.restart as usize]);
        Box::new(Brighten(Vec::new()))
    }
    fn walk_f64(&self, _: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        unreachable!("images are f32")
    }
}

impl Walk<f32> for Brighten {
    fn look(&mut self, _: &mut [f32], _: &[f64], _: &mut Pulls<'_>) -> Turn {
        Turn::broken(1)
    }
    fn step(&mut self, _: &mut [f32], _: &[&[f32]]) -> Turn {
        Turn::Go
    }
}

#[test]
fn what_some_draws_refute_goes_on_and_the_proposal_that_fools_most_is_judged_anew() {
    let run = |draws: u32, levels: &[f32]| {
        let info = ModelInfo {
            name: "moody".into(),
            input: (1, 8, 8),
            classes: 2,
            activation: Activation::Relu,
            mean: vec![],
            std: vec![],
            numerics: 1,
        };
        let target = Moody { info, asked: Mutex::default() };
        let examples =
            Examples::new(Tensor::full(0.5f32, (1, 1, 8, 8), &Device::Cpu).unwrap(), vec![0], vec![0]).unwrap();
        let evaluator = Evaluator { draws, ..Evaluator::new(&target, &examples, &GO_ON) };
        let mut cost = Cost::default();
        let clean = evaluator.clean(&mut cost).unwrap();
        let brighten = Plan::Single(Arc::new(Brighten(levels.to_vec())));
        let wide = AttackEntry { eps: vec!["0.5".parse().unwrap()], ..entry(json!({ "name": "fgsm" })) };
        let before = cost.forwards;
        let cells = evaluator.attack(&wide, &brighten, &clean, &mut cost).unwrap();
        let v = cells[0].verdicts[0].clone();
        (v.fate, v.restart, v.fooled, v.forwards, cost.forwards - before)
    };
    // The first proposal fools half of the draws, the second all: nobody stays with the first.
    assert_eq!(run(8, &[0.7, 0.9]).1, 1);
    assert_eq!(run(8, &[0.7, 0.9]).2, Some(8));
    // One that fools all draws ends it: one look of the walk, eight draws of the referee and one of the rounded image.
    assert_eq!(run(8, &[0.9, 0.7]), (Fate::Broken, 0, Some(8), 1, 1 + 8 + 1));
    // Nobody fools all: the middle one is taken and judged anew (and rounded: its first draw misclassifies or does not).
    let (_, _, fooled, forwards, cost) = run(8, &[0.6, 0.8, 0.7]);
    assert_eq!((fooled, forwards), (Some(6), 3));
    assert!((3 + 4 * 8..=3 + 4 * 8 + 4).contains(&cost), "{cost}");
    // Asked once, the referee's draw decides, and what it refutes goes on.
    let (fate, restart, fooled, ..) = run(1, &[0.5, 0.9]);
    assert_eq!((fate, restart, fooled), (Fate::Broken, 1, None));
}
