//! Every architecture: parameter counts, rows that do not depend on the batch, and gradient checks at both orders.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::check::{Order, Probe, along};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::{Activation, Frozen, Key, Mode, Network, Pass, Precision, Purpose, Registry, Target, Weights};
use serde_json::{Map, Value, json};
use std::sync::Arc;

type Input = (usize, usize, usize);

fn model(given: Value, input: Input) -> Arc<dyn Network> {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    let Value::Object(given) = given else { panic!("a table") };
    registry.model(&given, input, 10).unwrap().0
}

fn weights(network: &dyn Network, precision: Precision) -> Weights {
    Weights::init(&network.specs(), Key::new(7, Purpose::Init), precision, &Device::Cpu).unwrap()
}

fn images(n: usize, (c, h, w): Input, dtype: DType) -> Tensor {
    let values: Vec<f64> = (0..n as u64)
        .flat_map(|i| {
            let mut s = Key::new(1, Purpose::Sample).stream(i, 0, 0);
            (0..c * h * w).map(move |_| s.uniform()).collect::<Vec<_>>()
        })
        .collect();
    Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

#[test]
fn parameter_counts_are_the_published_ones() {
    for (name, input, count) in [
        ("linear", (1, 28, 28), 7_850),
        ("mlp", (1, 28, 28), 814_090),
        ("maxout", (1, 28, 28), 1_233_610),
        ("lenet-small", (1, 28, 28), 166_406),
        ("cnn4", (3, 32, 32), 41_082),
        ("madry-cnn", (1, 28, 28), 3_274_634),
        ("trades-smallcnn", (1, 28, 28), 312_202),
        ("cnn7", (3, 32, 32), 17_192_650),
        ("vgg11-bn", (3, 32, 32), 9_231_114),
        ("vgg16-bn", (3, 32, 32), 14_728_266),
        ("resnet18", (3, 32, 32), 11_173_962),
        ("resnet34", (3, 32, 32), 21_282_122),
        ("resnet50", (3, 32, 32), 23_520_842),
        ("resnext29", (3, 32, 32), 6_807_882),
        ("densenet121", (3, 32, 32), 6_956_298),
        ("preactresnet18", (3, 32, 32), 11_172_170),
        ("wideresnet", (3, 32, 32), 46_160_474),
    ] {
        let specs = model(json!({ "name": name }), input).specs();
        let total: usize = specs.iter().filter(|s| s.trainable).map(|s| s.shape.iter().product::<usize>()).sum();
        assert_eq!(total, count, "{name}");
    }
    for (given, count) in [
        (json!({ "name": "resnet18", "stem": "7x7" }), 11_181_642),
        (json!({ "name": "densenet121", "stem": "7x7" }), 6_964_106),
        (json!({ "name": "wideresnet", "layout": "deepmind", "depth": 28 }), 36_479_194),
        (json!({ "name": "preactresnet18", "layout": "deepmind" }), 12_548_426),
    ] {
        let specs = model(given.clone(), (3, 32, 32)).specs();
        let total: usize = specs.iter().filter(|s| s.trainable).map(|s| s.shape.iter().product::<usize>()).sum();
        assert_eq!(total, count, "{given}");
    }
}

#[test]
fn an_example_does_not_depend_on_its_batch() {
    let bits = |t: &Tensor| -> Vec<u32> {
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect()
    };
    for (name, input, sizes) in [
        ("linear", (1, 28, 28), vec![256, 1, 7, 26, 64, 65]),
        ("mlp", (1, 28, 28), vec![256, 1, 7, 26, 64, 65]),
        ("maxout", (1, 28, 28), vec![256, 1, 7, 26, 64, 65]),
        ("lenet-small", (1, 28, 28), vec![256, 1, 7, 26, 64, 65]),
        ("cnn4", (3, 32, 32), vec![256, 1, 7, 26, 64, 65]),
        ("madry-cnn", (1, 28, 28), vec![256, 1, 7, 26, 64, 65]),
        ("trades-smallcnn", (1, 28, 28), vec![256, 1, 7, 26, 64, 65]),
        ("preactresnet18", (3, 16, 16), vec![65, 1, 7, 26, 64]),
    ] {
        let network = model(json!({ "name": name }), input);
        let target = Frozen::new(network.clone(), weights(&*network, Precision::F32).constants());
        let answer = |x: &Tensor| {
            let linear = target.linearise(x).unwrap();
            let n = x.dim(0).unwrap();
            let cotangent =
                Tensor::from_vec((0..n * 10).map(|i| (i % 10) as f32 - 4.5).collect(), (n, 10), &Device::Cpu).unwrap();
            (linear.logits().clone(), linear.pull(&cotangent).unwrap())
        };
        let x = images(sizes[0], input, DType::F32);
        let (logits, gradient) = answer(&x);
        for n in &sizes[1..] {
            let start = sizes[0] - n;
            let (some_logits, some_gradient) = answer(&x.narrow(0, start, *n).unwrap());
            assert!(bits(&some_logits) == bits(&logits.narrow(0, start, *n).unwrap()), "{name}: logits at N = {n}");
            assert!(
                bits(&some_gradient) == bits(&gradient.narrow(0, start, *n).unwrap()),
                "{name}: gradient at N = {n}"
            );
        }
    }
}

/// mean CE + ‖∇ₓℓ‖² of a whole model as a function of its parameters and the image, along random directions.
fn checked(given: Value, input: Input, mode: Mode, directions: usize) {
    let network = model(given.clone(), input);
    let start = weights(&*network, Precision::F64);
    // Off the initialisers' zeros, so that no bias sits on a kink and the last layer lets gradients through.
    let entries: Vec<(String, Tensor, bool)> = start
        .iter()
        .map(|(name, t, trainable)| {
            let mut s = Key::new(3, Purpose::Init).named(name).stream(0, 0, 0);
            let jitter: Vec<f64> = (0..t.elem_count()).map(|_| 0.03 * s.normal()).collect();
            let jitter = Tensor::from_vec(jitter, t.dims(), &Device::Cpu).unwrap();
            (name.to_string(), if trainable { (t + jitter).unwrap() } else { t.clone() }, trainable)
        })
        .collect();
    let labels = Tensor::new(&[3u32, 8], &Device::Cpu).unwrap();
    let trained: Vec<usize> = (0..entries.len()).filter(|i| entries[*i].2).collect();
    let mut at: Vec<Tensor> = trained.iter().map(|i| entries[*i].1.clone()).collect();
    at.push(images(2, input, DType::F64));
    let loss = |vars: &[Var]| -> gauntlet_autograd::Result<Var> {
        let mut params: Vec<(String, Var, bool)> =
            entries.iter().map(|(n, t, tr)| (n.clone(), Var::constant(t.clone()), *tr)).collect();
        for (var, i) in vars.iter().zip(&trained) {
            params[*i].1 = var.clone();
        }
        let params = gauntlet_core::Params::from_entries(params);
        let mut pass = Pass { mode, ids: &[0, 1], key: Key::new(5, Purpose::Dropout), stats: Vec::new() };
        let x = &vars[vars.len() - 1];
        let z = network.forward(&params, x, &mut pass).unwrap();
        z.cross_entropy(&labels)
    };
    let probe = |h: f64| Probe { h, directions: Some(directions), tolerance: 2e-5 };
    let first = along(&loss, &at, Order::First, probe(1e-6)).unwrap_or_else(|e| panic!("{given} {mode:?}: {e}"));
    let second = along(&loss, &at, Order::Second, probe(1e-6)).unwrap_or_else(|e| panic!("{given} {mode:?}: {e}"));
    println!(
        "{given} {mode:?}: first {:.1e}, second {:.1e}, {} directions, {} discarded at a kink",
        first.worst, second.worst, second.compared, second.discarded
    );
}

#[test]
fn whole_models_agree_with_central_differences_at_both_orders() {
    for activation in ["relu", "softplus", "gelu"] {
        checked(json!({ "name": "linear", "mean": [0.5], "std": [0.25] }), (1, 8, 8), Mode::Train, 2);
        checked(json!({ "name": "mlp", "activation": activation }), (1, 4, 4), Mode::Train, 2);
        checked(json!({ "name": "mlp", "hidden": [9, 7, 8], "activation": activation }), (1, 4, 4), Mode::Train, 2);
        checked(json!({ "name": "lenet-small", "activation": activation }), (1, 8, 8), Mode::Train, 2);
        checked(json!({ "name": "cnn4", "activation": activation }), (1, 4, 4), Mode::Train, 2);
        checked(json!({ "name": "madry-cnn", "activation": activation }), (1, 4, 4), Mode::Train, 2);
    }
    for activation in Activation::ALL.map(Activation::name) {
        checked(json!({ "name": "cnn4", "activation": activation }), (1, 4, 4), Mode::Train, 2);
    }
    for mode in [Mode::Train, Mode::Eval] {
        checked(json!({ "name": "cnn7", "width": 2, "hidden": 8, "activation": "silu" }), (2, 16, 16), mode, 2);
        checked(json!({ "name": "resnet18", "width": 2, "activation": "elu" }), (2, 16, 16), mode, 2);
        checked(json!({ "name": "resnet50", "width": 1, "activation": "leaky-relu" }), (2, 16, 16), mode, 2);
        let deepmind = json!({ "name": "wideresnet", "layout": "deepmind", "depth": 10, "width": 1, "activation": "silu", "dropout": 0.3 });
        checked(deepmind, (3, 8, 8), mode, 2);
    }
    checked(json!({ "name": "densenet121", "growth": 1, "activation": "silu" }), (2, 8, 8), Mode::Train, 1);
    checked(json!({ "name": "maxout", "hidden": [9, 7], "pieces": 3 }), (1, 4, 4), Mode::Train, 2);
    checked(json!({ "name": "trades-smallcnn", "activation": "gelu" }), (1, 16, 16), Mode::Train, 2);
    checked(json!({ "name": "trades-smallcnn", "activation": "relu" }), (1, 16, 16), Mode::Eval, 2);
}

#[test]
fn the_residual_network_agrees_with_central_differences() {
    checked(json!({ "name": "preactresnet18", "activation": "softplus" }), (3, 8, 8), Mode::Eval, 1);
    for mode in [Mode::Eval, Mode::Train] {
        let wide = json!({ "name": "wideresnet", "depth": 10, "width": 1, "activation": "softplus" });
        checked(wide, (3, 8, 8), mode, 2);
    }
}

/// Three blocks of eight have a shortcut with weights; only what those read differs, and "input" is what no word means.
#[test]
fn a_shortcut_reads_the_input_unless_told_otherwise() {
    let answer = |given: Value| -> Vec<f64> {
        let network = model(given, (3, 8, 8));
        let params = weights(&*network, Precision::F64).constants();
        let x = Var::constant(images(2, (3, 8, 8), DType::F64));
        let z = network.forward(&params, &x, &mut Pass::eval(&[0, 1])).unwrap();
        z.tensor().flatten_all().unwrap().to_vec1().unwrap()
    };
    let plain = answer(json!({ "name": "preactresnet18" }));
    assert_eq!(plain, answer(json!({ "name": "preactresnet18", "shortcut": "input" })));
    assert_ne!(plain, answer(json!({ "name": "preactresnet18", "shortcut": "activation" })));
}

/// kaiming_normal_ and zero biases for convolutions, PyTorch's default for two linear layers, zeros in the last.
#[test]
fn trades_smallcnn_starts_as_published() {
    let w = weights(&*model(json!({ "name": "trades-smallcnn" }), (1, 28, 28)), Precision::F64);
    let flat = |name: &str| w.get(name).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let deviation = |v: &[f64]| (v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64).sqrt();
    for (layer, fan_in, tolerance) in
        [("conv1", 9.0, 0.15), ("conv2", 288.0, 0.03), ("conv3", 288.0, 0.03), ("conv4", 576.0, 0.03)]
    {
        let weight = flat(&format!("feature_extractor.{layer}.weight"));
        assert!((deviation(&weight) / (2.0f64 / fan_in).sqrt() - 1.0).abs() < tolerance, "{layer}");
        assert!(flat(&format!("feature_extractor.{layer}.bias")).iter().all(|b| *b == 0.0), "{layer}");
    }
    for (layer, fan_in) in [("fc1", 1024.0), ("fc2", 200.0)] {
        let bound = 1.0 / f64::sqrt(fan_in);
        for leaf in ["weight", "bias"] {
            let largest = flat(&format!("classifier.{layer}.{leaf}")).iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(largest <= bound && largest > 0.9 * bound, "{layer}.{leaf}");
        }
    }
    assert!(["weight", "bias"].iter().all(|leaf| flat(&format!("classifier.fc3.{leaf}")).iter().all(|v| *v == 0.0)));
}

#[test]
fn batch_norm_returns_its_statistics_and_moves_nothing() {
    let network = model(json!({ "name": "preactresnet18" }), (3, 16, 16));
    let params = weights(&*network, Precision::F32).leaves();
    let x = Var::leaf(images(4, (3, 16, 16), DType::F32));
    let ids = [0, 1, 2, 3];
    let mut pass = Pass::train(&ids, Key::new(0, Purpose::Dropout));
    let z = network.forward(&params, &x, &mut pass).unwrap();
    assert_eq!(pass.stats.len(), 17);
    assert_eq!(pass.stats[0].layer, "layer1.0.bn1");
    let loss = z.cross_entropy(&Tensor::new(&[0u32, 1, 2, 3], &Device::Cpu).unwrap()).unwrap();
    let leaves: Vec<&Var> = params.trained().map(|(_, v)| v).collect();
    assert_eq!(grad(&loss, &leaves, Graph::Free).unwrap().len(), leaves.len());
}

#[test]
fn dropout_is_keyed_by_the_example() {
    let network = model(json!({ "name": "trades-smallcnn", "init": "torch" }), (1, 28, 28));
    let params = weights(&*network, Precision::F64).constants();
    let x = images(3, (1, 28, 28), DType::F64);
    let run = |rows: &[usize], key: u64| -> Vec<Vec<f64>> {
        let index = Tensor::from_vec(rows.iter().map(|i| *i as u32).collect(), rows.len(), &Device::Cpu).unwrap();
        let ids: Vec<u64> = rows.iter().map(|i| *i as u64).collect();
        let mut pass = Pass::train(&ids, Key::new(key, Purpose::Dropout));
        let z = network.forward(&params, &Var::constant(x.index_select(&index, 0).unwrap()), &mut pass).unwrap();
        z.tensor().to_vec2().unwrap()
    };
    let (all, some, other) = (run(&[0, 1, 2], 1), run(&[2, 0], 1), run(&[0, 1, 2], 2));
    assert_eq!((&some[0], &some[1]), (&all[2], &all[0]));
    assert_ne!(all, other);
}

#[test]
fn bad_settings_are_named() {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    let fail = |given: Value, input: Input| {
        let Value::Object(given) = given else { panic!("a table") };
        match registry.model(&given, input, 10) {
            Ok(_) => panic!("{given:?} was accepted"),
            Err(e) => e.to_string(),
        }
    };
    assert!(fail(json!({ "name": "lenet-smal" }), (1, 28, 28)).contains("did you mean \"lenet-small\""));
    assert!(
        fail(json!({ "name": "linear", "activaton": "relu" }), (1, 28, 28)).contains("did you mean \"activation\"")
    );
    assert!(fail(json!({ "name": "linear", "activation": "rely" }), (1, 28, 28)).contains("did you mean \"relu\""));
    assert!(
        fail(json!({ "name": "linear", "std": [0.0] }), (1, 28, 28)).contains("linear.std: must be above 0, got 0")
    );
    assert!(fail(json!({ "name": "linear", "mean": [0.1, 0.2] }), (1, 28, 28)).contains("2 entries for 1 channels"));
    assert!(fail(json!({ "name": "trades-smallcnn" }), (1, 8, 8)).contains("at least 16×16"));
    let said = fail(json!({ "name": "preactresnet18", "shortcut": "activaton" }), (3, 32, 32));
    assert!(said.contains("preactresnet18.shortcut") && said.contains("did you mean \"activation\""), "{said}");
    for (hidden, why) in [
        (json!([]), "must have at least one width, such as [200, 200]"),
        (json!([0]), "must be at least 1, got 0"),
        (json!([2.5]), "must be a list of whole numbers, got [2.5]"),
        (json!(200), "must be a list of whole numbers, got 200"),
        (json!([100_000]), "must be at most 65536, got 100000"),
    ] {
        let said = fail(json!({ "name": "mlp", "hidden": hidden }), (1, 28, 28));
        assert!(said.contains("mlp.hidden") && said.contains(why), "{said}");
    }
    let said = fail(json!({ "name": "maxout", "pieces": 1 }), (1, 28, 28));
    assert!(said.contains("maxout.pieces") && said.contains("at least 2"), "{said}");
    assert!(fail(json!({ "name": "wideresnet", "depth": 33 }), (3, 32, 32)).contains("must be 6n + 4"));
    assert!(fail(json!({ "name": "wideresnet", "width": 101 }), (3, 32, 32)).contains("at most 100"));
    assert!(fail(json!({ "name": "wideresnet", "dropout": 1.0 }), (3, 32, 32)).contains("must be below 1, got 1"));
    for (widths, why) in [
        (json!([1, 2]), "such as [320, 640, 512], got [1, 2]"),
        (json!([0, 1, 2]), "must be at least 1, got 0"),
        (json!("wide"), "must be a list of whole numbers, got \"wide\""),
    ] {
        let said = fail(json!({ "name": "wideresnet", "widths": widths }), (3, 32, 32));
        assert!(said.contains("wideresnet.widths") && said.contains(why), "{said}");
    }
    let said = fail(json!({ "name": "wideresnet", "layout": "deepmnd" }), (3, 32, 32));
    assert!(said.contains("wideresnet.layout") && said.contains("did you mean \"deepmind\""), "{said}");
    let said = fail(json!({ "name": "preactresnet18", "layout": "deepmind", "final-norm": true }), (3, 32, 32));
    assert!(said.contains("preactresnet18.final-norm") && said.contains("ends in batch norm; leave it out"), "{said}");
    assert!(fail(json!({ "name": "resnet18", "stem": "5x5" }), (3, 32, 32)).contains("resnet18.stem"));
    assert!(fail(json!({ "name": "densenet121", "growth": 300 }), (3, 32, 32)).contains("at most 256, got 300"));
    assert!(fail(json!({ "name": "resnext29", "cardinality": 300 }), (3, 32, 32)).contains("at most 256, got 300"));
    assert!(fail(json!({ "name": "maxout", "pieces": 101 }), (1, 28, 28)).contains("at most 100"));
    assert!(
        fail(json!({ "name": "maxout", "activation": "gelu" }), (1, 28, 28)).contains("unknown parameter of maxout")
    );
    let empty = registry.model(&Map::new(), (1, 28, 28), 10).err().unwrap().to_string();
    assert!(empty.contains("needs a `name`"), "{empty}");
    let network = model(json!({ "name": "linear" }), (1, 28, 28));
    let params = weights(&*network, Precision::F32).constants();
    let wrong = network.forward(&params, &Var::constant(images(1, (3, 32, 32), DType::F32)), &mut Pass::eval(&[0]));
    assert!(wrong.unwrap_err().to_string().contains("expects images (N, 1, 28, 28)"));
}

/// The largest of a unit's pieces, computed one by one.
#[test]
fn a_maxout_unit_is_the_largest_of_its_pieces() {
    let network = model(json!({ "name": "maxout", "hidden": [3], "pieces": 4 }), (1, 2, 2));
    let w = weights(&*network, Precision::F64);
    let x = images(5, (1, 2, 2), DType::F64);
    let mut pass = Pass::eval(&[0, 1, 2, 3, 4]);
    let z = network.forward(&w.constants(), &Var::constant(x.clone()), &mut pass).unwrap();
    let matrix = |name: &str| w.get(name).unwrap().to_vec2::<f64>().unwrap();
    let vector = |name: &str| w.get(name).unwrap().to_vec1::<f64>().unwrap();
    let affine = |name: &str, input: &[f64]| -> Vec<f64> {
        let (rows, bias) = (matrix(&format!("{name}.weight")), vector(&format!("{name}.bias")));
        rows.iter().zip(bias).map(|(r, b)| r.iter().zip(input).map(|(a, v)| a * v).sum::<f64>() + b).collect()
    };
    for (image, found) in
        x.flatten_from(1).unwrap().to_vec2::<f64>().unwrap().iter().zip(z.tensor().to_vec2::<f64>().unwrap())
    {
        let pieces = affine("1", image);
        let units: Vec<f64> =
            (0..3).map(|u| (0..4).map(|p| pieces[p * 3 + u]).fold(f64::NEG_INFINITY, f64::max)).collect();
        for (got, want) in found.iter().zip(affine("2", &units)) {
            assert!((got - want).abs() < 1e-12, "{got} instead of {want}");
        }
    }
}

#[test]
fn initialisers_have_the_spread_and_the_bounds_of_their_papers() {
    let start = |init: &str| {
        let network = model(json!({ "name": "mlp", "hidden": [200, 200], "init": init }), (1, 28, 28));
        let w = weights(&*network, Precision::F64);
        let flat = |name: &str| w.get(name).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        (flat("3.weight"), flat("3.bias"))
    };
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let deviation = |v: &[f64]| (v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64).sqrt();
    let (w, b) = start("he-truncated");
    // A normal cut at two deviations keeps 0.8796 of its own.
    assert!(largest(&w) <= 2.0 * 0.1 && (deviation(&w) / (0.1 * 0.879_626) - 1.0).abs() < 0.02, "{}", deviation(&w));
    assert!(b.iter().all(|v| *v == 0.0));
    let (w, b) = start("xavier");
    let bound = (6.0f64 / 400.0).sqrt();
    assert!(largest(&w) <= bound && (deviation(&w) * 3f64.sqrt() / bound - 1.0).abs() < 0.02);
    // PyTorch's bias: ±1/√fan_in.
    assert!(largest(&b) <= 1.0 / 200f64.sqrt() && largest(&b) > 0.9 / 200f64.sqrt());
}
