//! Manifests: what a data set is and where its files are.

use crate::{Error, Result, Transform};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One data set, as `datasets/<name>.toml` describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name in suite files.
    pub name: String,
    /// One line for `gauntlet list datasets`.
    pub summary: String,
    /// Where the images come from.
    pub source: Source,
    /// Channels, height, width.
    pub shape: (usize, usize, usize),
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// Only these classes, by name and in this order; their labels become 0, 1, ... Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subset: Vec<String>,
    /// How images of any size are made alike; without, all have the shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// How the rows are ordered, where that is not random: the first n are then no sample of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Licence of the data, where it is stated.
    #[serde(default)]
    pub licence: Option<String>,
    /// Raised by hand when the decoded content changes.
    #[serde(default = "one")]
    pub numerics: u32,
    /// Training split (absent for generated data).
    #[serde(default)]
    pub train: Part,
    /// Test split (absent for generated data).
    #[serde(default)]
    pub test: Part,
}

fn one() -> u32 {
    1
}

/// Where the images come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// Parquet files of a data set on the hub.
    Hub {
        /// `owner/name`.
        id: String,
        /// Pinned revision: a commit, or a branch.
        revision: String,
        /// Column with the encoded images (a struct with `bytes`, or plain bytes).
        #[serde(default = "image")]
        image: String,
        /// Column with the labels.
        #[serde(default = "label")]
        label: String,
    },
    /// Files of one's own: parquet, NumPy's arrays, folders of images, idx or CIFAR-10 binary. No hub is ever asked for them.
    Local {
        /// Where they lie, relative to the manifest; `None`: `--data-dir` or GAUNTLET_DATA says.
        #[serde(default)]
        folder: Option<PathBuf>,
        /// Column with the encoded images (a struct with `bytes`, or plain bytes).
        #[serde(default = "image")]
        image: String,
        /// Column with the labels.
        #[serde(default = "label")]
        label: String,
    },
    /// Drawn by this program.
    Glyphs {
        /// Seed of the drawing.
        seed: u64,
        /// Training images.
        train: usize,
        /// Test images.
        test: usize,
    },
}

fn image() -> String {
    "image".into()
}
fn label() -> String {
    "label".into()
}

/// One split.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Files in order.
    #[serde(default)]
    pub files: Vec<RemoteFile>,
    /// Arrays of NumPy's instead of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrays: Option<Arrays>,
    /// A folder in which every class has a folder of images, instead of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// sha256 of the decoded split ([`crate::Split::sha256`]), where it is pinned; of arrays, of the rows that are kept.
    #[serde(default)]
    pub content: Option<String>,
    /// Without so many rows at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<usize>,
    /// Only the first rows (behind those that are skipped), where given.
    #[serde(default)]
    pub take: Option<usize>,
}

/// Two arrays of one split: `file.npy`, or `file.npz/array`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrays {
    /// Unsigned bytes `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`.
    pub images: String,
    /// Whole numbers `(N,)` or `(N, 1)`.
    pub labels: String,
}

/// One file on the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Path in the repository.
    pub path: String,
    /// sha256 of its bytes, where it is pinned.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl Manifest {
    /// Names of the classes that a model tells apart, in the order of its labels: the subset, or all.
    pub fn labels(&self) -> &[String] {
        if self.subset.is_empty() { &self.classes } else { &self.subset }
    }

    /// Parses and checks a manifest; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Manifest`] with the line for what does not parse (unknown keys too), or what does not make sense.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let fail = |why: String| Error::Manifest { path: path.into(), why };
        let mut manifest: Manifest = toml::from_str(text).map_err(|e| fail(meant(&e.to_string())))?;
        if let Source::Local { folder: Some(folder), .. } = &mut manifest.source {
            *folder = Path::new(path).parent().unwrap_or(Path::new("")).join(&*folder);
        }
        let texts = [&manifest.name, &manifest.summary].into_iter().chain(&manifest.licence).chain(&manifest.order);
        for text in texts.chain(&manifest.classes).chain(&manifest.subset) {
            if let Some(found) = text.chars().find(|c| c.is_control() && *c != '\n') {
                let why = format!("{text:?} has the control character {found:?}, which no page or picture can show");
                return Err(fail(why));
            }
        }
        let (c, h, w) = manifest.shape;
        if c == 0 || h == 0 || w == 0 {
            return Err(fail(format!("shape must be [channels, height, width], each at least 1, got [{c}, {h}, {w}]")));
        }
        if let Some(why) = manifest.transform.and_then(|t| t.odd(manifest.shape)) {
            return Err(fail(why));
        }
        for (split, part) in [("train", &manifest.train), ("test", &manifest.test)] {
            let ways = [!part.files.is_empty(), part.arrays.is_some(), part.folder.is_some()];
            if ways.iter().filter(|given| **given).count() > 1 {
                return Err(fail(format!(
                    "[{split}] names several of files, arrays and folder; a split is one of them"
                )));
            }
        }
        if manifest.classes.len() < 2 {
            return Err(fail(format!("needs at least two classes, got {}", manifest.classes.len())));
        }
        let mut kept: Vec<&String> = manifest.subset.iter().collect();
        kept.sort();
        kept.dedup();
        if let Some(name) = kept.iter().find(|n| !manifest.classes.contains(n)) {
            return Err(fail(format!("subset has {name:?}, which is none of the classes")));
        }
        if kept.len() != manifest.subset.len() || kept.len() == 1 {
            return Err(fail("subset must name at least two classes, each once".into()));
        }
        if let Source::Hub { id, .. } = &manifest.source {
            if id.split('/').count() != 2 {
                return Err(fail(format!("hub id must be owner/name, got {id:?}")));
            }
            if manifest.test.files.is_empty() {
                return Err(fail("[test] lists no files".into()));
            }
        }
        Ok(manifest)
    }
}

/// The parser's complaint about a field that is not known, with the nearest one that is: `license` is spelled `licence` here.
fn meant(said: &str) -> String {
    let Some((_, rest)) = said.split_once("unknown field `") else { return said.to_string() };
    let words: Vec<&str> = rest.split('`').step_by(2).collect();
    let near = words.split_first().map(|(name, known)| {
        gauntlet_core::Error::unknown("field", name, known.iter().copied().filter(|k| !k.trim().is_empty()))
    });
    match near {
        Some(gauntlet_core::Error::Unknown { hint: Some(hint), .. }) => {
            format!("{}\ndid you mean `{hint}`?", said.trim_end())
        }
        _ => said.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadOptions, load};

    const GLYPHS: &str = include_str!("../../../datasets/glyphs.toml");

    #[test]
    fn a_subset_has_its_own_labels_in_its_own_order() {
        let whole = Manifest::parse("glyphs.toml", GLYPHS).unwrap();
        let (a, b) = (whole.classes[7].clone(), whole.classes[2].clone());
        let text = GLYPHS.replace("licence =", &format!("subset = [{a:?}, {b:?}]\nlicence ="));
        let manifest = Manifest::parse("mine.toml", &text).unwrap();
        assert_eq!(manifest.labels(), [a, b]);
        let (all, some) =
            (load(&whole, &LoadOptions::default()).unwrap(), load(&manifest, &LoadOptions::default()).unwrap());
        assert_eq!(some.classes, manifest.labels());
        let kept: Vec<usize> = (0..all.test.len()).filter(|i| [7, 2].contains(&all.test.labels()[*i])).collect();
        assert_eq!(some.test.len(), kept.len());
        for (new, old) in kept.iter().enumerate() {
            assert_eq!(some.test.image(new), all.test.image(*old));
            assert_eq!(some.test.labels()[new], u32::from(all.test.labels()[*old] == 2));
        }
    }

    #[test]
    fn rows_in_no_random_order_are_told() {
        let order = |text: &str| Manifest::parse("x.toml", text).unwrap().order;
        for text in [include_str!("../../../datasets/mnist.toml"), include_str!("../../../datasets/mnist-3-vs-7.toml")]
        {
            assert!(order(text).unwrap().contains("one after the other"));
        }
        assert_eq!(order(GLYPHS), None);
        let error = Manifest::parse("x.toml", &GLYPHS.replace("licence =", "ordre = \"none\"\nlicence =")).unwrap_err();
        assert!(error.to_string().contains("unknown field `ordre`"), "{error}");
    }

    #[test]
    fn texts_that_no_page_can_show_are_refused() {
        let first = Manifest::parse("glyphs.toml", GLYPHS).unwrap().classes[0].clone();
        let text = GLYPHS.replacen(&format!("{first:?}"), "\"a\\u001b\"", 1);
        let error = Manifest::parse("mine.toml", &text).unwrap_err().to_string();
        assert!(error.contains("\"a\\u{1b}\" has the control character '\\u{1b}'"), "{error}");
    }

    #[test]
    fn a_subset_that_makes_no_sense_is_named() {
        let whole = Manifest::parse("glyphs.toml", GLYPHS).unwrap();
        let first = &whole.classes[0];
        for (subset, said) in [
            (format!("[{first:?}, \"nobody\"]"), "nobody"),
            (format!("[{first:?}]"), "at least two"),
            (format!("[{first:?}, {first:?}]"), "each once"),
        ] {
            let text = GLYPHS.replace("licence =", &format!("subset = {subset}\nlicence ="));
            let error = Manifest::parse("mine.toml", &text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
