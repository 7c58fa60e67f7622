//! What lies in a folder of images: which of the layouts that are read, and whether it is one alone.

use crate::class_folders::{self, ClassFolders};
use crate::{Arrays, Error, Result, cifar, idx, numpy};
use std::collections::BTreeSet;
use std::path::Path;

/// Folders below the given one that are looked into.
const DEPTH: usize = 3;
/// Files that are looked at.
const FILES: usize = 100_000;

/// The layout of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Parquet files of the two splits, relative to the folder.
    Parquet {
        /// Of the training split, in order.
        train: Vec<String>,
        /// Of the test split, in order.
        test: Vec<String>,
    },
    /// Images in folders of classes.
    Folders(ClassFolders),
    /// NumPy's arrays of the training and the test split.
    Numpy([Arrays; 2]),
    /// MNIST's format.
    Idx,
    /// CIFAR-10's binary files.
    Cifar,
}

const READ: &str = "what is read: parquet files with `train` and `test` in their names, folders train and test with a folder of images for \
                    every class, NumPy's arrays (train_images, train_labels, test_images, test_labels or x_train, y_train, x_test, \
                    y_test, in one .npz or as .npy files), idx files (train-images-idx3-ubyte and its like, also .gz), CIFAR-10's \
                    binary files (data_batch_1.bin to test_batch.bin)";

impl Layout {
    /// Looks at a folder.
    ///
    /// # Errors
    /// In words: it is not there; it holds nothing that is read, or several things; a split is missing.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        let wrong = |why: String| Err(Error::Message(why));
        if !folder.is_dir() {
            return wrong(format!("there is no folder {shown}"));
        }
        let mut files = Vec::new();
        gather(folder, "", 0, &mut files);
        let parquet: Vec<&String> = files.iter().filter(|f| f.ends_with(".parquet")).collect();
        let splits = ["train", "t10k"].map(|p| {
            ["images-idx3", "labels-idx1"].map(|what| idx::find(folder, &format!("{p}-{what}-ubyte")).is_some())
        });
        let idx = splits.iter().flatten().any(|there| *there);
        let cifar = cifar::find(folder).is_some();
        let arrays = numpy::find(folder, &files);
        let classes = class_folders::find(folder);
        let found: Vec<&str> = [
            (!parquet.is_empty(), "parquet"),
            (classes.is_some(), "folders of images"),
            (arrays.is_some(), "NumPy's arrays"),
            (idx, "idx"),
            (cifar, "CIFAR-10's binary files"),
        ]
        .into_iter()
        .filter_map(|(there, what)| there.then_some(what))
        .collect();
        if let (&["folders of images"], Some(classes)) = (found.as_slice(), &classes) {
            return classes.clone().map(Layout::Folders).map_err(Error::Message);
        }
        if let (&["NumPy's arrays"], Some([images, labels, test_images, test_labels])) = (found.as_slice(), arrays) {
            let test = Arrays { images: test_images, labels: test_labels };
            return Ok(Layout::Numpy([Arrays { images, labels }, test]));
        }
        match found.as_slice() {
            [] => wrong(nothing(folder, &files)),
            ["parquet"] => of_parquet(folder, &parquet),
            ["idx"] => {
                let mut missing = Vec::new();
                for (prefix, there) in ["train", "t10k"].into_iter().zip(splits) {
                    for (what, there) in ["images-idx3", "labels-idx1"].into_iter().zip(there) {
                        missing.extend((!there).then(|| format!("{prefix}-{what}-ubyte[.gz]")));
                    }
                }
                match missing.as_slice() {
                    [] => Ok(Layout::Idx),
                    _ => wrong(format!("{shown} has idx files, but not {}", missing.join(", "))),
                }
            }
            [_] => Ok(Layout::Cifar),
            several => wrong(format!(
                "{shown} holds several things, {}; a data set is one of them: give a folder of its own to each",
                several.join(" and ")
            )),
        }
    }
}

/// Files below a folder, by their paths relative to it.
fn gather(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || files.len() >= FILES {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            if depth < DEPTH {
                gather(&path, &format!("{prefix}{name}/"), depth + 1, files);
            }
        } else {
            files.push(format!("{prefix}{name}"));
        }
    }
}

/// What there is instead, and what to do about it.
fn nothing(folder: &Path, files: &[String]) -> String {
    let shown = folder.display();
    let ends = |all: &[&str]| files.iter().any(|f| all.iter().any(|end| f.to_lowercase().ends_with(end)));
    let instead = if files.is_empty() {
        "it is empty".to_string()
    } else if ends(&[".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"]) {
        "it holds images, but not in folders of classes below train and test (or val): make train/CLASS/ and test/CLASS/ of them"
            .into()
    } else if ends(&[".npz", ".npy"]) {
        let arrays: Vec<String> = files.iter().filter(|f| numpy::is_numpy(f)).take(4).cloned().collect();
        format!(
            "it holds NumPy's files ({}) without arrays of the two splits by names that are known; name them in [train] and [test] of a manifest \
             (arrays = {{ images = \"a.npy\", labels = \"b.npz/c\" }}, docs/datasets.md)",
            arrays.join(", ")
        )
    } else {
        let some: Vec<&str> = files.iter().take(3).map(String::as_str).collect();
        format!("it holds {}{}", some.join(", "), if files.len() > 3 { ", ..." } else { "" })
    };
    format!("{shown} holds no data set: {instead}; {READ}")
}

/// Words of a path that name a split.
fn split_of(path: &str) -> Vec<&'static str> {
    let words: Vec<String> = path
        .split(|c: char| !c.is_ascii_alphabetic())
        .map(str::to_ascii_lowercase)
        .filter(|w| w != "parquet")
        .collect();
    let is = |names: &[&str]| words.iter().any(|w| names.contains(&w.as_str()));
    let all = [
        ("train", is(&["train", "training"])),
        ("test", is(&["test", "testing"])),
        ("validation", is(&["val", "valid", "validation", "dev"])),
    ];
    all.into_iter().filter_map(|(name, said)| said.then_some(name)).collect()
}

/// The folder in which a file's split lies: a folder that is called after the split belongs to it.
fn base(path: &str) -> String {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    if folders.last().is_some_and(|f| !split_of(f).is_empty()) {
        folders.pop();
    }
    folders.join("/")
}

fn of_parquet(folder: &Path, files: &[&String]) -> Result<Layout> {
    let shown = folder.display();
    let wrong = |why: String| Err(Error::Message(why));
    let bases: BTreeSet<String> = files.iter().map(|f| base(f)).collect();
    if bases.len() > 1 {
        let bases: Vec<String> = bases.into_iter().map(|b| if b.is_empty() { ".".into() } else { b }).collect();
        return wrong(format!(
            "{shown} has parquet files in several folders ({}): name the one that is meant",
            bases.join(", ")
        ));
    }
    let (mut train, mut test, mut aside) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        match split_of(file).as_slice() {
            ["train"] => train.push(file.to_string()),
            ["test"] => test.push(file.to_string()),
            ["validation"] => aside.push(file.as_str()),
            words => {
                let why = if words.is_empty() { "neither train nor test".to_string() } else { words.join(" and ") };
                return wrong(format!(
                    "{shown}: the name of {file} says {why}; rename it (train.parquet, test.parquet, or folders train and test), or write \
                     the manifest by hand (docs/datasets.md)"
                ));
            }
        }
    }
    for (split, files) in [("training", &train), ("test", &test)] {
        if files.is_empty() {
            let more = match aside.first() {
                Some(file) => {
                    format!("; {file} looks like a validation split: rename it if it is to be the test split")
                }
                None => String::new(),
            };
            return wrong(format!("{shown} has no parquet file of the {split} split{more}"));
        }
    }
    Ok(Layout::Parquet { train, test })
}
