//! Checkpoints that somebody made to do harm: endless and special files, sizes that lie, bytes at random.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet_core::checkpoint::{load, read_metadata, to_bytes};
use gauntlet_core::{Activation, Init, ModelInfo, ParamSpec, Precision, Weights};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

fn read(path: &Path) -> gauntlet_core::Result<(Weights, Vec<String>)> {
    let info = ModelInfo {
        name: "linear".into(),
        input: (1, 2, 2),
        classes: 3,
        activation: Activation::Relu,
        mean: vec![],
        std: vec![],
        numerics: 1,
    };
    let spec = |name: &str, shape: &[usize]| ParamSpec {
        name: name.into(),
        shape: shape.to_vec(),
        init: Init::Constant(0.0),
        trainable: true,
    };
    load(path, &[spec("1.weight", &[3, 4]), spec("1.bias", &[3])], &info, Precision::F32)
}

/// A refusal with these words, within a second.
fn fails(path: &Path, words: &[&str]) {
    let start = Instant::now();
    let error = read(path).unwrap_err().to_string();
    assert!(start.elapsed().as_secs_f64() < 1.0, "{error}: {:?}", start.elapsed());
    for word in words {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
}

fn safetensors() -> Vec<u8> {
    let tensor = |n: usize, dims: &[usize]| {
        let values: Vec<f32> = (0..n).map(|i| i as f32 / 8.0).collect();
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    };
    let tensors = [("1.weight", tensor(12, &[3, 4])), ("1.bias", tensor(3, &[3]))];
    to_bytes(tensors.iter().map(|(n, t)| (*n, t)), HashMap::from([("model".into(), "linear".into())])).unwrap()
}

fn zip() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/checkpoints/plain.pt")).unwrap()
}

/// The most memory that this process ever had, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn special_and_endless_files_are_refused_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fails(&pipe, &["checkpoint", "pipe: it is a pipe, and a regular file is needed"]);
    fails(Path::new("/dev/zero"), &["checkpoint /dev/zero: it is a device, and a regular file is needed"]);
    fails(folder.path(), &["it is a directory, and a file is needed"]);
    let sparse = folder.path().join("sparse");
    File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    fails(&sparse, &["is not a whole safetensors file", "copy or train it again"]);
    for magic in [&b"PK\x03\x04"[..], b"\x80\x02"] {
        let mut file = File::create(&sparse).unwrap();
        file.write_all(magic).unwrap();
        file.set_len(1 << 40).unwrap();
        let limit = 15 * 64 + (16 << 20);
        let words =
            format!("it has 1099511627776 bytes, and a checkpoint of a model with 15 parameters has at most {limit}");
        fails(&sparse, &[&words]);
        assert!(read_metadata(&sparse).unwrap().is_empty());
    }
    assert!(peak() < 1 << 30, "{}", peak());
}

/// A valid file of 4 GB, of which the model needs 60 bytes.
#[cfg(target_os = "linux")]
#[test]
fn a_tensor_that_no_model_asks_for_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let write = |list: &str, length: u64| {
        let mut file = File::create(&path).unwrap();
        file.write_all(&(list.len() as u64).to_le_bytes()).unwrap();
        file.write_all(list.as_bytes()).unwrap();
        file.set_len(8 + list.len() as u64 + length).unwrap();
    };
    let own = r#""1.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},"1.bias":{"dtype":"F32","shape":[3],"data_offsets":[48,60]}"#;
    write(
        &format!(r#"{{{own},"huge":{{"dtype":"F32","shape":[1000000000],"data_offsets":[60,4000000060]}}}}"#),
        4_000_000_060,
    );
    fails(&path, &["it has tensors that linear has not: huge"]);
    write(
        &format!(
            r#"{{{own},"a.num_batches_tracked":{{"dtype":"I64","shape":[500000000],"data_offsets":[60,4000000060]}}}}"#
        ),
        4_000_000_060,
    );
    assert_eq!(read(&path).unwrap().0.iter().count(), 2);
    // A weight of another shape is told before it is read.
    write(
        r#"{"1.bias":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"1.weight":{"dtype":"F32","shape":[1000000000],"data_offsets":[12,4000000012]}}"#,
        4_000_000_012,
    );
    fails(&path, &["1.weight is [1000000000], the model's is [3, 4]"]);
    assert!(peak() < 1 << 30, "{}", peak());
}

#[test]
fn lists_that_lie_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lies.safetensors");
    let bias = r#""1.bias":{"dtype":"F32","shape":[3],"data_offsets":[48,60]}"#;
    let cases = [
        (
            r#""1.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,44]}"#,
            "invalid shape, data type, or offset for tensor",
        ),
        (r#""1.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[48,0]}"#, "not a whole safetensors file"),
        (
            r#""1.weight":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,48]}"#,
            "its list of tensors: ",
        ),
        (r#""1.weight":{"dtype":"F99","shape":[3,4],"data_offsets":[0,48]}"#, "its list of tensors: unknown variant"),
        (r#""1.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48],"#, "its list of tensors: "),
    ];
    for (weight, words) in cases {
        let list = format!("{{{weight},{bias}}}");
        std::fs::write(&path, [&(list.len() as u64).to_le_bytes(), list.as_bytes(), &[0; 60]].concat()).unwrap();
        fails(&path, &["is not a whole safetensors file", words]);
    }
    let list = format!("{{{},{bias}}}", r#""1.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]}"#);
    std::fs::write(&path, [&(list.len() as u64).to_le_bytes(), list.as_bytes(), &[0; 61]].concat()).unwrap();
    fails(&path, &["its list of tensors ends at byte"]);
    std::fs::write(&path, [0xff; 64]).unwrap();
    fails(&path, &["its list of tensors is longer than the file"]);
    std::fs::write(&path, [1, 2, 3]).unwrap();
    fails(&path, &["it is shorter than 8 bytes"]);
}

/// One thing that happens to a file.
#[derive(Debug, Clone)]
enum Harm {
    Set(usize, u8),
    Number(usize, u32),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = 0usize..4096;
    let byte = prop_oneof![any::<u8>(), prop::sample::select(vec![0x80, b'(', b'.', b'R', b']', b'e', b'h', 0xff])];
    let number = prop_oneof![any::<u32>(), prop::sample::select(vec![0, 1, u32::MAX, 1 << 31, 0x7fff_ffff])];
    prop_oneof![
        (at.clone(), byte).prop_map(|(at, b)| Harm::Set(at, b)),
        (at.clone(), number).prop_map(|(at, n)| Harm::Number(at, n)),
        at.clone().prop_map(Harm::Cut),
        (at.clone(), prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(at, b)| Harm::Insert(at, b)),
        (at, 1usize..64).prop_map(|(at, n)| Harm::Repeat(at, n)),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        let length = bytes.len().max(1);
        match harm {
            Harm::Set(at, b) => bytes.iter_mut().skip(at % length).take(1).for_each(|old| *old = *b),
            Harm::Number(at, n) => {
                bytes.iter_mut().skip(at % length).zip(n.to_le_bytes()).for_each(|(old, b)| *old = b)
            }
            Harm::Cut(at) => bytes.truncate(at % length),
            Harm::Insert(at, new) => {
                let at = (at % length).min(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Harm::Repeat(at, n) => {
                let at = (at % length).min(bytes.len());
                let part: Vec<u8> = bytes[at..].iter().copied().take(*n).collect();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1000), failure_persistence: None, ..ProptestConfig::default() })]

    /// Weights of the right shapes or an error that names the file; never a panic, never a second.
    #[test]
    fn no_harm_to_a_file_harms_its_reader(which in 0usize..2, harms in prop::collection::vec(harm(), 1..5)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("harmed");
        let whole = if which == 0 { safetensors() } else { zip() };
        std::fs::write(&path, harmed(whole, &harms)).unwrap();
        let start = Instant::now();
        match read(&path) {
            Ok((weights, _)) => {
                let shapes: Vec<Vec<usize>> = weights.iter().map(|(_, t, _)| t.dims().to_vec()).collect();
                prop_assert_eq!(shapes, [vec![3, 4], vec![3]]);
            }
            Err(error) => prop_assert!(error.to_string().starts_with("checkpoint ") && error.to_string().len() < 5000),
        }
        prop_assert!(start.elapsed().as_secs_f64() < 1.0);
    }
}
