//! Whole runs on a GPU beside the same runs on the CPU, in f64: weights of every recipe, verdicts of every attack.
//!
//! Needs a driver: a real one, or the emulated one of scripts/cuda, which runs the same kernels on the CPU.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use candle_core::DType;
use gauntlet::Precision;
use gauntlet::core::{Compute, Processor, Registry, checkpoint};
use gauntlet::data::{Catalogue, Split};
use gauntlet::engine::{Context, Error, Event, Events, Images, Store, Suite, run_on};
use gauntlet::records::Record;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bright in one of three corners, with noise: learnt in a few steps. No two images are equally far from a third, so that no
/// rounding decides which is its nearest neighbour.
fn split((c, side): (usize, usize), n: usize, salt: usize) -> Split {
    let mut bytes = Vec::new();
    for i in 0..n {
        for p in 0..c * side * side {
            let (y, x) = (p / side % side, p % side);
            let bright = match i % 3 {
                0 => x < side / 2 && y < side / 2,
                1 => x >= side / 2 && y < side / 2,
                _ => y >= side / 2,
            };
            let noise = ((i * 7919 + p * 104_729 + i * p * 31 + salt * 7) % 6007) % 60;
            bytes.push((40 + noise + 110 * usize::from(bright)) as u8);
        }
    }
    Split::new((c, side, side), bytes, (0..n as u32).map(|i| i % 3).collect()).unwrap()
}

struct Ran {
    records: Vec<Record>,
    /// Weights of every row, in order.
    weights: Vec<Vec<f64>>,
}

fn run(text: &str, shape: (usize, usize), (train, test): (usize, usize), processor: Processor) -> Ran {
    let (registry, catalogue, stop): (Registry, _, _) =
        (gauntlet_cli::app().registry().unwrap(), Catalogue::default(), AtomicBool::new(false));
    let folder = tempfile::tempdir().unwrap();
    let suite = Suite::load(text, "gpu.toml", &registry, &catalogue).unwrap();
    let images = Images {
        train: split(shape, train, 1),
        test: split(shape, test, 2),
        classes: ["left", "right", "low"].map(String::from).to_vec(),
        order: None,
    };
    let context = Context {
        precision: Precision::F64,
        // The emulated driver takes its time with 256 images.
        compute: Compute::open(processor, false).unwrap().in_blocks_of(4),
        ..Context::new(&registry, &catalogue, Store::new(folder.path()), &stop)
    };
    let records = run_on(&suite, images, &context, &()).unwrap();
    for record in &records {
        assert_eq!(record.failed, None, "{}", record.row);
        let device = &record.provenance.device;
        assert!(device.starts_with(if processor == Processor::Cpu { "cpu" } else { "cuda (" }), "{device}");
    }
    let weights = records.iter().map(|r| stored(folder.path(), &r.result.checkpoint_sha256)).collect();
    Ran { records, weights }
}

/// The sha256 in the entry beside a checkpoint.
fn trained(path: &Path) -> String {
    let entry = std::fs::read_to_string(path.with_file_name("training.json")).unwrap();
    let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
    entry["checkpoint_sha256"].as_str().unwrap().to_string()
}

/// The weights with this sha256 among the checkpoints of a store.
fn stored(folder: &Path, sha256: &str) -> Vec<f64> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("checkpoint.safetensors") && trained(&path) == sha256 {
                let (tensors, _) = checkpoint::from_bytes("checkpoint", &std::fs::read(&path).unwrap()).unwrap();
                let mut named: Vec<_> = tensors.into_iter().collect();
                named.sort_by(|a, b| a.0.cmp(&b.0));
                for (_, t) in named {
                    found.extend(t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap());
                }
            }
        }
    }
    assert!(!found.is_empty(), "no checkpoint with {sha256}");
    found
}

fn agree(text: &str, shape: (usize, usize), sizes: (usize, usize), tolerance: f64) {
    let cpu = run(text, shape, sizes, Processor::Cpu);
    let gpu = run(text, shape, sizes, Processor::Cuda(0));
    let mut failures = Vec::new();
    for (i, (a, b)) in cpu.records.iter().zip(&gpu.records).enumerate() {
        let (mine, theirs) = (&cpu.weights[i], &gpu.weights[i]);
        let off = mine.iter().zip(theirs).map(|(a, b)| (a - b).abs() / a.abs().max(1e-2));
        let worst = off.fold(0.0, |m: f64, d| if d <= m { m } else { d });
        if mine.len() != theirs.len() || worst > tolerance {
            failures.push(format!("{}: weights differ by {worst:e}", a.row));
        }
        let terms = |r: &Record| r.result.curve.iter().flat_map(|e| e.terms.clone()).collect::<Vec<_>>();
        for ((name, a), (_, b)) in terms(a).iter().zip(&terms(b)) {
            let off = (a - b).abs();
            if off.is_nan() || off > 1e-6 * a.abs().max(1.0) {
                failures.push(format!("{}: {name} is {b} instead of {a}", gpu.records[i].row));
            }
        }
        let broken = |r: &Record| {
            r.result.attacked.iter().map(|c| c.verdicts.iter().map(|v| v.fate).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        for ((cell, a), b) in a.result.attacked.iter().zip(broken(a)).zip(broken(b)) {
            if a != b {
                failures.push(format!(
                    "{}: {} at {} breaks others: {a:?} and {b:?}",
                    gpu.records[i].row, cell.attack, cell.eps
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

const ROWS: &str = r#"
[[row]]
recipe = "ce"
[[row]]
recipe = { name = "noise", size = "0.1" }
[[row]]
recipe = { name = "fgsm-aug", eps = "0.1" }
[[row]]
id = "predicted"
recipe = { name = "fgsm-aug", eps = "0.1", label = "predicted" }
[[row]]
recipe = { name = "fgsm-rs", eps = "0.1" }
[[row]]
recipe = { name = "n-fgsm", eps = "0.1" }
[[row]]
recipe = { name = "free-at", eps = "0.1", replays = 2 }
[[row]]
recipe = { name = "grad-align", eps = "0.1", weight = 0.2 }
[[row]]
recipe = { name = "pgd-at", eps = "0.1", attack = { name = "pgd", steps = 3 } }
[[row]]
id = "pgd-at-repeated"
recipe = { name = "pgd-at", eps = "0.1", attack = { name = "pgd", steps = 7 } }
[[row]]
id = "pgd-at-l2"
recipe = { name = "pgd-at", eps = "0.5", norm = "l2", attack = { name = "pgd", steps = 2 } }
[[row]]
recipe = { name = "trades", eps = "0.1", beta = 6.0, attack = { name = "pgd", steps = 2, random_start = "0.001", objective = "kl" } }
[[row]]
recipe = { name = "mart", eps = "0.1", beta = 5.0, attack = { name = "pgd", steps = 2 } }
[[row]]
recipe = { name = "grad-norm", weight = 0.5 }
[[row]]
id = "grad-norm-linf-margin"
recipe = { name = "grad-norm", weight = 0.5, norm = "linf", of = "margin" }
[[row]]
recipe = { name = "grad-norm-fd", weight = 0.5 }
[[row]]
id = "fd-linf"
recipe = { name = "grad-norm-fd", weight = 0.5, norm = "linf" }
[[row]]
id = "class-mean"
recipe = { name = "direction-matching", weight = 0.5, direction = "class-mean", classes = "all" }
[[row]]
id = "random"
recipe = { name = "direction-matching", weight = 0.5, direction = "random", classes = "random" }
[[row]]
id = "fixed"
recipe = { name = "direction-matching", weight = 0.5, direction = "fixed" }
[[row]]
id = "neighbour"
recipe = { name = "direction-matching", weight = 0.5, direction = "nearest-neighbour", references = 12 }
[[row]]
recipe = { name = "jacobian", weight = 0.1, projections = 1 }
[[row]]
recipe = { name = "cure", weight = 0.1 }
[[row]]
recipe = { name = "llr", weight = 1.0, taylor_weight = 1.0, eps = "0.1", steps = 2 }
[[row]]
recipe = { name = "igam", weight = 1.0 }
teacher = "ce"
"#;

/// Adam's `eps` is large: with the usual one a gradient of 10⁻¹⁷, rounding on either side, would move a weight as far as any.
#[test]
fn every_recipe_trains_the_same_weights() {
    let head = r#"format = 1
name = "gpu"
data = "glyphs"
model = { name = "lenet-small", activation = "softplus" }
train = { epochs = 1, batch = 16, validation = 0, clip = 5.0, optimiser = { name = "adam", lr = 0.001, eps = 1e-4 } }
"#;
    let attacks = "[[attack]]\nname = \"pgd\"\nsteps = 2\neps = [\"0.1\"]\n";
    agree(&[head, ROWS, attacks].concat(), (1, 12), (39, 6), 1e-6);
}

#[test]
fn every_attack_breaks_the_same_examples() {
    let text = r#"format = 1
name = "gpu"
data = "glyphs"
model = "lenet-small"
train = { epochs = 2, batch = 12, validation = 0, optimiser = { name = "sgd", lr = 0.05, momentum = 0.9, nesterov = true } }
[[row]]
recipe = "ce"
[[attack]]
name = "fgsm"
eps = ["0.05", "0.2"]
[[attack]]
name = "pgd"
steps = 3
eps = ["0.1"]
[[attack]]
name = "apgd-ce"
steps = 4
eps = ["0.1"]
[[attack]]
name = "fab"
steps = 3
eps = ["0.1"]
[[attack]]
name = "square"
queries = 20
eps = ["0.1"]
[[attack]]
name = "deepfool"
norm = "l2"
eps = ["1.0"]
[[attack]]
name = "ddn"
norm = "l2"
steps = 5
eps = ["1.0"]
[[attack]]
name = "fmn"
norm = "l1"
steps = 5
eps = ["5.0"]
"#;
    agree(text, (1, 12), (36, 9), 1e-8);
}

/// Stops a training at its fourth step.
struct Brake(AtomicBool, AtomicUsize);

impl Events for Brake {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Step { .. }) && self.1.fetch_add(1, Ordering::Relaxed) == 3 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupted_training_ends_with_the_same_bits() {
    let text = r#"format = 1
name = "gpu"
data = "glyphs"
model = "lenet-small"
train = { epochs = 5, batch = 12, validation = 0, optimiser = { name = "adam", lr = 0.001 } }
[[row]]
recipe = { name = "free-at", eps = "0.1", replays = 2 }
[[attack]]
name = "fgsm"
eps = ["0.1"]
"#;
    let registry: Registry = gauntlet_cli::app().registry().unwrap();
    let catalogue = Catalogue::default();
    let suite = Suite::load(text, "gpu.toml", &registry, &catalogue).unwrap();
    let images = || Images {
        train: split((1, 12), 30, 1),
        test: split((1, 12), 3, 2),
        classes: ["left", "right", "low"].map(String::from).to_vec(),
        order: None,
    };
    let run = |folder: &Path, brake: &Brake| {
        let context = Context {
            compute: Compute::open(Processor::Cuda(0), false).unwrap().in_blocks_of(4),
            ..Context::new(&registry, &catalogue, Store::new(folder), &brake.0)
        };
        run_on(&suite, images(), &context, brake)
    };
    let never = || Brake(AtomicBool::new(false), AtomicUsize::new(1 << 20));
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let want = run(whole.path(), &never()).unwrap().swap_remove(0);
    let brake = Brake(AtomicBool::new(false), AtomicUsize::new(0));
    assert!(matches!(run(halves.path(), &brake), Err(Error::Interrupted)));
    let got = run(halves.path(), &never()).unwrap().swap_remove(0);
    assert_eq!((got.failed, got.provenance.resumed), (None, 1));
    assert_eq!(got.result.checkpoint_sha256, want.result.checkpoint_sha256);
}

/// Batch norm in train mode, crops and flips on the device, running statistics that move with the inner attack.
#[test]
fn a_residual_network_trains_the_same_weights() {
    let text = r#"format = 1
name = "gpu"
data = "cifar10"
model = { name = "preactresnet18", shortcut = "activation" }
train = { epochs = 1, batch = 2, validation = 0, augmentation = "crop-flip-reflect", optimiser = { name = "sgd", lr = 0.01, momentum = 0.9, weight_decay = 5e-4 } }
[[row]]
recipe = { name = "pgd-at", eps = "8/255", attack_mode = "train-moving", attack = { name = "pgd", steps = 1, alpha = "2/255" } }
[[attack]]
name = "fgsm"
eps = ["8/255"]
"#;
    agree(text, (3, 32), (2, 1), 1e-6);
}

/// Steps of one shape become a graph where nothing is drawn or remembered: the same losses and weights, bit for bit, beside a
/// last batch that is smaller. Where batch norm moves statistics, or a recipe draws, there is no graph.
#[test]
fn recorded_steps_train_the_same_bits() {
    use gauntlet::core::Memory;
    use gauntlet::core::optimiser::{Optimiser, OptimiserState};
    use gauntlet::core::position::Position;
    use gauntlet::core::{Batch, Key, Purpose, Setup, Weights};
    use gauntlet::engine::{Graphs, Recorder, Row, TrainingStep, Tricks};

    let registry: Registry = gauntlet_cli::app().registry().unwrap();
    let compute = Compute::open(Processor::Cuda(0), false).unwrap();
    let device = compute.device();
    let images = split((1, 12), 40, 1);
    let optimiser = Optimiser::Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    let object = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).unwrap();
    let lenet = r#"{ "name": "lenet-small", "activation": "softplus" }"#;
    for (model, recipe, steps, recorded) in [
        (r#"{ "name": "lenet-small" }"#, r#"{ "name": "ce" }"#, 7, true),
        (lenet, r#"{ "name": "grad-norm", "weight": 0.5 }"#, 7, true),
        (lenet, r#"{ "name": "fgsm-aug", "eps": "0.1" }"#, 7, true),
        (lenet, r#"{ "name": "grad-norm", "weight": 0.5, "ramp": 1.0 }"#, 4, false),
        (lenet, r#"{ "name": "noise", "size": "0.1" }"#, 4, false),
        (r#"{ "name": "wideresnet", "depth": 10, "width": 1 }"#, r#"{ "name": "ce" }"#, 4, false),
    ] {
        let (network, _) = registry.model(&object(model), (1, 12, 12), 3).unwrap();
        let recipe = Row::short("row", &registry, &object(recipe)).unwrap().build(&registry).unwrap();
        let run = |graphs: Option<&Graphs>| {
            let mut weights =
                Weights::init(&network.specs(), Key::new(0, Purpose::Init), Precision::F32, device).unwrap();
            let mut none = |_: &mut dyn FnMut(&Batch) -> gauntlet::core::Result<()>| Ok(());
            let mut setup =
                Setup { train: &mut none, model: network.info(), seed: 0, precision: Precision::F32, teacher: None };
            let mut memory: Memory = recipe.prepare(&mut setup).unwrap();
            let mut state = OptimiserState::default();
            let step = TrainingStep {
                network: &network,
                recipe: &*recipe,
                optimiser: &optimiser,
                clip: Some(1.0),
                teacher: None,
                graphs: graphs.map(|g| g as &dyn Recorder),
                tricks: &Tricks::NONE,
                mixed: None,
            };
            let mut losses = Vec::new();
            for number in 0..steps {
                let first = number as usize * 5;
                let rows: Vec<usize> = (first..first + if number == 6 { 3 } else { 5 }).collect();
                let batch = images.batch(&rows, Precision::F32, device).unwrap();
                let at = Position { epoch: 0, epochs: 1, step: number, steps, replay: 0 };
                let taken = step.take(&mut weights, &mut state, &mut memory, &batch, (0, at, 1e-3)).unwrap();
                losses.push(taken);
            }
            // Read late, as the trainer does: by then the graph ran several times.
            let losses: Vec<f64> = losses.into_iter().map(|taken| taken.settle().unwrap().loss).collect();
            let bits: Vec<Vec<f32>> =
                weights.iter().map(|(_, t, _)| t.flatten_all().unwrap().to_vec1().unwrap()).collect();
            (losses, bits)
        };
        let graphs = Graphs::default();
        let with = run(Some(&graphs));
        assert_eq!(graphs.recorded(), recorded, "{model} {}", recipe.name());
        assert!(with.0.iter().all(|l| l.is_finite()) && with == run(None), "{model} {}", recipe.name());
    }
}
