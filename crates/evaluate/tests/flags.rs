//! The referee's flags: a model built to raise each, and honest ones that raise none.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod built_in;

use built_in::registry;
use candle_core::{Device, Tensor};
use gauntlet_core::target::Linear;
use gauntlet_core::{Frozen, Key, ModelInfo, Precision, Purpose, Result, Target, Weights};
use gauntlet_evaluate::{AttackEntry, Component, Evaluator, Examples, Kind, evaluate};
use gauntlet_models::CandleModule;
use gauntlet_records::{Family, Norm, verdict::robust_accuracy_over_draws};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);

/// A random network and images that it answers by its own labels.
fn scene(model: &str, n: usize) -> (Frozen, Examples) {
    let given = json!({ "name": model, "init": "he" }).as_object().unwrap().clone();
    let (network, _) = registry().model(&given, (1, 8, 8), 4).unwrap();
    let weights = Weights::init(&network.specs(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
    let target = Frozen::new(network, weights.constants());
    let mut stream = Key::new(2, Purpose::Sample).stream(0, 0, 0);
    let pixels: Vec<f32> = (0..n * 64).map(|_| stream.below(256) as f32 / 255.0).collect();
    let x = Tensor::from_vec(pixels, (n, 1, 8, 8), &Device::Cpu).unwrap();
    let examples = labelled(&target, x);
    (target, examples)
}

fn labelled(target: &dyn Target, x: Tensor) -> Examples {
    let answers = gauntlet_core::attack::rows(&target.logits(&x).unwrap()).unwrap();
    let labels: Vec<u32> = answers.iter().map(|z| gauntlet_core::attack::predicted(z).unwrap()).collect();
    let n = labels.len() as u64;
    Examples::new(x, labels, (0..n).collect()).unwrap()
}

fn entry(name: &str, eps: &[&str], more: serde_json::Value) -> AttackEntry {
    let mut given = more.as_object().unwrap().clone();
    given.insert("name".into(), name.into());
    AttackEntry {
        label: name.into(),
        attack: Component::resolve(Kind::Attack, &registry(), &given).unwrap(),
        norm: Norm::Linf,
        eps: eps.iter().map(|e| e.parse().unwrap()).collect(),
        examples: None,
    }
}

fn flags(target: &dyn Target, examples: &Examples) -> Vec<String> {
    let attacks = [
        entry("noise", &["0.05"], json!({ "draws": 3 })),
        entry("fgsm", &["0.05"], json!({})),
        entry("pgd", &["0.02", "0.05"], json!({ "steps": 20, "alpha": "eps/5" })),
        entry("square", &["0.05"], json!({ "queries": 200 })),
    ];
    let evaluator = Evaluator::new(target, examples, &GO_ON);
    let mut names: Vec<String> =
        evaluate(&evaluator, &attacks, &registry(), &mut ()).unwrap().flags.into_iter().map(|f| f.name).collect();
    names.dedup();
    names
}

/// What a model does to the pixels before it answers, and to the logits after.
struct Twisted<'a> {
    inner: &'a Frozen,
    before: fn(&Tensor) -> Tensor,
    after: fn(&Tensor, &mut u64) -> Tensor,
    /// d after / d logits, applied to cotangents; `None`: no gradient reaches the pixels.
    back: Option<fn(&Tensor, &Tensor) -> Tensor>,
    asked: Mutex<u64>,
}

struct Pull {
    raw: Tensor,
    logits: Tensor,
    inner: Box<dyn Linear>,
    back: Option<fn(&Tensor, &Tensor) -> Tensor>,
}

impl Twisted<'_> {
    fn answer(&self, raw: &Tensor) -> Tensor {
        (self.after)(raw, &mut self.asked.lock().unwrap())
    }
}

impl Target for Twisted<'_> {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.answer(&self.inner.logits(&(self.before)(x))?))
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        let inner = self.inner.linearise(&(self.before)(x))?;
        let raw = inner.logits().clone();
        Ok(Box::new(Pull { logits: self.answer(&raw), raw, inner, back: self.back }))
    }
}

impl Linear for Pull {
    fn logits(&self) -> &Tensor {
        &self.logits
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        match self.back {
            Some(back) => self.inner.pull(&back(&self.raw, cotangent)),
            None => Ok(self.inner.pull(cotangent)?.zeros_like()?),
        }
    }
}

fn same(x: &Tensor) -> Tensor {
    x.clone()
}

fn softmax(z: &Tensor) -> Tensor {
    let e = z.broadcast_sub(&z.max_keepdim(1).unwrap()).unwrap().exp().unwrap();
    e.broadcast_div(&e.sum_keepdim(1).unwrap()).unwrap()
}

fn plain(z: &Tensor, _: &mut u64) -> Tensor {
    z.clone()
}

#[test]
fn honest_models_raise_nothing() {
    for model in ["linear", "lenet-small"] {
        let (target, examples) = scene(model, 60);
        assert_eq!(flags(&target, &examples), [""; 0], "{model}");
    }
}

#[test]
fn a_saturated_model_has_no_gradients_to_follow() {
    let (inner, examples) = scene("lenet-small", 60);
    // As defensive distillation leaves it: the right class by a million, softmax exact in any precision.
    let target = Twisted {
        inner: &inner,
        before: same,
        after: |z, _| z.affine(1e6, 0.0).unwrap(),
        back: Some(|_, c| c.affine(1e6, 0.0).unwrap()),
        asked: Mutex::new(0),
    };
    let raised = flags(&target, &examples);
    for name in ["gradient-vanishes", "robust-at-eps-1", "square-beats-gradients"] {
        assert!(raised.contains(&name.to_string()), "{name} is not in {raised:?}");
    }
    // The DLR does not saturate: its gradient at the images is there.
    assert!(!raised.contains(&"zero-gradient".to_string()), "{raised:?}");
}

#[test]
fn a_quantised_input_masks_its_gradient() {
    let (inner, _) = scene("lenet-small", 60);
    let target = Twisted {
        inner: &inner,
        before: |x| (x.affine(5.0, 0.0).unwrap().round().unwrap() / 5.0).unwrap(),
        after: plain,
        back: None,
        asked: Mutex::new(0),
    };
    let (_, images) = scene("lenet-small", 60);
    let raised = flags(&target, &labelled(&target, images.pixels().clone()));
    for name in ["gradient-vanishes", "zero-gradient", "robust-at-eps-1"] {
        assert!(raised.contains(&name.to_string()), "{name} is not in {raised:?}");
    }
}

#[test]
fn a_noisy_model_is_recognised_and_a_quiet_one_is_not() {
    let (inner, examples) = scene("lenet-small", 60);
    let twisted = |noisy: bool| Twisted {
        inner: &inner,
        before: same,
        after: if noisy {
            |z, asked| {
                *asked += 1;
                let dims = z.dims();
                let n: usize = dims.iter().product();
                let mut stream = Key::new(*asked, Purpose::Sample).stream(0, 0, 0);
                let noise: Vec<f32> = (0..n).map(|_| 0.05 * stream.normal() as f32).collect();
                (z + Tensor::from_vec(noise, dims, &Device::Cpu).unwrap()).unwrap()
            }
        } else {
            plain
        },
        back: Some(|_, c| c.clone()),
        asked: Mutex::new(0),
    };
    assert!(flags(&twisted(true), &examples).contains(&"randomised-model".to_string()));
    assert!(!flags(&twisted(false), &examples).contains(&"randomised-model".to_string()));
}

#[test]
fn a_softmax_at_the_end_is_recognised() {
    let (inner, examples) = scene("lenet-small", 60);
    let target = Twisted {
        inner: &inner,
        before: same,
        after: |z, _| softmax(z),
        // p ⊙ (c − ⟨p, c⟩).
        back: Some(|z, c| {
            let p = softmax(z);
            let mean = (&p * c).unwrap().sum_keepdim(1).unwrap();
            (&p * c.broadcast_sub(&mean).unwrap()).unwrap()
        }),
        asked: Mutex::new(0),
    };
    assert!(flags(&target, &examples).contains(&"probabilities".to_string()));
}

#[test]
fn several_draws_give_the_rate_at_which_a_randomised_model_is_fooled() {
    let (inner, examples) = scene("lenet-small", 60);
    // Every fourth answer is turned upside down, the first not: the clean pass is all correct.
    let target = || Twisted {
        inner: &inner,
        before: same,
        after: |z, asked| {
            *asked += 1;
            if asked.is_multiple_of(4) { z.neg().unwrap() } else { z.clone() }
        },
        back: Some(|_, c| c.clone()),
        asked: Mutex::new(0),
    };
    let still = [entry("noise", &["0"], json!({ "draws": 1 }))];
    let run = |draws: u32| {
        let twisted = target();
        let evaluator = Evaluator { draws, ..Evaluator::new(&twisted, &examples, &GO_ON) };
        evaluate(&evaluator, &still, &registry(), &mut ()).unwrap()
    };
    // Of eight draws in a row two are upside down, wherever they begin.
    let found = run(8);
    let verdicts = &found.attacked[0].verdicts;
    assert!(verdicts.iter().all(|v| v.fooled == Some(2)), "{verdicts:?}");
    assert_eq!(robust_accuracy_over_draws(verdicts, 8), Some(0.75));
    let told = found.flags.iter().find(|f| f.name == "draws-differ").unwrap();
    assert!(told.detail.contains("of 8 draws and 75.00 % on their average; 60 examples are"), "{}", told.detail);
    let once = run(1);
    assert!(once.attacked[0].verdicts.iter().all(|v| v.fooled.is_none()));
    assert_eq!(robust_accuracy_over_draws(&once.attacked[0].verdicts, 1), None);
    assert!(once.flags.iter().all(|f| f.name != "draws-differ"));
}

#[test]
fn records_of_before_know_the_family_of_every_built_in_attack_by_its_name() {
    let registry = registry();
    let of = |attack: &Value| json!({ "surrogate": "other", "attacks": [attack] });
    let mut seen = 0;
    for spec in registry.attacks.iter() {
        // What is made of other attacks needs one.
        let mut given = of(&json!("pgd"));
        given["attack"] = "pgd".into();
        given.as_object_mut().unwrap().retain(|key, _| spec.param(key).is_some());
        given["name"] = spec.name.as_str().into();
        let (attack, _) = registry.plan(given.as_object().unwrap()).unwrap();
        assert_eq!(attack.family(), Family::of_name(&spec.name), "{}", spec.name);
        seen += 1;
    }
    assert!(seen >= 18, "{seen}");
}

#[test]
fn a_search_that_breaks_nothing_at_any_size_is_flagged_and_one_that_does_is_not() {
    let (inner, examples) = scene("lenet-small", 60);
    // No gradient reaches the pixels: deepfool does not move.
    let blind = Twisted { inner: &inner, before: same, after: plain, back: None, asked: Mutex::new(0) };
    let deepfool = [AttackEntry { norm: Norm::L2, ..entry("deepfool", &["0.01", "0.1"], json!({})) }];
    let raised = |target: &dyn Target| -> Vec<String> {
        let found = evaluate(&Evaluator::new(target, &examples, &GO_ON), &deepfool, &registry(), &mut ()).unwrap();
        found.flags.into_iter().filter(|f| f.name == "minimal-attack-fails").map(|f| f.detail).collect()
    };
    let told = raised(&blind);
    assert!(
        told.len() == 1 && told[0].starts_with("deepfool (l2) finds no perturbation of any size for 60 of the 60"),
        "{told:?}"
    );
    assert_eq!(raised(&inner), [""; 0]);
}

/// A model that answers one class whatever it is shown: no search by decisions finds a point to start from.
#[test]
fn a_search_by_decisions_without_a_start_is_flagged() {
    let answer = |x: &Tensor| Tensor::new(&[[1f32, 0.0]], x.device())?.repeat((x.dim(0)?, 1));
    let target = CandleModule::new("constant", (1, 8, 8), 2, answer);
    let (_, other) = scene("linear", 6);
    let examples =
        labelled(&target, Tensor::cat(&(0..6).map(|i| other.image(i).unwrap()).collect::<Vec<_>>(), 0).unwrap());
    let mut seen = 0;
    for spec in registry().attacks.iter().filter(|s| Family::of_name(&s.name) == Family::Decisions) {
        // Images of 8 × 8 have eight.
        let more =
            if spec.params.iter().any(|p| p.name == "frequencies") { json!({ "frequencies": 8 }) } else { json!({}) };
        let (attack, _) = registry().attack(json!({ "name": spec.name }).as_object().unwrap()).unwrap();
        for norm in attack.norms() {
            let entry = AttackEntry { norm: *norm, ..entry(&spec.name, &["0.1"], more.clone()) };
            let found = evaluate(&Evaluator::new(&target, &examples, &GO_ON), &[entry], &registry(), &mut ()).unwrap();
            assert!(
                found.flags.iter().any(|f| f.name == "minimal-attack-fails"),
                "{} {norm}: {:?}",
                spec.name,
                found.flags
            );
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

/// steps × α < ε: of what lies beyond, the attack says nothing.
#[test]
fn an_attack_that_cannot_reach_its_budget_is_flagged() {
    let (target, examples) = scene("linear", 20);
    let raised = |entry: AttackEntry| -> Vec<String> {
        let evaluator = Evaluator::new(&target, &examples, &GO_ON);
        let flags = evaluate(&evaluator, &[entry], &registry(), &mut ()).unwrap().flags;
        flags.into_iter().filter(|f| f.name == "budget-out-of-reach").map(|f| f.detail).collect()
    };
    let short = json!({ "steps": 10, "alpha": "0.01" });
    let found = raised(entry("pgd", &["0.1", "0.3"], short.clone()));
    assert_eq!(found.len(), 1, "0.1 is within reach: {found:?}");
    assert!(found[0].contains("10 steps of 0.01 of pgd get 0.1 far from its random start"), "{found:?}");
    assert!(raised(entry("bim", &["0.3"], short.clone()))[0].contains("far from the clean image"));
    let inside = json!({ "attacks": [{ "name": "bim", "steps": 2, "alpha": "0.01" }] });
    assert!(raised(entry("worst-case", &["0.3"], inside))[0].contains("of bim of worst-case get 0.02 far"));
    for (name, more) in
        [("apgd-ce", json!({ "steps": 3 })), ("fgsm", json!({})), ("r-fgsm", json!({})), ("bim", json!({}))]
    {
        assert!(raised(entry(name, &["0.3"], more)).is_empty(), "{name}");
    }
}
