//! The gradient check: candle's known defects are flagged, sound gradients are not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, LayerNorm, Linear};
use gauntlet_core::{Frozen, Key, Precision, Purpose, Registry, Target, Weights, checkpoint};
use gauntlet_data::{Catalogue, load};
use gauntlet_engine::examples_of;
use gauntlet_engine::{Augmentation, Context, Monitor, Store, TrainConfig, TrainRequest, Tricks, train};
use gauntlet_evaluate::{Examples, gradient_check};
use gauntlet_models::CandleModule;
use serde_json::json;
use std::sync::atomic::AtomicBool;

fn numbers(name: &str, dims: &[usize], low: f64, high: f64) -> Tensor {
    let mut stream = Key::new(6, Purpose::Sample).named(name).stream(0, 0, 0);
    let n: usize = dims.iter().product();
    let values: Vec<f64> = (0..n).map(|_| low + (high - low) * stream.uniform()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()
}

/// Images with a black border, as of digits.
fn examples(n: usize, side: usize) -> Examples {
    let inner = side - 4;
    let x = numbers("x", &[n, 1, inner, inner], 0.0, 1.0);
    let x = x.pad_with_zeros(2, 2, 2).unwrap().pad_with_zeros(3, 2, 2).unwrap();
    Examples::new(x, vec![0; n], (0..n as u64).collect()).unwrap()
}

fn conv(name: &str, from: usize, to: usize) -> Conv2d {
    let bound = (1.0 / (9.0 * from as f64)).sqrt();
    let weight = numbers(name, &[to, from, 3, 3], -bound, bound);
    Conv2d::new(weight, Some(numbers(name, &[to], -bound, bound)), Conv2dConfig { padding: 1, ..Default::default() })
}

fn linear(name: &str, from: usize, to: usize) -> Linear {
    let bound = (1.0 / from as f64).sqrt();
    Linear::new(numbers(name, &[to, from], -bound, bound), Some(numbers(name, &[to], -bound, bound)))
}

fn check(model: CandleModule) -> Option<String> {
    let flag = gradient_check(&model, &examples(8, 16)).unwrap()?;
    assert_eq!(flag.name, "gradient-defect");
    Some(flag.detail)
}

#[test]
fn a_plain_network_of_candles_layers_passes() {
    let (a, b, head) = (conv("a", 1, 8), conv("b", 8, 8), linear("head", 8 * 256, 10));
    let forward = move |x: &Tensor| b.forward(&a.forward(x)?.relu()?)?.relu()?.flatten_from(1)?.apply(&head);
    assert_eq!(check(CandleModule::new("plain", (1, 16, 16), 10, forward)), None);
}

#[test]
fn candles_max_pooling_is_flagged() {
    let (a, head) = (conv("a", 1, 8), linear("head", 8 * 64, 10));
    let forward = move |x: &Tensor| a.forward(x)?.relu()?.max_pool2d(2)?.flatten_from(1)?.apply(&head);
    let detail = check(CandleModule::new("pool", (1, 16, 16), 10, forward)).unwrap();
    assert!(detail.contains("misses central differences by 75 % and has 25 % of their size"), "{detail}");
    assert!(detail.contains("upper bounds") && detail.contains("8 examples × 8 directions"), "{detail}");
}

#[test]
fn a_layer_norm_that_cuts_the_graph_is_flagged() {
    let norm =
        |name: &str, n: usize| LayerNorm::new(numbers(name, &[n], 0.8, 1.2), numbers(name, &[n], -0.1, 0.1), 1e-5);
    let (a, b, n, head) = (linear("a", 256, 64), linear("b", 64, 64), norm("n", 64), linear("head", 64, 10));
    // On the only path: no gradient at all.
    let (a1, n1, head1) = (a.clone(), n.clone(), head.clone());
    let only = move |x: &Tensor| x.flatten_from(1)?.apply(&a1)?.apply(&n1)?.relu()?.apply(&head1);
    let detail = check(CandleModule::new("only", (1, 16, 16), 10, only)).unwrap();
    assert!(detail.contains("misses central differences by 100 % and has 0 % of their size"), "{detail}");
    // On one branch of two: half the gradient is missing.
    let residual = move |x: &Tensor| {
        let x = x.flatten_from(1)?.apply(&a)?;
        (&x + x.apply(&n)?.relu()?.apply(&b)?)?.apply(&head)
    };
    assert!(check(CandleModule::new("residual", (1, 16, 16), 10, residual)).is_some());
}

#[test]
fn a_gradient_that_is_no_number_is_flagged() {
    let head = linear("head", 256, 10);
    // √(x²) at 0 has the derivative 0/0 by the chain rule.
    let forward = move |x: &Tensor| (x.sub(&x.detach())?.sqr()?.sqrt()? + x)?.flatten_from(1)?.apply(&head);
    let detail = check(CandleModule::new("root", (1, 16, 16), 10, forward)).unwrap();
    assert!(detail.contains("64 of 64 directional derivatives are not finite"), "{detail}");
}

#[test]
fn where_rounding_hides_the_derivative_nothing_is_claimed() {
    // Logits of a million: their last bit is a sixteenth.
    let head = linear("head", 256, 10);
    let forward = move |x: &Tensor| x.flatten_from(1)?.apply(&head)?.affine(1e-3, 1e6);
    assert_eq!(check(CandleModule::new("shifted", (1, 16, 16), 10, forward)), None);
}

#[test]
fn a_gradient_that_is_claimed_of_steps_is_flagged() {
    let head = linear("head", 256, 10);
    // Values are rounded, the gradient is passed straight through.
    let forward = move |x: &Tensor| (x.detach().round()? + (x - x.detach())?)?.flatten_from(1)?.apply(&head);
    let detail = check(CandleModule::new("steps", (1, 16, 16), 10, forward)).unwrap();
    assert!(detail.contains("misses central differences by 100 % and is not zero where they are"), "{detail}");
}

#[test]
fn a_trained_network_passes() {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    let (folder, go_on, catalogue) = (tempfile::tempdir().unwrap(), AtomicBool::new(false), Catalogue::default());
    let context = Context::new(&registry, &catalogue, Store::new(folder.path()), &go_on);
    let glyphs = load(&catalogue.get("glyphs").unwrap(), &context.data).unwrap();
    let object = |v: serde_json::Value| v.as_object().unwrap().clone();
    let model = object(json!({ "name": "lenet-small" }));
    let config = TrainConfig {
        epochs: 1,
        batch: 100,
        optimiser: serde_json::from_value(json!({ "name": "adam", "lr": 4e-3 })).unwrap(),
        schedule: serde_json::from_value(json!({ "name": "constant" })).unwrap(),
        augmentation: Augmentation::None,
        validation: Some(500),
        clip: None,
        monitor: Monitor::at(&registry, "0.1".parse().unwrap()).unwrap(),
        tricks: Tricks::NONE,
    };
    let request = TrainRequest {
        data: "glyphs".into(),
        model: model.clone(),
        recipe: object(json!({ "name": "ce" })),
        train: config,
        seed: 0,
    };
    let trained = train(&request, &context, &()).unwrap();
    assert!(trained.curve[0].clean_accuracy > 0.5, "{:?}", trained.curve);
    let (network, _) = registry.model(&model, glyphs.shape, glyphs.classes.len()).unwrap();
    let (weights, _) = checkpoint::load(&trained.checkpoint, &network.specs(), network.info(), Precision::F32).unwrap();
    let examples = examples_of(&glyphs.test, &[0, 1, 2, 3, 4, 5, 6, 7], Precision::F32).unwrap();
    assert_eq!(gradient_check(&Frozen::new(network, weights.constants()), &examples).unwrap(), None);
}

#[test]
fn our_own_networks_pass() {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    for (model, activation, side) in [
        ("linear", "relu", 28),
        ("mlp", "relu", 28),
        ("lenet-small", "relu", 28),
        ("lenet-small", "gelu", 28),
        ("madry-cnn", "relu", 28),
        ("trades-smallcnn", "relu", 28),
        ("preactresnet18", "relu", 28),
    ] {
        for init in ["default", "he"] {
            let given = json!({ "name": model, "activation": activation, "init": init });
            let (network, _) = registry.model(given.as_object().unwrap(), (1, side, side), 10).unwrap();
            let weights =
                Weights::init(&network.specs(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
            let target = Frozen::new(network, weights.constants());
            assert!(target.info().name == model);
            assert_eq!(gradient_check(&target, &examples(8, side)).unwrap(), None, "{model}, {init}");
        }
    }
}
