//! Checkpoints that PyTorch wrote (`scripts/parity/checkpoint_files.py`), and what becomes of damaged ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Tensor};
use gauntlet_core::checkpoint::{Loaded, Normalisation, load, load_published, to_bytes};
use gauntlet_core::{Activation, Init, ModelInfo, ParamSpec, Precision, Weights};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/checkpoints").join(name)
}

fn info() -> ModelInfo {
    ModelInfo {
        name: "linear".into(),
        input: (1, 2, 2),
        classes: 3,
        activation: Activation::Relu,
        mean: vec![],
        std: vec![],
        numerics: 1,
    }
}

fn spec(name: &str, shape: &[usize]) -> ParamSpec {
    ParamSpec { name: name.into(), shape: shape.to_vec(), init: Init::Constant(0.0), trainable: true }
}

fn specs() -> Vec<ParamSpec> {
    vec![spec("1.weight", &[3, 4]), spec("1.bias", &[3])]
}

fn read(path: &Path) -> gauntlet_core::Result<(Weights, Vec<String>)> {
    load(path, &specs(), &info(), Precision::F32)
}

fn values(weights: &Weights, name: &str) -> Vec<f32> {
    weights.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Whether these are the numbers that the script wrote.
fn check(file: &str, weights: &Weights) {
    let w: Vec<f32> = (0..12).map(|i| (i as f32 - 6.0) / 8.0).collect();
    assert_eq!(values(weights, "1.weight"), w, "{file}");
    assert_eq!(values(weights, "1.bias"), [0.0, 0.25, 0.5], "{file}");
}

#[test]
fn what_pytorch_saves_loads_and_what_was_adapted_is_noted() {
    let notes: [(&str, &[&str]); 12] = [
        ("ema.pth", &["under the key \"ema\""]),
        ("plain.pt", &[]),
        ("training.pth", &["under the key \"state_dict\"", "begins with \"module.\""]),
        ("f64.pt", &["under the key \"model_state_dict\""]),
        ("f16.pt", &["stored as f16"]),
        ("bf16.pt", &["under the key \"net\"", "stored as bf16"]),
        ("strided.pt", &[]),
        ("legacy.pt", &[]),
        ("legacy_training.pth", &["under the key \"state_dict\"", "begins with \"module.\""]),
        ("legacy_protocol4.pt", &[]),
        ("protocol4.pt", &[]),
        ("order.pt", &["by order and shape: stem.weight → 1.weight, head.weight → 1.bias"]),
    ];
    for (file, wanted) in notes {
        let (weights, notes) = read(&golden(file)).unwrap();
        check(file, &weights);
        assert_eq!(notes.len(), wanted.len(), "{file}: {notes:?}");
        for (note, wanted) in notes.iter().zip(wanted) {
            assert!(note.contains(wanted), "{file}: {note}");
        }
    }
}

#[test]
fn what_a_robust_network_is_published_with_is_understood() {
    let published = |info: &ModelInfo| load_published(&golden("published.pth"), None, &specs(), info, Precision::F32);
    let Loaded { weights, notes, normalisation } = published(&info()).unwrap();
    check("published.pth", &weights);
    assert_eq!(normalisation, Some(Normalisation { mean: vec![0.25], std: vec![0.3] }));
    let wanted =
        ["under the key \"model\"", "under ema were not read", "begins with \"module.\"", "1 tensors of sub_block1."];
    assert_eq!(notes.len(), wanted.len(), "{notes:?}");
    assert!(notes.iter().zip(wanted).all(|(note, wanted)| note.contains(wanted)), "{notes:?}");
    let same = ModelInfo { mean: vec![0.25], std: vec![0.3], ..info() };
    assert_eq!(published(&same).unwrap().normalisation, None);
    check("published.pth", &load(&golden("published.pth"), &specs(), &same, Precision::F32).unwrap().0);
    let other = ModelInfo { mean: vec![0.25], std: vec![0.5], ..info() };
    let said = published(&other).unwrap_err().to_string();
    assert!(
        said.contains("it says mean = [0.25], std = [0.3], the model is built with mean = [0.25], std = [0.5]"),
        "{said}"
    );
    // A model that is built by hand is told what to build.
    let said = read(&golden("published.pth")).unwrap_err().to_string();
    assert!(said.contains("build the model with mean = [0.25], std = [0.3]"), "{said}");
}

#[test]
fn a_file_is_known_by_its_content_and_not_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::copy(golden("plain.pt"), &path).unwrap();
    check("renamed", &read(&path).unwrap().0);
}

#[test]
fn batch_norm_loads_without_its_counter() {
    let mut with_norm = specs();
    with_norm.extend(["weight", "bias", "running_mean", "running_var"].map(|n| spec(&format!("2.{n}"), &[3])));
    let (weights, notes) = load(&golden("batch_norm.pt"), &with_norm, &info(), Precision::F64).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(weights.get("2.running_var").unwrap().to_vec1::<f64>().unwrap(), [1.0; 3]);
}

#[test]
fn what_cannot_be_read_says_why_and_how_to_save_it() {
    let cases: [(&str, &[&str]); 7] = [
        ("nan.pt", &["1.bias contains NaN", "nothing can be measured"]),
        ("integers.pt", &["weight 1.weight is of type i64", "must be f16, bf16, f32 or f64"]),
        ("booleans.pt", &["tensor 1.weight is a BoolStorage", "torch.save(model.state_dict()"]),
        ("several.pt", &["several dictionaries of tensors (generator, critic)", "save the one you mean"]),
        ("empty.pt", &["holds no tensors by name (its keys: epoch, lr)", "torch.save(model.state_dict()"]),
        ("sparse.pt", &["1.weight is made by torch._utils._rebuild_sparse_tensor", "not known here"]),
        ("module.pt", &["a whole object of class torch.nn.modules.container.Sequential", "code is not run"]),
    ];
    for (file, needles) in cases {
        let error = read(&golden(file)).unwrap_err().to_string();
        for needle in needles.iter().chain(&[file]) {
            assert!(error.contains(needle), "{file}: {error:?} lacks {needle:?}");
        }
    }
}

#[test]
fn a_damaged_file_is_an_error_wherever_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pt");
    let whole = std::fs::read(golden("plain.pt")).unwrap();
    for length in [5, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("not a whole PyTorch file") && error.contains("copy or save it again"), "{error}");
    }
    // Any flipped byte is either noticed or outside of what is read: never other weights, never a panic.
    for at in 4..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok((weights, _)) = read(&path) {
            check(&format!("byte {at}"), &weights);
        }
    }
}

#[test]
fn safetensors_of_half_precision_load_and_odd_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let (weights, _) = read(&golden("plain.pt")).unwrap();
    for (kind, dtype) in [("F16", DType::F16), ("BF16", DType::BF16)] {
        write(&path, kind, &weights, dtype);
        let (back, notes) = read(&path).unwrap();
        check(kind, &back);
        assert!(notes[0].contains("were widened"), "{notes:?}");
    }
    write(&path, "BOOL", &weights, DType::U8);
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("is of type BOOL") && error.contains("save it as float32"), "{error}");
    let whole = to_bytes(weights.iter().map(|(n, t, _)| (n, t)), HashMap::new()).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("not a whole safetensors file") && error.contains(".pt and .pth load too"), "{error}");
}

/// A safetensors file with every tensor in `dtype`, announced as `kind`.
fn write(path: &Path, kind: &str, weights: &Weights, dtype: DType) {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, t, _) in weights.iter() {
        let from = data.len();
        data.extend(raw(&t.to_dtype(dtype).unwrap()));
        let range = [from, data.len()];
        header.push(format!("{name:?}:{{\"dtype\":{kind:?},\"shape\":{:?},\"data_offsets\":{range:?}}}", t.dims()));
    }
    let header = format!("{{{}}}", header.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

fn raw(t: &Tensor) -> Vec<u8> {
    let mut out = Vec::new();
    t.write_bytes(&mut out).unwrap();
    out
}
