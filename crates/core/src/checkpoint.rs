//! Checkpoints: safetensors with PyTorch's names and the model's description as metadata.

use crate::{Activation, Error, ModelInfo, ParamSpec, Result, Weights};
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes bytes to a temporary name beside `path`, syncs and renames: readers see the old file or the new one, whole.
///
/// # Errors
/// [`Error::Io`] with the path; whatever was at `path` before is untouched.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |action: &'static str| move |source| Error::Io { action, path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            action: "create",
            path: folder.display().to_string(),
            source,
        })?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Unique among threads, processes and hosts that share the folder.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    name.push(format!(".{}-{}-{nanos}.partial", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let partial = path.with_file_name(name);
    let written = std::fs::File::create(&partial).and_then(|mut f| {
        f.write_all(bytes)?;
        f.sync_all()
    });
    if let Err(source) = written.and_then(|()| std::fs::rename(&partial, path)) {
        // The disk may be full: leave no half file behind.
        let _ = std::fs::remove_file(&partial);
        return Err(io("write")(source));
    }
    Ok(())
}

/// Tensors and metadata as the bytes of a safetensors file (f32, f64 and u32 tensors keep their dtype).
pub fn to_bytes<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, t) in tensors {
        let flat = t.flatten_all()?;
        let (dtype, bytes) = match t.dtype() {
            DType::F64 => (Dtype::F64, flat.to_vec1::<f64>()?.iter().flat_map(|v| v.to_le_bytes()).collect()),
            DType::U32 => (Dtype::U32, flat.to_vec1::<u32>()?.iter().flat_map(|v| v.to_le_bytes()).collect()),
            _ => {
                let flat = flat.to_dtype(DType::F32)?;
                (Dtype::F32, flat.to_vec1::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        };
        raw.push((name.to_string(), dtype, t.dims().to_vec(), bytes));
    }
    let views = raw
        .iter()
        .map(|(name, dtype, dims, bytes)| {
            let view = TensorView::new(*dtype, dims.clone(), bytes).map_err(|e| Error::Message(e.to_string()))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, Some(metadata)).map_err(|e| Error::Message(format!("safetensors: {e}")))
}

/// Tensors by name.
pub type Tensors = HashMap<String, Tensor>;

/// Tensors (f32, f64, u32; others are skipped) and metadata of a safetensors file's bytes.
pub fn from_bytes(path: &str, bytes: &[u8]) -> Result<(Tensors, HashMap<String, String>)> {
    let wrong = |e: safetensors::SafeTensorError| Error::Checkpoint {
        path: path.into(),
        why: format!("is not a whole safetensors file ({e}); copy or train it again"),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let mut tensors = HashMap::new();
    for (name, view) in file.iter() {
        let (dims, data) = (view.shape(), view.data());
        let tensor = match view.dtype() {
            Dtype::F32 => Tensor::from_vec(words(data, f32::from_le_bytes), dims, &Device::Cpu)?,
            Dtype::F64 => Tensor::from_vec(words(data, f64::from_le_bytes), dims, &Device::Cpu)?,
            Dtype::U32 => Tensor::from_vec(words(data, u32::from_le_bytes), dims, &Device::Cpu)?,
            _ => continue,
        };
        tensors.insert(name.to_string(), tensor);
    }
    Ok((tensors, metadata))
}

fn words<T, const N: usize>(data: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (whole, _) = data.as_chunks::<N>();
    whole.iter().map(|c| f(*c)).collect()
}

fn describe(info: &ModelInfo) -> HashMap<String, String> {
    let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    HashMap::from([
        ("format".to_string(), "pt".to_string()),
        ("model".to_string(), info.name.clone()),
        ("activation".to_string(), activation_name(info.activation).to_string()),
        ("mean".to_string(), list(&info.mean)),
        ("std".to_string(), list(&info.std)),
        ("classes".to_string(), info.classes.to_string()),
    ])
}

fn activation_name(a: Activation) -> &'static str {
    match a {
        Activation::Relu => "relu",
        Activation::Softplus => "softplus",
        Activation::Gelu => "gelu",
    }
}

/// Writes a checkpoint: PyTorch's names, description of the model in the metadata.
pub fn save(path: &Path, weights: &Weights, info: &ModelInfo) -> Result<()> {
    let bytes = to_bytes(weights.iter().map(|(n, t, _)| (n, t)), describe(info))?;
    write_atomically(path, &bytes)
}

/// The metadata of a checkpoint: `model`, `activation`, `mean`, `std`, `classes` where gauntlet wrote it.
pub fn read_metadata(path: &Path) -> Result<HashMap<String, String>> {
    Ok(from_bytes(&path.display().to_string(), &read(path)?)?.1)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.display().to_string(), source })
}

/// Reads a checkpoint for a model. Returns the weights and notes about what was adapted.
///
/// Names must match; a file of a foreign naming whose shapes match in order also loads, with a note.
/// `num_batches_tracked` entries are ignored.
///
/// # Errors
/// [`Error::Checkpoint`]: not a whole safetensors file; another architecture (which names and shapes differ, and what
/// the file says it is); a conflict of activation or normalisation; a weight that is not finite.
pub fn load(path: &Path, specs: &[ParamSpec], info: &ModelInfo, dtype: DType) -> Result<(Weights, Vec<String>)> {
    let shown = path.display().to_string();
    let bytes = read(path)?;
    let (mut tensors, metadata) = from_bytes(&shown, &bytes)?;
    tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
    let fail = |why: String| Error::Checkpoint { path: shown.clone(), why };
    let mut notes = Vec::new();
    for (key, value) in describe(info) {
        if let Some(said) = metadata.get(&key).filter(|said| **said != value && key != "format" && key != "model") {
            return Err(fail(format!(
                "it says {key} = {said:?}, the model is built with {key} = {value:?}; pass the file's value"
            )));
        }
    }
    let missing: Vec<&str> = specs.iter().map(|s| s.name.as_str()).filter(|n| !tensors.contains_key(*n)).collect();
    let entries: Vec<(String, Tensor, bool)> = if missing.is_empty() {
        let extra: Vec<&String> = tensors.keys().filter(|n| !specs.iter().any(|s| s.name == **n)).collect();
        if !extra.is_empty() {
            return Err(fail(format!(
                "it has tensors that {} has not: {}{}",
                info.name,
                some(&extra),
                said(&metadata)
            )));
        }
        specs.iter().filter_map(|s| tensors.remove(&s.name).map(|t| (s.name.clone(), t, s.trainable))).collect()
    } else {
        let foreign = in_module_order(tensors.keys().cloned().collect());
        let same = foreign.len() == specs.len()
            && foreign.iter().zip(specs).all(|(n, s)| tensors[n].dims() == s.shape.as_slice());
        if !same {
            return Err(fail(format!(
                "it does not fit {}: no tensor named {}{}",
                info.name,
                some(&missing),
                said(&metadata)
            )));
        }
        notes.push(format!("names differ from {}'s; tensors were mapped by order and shape", info.name));
        specs
            .iter()
            .zip(&foreign)
            .filter_map(|(s, n)| tensors.get(n).map(|t| (s.name.clone(), t.clone(), s.trainable)))
            .collect()
    };
    for ((name, t, _), spec) in entries.iter().zip(specs) {
        if t.dims() != spec.shape.as_slice() {
            return Err(fail(format!(
                "it does not fit {}: {name} is {:?}, the model's is {:?}{}",
                info.name,
                t.dims(),
                spec.shape,
                said(&metadata)
            )));
        }
        let values: Vec<f64> = t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(fail(format!(
                "weight {name} contains {bad}; a network with it answers NaN, so nothing can be measured"
            )));
        }
    }
    Ok((Weights::from_entries(entries).to_dtype(dtype)?, notes))
}

fn some<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(4).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(4);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

fn said(metadata: &HashMap<String, String>) -> String {
    metadata.get("model").map(|m| format!("; the file says it is a {m}")).unwrap_or_default()
}

/// Names in module order: safetensors sorts its tensors by name, so the order of a foreign network is recovered from
/// its names, numbers compared as numbers, a module's weight before its bias and its running statistics.
fn in_module_order(mut names: Vec<String>) -> Vec<String> {
    let rank =
        |leaf: &str| ["weight", "bias", "running_mean", "running_var"].iter().position(|l| *l == leaf).unwrap_or(4);
    let number = |part: &str| {
        let digits = part.trim_start_matches(|c: char| !c.is_ascii_digit());
        (part[..part.len() - digits.len()].to_string(), digits.parse::<u64>().unwrap_or(0), part.to_string())
    };
    names.sort_by_cached_key(|name| {
        let (module, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        (module.split('.').map(number).collect::<Vec<_>>(), rank(leaf), leaf.to_string())
    });
    names
}

/// sha256 over names, shapes and little-endian f32 values, in order, as `sha256:<hex>`.
pub fn sha256(weights: &Weights) -> Result<String> {
    let mut hash = Sha256::new();
    for (name, t, _) in weights.iter() {
        hash.update(name.as_bytes());
        hash.update([0]);
        for d in t.dims() {
            hash.update((*d as u64).to_le_bytes());
        }
        for v in t.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()? {
            hash.update(v.to_le_bytes());
        }
    }
    Ok(format!("sha256:{}", hex(&hash.finalize())))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Init, Key, Purpose};

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
    fn specs(prefix: &str, classes: usize) -> Vec<ParamSpec> {
        let spec = |name: &str, shape: &[usize]| ParamSpec {
            name: format!("{prefix}{name}"),
            shape: shape.to_vec(),
            init: Init::TorchDefault { fan_in: 4 },
            trainable: true,
        };
        vec![spec("weight", &[classes, 4]), spec("bias", &[classes])]
    }
    fn weights(prefix: &str, classes: usize) -> Weights {
        Weights::init(&specs(prefix, classes), Key::new(0, Purpose::Init), DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_checkpoint_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.safetensors");
        save(&path, &weights("1.", 3), &info()).unwrap();
        let (back, notes) = load(&path, &specs("1.", 3), &info(), DType::F32).unwrap();
        assert_eq!(sha256(&back).unwrap(), sha256(&weights("1.", 3)).unwrap());
        assert!(notes.is_empty());
        assert_eq!(read_metadata(&path).unwrap()["model"], "linear");
        let (_, notes) = load(&path, &specs("fc.", 3), &info(), DType::F32).unwrap();
        assert!(notes[0].contains("order and shape"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.safetensors");
        save(&path, &weights("1.", 3), &info()).unwrap();
        let error = load(&path, &specs("1.", 5), &info(), DType::F32).unwrap_err().to_string();
        assert!(
            error.contains("1.weight is [3, 4], the model's is [5, 4]") && error.contains("says it is a linear"),
            "{error}"
        );
        let mut three = specs("x.", 3);
        three.push(three[0].clone());
        let error = load(&path, &three, &info(), DType::F32).unwrap_err().to_string();
        assert!(error.contains("no tensor named x.weight"), "{error}");
        let gelu = ModelInfo { activation: Activation::Gelu, ..info() };
        let error = load(&path, &specs("1.", 3), &gelu, DType::F32).unwrap_err().to_string();
        assert!(error.contains("activation = \"relu\""), "{error}");
        let mut nan = weights("1.", 3);
        nan.set("1.bias", Tensor::new(&[0.0f32, f32::NAN, 0.0], &Device::Cpu).unwrap()).unwrap();
        save(&path, &nan, &info()).unwrap();
        let error = load(&path, &specs("1.", 3), &info(), DType::F32).unwrap_err().to_string();
        assert!(error.contains("1.bias contains NaN"), "{error}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        let error = load(&path, &specs("1.", 3), &info(), DType::F32).unwrap_err().to_string();
        assert!(error.contains("not a whole safetensors file"), "{error}");
    }

    #[test]
    fn a_write_that_fails_names_the_path_and_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "old").unwrap();
        let error = write_atomically(&plain.join("below"), b"new").unwrap_err().to_string();
        assert!(error.contains("plain"), "{error}");
        assert_eq!(std::fs::read_to_string(&plain).unwrap(), "old");
    }
}
