//! Attacks a model of this project that adds Gaussian noise to its pixels at every forward: logits f(x + σ N(0, I)).
//!
//! ```sh
//! cargo run --release --example attack_noisy_model -- '{ "weights": "fgsm.pt", "sd": 0.25, "take": 100, "eps": "0.2",
//!     "draws": 50, "attack": { "name": "autoattack", "version": "rand" } }'
//! ```
//! prints one JSON object. Also: `model` (`{ "name": "lenet-small" }`), `data` (`"mnist"`), `data_dir`, `norm` (`"linf"`), `seed` of the
//! attack (0), `noise_seed` (0), and `width`, examples in flight (256; the noise of an example depends on it). An attack
//! `{ "name": "transfer", "surrogate": "itself", "attack": ... }` is crafted on the model itself, every step taken.

use candle_core::{Device, Tensor};
use gauntlet_core::attack::{predicted, rows};
use gauntlet_core::{Compute, Frozen, Key, Linear, ModelInfo, Precision, Purpose, Registry, Target};
use gauntlet_data::{Catalogue, LoadOptions, load};
use gauntlet_engine::examples_of;
use gauntlet_evaluate::{AttackEntry, Component, Evaluator, Kind, Origin, Subject, evaluate};
use gauntlet_records::{Fate, verdict::robust_accuracy_over_draws};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What is attacked, and how.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    model: Map<String, Value>,
    weights: PathBuf,
    data: String,
    /// Folder with the data set's files, as for `gauntlet --data-dir`.
    data_dir: Option<PathBuf>,
    /// The first images of the test split.
    take: usize,
    /// Standard deviation σ of the noise, in pixels of [0, 1].
    sd: f64,
    norm: gauntlet_records::Norm,
    eps: String,
    /// Answers that a proposal is judged on.
    draws: u32,
    attack: Map<String, Value>,
    seed: u64,
    noise_seed: u64,
    width: usize,
}

impl Default for Request {
    fn default() -> Self {
        let named = |name: &str| Map::from_iter([("name".to_string(), Value::from(name))]);
        Request {
            model: named("lenet-small"),
            weights: PathBuf::new(),
            data: "mnist".into(),
            data_dir: None,
            take: 100,
            sd: 0.25,
            norm: gauntlet_records::Norm::Linf,
            eps: "0.2".into(),
            draws: 50,
            attack: named("eot-pgd"),
            seed: 0,
            noise_seed: 0,
            width: 256,
        }
    }
}

/// f(x + σ N(0, I)), with new noise at every forward.
struct Noisy {
    inner: Frozen,
    sd: f64,
    seed: u64,
    asked: AtomicU64,
}

impl Noisy {
    fn noisy(&self, x: &Tensor) -> gauntlet_core::Result<Tensor> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut stream = Key::new(self.seed, Purpose::Sample).stream(asked, 0, 0);
        let noise: Vec<f64> = (0..x.elem_count()).map(|_| self.sd * stream.normal()).collect();
        Ok((x + Tensor::from_vec(noise, x.shape(), &Device::Cpu)?.to_dtype(x.dtype())?)?)
    }
}

impl Target for Noisy {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn logits(&self, x: &Tensor) -> gauntlet_core::Result<Tensor> {
        self.inner.logits(&self.noisy(x)?)
    }
    // The noise moves the point and not the derivative by it.
    fn linearise(&self, x: &Tensor) -> gauntlet_core::Result<Box<dyn Linear>> {
        self.inner.linearise(&self.noisy(x)?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(given) = std::env::args().nth(1) else {
        return Err("one argument, a JSON object, is needed; see the head of this example".into());
    };
    let request: Request = serde_json::from_str(&given)?;
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry)?;
    gauntlet_models::register(&mut registry)?;
    let manifest = Catalogue::default().get(&request.data)?;
    let (network, _) = registry.model(&request.model, manifest.shape, manifest.labels().len())?;
    let subject = Subject::open(network, Origin::file(&request.weights), Precision::F32)?;
    let target = Noisy {
        inner: subject.target(&Compute::default())?,
        sd: request.sd,
        seed: request.noise_seed,
        asked: AtomicU64::new(0),
    };
    let data = load(&manifest, &LoadOptions { data_dir: request.data_dir, ..LoadOptions::default() })?;
    let first: Vec<usize> = (0..request.take.min(data.test.len())).collect();
    let examples = examples_of(&data.test, &first, Precision::F32)?;
    // What noise alone does: the mean over draws of the accuracy on the clean images.
    let mut correct = 0;
    for _ in 0..request.draws {
        let answers = rows(&target.logits(examples.pixels())?)?;
        correct += answers.iter().zip(examples.labels()).filter(|(z, y)| predicted(z) == Some(**y)).count();
    }
    let attack = Component::resolve(Kind::Attack, &registry, &request.attack)?;
    let entry = AttackEntry {
        label: "attack".into(),
        attack,
        norm: request.norm,
        eps: vec![request.eps.parse()?],
        examples: None,
    };
    let never = AtomicBool::new(false);
    let evaluator = Evaluator {
        draws: request.draws,
        attack_seed: request.seed,
        width: request.width,
        surrogate: Some(&target),
        ..Evaluator::new(&target, &examples, &never)
    };
    let begun = Instant::now();
    let found = evaluate(&evaluator, &[entry], &registry, &mut ())?;
    let seconds = begun.elapsed().as_secs_f64();
    let verdicts = &found.attacked[0].verdicts;
    let n = examples.len() as f64;
    let share = |count: usize| count as f64 / n;
    let over_draws = robust_accuracy_over_draws(verdicts, request.draws).filter(|_| request.draws > 1);
    let report = json!({
        "n": examples.len(),
        "notes": subject.notes,
        "clean": share(found.clean.iter().filter(|v| v.predicted == v.label).count()),
        "clean_over_draws": share(correct) / f64::from(request.draws.max(1)),
        "robust": share(verdicts.iter().filter(|v| v.fate == Fate::Robust).count()),
        "robust_over_draws": over_draws,
        "fates": verdicts.iter().map(|v| v.fate.to_string()).collect::<Vec<_>>(),
        "fooled": verdicts.iter().map(|v| v.fooled).collect::<Vec<_>>(),
        "forwards": found.cost.forwards,
        "backwards": found.cost.backwards,
        "flags": found.flags,
        "seconds": seconds,
    });
    println!("{report}");
    Ok(())
}
