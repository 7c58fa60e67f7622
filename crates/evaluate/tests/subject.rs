//! What is attacked is opened in one way, and a part of an evaluation is the same part of the whole.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod built_in;

use built_in::registry;
use candle_core::{Device, Tensor};
use gauntlet_core::{Compute, Key, Network, Precision, Purpose, Target, Weights, checkpoint};
use gauntlet_evaluate::{AttackEntry, Evaluator, Examples, Origin, Subject, evaluate};
use gauntlet_records::Norm;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn network(name: &str) -> Arc<dyn Network> {
    let given = json!({ "name": name }).as_object().unwrap().clone();
    registry().model(&given, (1, 8, 8), 5).unwrap().0
}

fn weights(of: &Arc<dyn Network>, seed: u64) -> Weights {
    Weights::init(&of.specs(), Key::new(seed, Purpose::Init), Precision::F32, &Device::Cpu).unwrap()
}

#[test]
fn weights_from_memory_a_file_or_the_network_itself_are_the_same_weights() {
    let linear = network("linear");
    let given = weights(&linear, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    checkpoint::save(&path, &given, linear.info()).unwrap();
    let open = |origin: Origin<'_>| Subject::open(linear.clone(), origin, Precision::F32).unwrap();
    let (initial, file, memory) = (open(Origin::Initial), open(Origin::file(&path)), open(Origin::Given(given)));
    assert_eq!(initial.notes, ["the weights are untrained"]);
    assert!(file.notes.is_empty() && memory.notes.is_empty(), "{:?}, {:?}", file.notes, memory.notes);
    assert_eq!((&file.sha256, &memory.sha256), (&initial.sha256, &initial.sha256));
    let other = open(Origin::Given(weights(&linear, 1)));
    assert_ne!(other.sha256, initial.sha256);
    let x = Tensor::full(0.3f32, (2, 1, 8, 8), &Device::Cpu).unwrap();
    let logits = |s: &Subject| s.target(&Compute::default()).unwrap().logits(&x).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(logits(&file), logits(&memory));
    assert_ne!(logits(&file), logits(&other));
}

/// A file that brings its normalisation along, as tensors or as gauntlet's metadata, is the network built with it.
#[test]
fn a_normalisation_in_the_file_is_the_models() {
    let given = |mean: f64, std: f64| {
        let given = json!({ "name": "linear", "mean": [mean], "std": [std] }).as_object().unwrap().clone();
        registry().model(&given, (1, 8, 8), 5).unwrap().0
    };
    let (plain, built) = (network("linear"), given(0.25, 0.5));
    let own = weights(&plain, 3);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mean: &[f32], std: &[f32]| {
        let path = folder.path().join(name);
        let three = |v: &[f32]| Tensor::new(v, &Device::Cpu).unwrap().reshape((1, v.len(), 1, 1)).unwrap();
        let (mean, std) = (three(mean), three(std));
        let tensors = own.iter().map(|(name, t, _)| (name, t)).chain([("mu", &mean), ("sigma", &std)]);
        std::fs::write(&path, checkpoint::to_bytes(tensors, Default::default()).unwrap()).unwrap();
        path
    };
    let x = Tensor::full(0.3f32, (2, 1, 8, 8), &Device::Cpu).unwrap();
    let logits = |s: &Subject| s.target(&Compute::default()).unwrap().logits(&x).unwrap().to_vec2::<f32>().unwrap();
    let open =
        |path: &std::path::Path| Subject::open_published(plain.clone(), Origin::file(path), Precision::F32).unwrap();
    let wanted = Subject::open(built.clone(), Origin::Given(own.clone()), Precision::F32).unwrap();

    let path = file("published.safetensors", &[0.25], &[0.5]);
    let found = open(&path);
    assert_eq!((found.network.info(), logits(&found)), (built.info(), logits(&wanted)));
    assert_eq!(found.notes, ["the model normalises its images as the file says: mean = [0.25], std = [0.5]"]);
    // Other numbers before the same weights are another network.
    let other = open(&file("other.safetensors", &[0.5], &[0.5]));
    assert!(found.sha256 != other.sha256 && found.sha256 != wanted.sha256);
    // Written by gauntlet and opened again it is the same.
    let again = folder.path().join("again.safetensors");
    checkpoint::save(&again, &found.weights, found.network.info()).unwrap();
    let again = open(&again);
    assert_eq!((again.sha256.as_str(), logits(&again)), (found.sha256.as_str(), logits(&found)));
    // A network that is built with these numbers, or with others.
    let same = Subject::open_published(built, Origin::file(&path), Precision::F32).unwrap();
    assert_eq!((same.sha256.as_str(), logits(&same)), (wanted.sha256.as_str(), logits(&wanted)));
    let said = |network: Arc<dyn Network>, path: &std::path::Path| {
        Subject::open_published(network, Origin::file(path), Precision::F32).err().unwrap().to_string()
    };
    let why = said(given(0.5, 0.5), &path);
    assert!(why.contains("it says mean = [0.25], std = [0.5], the model is built with mean = [0.5]"), "{why}");
    let why = said(plain.clone(), &file("two.safetensors", &[0.1, 0.2], &[0.5, 0.5]));
    assert!(why.contains("not one number for each of 1 channels"), "{why}");
    let why = said(plain.clone(), &file("zero.safetensors", &[0.1], &[0.0]));
    assert!(why.contains("the deviation of its images is 0, which is not positive"), "{why}");
    // Whoever builds by hand is told what to build.
    let why = Subject::open(plain, Origin::file(&path), Precision::F32).err().unwrap().to_string();
    assert!(why.contains("build the model with mean = [0.25], std = [0.5]"), "{why}");
}

#[test]
fn a_file_of_another_network_is_refused_by_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let linear = network("linear");
    checkpoint::save(&path, &weights(&linear, 0), linear.info()).unwrap();
    let said = |path: &std::path::Path| {
        Subject::open(network("mlp"), Origin::file(path), Precision::F32).err().unwrap().to_string()
    };
    assert!(said(&path).contains("model.safetensors"), "{}", said(&path));
    let absent = folder.path().join("absent.safetensors");
    assert!(said(&absent).contains("absent.safetensors"), "{}", said(&absent));
}

#[test]
fn what_knows_its_clean_pass_is_the_same_without_probes_and_flags() {
    let registry = registry();
    let target =
        Subject::open(network("mlp"), Origin::Initial, Precision::F32).unwrap().target(&Compute::default()).unwrap();
    let mut stream = Key::new(2, Purpose::Sample).stream(0, 0, 0);
    let pixels: Vec<f32> = (0..30 * 64).map(|_| stream.uniform() as f32).collect();
    let x = Tensor::from_vec(pixels, (30, 1, 8, 8), &Device::Cpu).unwrap();
    let examples = Examples::new(x, vec![0; 30], (0..30).collect()).unwrap();
    let attacks: Vec<AttackEntry> =
        ["fgsm", "noise"].iter().map(|n| AttackEntry::new(&registry, *n, Norm::Linf, &["0.1"]).unwrap()).collect();
    let evaluator = Evaluator::new(&target, &examples, &GO_ON);
    let whole = evaluate(&evaluator, &attacks, &registry, &mut ()).unwrap();
    let clean = evaluator.clean(&mut Default::default()).unwrap();
    let part = Evaluator { clean: Some(&clean), ..evaluator };
    let mut forwards = 30;
    for (entry, cell) in attacks.iter().zip(&whole.attacked) {
        let found = evaluate(&part, std::slice::from_ref(entry), &registry, &mut ()).unwrap();
        assert_eq!((&found.attacked[0], found.flags.len()), (cell, 0));
        assert_eq!(found.clean, whole.clean);
        forwards += found.cost.forwards;
    }
    assert_eq!(forwards, whole.cost.forwards);
    let none = AttackEntry::new(&registry, "pgd", Norm::Linf, &[]).unwrap_err().to_string();
    assert!(none.contains("at least one budget is needed"), "{none}");
    let unknown = AttackEntry::new(&registry, "pdg", Norm::Linf, &["0.1"]).unwrap_err().to_string();
    assert!(unknown.contains("did you mean \"pgd\""), "{unknown}");
}
