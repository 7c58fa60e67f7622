//! A few examples to look at: image, perturbation, input gradient, predictions. What a report's gallery shows.

use crate::file::write_atomically;
use crate::{Attacked, Eps, Error, Norm, Result, packed};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Pictures of the first examples of an evaluation, kept in 8 bits: what the quick attack of the training's monitor does to
/// them, or the adversarial examples of the strongest attack of the evaluation itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Channels, height, width.
    pub shape: (usize, usize, usize),
    /// The attack that perturbed them, as a reader is told: `pgd, 10 steps`.
    pub attack: String,
    /// Norm of its budget.
    pub norm: Norm,
    /// Its budget.
    pub eps: Eps,
    /// One per example.
    pub shown: Vec<Picture>,
}

/// One example.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Data set row.
    pub id: u64,
    /// True label.
    pub label: u32,
    /// Pixels, channel first; 255 is 1.
    pub x: Vec<u8>,
    /// The perturbation, in units of [`Picture::delta_scale`] / 127.
    pub delta: Vec<i8>,
    /// Largest |δ| of a pixel, in pixels of `[0, 1]`.
    pub delta_scale: f32,
    /// ∂ℓ/∂x of the cross-entropy at the clean image, in units of [`Picture::gradient_scale`] / 127; empty: not kept.
    pub gradient: Vec<i8>,
    /// Largest |∂ℓ/∂x| of a pixel.
    pub gradient_scale: f32,
    /// Predicted class and its probability at the clean image.
    pub clean: (u32, f32),
    /// The same at the perturbed one.
    pub attacked: (u32, f32),
}

/// What the file's metadata says.
#[derive(Serialize, Deserialize)]
struct About {
    attack: String,
    eps: Eps,
    norm: Norm,
}

/// Ending of the file beside a record: the quick attack of the training's monitor.
pub const ENDING: &str = ".pictures.safetensors.gz";
/// Likewise: the strongest attacks of the evaluation, one file for each norm (`.strongest-linf.safetensors.gz`), without gradients.
pub const STRONGEST: [&str; 5] = [
    ".strongest-linf.safetensors.gz",
    ".strongest-l2.safetensors.gz",
    ".strongest-l1.safetensors.gz",
    ".strongest-l0.safetensors.gz",
    OF_ALL_NORMS,
];
/// What the one file was called that stood for all norms until November 2026; it is still read.
pub const OF_ALL_NORMS: &str = ".strongest.safetensors.gz";

/// The same file as it was written until December 2026, not packed; it is still read.
pub fn plain(path: &Path) -> PathBuf {
    path.with_extension("")
}

/// Bytes that pictures may unpack to: forty times what ten photographs take.
const MOST: u64 = 1 << 28;

/// Values in units of their largest size / 127, and that size.
pub fn quantise(values: &[f32]) -> (Vec<i8>, f32) {
    let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
    let unit = if largest > 0.0 && largest.is_finite() { 127.0 / largest } else { 0.0 };
    (values.iter().map(|v| (v * unit).round() as i8).collect(), largest)
}

impl Pictures {
    /// The file of a row and seed in a folder of records: what the quick attack does.
    pub fn path(folder: &Path, stem: &str) -> PathBuf {
        folder.join(format!("{stem}{ENDING}"))
    }

    /// The other file: what the strongest attack of a norm does.
    pub fn path_of_strongest(folder: &Path, stem: &str, norm: Norm) -> PathBuf {
        let [linf, l2, l1, l0, _] = STRONGEST;
        let ending = match norm {
            Norm::Linf => linf,
            Norm::L2 => l2,
            Norm::L1 => l1,
            Norm::L0 => l0,
        };
        folder.join(format!("{stem}{ending}"))
    }

    /// All such files that may be there.
    pub fn paths_of_strongest(folder: &Path, stem: &str) -> [PathBuf; 5] {
        STRONGEST.map(|ending| folder.join(format!("{stem}{ending}")))
    }

    /// Whether they show that attack, as a record calls it.
    pub fn shows(&self, cell: &Attacked) -> bool {
        (&self.attack, self.norm, &self.eps) == (&cell.attack, cell.norm, &cell.eps)
    }

    /// Writes them as safetensors, packed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let (n, (c, h, w)) = (self.shown.len(), self.shape);
        let images = |of: &dyn Fn(&Picture) -> Vec<u8>| {
            (Dtype::U8, vec![n, c, h, w], self.shown.iter().flat_map(of).collect::<Vec<u8>>())
        };
        // 128 is zero.
        let shifted = |v: &[i8]| v.iter().map(|b| b.cast_unsigned() ^ 0x80).collect::<Vec<u8>>();
        let numbers = |of: &dyn Fn(&Picture) -> f32| {
            (Dtype::F32, vec![n], self.shown.iter().flat_map(|p| of(p).to_le_bytes()).collect())
        };
        let wholes = |of: &dyn Fn(&Picture) -> u32| {
            (Dtype::U32, vec![n], self.shown.iter().flat_map(|p| of(p).to_le_bytes()).collect())
        };
        let mut tensors = vec![
            ("x", images(&|p| p.x.clone())),
            ("delta", images(&|p| shifted(&p.delta))),
            ("delta_scale", numbers(&|p| p.delta_scale)),
            ("id", wholes(&|p| p.id as u32)),
            ("label", wholes(&|p| p.label)),
            ("clean", wholes(&|p| p.clean.0)),
            ("clean_probability", numbers(&|p| p.clean.1)),
            ("attacked", wholes(&|p| p.attacked.0)),
            ("attacked_probability", numbers(&|p| p.attacked.1)),
        ];
        if self.shown.iter().any(|p| !p.gradient.is_empty()) {
            tensors.push(("gradient", images(&|p| shifted(&p.gradient))));
            tensors.push(("gradient_scale", numbers(&|p| p.gradient_scale)));
        }
        // One entry: of several, a hash map would write now one first and now another.
        let about = About { attack: self.attack.clone(), eps: self.eps.clone(), norm: self.norm };
        let about = serde_json::to_string(&about).map_err(|e| Error::Message(format!("pictures: {e}")))?;
        let metadata = HashMap::from([("about".to_string(), about)]);
        let odd = |e: safetensors::SafeTensorError| Error::Message(format!("pictures: {e}"));
        let views = tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| {
                Ok((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(odd)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let whole = safetensors::serialize(views, Some(metadata)).map_err(odd)?;
        let packed = packed::pack(&whole).map_err(|e| Error::Message(format!("pictures: {e}")))?;
        write_atomically(path, &packed)?;
        // An older file of the same pictures.
        let _ = std::fs::remove_file(plain(path));
        Ok(())
    }

    /// Reads them; `None` where there is no such file.
    ///
    /// # Errors
    /// A file that is damaged or not of this kind.
    pub fn read(path: &Path) -> Result<Option<Pictures>> {
        let old = plain(path);
        let path = if !path.exists() && old.exists() { &old } else { path };
        let name = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { action: "read", path: name, source }),
        };
        let wrong = |why: &str| Error::Pictures { path: name.clone(), why: format!("{why}; delete it and run again") };
        let bytes = if *path == old { bytes } else { packed::unpack(&bytes, MOST).map_err(|why| wrong(&why))? };
        let odd = |e: safetensors::SafeTensorError| wrong(&format!("it is not a whole safetensors file ({e})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(odd)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(odd)?;
        let about: About = header
            .metadata()
            .as_ref()
            .and_then(|m| serde_json::from_str(m.get("about")?).ok())
            .ok_or_else(|| wrong("it does not say which attack it shows"))?;
        let tensor = |key: &str, dtype: Dtype| {
            let found = tensors.tensor(key).map_err(|_| wrong(&format!("it has no tensor {key}")))?;
            if found.dtype() == dtype { Ok(found) } else { Err(wrong(&format!("{key} is of another type"))) }
        };
        let [n, c, h, w] = *tensor("x", Dtype::U8)?.shape() else { return Err(wrong("x is not a batch of images")) };
        let area = c * h * w;
        let bytes = |key: &str| -> Result<Vec<u8>> {
            let images = tensor(key, Dtype::U8)?;
            if images.shape() != [n, c, h, w] {
                return Err(wrong(&format!("{key} has another shape than x")));
            }
            Ok(images.data().to_vec())
        };
        let words = |key: &str, dtype: Dtype| -> Result<Vec<[u8; 4]>> {
            Ok(tensor(key, dtype)?.data().as_chunks::<4>().0.to_vec())
        };
        let numbers = |key: &str| -> Result<Vec<f32>> {
            Ok(words(key, Dtype::F32)?.into_iter().map(f32::from_le_bytes).collect())
        };
        let wholes = |key: &str| -> Result<Vec<u32>> {
            Ok(words(key, Dtype::U32)?.into_iter().map(u32::from_le_bytes).collect())
        };
        let labels = wholes("label")?;
        let signed = |b: &[u8]| b.iter().map(|b| (b ^ 0x80).cast_signed()).collect::<Vec<i8>>();
        let (x, delta, delta_scale) = (bytes("x")?, bytes("delta")?, numbers("delta_scale")?);
        let (gradient, gradient_scale) = match tensors.names().contains(&"gradient") {
            true => (bytes("gradient")?, numbers("gradient_scale")?),
            false => (Vec::new(), vec![0.0; n]),
        };
        let (ids, clean, attacked) = (wholes("id")?, wholes("clean")?, wholes("attacked")?);
        let (before, after) = (numbers("clean_probability")?, numbers("attacked_probability")?);
        let lengths = [
            labels.len(),
            delta_scale.len(),
            gradient_scale.len(),
            ids.len(),
            clean.len(),
            attacked.len(),
            before.len(),
            after.len(),
        ];
        if lengths.iter().any(|l| *l != n) {
            return Err(wrong("its tensors are of different lengths"));
        }
        let shown = (0..n)
            .map(|i| {
                let part = i * area..(i + 1) * area;
                Picture {
                    id: u64::from(ids[i]),
                    label: labels[i],
                    x: x[part.clone()].to_vec(),
                    delta: signed(&delta[part.clone()]),
                    delta_scale: delta_scale[i],
                    gradient: signed(gradient.get(part).unwrap_or_default()),
                    gradient_scale: gradient_scale[i],
                    clean: (clean[i], before[i]),
                    attacked: (attacked[i], after[i]),
                }
            })
            .collect();
        Ok(Some(Pictures { shape: (c, h, w), attack: about.attack, norm: about.norm, eps: about.eps, shown }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures() -> Pictures {
        let picture = |id: u64| {
            let (delta, delta_scale) = quantise(&[0.1, -0.3, 0.0]);
            let (gradient, gradient_scale) = quantise(&[id as f32, -1.0, 0.5]);
            Picture {
                id,
                label: 3,
                x: vec![0, 128, 255],
                delta,
                delta_scale,
                gradient,
                gradient_scale,
                clean: (3, 0.75),
                attacked: (5, 0.5),
            }
        };
        Pictures {
            shape: (1, 1, 3),
            attack: "pgd, 10 steps".into(),
            norm: Norm::Linf,
            eps: "8/255".parse().unwrap(),
            shown: vec![picture(0), picture(7)],
        }
    }

    #[test]
    fn they_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = Pictures::path(folder.path(), "ce-0");
        assert_eq!(Pictures::read(&path).unwrap(), None);
        pictures().write(&path).unwrap();
        assert_eq!(Pictures::read(&path).unwrap(), Some(pictures()));
        let bytes = std::fs::read(&path).unwrap();
        for _ in 0..5 {
            pictures().write(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let error = Pictures::read(&path).unwrap_err().to_string();
        assert!(error.contains("ce-0.pictures.safetensors.gz: it is cut off"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_packed_is_read_until_it_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = Pictures::path(folder.path(), "ce-0");
        pictures().write(&path).unwrap();
        let whole = packed::unpack(&std::fs::read(&path).unwrap(), MOST).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(plain(&path), &whole).unwrap();
        assert_eq!(Pictures::read(&path).unwrap(), Some(pictures()));
        std::fs::write(plain(&path), &whole[..whole.len() - 9]).unwrap();
        let error = Pictures::read(&path).unwrap_err().to_string();
        assert!(error.contains("ce-0.pictures.safetensors: it is not a whole"), "{error}");
        pictures().write(&path).unwrap();
        assert_eq!((plain(&path).exists(), Pictures::read(&path).unwrap()), (false, Some(pictures())));
    }

    #[test]
    fn gradients_may_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut without) = (Pictures::path_of_strongest(folder.path(), "ce-0", Norm::Linf), pictures());
        without.shown.iter_mut().for_each(|p| (p.gradient, p.gradient_scale) = (Vec::new(), 0.0));
        without.write(&path).unwrap();
        assert_eq!(Pictures::read(&path).unwrap(), Some(without));
    }

    #[test]
    fn the_largest_value_fills_the_range() {
        assert_eq!(quantise(&[0.1, -0.3, 0.0]), (vec![42, -127, 0], 0.3));
        assert_eq!(quantise(&[0.0, 0.0]), (vec![0, 0], 0.0));
    }
}
