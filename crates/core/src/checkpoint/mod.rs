//! Checkpoints: safetensors with PyTorch's names and the model's description as metadata; PyTorch's own files are read.

mod contents;
mod mapping;
mod names;
mod normalisation;
mod pickle;
mod pickle_machine;
mod safetensors_file;
mod state_dict;
mod torch_legacy;
mod torch_zip;

pub use names::names;
pub use normalisation::Normalisation;
pub use safetensors_file::{Tensors, from_bytes, to_bytes};

use crate::{Error, ModelInfo, ParamSpec, Precision, Result, Weights};
use candle_core::DType;
use contents::Contents;
use gauntlet_records::file::{hex, write_atomically};
use gauntlet_records::regular_file;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;

/// Bytes of a file of PyTorch's for every parameter of the model: double precision, Adam's two moments, an average of the weights, and
/// that twice.
const BYTES_PER_PARAMETER: u64 = 64;
/// Bytes that such a file may have beside that: names, hyper-parameters, logs.
const BYTES_BESIDE: u64 = 16 << 20;

/// A reader of a whole file's bytes.
type Whole = fn(&[u8]) -> Result<Contents<'static>, String>;

/// Reads a file by what it is, not by what it is called; `parameters`: how many numbers the model has, none if only metadata count.
///
/// The first bytes decide. Of a safetensors file no more is read than its list and then what is asked for; a file of PyTorch's is read
/// as a whole and so may have no more bytes than the model allows, and it has no metadata.
fn contents(path: &Path, parameters: Option<u64>) -> Result<Contents<'static>> {
    let shown = path.display().to_string();
    let fail = |source: std::io::Error| match source.kind() {
        ErrorKind::IsADirectory | ErrorKind::InvalidInput => refused(&shown, &source.to_string()),
        _ => Error::Io { action: "read", path: shown.clone(), source },
    };
    let (mut file, length) = regular_file::open(path).map_err(fail)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(torch_legacy::HEAD).read_to_end(&mut head).map_err(fail)?;
    let kind: Option<Whole> = match () {
        () if torch_zip::is_zip(&head) => Some(torch_zip::read),
        () if torch_legacy::is_pickle(&head) => Some(torch_legacy::read),
        () if torch_legacy::is_tar(&head) => return Err(refused(&shown, &torch_legacy::tar())),
        () => None,
    };
    let read = match (kind, parameters) {
        (Some(_), None) => Ok(Contents::of(Vec::new(), Vec::new())),
        (Some(read), Some(parameters)) => {
            let most = parameters.saturating_mul(BYTES_PER_PARAMETER).saturating_add(BYTES_BESIDE);
            let what = format!("a checkpoint of a model with {parameters} parameters");
            read(&regular_file::read(path, most, &what).map_err(fail)?)
        }
        (None, _) => file.rewind().map_err(|e| e.to_string()).and_then(|()| safetensors_file::list(file, length)),
    };
    read.map_err(|why| refused(&shown, &why))
}

/// Characters of an error that the words of a file may take up.
const LONGEST: usize = 2000;

/// What is wrong with a file, in words of which some are its own: no endless ones, and none that steer a terminal.
fn refused(path: &str, why: &str) -> Error {
    let mut plain: String =
        why.chars().take(LONGEST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if why.chars().nth(LONGEST).is_some() {
        plain.push('…');
    }
    Error::Checkpoint { path: path.into(), why: plain }
}

fn describe(info: &ModelInfo) -> HashMap<String, String> {
    let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    HashMap::from([
        ("format".to_string(), "pt".to_string()),
        ("model".to_string(), info.name.clone()),
        ("activation".to_string(), info.activation.name().to_string()),
        ("mean".to_string(), list(&info.mean)),
        ("std".to_string(), list(&info.std)),
        ("classes".to_string(), info.classes.to_string()),
    ])
}

/// Writes a checkpoint: PyTorch's names, description of the model in the metadata.
pub fn save(path: &Path, weights: &Weights, info: &ModelInfo) -> Result<()> {
    let bytes = to_bytes(weights.iter().map(|(n, t, _)| (n, t)), describe(info))?;
    Ok(write_atomically(path, &bytes)?)
}

/// The metadata of a checkpoint: `model`, `activation`, `mean`, `std`, `classes` where gauntlet wrote it.
pub fn read_metadata(path: &Path) -> Result<HashMap<String, String>> {
    Ok(contents(path, None)?.metadata)
}

/// Reads a checkpoint for a model: safetensors, or a `.pt`/`.pth` of PyTorch's with a state dict (a zip, or the pickles of
/// versions before 1.6), whatever the file is called. Returns the weights and notes about what was adapted.
///
/// Names must match; a file of a foreign naming whose shapes match in order, or of which no two are alike, also loads, with a note. A state dict may
/// lie under a key (`state_dict`, `model_state_dict`, ...), its names may begin with `module.`, weights may be f16 or
/// bf16. `num_batches_tracked` entries are ignored. No code of a pickle is run.
///
/// # Errors
/// [`Error::Checkpoint`]: no regular file; not a whole one, or larger than the model allows; no state dict; another architecture (which names and shapes differ, and what
/// the file says it is); a conflict of activation or normalisation; a weight that is no float or not finite.
pub fn load(
    path: &Path,
    specs: &[ParamSpec],
    info: &ModelInfo,
    precision: Precision,
) -> Result<(Weights, Vec<String>)> {
    load_named(path, None, specs, info, precision)
}

/// [`load`], with the names of the file's tensors in the order of `specs`, where somebody gives them.
///
/// # Errors
/// See [`load`]; a list of names that does not fit the file or the model; a normalisation in the file that the model has not.
pub fn load_named(
    path: &Path,
    names: Option<&[String]>,
    specs: &[ParamSpec],
    info: &ModelInfo,
    precision: Precision,
) -> Result<(Weights, Vec<String>)> {
    let Loaded { weights, notes, normalisation } = read(path, names, (specs, info), precision, false)?;
    match normalisation {
        None => Ok((weights, notes)),
        Some(own) => {
            let why = format!("it brings a mean and a deviation of its images along; build the model with {own}");
            Err(refused(&path.display().to_string(), &why))
        }
    }
}

/// Weights as they were published.
#[derive(Debug)]
pub struct Loaded {
    /// The parameters of the model.
    pub weights: Weights,
    /// What was adapted.
    pub notes: Vec<String>,
    /// What the file does to images before its first layer, and the model does not.
    pub normalisation: Option<Normalisation>,
}

/// [`load_named`], where a file may bring its normalisation along: `mu` and `sigma` or `mean` and `std`, as tensors of whatever module, or
/// in the metadata of one that gauntlet wrote.
///
/// # Errors
/// See [`load_named`]; a normalisation that is none: not one number for every channel, a deviation that is not positive; another one than
/// the model's.
pub fn load_published(
    path: &Path,
    names: Option<&[String]>,
    specs: &[ParamSpec],
    info: &ModelInfo,
    precision: Precision,
) -> Result<Loaded> {
    read(path, names, (specs, info), precision, true)
}

/// `adopting`: a normalisation that the metadata tell is taken, where the model has none.
fn read(
    path: &Path,
    names: Option<&[String]>,
    (specs, info): (&[ParamSpec], &ModelInfo),
    precision: Precision,
    adopting: bool,
) -> Result<Loaded> {
    let shown = path.display().to_string();
    let parameters = specs.iter().map(|s| s.shape.iter().map(|n| *n as u64).product::<u64>()).sum();
    let mut file = contents(path, Some(parameters))?;
    let fail = |why: String| refused(&shown, &why);
    let plain = info.mean.is_empty() && info.std.is_empty();
    let told = match adopting && plain {
        true => Normalisation::told(&file.metadata, info.input.0).map_err(&fail)?,
        false => None,
    };
    for (key, value) in describe(info) {
        if told.is_some() && ["mean", "std"].contains(&key.as_str()) {
            continue;
        }
        if let Some(said) = file.metadata.get(&key).filter(|said| **said != value && key != "format" && key != "model")
        {
            return Err(fail(format!(
                "it says {key} = {said:?}, the model is built with {key} = {value:?}; pass the file's value"
            )));
        }
    }
    let said = file.metadata.get("model").map(|m| format!("; the file says it is a {m}")).unwrap_or_default();
    let fit = match names {
        Some(names) => mapping::by_names(&file.listed, names, specs, &info.name),
        None => mapping::fit(&file.listed, file.ordered, specs, &info.name),
    };
    let fit = fit.map_err(|why| fail(why + &said))?;
    let mut notes = file.notes;
    notes.extend(fit.notes);
    let normalisation = match fit.normalisation {
        Some((mean, std)) => {
            let (mean, std) = ((file.tensor)(mean).map_err(&fail)?, (file.tensor)(std).map_err(&fail)?);
            Normalisation::of(&mean, &std, info.input.0).and_then(|own| own.beside(info)).map_err(&fail)?
        }
        None => told,
    };
    let mut halves: Vec<&str> = Vec::new();
    let mut entries = Vec::new();
    for (place, ParamSpec { name, trainable, .. }) in fit.places.into_iter().zip(specs) {
        let t = (file.tensor)(place).map_err(&fail)?;
        if !t.dtype().is_float() {
            let kind = t.dtype().as_str();
            return Err(fail(format!("weight {name} is of type {kind}; weights must be f16, bf16, f32 or f64")));
        }
        if matches!(t.dtype(), DType::F16 | DType::BF16) && !halves.contains(&t.dtype().as_str()) {
            halves.push(t.dtype().as_str());
        }
        let values: Vec<f64> = t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(fail(format!(
                "weight {name} contains {bad}; a network with it answers NaN, so nothing can be measured"
            )));
        }
        entries.push((name.clone(), t, *trainable));
    }
    if !halves.is_empty() {
        notes.push(format!("weights are stored as {} and were widened", halves.join(" and ")));
    }
    Ok(Loaded { weights: Weights::from_entries(entries).to_precision(precision)?, notes, normalisation })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;
    use crate::{Init, Key, Purpose};
    use candle_core::{Device, Tensor};

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
        Weights::init(&specs(prefix, classes), Key::new(0, Purpose::Init), Precision::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_checkpoint_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.safetensors");
        save(&path, &weights("1.", 3), &info()).unwrap();
        let (back, notes) = load(&path, &specs("1.", 3), &info(), Precision::F32).unwrap();
        assert_eq!(sha256(&back).unwrap(), sha256(&weights("1.", 3)).unwrap());
        assert!(notes.is_empty());
        assert_eq!(read_metadata(&path).unwrap()["model"], "linear");
        let (_, notes) = load(&path, &specs("fc.", 3), &info(), Precision::F32).unwrap();
        assert!(notes[0].contains("order and shape"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.safetensors");
        save(&path, &weights("1.", 3), &info()).unwrap();
        let error = load(&path, &specs("1.", 5), &info(), Precision::F32).unwrap_err().to_string();
        assert!(
            error.contains("1.weight is [3, 4], the model's is [5, 4]") && error.contains("says it is a linear"),
            "{error}"
        );
        let mut three = specs("x.", 3);
        three.push(three[0].clone());
        let error = load(&path, &three, &info(), Precision::F32).unwrap_err().to_string();
        assert!(error.contains("no tensor named x.weight"), "{error}");
        let gelu = ModelInfo { activation: Activation::Gelu, ..info() };
        let error = load(&path, &specs("1.", 3), &gelu, Precision::F32).unwrap_err().to_string();
        assert!(error.contains("activation = \"relu\""), "{error}");
        let mut nan = weights("1.", 3);
        nan.set("1.bias", Tensor::new(&[0.0f32, f32::NAN, 0.0], &Device::Cpu).unwrap()).unwrap();
        save(&path, &nan, &info()).unwrap();
        let error = load(&path, &specs("1.", 3), &info(), Precision::F32).unwrap_err().to_string();
        assert!(error.contains("1.bias contains NaN"), "{error}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        let error = load(&path, &specs("1.", 3), &info(), Precision::F32).unwrap_err().to_string();
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
