//! What every recipe promises (docs/architecture.md, "Conventions of recipes"), on small networks in f64.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "recipes/certified.rs"]
mod certified;
#[path = "recipes/closed_forms.rs"]
mod closed_forms;

use candle_core::{Device, Tensor};
use gauntlet_autograd::check::{Order, Probe, along};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::position::Position;
use gauntlet_core::recipe::Composed;
use gauntlet_core::{
    Batch, Frozen, Key, Memory, Network, Params, Precision, Purpose, Recipe, Registry, Setup, Step, Target, Weights,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    registry
}

fn table(v: Value) -> serde_json::Map<String, Value> {
    v.as_object().unwrap().clone()
}

fn model(v: Value) -> Arc<dyn Network> {
    registry().model(&table(v), (1, 8, 8), 4).unwrap().0
}

/// A base recipe or, by its name, `ce` plus a penalty.
fn recipe(v: Value) -> Arc<dyn Recipe> {
    let (registry, given) = (registry(), table(v));
    let name = given["name"].as_str().unwrap();
    if registry.recipes.contains(name) {
        return registry.recipe(&given).unwrap().0;
    }
    let base = registry.recipe(&table(json!({ "name": "ce" }))).unwrap().0;
    let penalties = vec![registry.penalty(&given).unwrap().0];
    Arc::new(Composed { base, penalties, name: name.to_string() })
}

fn batch(n: usize) -> Batch {
    let pixels: Vec<f64> = (0..n as u64)
        .flat_map(|i| {
            let mut s = Key::new(11, Purpose::Sample).stream(i, 0, 0);
            (0..64).map(move |_| s.uniform()).collect::<Vec<_>>()
        })
        .collect();
    Batch {
        x: Tensor::from_vec(pixels, (n, 1, 8, 8), &Device::Cpu).unwrap(),
        y: Tensor::from_vec((0..n as u32).map(|i| i % 4).collect(), n, &Device::Cpu).unwrap(),
        ids: (0..n as u64).collect(),
    }
}

fn part(b: &Batch, start: usize, len: usize) -> Batch {
    Batch {
        x: b.x.narrow(0, start, len).unwrap().contiguous().unwrap(),
        y: b.y.narrow(0, start, len).unwrap().contiguous().unwrap(),
        ids: b.ids[start..start + len].to_vec(),
    }
}

fn weights(network: &dyn Network) -> Weights {
    Weights::init(&network.specs(), Key::new(2, Purpose::Init), Precision::F64, &Device::Cpu).unwrap()
}

/// What a training with this recipe starts from.
fn started(recipe: &dyn Recipe, network: &dyn Network) -> Weights {
    Weights::init(&recipe.starting(network.specs()), Key::new(2, Purpose::Init), Precision::F64, &Device::Cpu).unwrap()
}

/// Another network, whatever is trained.
fn teacher() -> Arc<dyn Target> {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    let weights = Weights::init(&network.specs(), Key::new(77, Purpose::Init), Precision::F64, &Device::Cpu).unwrap();
    Arc::new(Frozen::new(network, weights.constants()))
}

fn memory(recipe: &dyn Recipe, network: &dyn Network, train: &Batch) -> Memory {
    let mut each = |f: &mut dyn FnMut(&Batch) -> gauntlet_core::Result<()>| f(train);
    let mut setup =
        Setup { train: &mut each, model: network.info(), seed: 5, precision: Precision::F64, teacher: None };
    recipe.prepare(&mut setup).unwrap()
}

const HERE: Position = Position { epoch: 1, epochs: 3, step: 2, steps: 10, replay: 0 };

type Terms = Vec<(Cow<'static, str>, f64, Vec<f64>)>;

fn loss(
    recipe: &dyn Recipe,
    network: &Arc<dyn Network>,
    params: &Params,
    b: &Batch,
    memory: &mut Memory,
) -> (Var, Terms) {
    let step = Step::new(network.clone(), params, b, 5, HERE, memory).unwrap();
    let mut step = step.taught_by(Some(teacher()));
    let loss = recipe.loss(&mut step).unwrap();
    let terms = loss.terms.iter().map(|(n, w, t)| (n.clone(), *w, t.to_vec1().unwrap())).collect();
    (loss.total, terms)
}

/// Total, terms and weight gradients as bits.
fn run(recipe: &dyn Recipe, network: &Arc<dyn Network>, b: &Batch) -> (f64, Terms, Vec<Vec<u64>>) {
    let params = started(recipe, &**network).leaves();
    let mut memory = memory(recipe, &**network, &batch(12));
    let (total, terms) = loss(recipe, network, &params, b, &mut memory);
    let leaves: Vec<&Var> = params.trained().map(|(_, v)| v).collect();
    let grads = grad(&total, &leaves, Graph::Free).unwrap();
    let bits =
        |v: &Var| v.tensor().flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().map(|x| x.to_bits()).collect();
    (total.tensor().to_scalar().unwrap(), terms, grads.iter().map(bits).collect())
}

fn all() -> Vec<Value> {
    vec![
        json!({ "name": "ce" }),
        json!({ "name": "ce", "smoothing": 0.1 }),
        json!({ "name": "noise", "size": "0.2" }),
        json!({ "name": "noise", "size": "0.2", "kind": "uniform" }),
        json!({ "name": "noise", "size": "0.2", "kind": "sign" }),
        json!({ "name": "grad-norm", "weight": 3.0 }),
        json!({ "name": "grad-norm", "weight": 0.7, "norm": "l2" }),
        json!({ "name": "grad-norm", "weight": 0.2, "norm": "l1" }),
        json!({ "name": "grad-norm", "weight": 5.0, "norm": "linf" }),
        json!({ "name": "grad-norm", "weight": 3.0, "of": "uniform" }),
        json!({ "name": "grad-norm", "weight": 1.0, "of": "true-logit" }),
        json!({ "name": "grad-norm", "weight": 0.1, "of": "margin", "norm": "l1" }),
        json!({ "name": "grad-norm", "weight": 0.3, "of": "logits" }),
        json!({ "name": "grad-norm-fd", "weight": 3.0 }),
        json!({ "name": "grad-norm-fd", "weight": 3.0, "norm": "l1", "scheme": "central" }),
        json!({ "name": "grad-norm-fd", "weight": 3.0, "norm": "linf" }),
        json!({ "name": "direction-matching", "weight": 0.8 }),
        json!({ "name": "direction-matching", "direction": "fixed", "weight": 0.8 }),
        json!({ "name": "direction-matching", "direction": "random", "weight": 0.8 }),
        json!({ "name": "direction-matching", "direction": "random-per-class", "classes": "random" }),
        json!({ "name": "direction-matching", "direction": "nearest-neighbour", "measure": "squared", "weight": 0.1 }),
        json!({ "name": "direction-matching", "direction": "nearest-neighbour", "classes": "random" }),
        json!({ "name": "direction-matching", "direction": "teacher" }),
        json!({ "name": "direction-matching", "classes": "all" }),
        json!({ "name": "fgsm-aug", "eps": "0.1" }),
        json!({ "name": "fgsm-aug", "eps": "0.1", "label": "predicted", "clip": false }),
        json!({ "name": "fgsm-rs", "eps": "0.1" }),
        json!({ "name": "fgsm-rs", "eps": "0.1", "clamp_start": true }),
        json!({ "name": "n-fgsm", "eps": "0.1" }),
        json!({ "name": "grad-align", "eps": "0.1" }),
        json!({ "name": "grad-align", "eps": "0.1", "two_sided": true }),
        json!({ "name": "free-at", "eps": "0.1" }),
        json!({ "name": "pgd-at", "eps": "0.1", "attack": { "name": "pgd", "steps": 3 } }),
        json!({ "name": "trades", "eps": "0.1" }),
        json!({ "name": "mart", "eps": "0.1" }),
        json!({ "name": "score", "eps": "0.1" }),
        json!({ "name": "ikl", "eps": "0.1" }),
        json!({ "name": "hat", "eps": "0.1" }),
        json!({ "name": "te", "eps": "0.1", "start": 1, "end": 4 }),
        json!({ "name": "adr", "eps": "0.1", "share": 0.6 }),
        json!({ "name": "lbgat", "eps": "0.1", "beta": 2.0 }),
        json!({ "name": "ard", "eps": "0.1", "alpha": 0.7 }),
        json!({ "name": "rslad", "eps": "0.1" }),
        // After 1.2 epochs ε is at a fifth of the way.
        json!({ "name": "ibp", "eps": "0.1", "ramp": 1.0 }),
        json!({ "name": "ibp", "eps": "0.1", "ramp": 1.0, "warm_up": 0.5, "schedule": "smooth", "kappa": 0.0 }),
        json!({ "name": "crown-ibp", "eps": "0.1", "ramp": 1.0, "warm_up": 0.5, "kappa": 0.3 }),
        json!({ "name": "sabr", "eps": "0.1", "ramp": 1.0 }),
        json!({ "name": "mtl-ibp", "eps": "0.1", "ramp": 1.0 }),
        json!({ "name": "jacobian", "weight": 0.3 }),
        json!({ "name": "jacobian", "weight": 0.3, "projections": 0 }),
        json!({ "name": "cure", "weight": 0.3 }),
        json!({ "name": "llr", "eps": "0.1" }),
        json!({ "name": "igam", "weight": 0.5 }),
        json!({ "name": "mmr", "norm": "l2", "gamma_rb": 0.5, "gamma_db": 2.0 }),
        json!({ "name": "mmr", "first": 0.5, "last": 0.5 }),
    ]
}

#[test]
fn splitting_a_batch_changes_no_term() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    for given in all() {
        let (r, whole) = (recipe(given.clone()), batch(8));
        let (total, terms, _) = run(&*r, &network, &whole);
        let (first, a, _) = run(&*r, &network, &part(&whole, 0, 4));
        let (second, b, _) = run(&*r, &network, &part(&whole, 4, 4));
        assert!((total - (first + second) / 2.0).abs() < 1e-12, "{given}");
        for ((whole, a), b) in terms.iter().zip(&a).zip(&b) {
            let joined: Vec<f64> = a.2.iter().chain(&b.2).copied().collect();
            assert!(whole.2.iter().zip(&joined).all(|(x, y)| (x - y).abs() < 1e-12), "{given}: {}", whole.0);
        }
    }
}

#[test]
fn the_parameter_gradient_is_the_central_difference_of_the_loss() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    for given in all() {
        let r = recipe(given.clone());
        let (start, specs) = (started(&*r, &*network), r.starting(network.specs()));
        if let Some(held) = r.held_constant() {
            println!("{given}: holds {held} constant; recipes.json has its gradients");
            continue;
        }
        let memory = memory(&*r, &*network, &batch(12));
        let at: Vec<Tensor> = start.iter().map(|(_, t, _)| t.clone()).collect();
        let f = |vars: &[Var]| -> gauntlet_autograd::Result<Var> {
            let params = Params::from_entries(specs.iter().zip(vars).map(|(s, v)| (s.name.clone(), v.clone(), true)));
            Ok(loss(&*r, &network, &params, &batch(4), &mut memory.clone()).0)
        };
        // FGSM's sign jumps where a gradient crosses zero: a small step keeps the signs.
        let probe = Probe { h: 1e-6, directions: Some(3), tolerance: 2e-5 };
        let report = along(&f, &at, Order::First, probe).unwrap_or_else(|e| panic!("{given}: {e}"));
        // Once more: the second derivative by the parameters, the network's third for a penalty on its gradient.
        let second = along(&f, &at, Order::Second, Probe { directions: Some(1), ..probe })
            .unwrap_or_else(|e| panic!("{given}, second order: {e}"));
        println!("{given}: worst {:.1e} at first, {:.1e} at second order", report.worst, second.worst);
    }
}

#[test]
fn weight_zero_and_eps_zero_are_plain_training_bit_for_bit() {
    let network = model(json!({ "name": "lenet-small" }));
    let ce = run(&*recipe(json!({ "name": "ce" })), &network, &batch(8));
    for given in [
        json!({ "name": "grad-norm", "weight": 0.0 }),
        json!({ "name": "grad-norm-fd", "weight": 0.0 }),
        json!({ "name": "direction-matching", "weight": 0.0 }),
        json!({ "name": "jacobian", "weight": 0.0 }),
        json!({ "name": "cure", "weight": 0.0 }),
        json!({ "name": "llr", "eps": "0.1", "weight": 0.0, "taylor_weight": 0.0 }),
        json!({ "name": "igam", "weight": 0.0 }),
        json!({ "name": "mmr", "weight": 0.0 }),
        json!({ "name": "noise", "size": "0" }),
        json!({ "name": "fgsm-aug", "eps": "0" }),
        json!({ "name": "fgsm-rs", "eps": "0" }),
        json!({ "name": "n-fgsm", "eps": "0" }),
        json!({ "name": "grad-align", "eps": "0", "weight": 0.0 }),
        json!({ "name": "free-at", "eps": "0" }),
        json!({ "name": "pgd-at", "eps": "0" }),
        json!({ "name": "trades", "eps": "0.1", "beta": 0.0 }),
        json!({ "name": "ibp", "eps": "0", "ramp": 1.0 }),
        json!({ "name": "ibp", "eps": "0.1", "ramp": 1.0, "warm_up": 2.0 }),
        json!({ "name": "crown-ibp", "eps": "0", "ramp": 1.0 }),
        json!({ "name": "sabr", "eps": "0", "ramp": 1.0 }),
        json!({ "name": "mtl-ibp", "eps": "0", "ramp": 1.0 }),
    ] {
        let other = run(&*recipe(given.clone()), &network, &batch(8));
        assert!(other.2 == ce.2, "{given}");
    }
}

/// Any penalty takes `ramp`; the tests stand after 1.2 epochs.
#[test]
fn every_penaltys_weight_can_grow() {
    let network = model(json!({ "name": "lenet-small", "activation": "gelu" }));
    for given in [
        json!({ "name": "jacobian", "weight": 0.6 }),
        json!({ "name": "grad-norm", "weight": 0.6 }),
        json!({ "name": "llr", "eps": "0.1", "weight": 0.6, "taylor_weight": 0.6 }),
    ] {
        let weights = |ramp: f64| -> Vec<f64> {
            let mut given = given.clone();
            given["ramp"] = json!(ramp);
            run(&*recipe(given), &network, &batch(4)).1.iter().skip(1).map(|t| t.1).collect()
        };
        assert!(weights(2.4).iter().all(|w| (w - 0.3).abs() < 1e-12), "{given}: {:?}", weights(2.4));
        assert!(weights(1.0).iter().all(|w| (w - 0.6).abs() < 1e-12), "{given}");
    }
    let wrong = registry().penalty(&table(json!({ "name": "jacobian", "weight": 1.0, "ramp": -1.0 }))).err().unwrap();
    assert!(wrong.to_string().contains("jacobian.ramp: must be at least 0"), "{wrong}");
}

#[test]
fn the_cut_graph_trains_nothing_and_the_kept_graph_does() {
    let network = model(json!({ "name": "lenet-small" }));
    let ce = run(&*recipe(json!({ "name": "ce" })), &network, &batch(8));
    for given in [json!({ "name": "grad-norm", "weight": 3.0 }), json!({ "name": "direction-matching", "weight": 0.8 })]
    {
        let with = |graph: &str| {
            let mut given = given.clone();
            given["graph"] = json!(graph);
            run(&*recipe(given), &network, &batch(8))
        };
        let (cut, keep) = (with("cut"), with("keep"));
        assert!(cut.2 == ce.2, "{given}: cut equals ce bit for bit");
        assert!(cut.0 != ce.0, "{given}: though the loss that is printed differs");
        assert!(keep.2 != ce.2, "{given}: kept differs");
        assert_eq!(cut.0, keep.0, "{given}: both print the same loss");
    }
    let aug =
        |graph: &str| run(&*recipe(json!({ "name": "fgsm-aug", "eps": "0.1", "graph": graph })), &network, &batch(8));
    assert!(aug("cut") == aug("keep"), "sign has no derivative");
}

#[test]
fn pixel_units_do_not_change_when_normalisation_moves_into_the_weights() {
    let std = 0.25;
    let inside = model(json!({ "name": "linear", "std": [std] }));
    let outside = model(json!({ "name": "linear" }));
    for given in all() {
        let r = recipe(given.clone());
        let w = started(&*r, &*inside);
        let mut absorbed = w.clone();
        for (name, first, _) in w.iter().filter(|(name, ..)| name.ends_with("1.weight")) {
            absorbed.set(name, first.affine(1.0 / std, 0.0).unwrap()).unwrap();
        }
        let value = |network: &Arc<dyn Network>, w: &Weights| {
            let mut memory = memory(&*r, &**network, &batch(12));
            loss(&*r, network, &w.leaves(), &batch(6), &mut memory).0.tensor().to_scalar::<f64>().unwrap()
        };
        assert!((value(&inside, &w) - value(&outside, &absorbed)).abs() < 1e-10, "{given}");
    }
}

/// The published expressions, computed literally, equal our weighted terms (batch size B, image size d).
#[test]
fn published_coefficients_convert() {
    let network = model(json!({ "name": "lenet-small", "activation": "gelu" }));
    let b = batch(6);
    let params = weights(&*network).leaves();
    let x = Var::leaf(b.x.clone());
    let z = network.forward(&params, &x, &mut gauntlet_core::Pass::eval(&b.ids)).unwrap();
    let ce = z.cross_entropy(&b.y).unwrap();
    // G: gradient of the *batch-mean* loss; g: per-example gradients.
    let mean = grad(&ce.mean_all().unwrap(), &[&x], Graph::Free).unwrap().swap_remove(0);
    let flat = |v: &Var| v.tensor().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let squares: f64 = flat(&mean).iter().map(|v| v * v).sum();
    let (size, d, lambda) = (6.0, 64.0f64, 0.37);
    let ours = |norm: &str, weight: f64| {
        let r = recipe(json!({ "name": "grad-norm", "norm": norm, "weight": weight }));
        let (_, terms) = loss(&*r, &network, &params, &b, &mut Memory::new());
        let (_, weight, values) = terms.into_iter().find(|t| t.0 == "grad_norm").unwrap();
        weight * values.iter().sum::<f64>() / size
    };
    let close = |a: f64, b: f64, what: &str| assert!((a - b).abs() < 1e-12 * a.abs().max(1e-6), "{what}: {a} and {b}");
    close(lambda * 0.5 * squares, ours("l2sq", lambda / (2.0 * size)), "Ross: λ·½·Σ G²");
    close(lambda * squares, ours("l2sq", lambda / size), "DEEPSEC: λ·Σ G²");
    let per_example = grad(&ce, &[&x], Graph::Free).unwrap().swap_remove(0);
    let rows = per_example.tensor().flatten_from(1).unwrap().to_vec2::<f64>().unwrap();
    let mean_of = |f: &dyn Fn(&[f64]) -> f64| rows.iter().map(|r| f(r)).sum::<f64>() / size;
    let l2sq = |r: &[f64]| r.iter().map(|v| v * v).sum::<f64>();
    close(0.5 * mean_of(&l2sq), ours("l2sq", 0.5), "Drucker & LeCun: ½ Σ (∂E/∂x)²");
    close(
        lambda * mean_of(&|r| r.iter().map(|v| v.abs()).sum()) / 2.0,
        ours("l1", lambda / 2.0),
        "Simon-Gabriel q = 1",
    );
    let q2 = lambda * d.sqrt() * mean_of(&|r| l2sq(r).sqrt()) / 2.0;
    close(q2, ours("l2", lambda * d.sqrt() / 2.0), "Simon-Gabriel q = 2");
}

#[test]
fn adversarial_training_sees_the_iterate_of_its_attack() {
    let network = model(json!({ "name": "lenet-small" }));
    let b = batch(6);
    let params = weights(&*network).leaves();
    // One step of size ε without a random start is FGSM: its loss is the adversarial term of fgsm-aug.
    let r = recipe(
        json!({ "name": "pgd-at", "eps": "0.1", "attack": { "name": "pgd", "steps": 1, "alpha": "0.1", "random_start": false } }),
    );
    let (_, terms) = loss(&*r, &network, &params, &b, &mut Memory::new());
    let (_, fgsm) =
        loss(&*recipe(json!({ "name": "fgsm-aug", "eps": "0.1" })), &network, &params, &b, &mut Memory::new());
    let adversarial = &fgsm.iter().find(|t| t.0 == "adv_ce").unwrap().2;
    assert_eq!(terms.len(), 1);
    assert!(terms[0].2.iter().zip(adversarial).all(|(a, b)| (a - b).abs() < 1e-12), "{terms:?} {adversarial:?}");
    // More steps ascend further, on average.
    let r = recipe(
        json!({ "name": "pgd-at", "eps": "0.1", "attack": { "name": "pgd", "steps": 20, "random_start": false } }),
    );
    let (_, more) = loss(&*r, &network, &params, &b, &mut Memory::new());
    assert!(more[0].2.iter().sum::<f64>() >= terms[0].2.iter().sum::<f64>());
}

/// The first half attacked and the second clean: each is what it is when all or none are attacked.
#[test]
fn a_fraction_attacks_the_first_of_the_batch_and_leaves_the_others() {
    let network = model(json!({ "name": "lenet-small" }));
    let b = batch(7);
    let params = weights(&*network).leaves();
    let terms = |given: Value| {
        let (_, terms) = loss(&*recipe(given), &network, &params, &b, &mut Memory::new());
        terms[0].2.clone()
    };
    let at = |fraction: f64| terms(json!({ "name": "pgd-at", "eps": "0.1", "fraction": fraction }));
    let (all, plain) = (terms(json!({ "name": "pgd-at", "eps": "0.1" })), terms(json!({ "name": "ce" })));
    assert_eq!(at(1.0), all);
    assert_eq!(at(0.0), plain);
    assert_eq!(at(0.5), [&all[..3], &plain[3..]].concat());
    assert!(all.iter().zip(&plain).all(|(a, p)| a > p));
}

#[test]
fn saturated_rows_are_dropped_and_counted() {
    // All-zero weights: the gradient is zero everywhere.
    let network = model(json!({ "name": "linear" }));
    let mut w = weights(&*network);
    w.set("1.weight", w.get("1.weight").unwrap().zeros_like().unwrap()).unwrap();
    let params = w.leaves();
    for given in [json!({ "name": "direction-matching" }), json!({ "name": "grad-norm", "norm": "l2", "weight": 1.0 })]
    {
        let r = recipe(given.clone());
        let mut memory = memory(&*r, &*network, &batch(12));
        let (total, terms) = loss(&*r, &network, &params, &batch(5), &mut memory);
        let leaves: Vec<&Var> = params.trained().map(|(_, v)| v).collect();
        for g in grad(&total, &leaves, Graph::Free).unwrap() {
            assert!(
                g.tensor().flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().all(|v| v.is_finite()),
                "{given}"
            );
        }
        if let Some((_, _, dropped)) = terms.iter().find(|t| t.0 == "dropped") {
            assert_eq!(dropped, &[1.0; 5]);
            assert_eq!(terms.iter().find(|t| t.0 == "align").unwrap().2, [0.0; 5]);
        }
    }
}

#[test]
fn bad_parameters_are_named() {
    let fail = |v: Value| {
        let (registry, given) = (registry(), table(v));
        let name = given["name"].as_str().unwrap();
        let error = if registry.recipes.contains(name) {
            registry.recipe(&given).err()
        } else {
            registry.penalty(&given).err()
        };
        error.unwrap().to_string()
    };
    assert!(fail(json!({ "name": "grad-norm" })).contains("grad-norm.weight is required"));
    assert!(fail(json!({ "name": "grad-norm", "weight": -1.0 })).contains("at least 0"));
    assert!(fail(json!({ "name": "grad-norm", "weight": 1.0, "norm": "l3" })).contains("did you mean"));
    assert!(fail(json!({ "name": "grad-norm", "weight": 1.0, "graph": "kept" })).contains("did you mean \"keep\""));
    assert!(fail(json!({ "name": "fgsm-aug", "eps": "-0.1" })).contains("at least 0"));
    assert!(fail(json!({ "name": "fgsm-aug", "eps": "0.1", "alpha": 2.0 })).contains("at most 1"));
    assert!(
        fail(json!({ "name": "pgd-at", "eps": "0.1", "attack": { "name": "pgd", "steps": 0 } })).contains("pgd.steps")
    );
    assert!(fail(json!({ "name": "pgd-at", "eps": "0.1", "norm": "l3" })).contains("pgd-at.norm \"l3\""));
    assert!(fail(json!({ "name": "pgd-at", "eps": "0.1", "attack_mode": "evil" })).contains("did you mean \"eval\""));
    let said = fail(json!({ "name": "pgd-at", "eps": "0.1", "fraction": 1.5 }));
    assert!(said.contains("pgd-at.fraction") && said.contains("at most 1"), "{said}");
    assert!(fail(json!({ "name": "ce", "smoothing": 1.0 })).contains("below 1"));
    assert!(fail(json!({ "name": "ibp", "eps": "0.1" })).contains("ibp.ramp is required"));
    assert!(fail(json!({ "name": "ibp", "eps": "0.1", "ramp": 1, "kappa": 1.1 })).contains("must be at most 1"));
    assert!(fail(json!({ "name": "sabr", "eps": "0.1", "ramp": 1, "lambda": 2 })).contains("must be at most 1"));
    assert!(fail(json!({ "name": "ibp", "eps": "0.1", "ramp": -1 })).contains("at least 0"));
    assert!(
        fail(json!({ "name": "ibp", "eps": "0.1", "ramp": 1, "schedule": "smoth" }))
            .contains("did you mean \"smooth\"")
    );
    assert!(fail(json!({ "name": "direction-matching", "weigth": 1.0 })).contains("did you mean \"weight\""));
}
