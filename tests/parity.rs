//! Parity with PyTorch: golden values in f64 from `scripts/parity/run.sh`, rtol 1e-9 in f64 and 1e-4 in f32.
//!
//! Weights and inputs come from one integer hash, written here and in `scripts/parity/hashed_numbers.py`: only results
//! are stored.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod recipe_parity;
mod step_parity;

use candle_core::{DType, Device, Tensor};
use gauntlet::attacks::objectives::ce::Ce;
use gauntlet::autograd::{Graph, Var, grad};
use gauntlet::core::attack::rows;
use gauntlet::core::optimiser::{Optimiser, OptimiserState};
use gauntlet::core::{
    Frozen, Goal, Key, Mode, Network, Objective, Params, Pass, Purpose, Registry, Target, ThreatModel, Weights,
};
use gauntlet::records::Norm;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

fn hash(name: &str, i: u64) -> f64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut z = fnv.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

fn tensor(name: &str, dims: &[usize], low: f64, high: f64) -> Tensor {
    let n: usize = dims.iter().product();
    let v: Vec<f64> = (0..n as u64).map(|i| low + (high - low) * hash(name, i)).collect();
    Tensor::from_vec(v, dims, &Device::Cpu).unwrap()
}

fn golden(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/parity").join(file);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(got: &[f64], want: &[f64], rtol: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= rtol * scale.max(1e-300), "{what}, entry {i}: {g:e}, PyTorch {w:e}");
    }
}

/// Norm, sum, dot with a hash vector and 16 entries; errors relative to the tensor's norm.
fn matches(name: &str, t: &Tensor, want: &Value, rtol: f64, what: &str) {
    let v = flat(t);
    let n = v.len() as u64;
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let dot: f64 = v.iter().enumerate().map(|(i, x)| x * (2.0 * hash(&format!("probe/{name}"), i as u64) - 1.0)).sum();
    let number = |key: &str| want[key].as_f64().unwrap();
    // A sum or dot over n entries of norm ‖·‖ can be as large as √n ‖·‖.
    let scale = number("norm").max(1e-300);
    let wide = scale * (n as f64).sqrt();
    for (key, got, scale) in [("norm", norm, scale), ("sum", v.iter().sum(), wide), ("dot", dot, wide)] {
        let error = (got - number(key)).abs() / scale;
        assert!(error <= rtol, "{what}: {key} of {name} is {got:e}, PyTorch {:e} (relative {error:.1e})", number(key));
    }
    for (i, entry) in numbers(&want["entries"]).iter().enumerate() {
        let place = (hash(&format!("places/{name}"), i as u64) * n as f64) as usize;
        let error = (v[place] - entry).abs() / scale;
        assert!(error <= rtol, "{what}: entry {place} of {name} is {:e}, PyTorch {entry:e}", v[place]);
    }
}

fn network(model: &str, activation: &str, input: (usize, usize, usize)) -> Arc<dyn Network> {
    let mut registry = Registry::default();
    gauntlet::models::register(&mut registry).unwrap();
    let given = match model {
        "wideresnet-16-2" => json!({ "name": "wideresnet", "depth": 16, "width": 2, "activation": activation }),
        "preactresnet18-activation" => {
            json!({ "name": "preactresnet18", "shortcut": "activation", "activation": activation })
        }
        "preactresnet18-plain" => json!({ "name": "preactresnet18", "final-norm": false, "activation": activation }),
        "preactresnet18-deepmind" => {
            json!({ "name": "preactresnet18", "layout": "deepmind", "activation": activation })
        }
        "wideresnet-deepmind-16-2" => {
            json!({ "name": "wideresnet", "layout": "deepmind", "depth": 16, "width": 2, "activation": activation })
        }
        "wideresnet-huang-10" => {
            json!({ "name": "wideresnet", "layout": "huang", "depth": 10, "widths": [24, 48, 32], "activation": activation })
        }
        "resnet18-torchvision-8" | "resnet34-torchvision-8" | "resnet50-torchvision-8" => {
            json!({ "name": &model[..8], "width": 8, "stem": "7x7", "activation": activation })
        }
        "resnet18-names-8" => {
            json!({ "name": "resnet18", "width": 8, "names": "torchvision", "activation": activation })
        }
        "resnext29-2-4" => {
            json!({ "name": "resnext29", "cardinality": 2, "base-width": 4, "activation": activation })
        }
        "densenet121-4" => json!({ "name": "densenet121", "growth": 4, "activation": activation }),
        "densenet121-torchvision-4" => {
            json!({ "name": "densenet121", "growth": 4, "stem": "7x7", "activation": activation })
        }
        "cnn7-8-64" => json!({ "name": "cnn7", "width": 8, "hidden": 64, "activation": activation }),
        _ => match model.strip_suffix("-8") {
            Some(resnet) => json!({ "name": resnet, "width": 8, "activation": activation }),
            None => json!({ "name": model, "activation": activation }),
        },
    };
    registry.model(given.as_object().unwrap(), input, 10).unwrap().0
}

/// The weights that `golden.py` fills in.
fn weights(network: &dyn Network, case: &str, dtype: DType) -> Weights {
    let entries = network.specs().into_iter().map(|s| {
        let key = format!("{case}/{}", s.name);
        let gamma = s.name.ends_with("weight");
        let t = if s.name.ends_with("running_var") || (s.shape.len() == 1 && gamma) {
            tensor(&key, &s.shape, 0.5, 1.5)
        } else if s.shape.len() == 1 {
            tensor(&key, &s.shape, -0.2, 0.2)
        } else {
            let bound = 1.0 / (s.shape[1..].iter().product::<usize>() as f64).sqrt();
            tensor(&key, &s.shape, -bound, bound)
        };
        (s.name, t.to_dtype(dtype).unwrap(), s.trainable)
    });
    Weights::from_entries(entries)
}

fn labels(n: usize) -> Tensor {
    Tensor::from_vec((0..n as u32).map(|i| (3 * i + 1) % 10).collect(), n, &Device::Cpu).unwrap()
}

fn check_model(file: &str, dtype: DType, rtol: f64) {
    let want = golden(&format!("{file}.json"));
    let shape: Vec<usize> = want["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let n = want["n"].as_u64().unwrap() as usize;
    let (model, activation, mode) =
        (want["model"].as_str().unwrap(), want["activation"].as_str().unwrap(), want["mode"].as_str().unwrap());
    let case = format!("{model}-{activation}-{mode}");
    let network = network(model, activation, (shape[0], shape[1], shape[2]));
    let params: Params = weights(&*network, &case, dtype).leaves();
    let dims = [n, shape[0], shape[1], shape[2]];
    let x = Var::leaf(tensor(&format!("{case}/x"), &dims, 0.0, 1.0).to_dtype(dtype).unwrap());
    let tau = tensor(&format!("{case}/tau"), &[1, dims[1], dims[2], dims[3]], -1.0, 1.0).to_dtype(dtype).unwrap();
    let tau = Var::constant(tau.broadcast_as(&dims).unwrap().contiguous().unwrap());
    let ids: Vec<u64> = (0..n as u64).collect();
    let mode = if mode == "train" { Mode::Train } else { Mode::Eval };
    let mut pass = Pass { mode, ids: &ids, key: Key::new(0, Purpose::Dropout), stats: Vec::new() };
    let z = network.forward(&params, &x, &mut pass).unwrap();
    close(&flat(z.tensor()), &numbers(&want["logits"]), rtol, &format!("{case}: logits"));
    let ce = z.cross_entropy(&labels(n)).unwrap();
    close(&flat(ce.tensor()), &numbers(&want["ce"]), rtol, &format!("{case}: cross-entropy"));
    let g = grad(&ce, &[&x], Graph::Keep).unwrap().swap_remove(0);
    matches("x", g.tensor(), &want["input_gradient"], rtol, &format!("{case}: input gradient"));
    let mean = |v: Var, weight: f64| v.mean_all().unwrap().affine(weight, 0.0).unwrap();
    let plain = || ce.mean_all().unwrap();
    let losses = [
        ("ce", plain()),
        ("grad-norm-l2sq", plain().add(&mean(g.sqr().unwrap().sum_per_example().unwrap(), 0.1)).unwrap()),
        ("grad-norm-l1", plain().add(&mean(g.norm_l1_per_example().unwrap(), 0.01)).unwrap()),
        ("direction-matching", {
            let cos = g.neg().unwrap().cosine_per_example(&tau).unwrap();
            plain().add(&mean(cos.affine(-1.0, 1.0).unwrap(), 0.5)).unwrap()
        }),
    ];
    let (names, leaves): (Vec<&str>, Vec<&Var>) = params.trained().unzip();
    for (name, loss) in losses {
        let want = &want["weight_gradients"][name];
        close(&flat(loss.tensor()), &[want["loss"].as_f64().unwrap()], rtol, &format!("{case}: {name} loss"));
        let found = grad(&loss, &leaves, Graph::Free).unwrap();
        for (parameter, gradient) in names.iter().zip(&found) {
            let want = &want["gradients"][parameter];
            // Gradients that cancel to rounding (a shift before batch norm) have no digits to compare.
            if want["norm"].as_f64().unwrap() > 1e-12 {
                matches(parameter, gradient.tensor(), want, rtol, &format!("{case}: weight gradient of {name}"));
            }
        }
    }
}

#[test]
fn small_models_in_f64() {
    for file in [
        "linear-relu-eval",
        "mlp-relu-eval",
        "mlp-softplus-eval",
        "lenet-small-relu-eval",
        "lenet-small-softplus-eval",
        "lenet-small-gelu-eval",
        "cnn4-relu-eval",
    ] {
        check_model(file, DType::F64, 1e-9);
    }
}

#[test]
fn larger_models_in_f64() {
    for file in
        ["madry-cnn-relu-eval", "madry-cnn-softplus-eval", "trades-smallcnn-relu-eval", "trades-smallcnn-softplus-eval"]
    {
        check_model(file, DType::F64, 1e-9);
    }
}

#[test]
fn the_residual_network_in_f64_with_batch_norm_in_both_modes() {
    check_model("preactresnet18-relu-eval", DType::F64, 1e-9);
    check_model("preactresnet18-softplus-train", DType::F64, 1e-9);
    check_model("preactresnet18-activation-relu-eval", DType::F64, 1e-9);
    check_model("preactresnet18-activation-softplus-train", DType::F64, 1e-9);
    check_model("wideresnet-16-2-relu-eval", DType::F64, 1e-9);
    check_model("wideresnet-16-2-softplus-train", DType::F64, 1e-9);
}

#[test]
fn the_leaderboards_architectures_in_f64_with_every_activation() {
    for file in [
        "resnet18-8-relu-eval",
        "resnet18-8-silu-train",
        "resnet34-8-leaky-relu-eval",
        "resnet50-8-relu-eval",
        "resnet50-8-elu-train",
        "vgg11-bn-relu-eval",
        "vgg16-bn-silu-eval",
        "vgg16-bn-tanh-train",
        "cnn7-8-64-relu-eval",
        "cnn7-8-64-sigmoid-train",
    ] {
        check_model(file, DType::F64, 1e-9);
    }
}

#[test]
fn other_layouts_of_the_leaderboards_architectures_in_f64() {
    for file in [
        "preactresnet18-plain-relu-eval",
        "preactresnet18-deepmind-silu-eval",
        "wideresnet-deepmind-16-2-silu-eval",
        "wideresnet-deepmind-16-2-relu-train",
        "wideresnet-huang-10-relu-eval",
        "resnet18-torchvision-8-relu-eval",
        "resnet34-torchvision-8-gelu-eval",
        "resnet50-torchvision-8-silu-train",
        "resnet18-names-8-relu-eval",
        "resnext29-2-4-relu-eval",
        "densenet121-4-silu-train",
        "densenet121-torchvision-4-relu-eval",
    ] {
        check_model(file, DType::F64, 1e-9);
    }
}

#[test]
fn models_in_f32() {
    // Smooth activations: in f32 a unit of a ReLU network on its kink may fall on the other side.
    for file in [
        "lenet-small-softplus-eval",
        "lenet-small-relu-eval",
        "madry-cnn-softplus-eval",
        "preactresnet18-softplus-train",
    ] {
        check_model(file, DType::F32, 1e-4);
    }
}

#[test]
fn operations_follow_pytorchs_conventions() {
    let want = golden("operations.json");
    let at = numbers(&want["x"]);
    type Function = fn(&Var) -> gauntlet::autograd::Result<Var>;
    let functions: [(&str, Function); 8] = [
        ("relu", |v| v.relu()),
        ("abs", |v| v.abs()),
        ("gelu", |v| v.gelu()),
        ("tanh", |v| v.tanh()),
        ("softplus", |v| v.softplus()),
        ("sigmoid", |v| v.sigmoid()),
        ("clamp", |v| v.clamp(-1.9, 0.9)),
        ("sqr", |v| v.sqr()),
    ];
    for (name, f) in functions {
        let want = &want["functions"][name];
        let x = Var::leaf(Tensor::new(at.as_slice(), &Device::Cpu).unwrap());
        let y = f(&x).unwrap();
        let first = grad(&y, &[&x], Graph::Keep).unwrap().swap_remove(0);
        // A first derivative that is constant everywhere has no second one: PyTorch's zeros.
        let second = grad(&first, &[&x], Graph::Free).map_or(vec![0.0; at.len()], |g| flat(g[0].tensor()));
        let each = |got: &[f64], key: &str| {
            for ((g, w), x) in got.iter().zip(numbers(&want[key])).zip(&at) {
                assert!((g - w).abs() <= 1e-12 * w.abs().max(1.0), "{name}, {key} at {x}: {g:e}, PyTorch {w:e}");
            }
        };
        each(&flat(y.tensor()), "value");
        each(&flat(first.tensor()), "first");
        each(&second, "second");
    }
    let z = Tensor::new(&[[800.0f64, -800.0, 0.0], [1e-3, 0.0, -1e-3], [5.0, 5.0, 5.0]], &Device::Cpu).unwrap();
    let z = Var::leaf(z);
    let ce = z.cross_entropy(&Tensor::new(&[1u32, 0, 2], &Device::Cpu).unwrap()).unwrap();
    close(&flat(ce.tensor()), &numbers(&want["cross_entropy"]["value"]), 1e-12, "cross-entropy");
    let g = grad(&ce, &[&z], Graph::Free).unwrap();
    close(&flat(g[0].tensor()), &numbers(&want["cross_entropy"]["first"]), 1e-12, "its gradient");
    let pooled = Tensor::new(&[[[[1.0f64, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]], &Device::Cpu).unwrap();
    let pooled = Var::leaf(pooled);
    let g = grad(&pooled.max_pool2d(2, 2).unwrap(), &[&pooled], Graph::Free).unwrap();
    assert_eq!(flat(g[0].tensor()), numbers(&want["max_pool_ties"]));
}

#[test]
fn pgd_iterates() {
    for want in golden("pgd.json")["cases"].as_array().unwrap() {
        let norm: Norm = want["norm"].as_str().unwrap().parse().unwrap();
        let case = format!("pgd-{norm}");
        let n = want["n"].as_u64().unwrap() as usize;
        let network = network("lenet-small", "relu", (1, 28, 28));
        let target = Frozen::new(network.clone(), weights(&*network, &case, DType::F64).constants());
        let threat = ThreatModel::new(norm, want["eps"].as_f64().unwrap());
        let alpha = vec![want["alpha"].as_f64().unwrap(); n];
        // In L1 with pixels on the bounds: those that have no room there must not take part in a step.
        let (low, high) = if norm == Norm::L1 { (-0.4, 1.4) } else { (0.0, 1.0) };
        let x0 = tensor(&format!("{case}/x"), &[n, 1, 28, 28], low, high).clamp(0.0, 1.0).unwrap();
        let labels: Vec<u32> = labels(n).to_vec1().unwrap();
        let ce = Ce { targeted: false };
        let mut x = x0.clone();
        for (t, want) in want["iterates"].as_array().unwrap().iter().enumerate() {
            let linear = target.linearise(&x).unwrap();
            let mut slopes = vec![0.0; n * 10];
            for ((z, label), slope) in
                rows(linear.logits()).unwrap().iter().zip(&labels).zip(slopes.chunks_exact_mut(10))
            {
                ce.ascend(z, &Goal { label: *label as usize, ..Goal::default() }, slope);
            }
            let cotangent = Tensor::from_vec(slopes, (n, 10), &Device::Cpu).unwrap();
            x = threat.step(&x, &x0, &linear.pull(&cotangent).unwrap(), &alpha).unwrap();
            matches(&format!("{case}/{t}"), &x, want, 1e-9, &format!("{case}: iterate {}", t + 1));
        }
    }
}

#[test]
fn optimisers_take_pytorchs_steps() {
    for want in golden("optimisers.json")["cases"].as_array().unwrap() {
        let name = want["name"].as_str().unwrap();
        let how = match name {
            "sgd" => json!({ "name": "sgd", "lr": 0.1 }),
            "sgd-momentum" => json!({ "name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4 }),
            "sgd-nesterov" => {
                json!({ "name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": true, "weight_decay": 5e-4 })
            }
            "adam" => json!({ "name": "adam", "lr": 0.01, "weight_decay": 1e-3 }),
            _ => json!({ "name": "adamw", "lr": 0.01, "weight_decay": 0.1 }),
        };
        let how: Optimiser = serde_json::from_value(how).unwrap();
        let mut w = Weights::from_entries([("p".to_string(), tensor("optimiser/p", &[7, 3], -1.0, 1.0), true)]);
        let mut state = OptimiserState::default();
        for (t, want) in want["steps"].as_array().unwrap().iter().enumerate() {
            let p = w.get("p").unwrap();
            let g = (tensor(&format!("optimiser/g{t}"), &[7, 3], -1.0, 1.0) + p.affine(0.1, 0.0).unwrap()).unwrap();
            state.step(&how, &mut w, &[("p", g)], how.lr()).unwrap();
            close(&flat(w.get("p").unwrap()), &numbers(want), 1e-12, &format!("{name}, step {}", t + 1));
        }
    }
}
