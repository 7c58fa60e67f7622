//! Golden bits of every architecture: how weights start, logits, derivatives at both orders, by sha256.
//!
//! Recorded when networks were still written as code. A difference here is a network that computes something else, or in another
//! order: then its `numerics` rises, the CHANGELOG says why, and the entries in question are deleted before
//! `UPDATE_GOLDEN=1 cargo test --release -p gauntlet-models --test bits`, which writes what is missing and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::kernels::values;
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::{Key, Mode, Network, Params, Pass, Precision, Purpose, Registry, Weights};
use gauntlet_engine::mathematics;
use gauntlet_records::file::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

type Input = (usize, usize, usize);

/// sha256 of every part, by the name of a case; the parts of one that takes exp, ln or tanh from the platform are those of the
/// named mathematics.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Golden {
    mathematics: String,
    cases: BTreeMap<String, BTreeMap<String, String>>,
}

fn golden_file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bits.json"))
}

fn model(given: &Value, input: Input) -> Arc<dyn Network> {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    registry.model(given.as_object().unwrap(), input, 10).unwrap().0
}

/// Every architecture, activation and choice, small where the network is large.
fn networks() -> Vec<(Value, Input)> {
    let (mnist, mean, std) = ((1, 28, 28), json!([0.1307]), json!([0.3081]));
    let (mean3, std3) = (json!([0.4914, 0.4822, 0.4465]), json!([0.2471, 0.2435, 0.2616]));
    vec![
        (json!({ "name": "linear" }), mnist),
        (json!({ "name": "linear", "mean": mean, "std": std }), mnist),
        (json!({ "name": "linear", "mean": mean3 }), (3, 8, 8)),
        (json!({ "name": "linear", "std": std3 }), (3, 8, 8)),
        (json!({ "name": "mlp", "hidden": [40] }), mnist),
        (json!({ "name": "mlp", "hidden": [9, 7, 8] }), (1, 4, 4)),
        (json!({ "name": "mlp", "hidden": [9, 7, 8], "activation": "softplus" }), (1, 4, 4)),
        (json!({ "name": "mlp", "hidden": [9, 7], "activation": "gelu" }), (1, 4, 4)),
        (json!({ "name": "maxout", "hidden": [24, 20] }), mnist),
        (json!({ "name": "maxout", "hidden": [9], "pieces": 2, "mean": mean }), (1, 5, 5)),
        (json!({ "name": "lenet-small" }), mnist),
        (json!({ "name": "lenet-small" }), (3, 13, 10)),
        (json!({ "name": "lenet-small", "mean": mean, "std": std }), mnist),
        (json!({ "name": "lenet-small", "activation": "softplus" }), mnist),
        (json!({ "name": "lenet-small", "activation": "gelu" }), mnist),
        (json!({ "name": "cnn4" }), (3, 32, 32)),
        (json!({ "name": "cnn4", "activation": "gelu" }), (3, 8, 8)),
        (json!({ "name": "madry-cnn" }), mnist),
        (json!({ "name": "madry-cnn", "activation": "softplus", "mean": mean }), (1, 8, 8)),
        (json!({ "name": "trades-smallcnn" }), mnist),
        (json!({ "name": "trades-smallcnn", "activation": "gelu", "std": std }), (1, 16, 16)),
        (json!({ "name": "preactresnet18", "mean": mean3, "std": std3 }), (3, 16, 16)),
        (json!({ "name": "preactresnet18", "shortcut": "activation" }), (3, 8, 8)),
        (json!({ "name": "preactresnet18", "activation": "softplus", "shortcut": "input" }), (3, 8, 8)),
        (json!({ "name": "wideresnet", "depth": 10, "width": 2, "mean": mean3, "std": std3 }), (3, 16, 16)),
        (json!({ "name": "wideresnet", "depth": 16, "width": 1 }), (3, 8, 8)),
        (json!({ "name": "wideresnet", "depth": 10, "width": 1, "activation": "gelu" }), (3, 8, 8)),
        (json!({ "name": "wideresnet", "depth": 10, "width": 1, "layout": "deepmind", "dropout": 0.3 }), (3, 8, 8)),
        (json!({ "name": "resnet18", "width": 2, "stem": "7x7" }), (3, 16, 16)),
        (json!({ "name": "resnext29", "cardinality": 2, "base-width": 1 }), (3, 8, 8)),
        (json!({ "name": "densenet121", "growth": 1 }), (3, 8, 8)),
    ]
}

fn name(given: &Value, (c, h, w): Input) -> String {
    format!("{given} on {c}×{h}×{w}")
}

fn digest<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> String {
    let mut hash = Sha256::new();
    for t in tensors {
        hash.update(format!("{:?}", t.dims()));
        let t = t.flatten_all().unwrap();
        match t.dtype() {
            DType::F32 => values::<f32>(&t).unwrap().iter().for_each(|v| hash.update(v.to_le_bytes())),
            _ => values::<f64>(&t).unwrap().iter().for_each(|v| hash.update(v.to_le_bytes())),
        }
    }
    hex(&hash.finalize())
}

/// Weights off the initialisers' zeros, so that every layer lets gradients through, and running statistics that are not 0 and 1.
fn weights(network: &dyn Network) -> Weights {
    let start = Weights::init(&network.specs(), Key::new(7, Purpose::Init), Precision::F64, &Device::Cpu).unwrap();
    let entries = start.iter().map(|(name, t, trainable)| {
        let mut s = Key::new(3, Purpose::Init).named(name).stream(0, 0, 0);
        let jitter: Vec<f64> = (0..t.elem_count()).map(|_| 0.02 * s.normal()).collect();
        let jitter = Tensor::from_vec(jitter, t.dims(), &Device::Cpu).unwrap();
        (name.to_string(), (t + jitter).unwrap(), trainable)
    });
    Weights::from_entries(entries)
}

fn uniform(dims: &[usize], low: f64, high: f64, dtype: DType) -> Tensor {
    let mut s = Key::new(1, Purpose::Sample).stream(dims.len() as u64, 0, 0);
    let drawn: Vec<f64> = (0..dims.iter().product()).map(|_| low + (high - low) * s.uniform()).collect();
    Tensor::from_vec(drawn, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// Logits z and batch statistics, ∂⟨c, z⟩/∂x, ∂⟨c, z⟩/∂w with and without x as a leaf, and ∂(⟨c, z⟩ + ‖∂⟨c, z⟩/∂x‖²)/∂w. No
/// cross-entropy: a network of rectifiers then takes nothing from the platform's C library.
fn derivatives(network: &dyn Network, weights: &Weights, mode: Mode, precision: Precision) -> BTreeMap<String, String> {
    let (n, (c, h, w)) = (3, network.info().input);
    let weights = weights.to_precision(precision).unwrap();
    let cotangent = Var::constant(uniform(&[n, 10], -1.0, 1.0, precision.dtype()));
    let image = uniform(&[n, c, h, w], 0.0, 1.0, precision.dtype());
    let ids = [5, 0, 17];
    let forward = |params: &Params, x: &Var| {
        let mut pass = Pass { mode, ids: &ids, key: Key::new(5, Purpose::Dropout), stats: Vec::new() };
        let z = network.forward(params, x, &mut pass).unwrap();
        (z, pass.stats)
    };
    let by_weights = |params: &Params, value: &Var| {
        let leaves: Vec<&Var> = params.trained().map(|(_, v)| v).collect();
        let found = grad(value, &leaves, Graph::Free).unwrap();
        digest(found.iter().map(Var::tensor))
    };
    let score = |z: &Var| z.mul(&cotangent).unwrap().sum_all().unwrap();

    let (params, x) = (weights.leaves(), Var::leaf(image.clone()));
    let (z, stats) = forward(&params, &x);
    let value = score(&z);
    let slope = grad(&value, &[&x], Graph::Keep).unwrap().remove(0);
    let both = value.add(&slope.sqr().unwrap().sum_all().unwrap()).unwrap();

    let (frozen, _) = forward(&weights.constants(), &Var::constant(image.clone()));
    assert_eq!(digest([frozen.tensor()]), digest([z.tensor()]), "a tape changes the logits");
    let plain = weights.leaves();
    let (trained, _) = forward(&plain, &Var::constant(image));

    let layers: Vec<&str> = stats.iter().map(|s| s.layer.as_str()).collect();
    let moments = digest(stats.iter().flat_map(|s| [&s.mean, &s.var]));
    BTreeMap::from([
        ("logits".into(), digest([z.tensor()])),
        ("statistics".into(), format!("{} {moments}", hex(&Sha256::digest(layers.join(" ").as_bytes())[..4]))),
        ("by x".into(), digest([slope.tensor()])),
        ("by w, x constant".into(), by_weights(&plain, &score(&trained))),
        ("by w".into(), by_weights(&params, &value)),
        ("by x and w".into(), by_weights(&params, &both)),
    ])
}

/// Compares what was found with the golden file, or adds what it lacks.
fn compare(found: BTreeMap<String, BTreeMap<String, String>>, holds: impl Fn(&str) -> bool) {
    let text = std::fs::read_to_string(golden_file()).unwrap_or_default();
    let mut golden: Golden = serde_json::from_str(&text).unwrap_or_default();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if golden.mathematics.is_empty() {
        golden.mathematics = mathematics().into();
    }
    let mut wrong = Vec::new();
    for (case, parts) in &found {
        match golden.cases.get(case) {
            Some(then) => {
                wrong.extend(then.iter().filter(|(k, v)| parts[*k] != **v).map(|(k, _)| format!("{case}: {k}")))
            }
            None if update => drop(golden.cases.insert(case.clone(), parts.clone())),
            None => wrong.push(format!("{case} is not in the golden file")),
        }
    }
    wrong.extend(
        golden.cases.keys().filter(|c| holds(c) && !found.contains_key(*c)).map(|c| format!("{c} is golden only")),
    );
    if update {
        std::fs::write(golden_file(), serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
    }
    assert!(wrong.is_empty(), "moved without their numerics:\n{}", wrong.join("\n"));
}

/// One test, so that two do not write the file at once.
#[test]
fn bits_are_those_of_the_networks_as_code() {
    let mut found = BTreeMap::new();
    // Names, order, shapes and initialisers of every parameter, under every scheme; the draws of one.
    for (given, input) in networks() {
        for init in ["default", "torch", "he", "he-truncated", "xavier"] {
            let mut given = given.clone();
            given["init"] = init.into();
            let specs = model(&given, input).specs();
            let said: Vec<String> = specs.iter().map(|s| format!("{s:?}")).collect();
            let said = BTreeMap::from([("specs".to_string(), hex(&Sha256::digest(said.join("\n").as_bytes())))]);
            found.insert(name(&given, input), said);
        }
        let start =
            Weights::init(&model(&given, input).specs(), Key::new(9, Purpose::Init), Precision::F32, &Device::Cpu);
        let start = digest(start.unwrap().iter().map(|(_, t, _)| t));
        found.insert(format!("{} at the start", name(&given, input)), BTreeMap::from([("weights".to_string(), start)]));
    }
    let text = std::fs::read_to_string(golden_file()).unwrap_or_default();
    let here = serde_json::from_str::<Golden>(&text).is_ok_and(|g| g.mathematics == mathematics()) || text.is_empty();
    let smooth = |case: &str| case.contains("softplus") || case.contains("gelu");
    for (given, input) in networks() {
        let network = model(&given, input);
        if smooth(&given.to_string()) && !here {
            println!("{given}: no golden bits of mathematics {}", mathematics());
            continue;
        }
        let weights = weights(&*network);
        for (mode, precision) in
            [Mode::Train, Mode::Eval].into_iter().flat_map(|m| [(m, Precision::F32), (m, Precision::F64)])
        {
            let case = format!("{}, {mode:?}, {}", name(&given, input), precision.name());
            found.insert(case, derivatives(&*network, &weights, mode, precision));
        }
    }
    compare(found, |case| here || !smooth(case));
}
