//! Images in files of their own, a folder for every class.

use crate::ceiling::Ceiling;
use crate::decode;
use crate::manifest::Manifest;
use crate::{Error, Half, Result};
use gauntlet_records::regular_file;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

const IMAGES: [&str; 6] = ["png", "jpg", "jpeg", "bmp", "gif", "webp"];
/// Folders below a class's that are looked into.
const DEPTH: usize = 2;
/// Images that are decoded at a time.
const CHUNK: usize = 512;
/// Names of the folders of the two splits.
const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 5] = ["test", "testing", "val", "valid", "validation"];

/// Whether a file's name is an image's.
pub(crate) fn is_image(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| IMAGES.contains(&e.to_ascii_lowercase().as_str()))
}

/// Two folders of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassFolders {
    /// Of the training split, below the data set's.
    pub(crate) train: String,
    /// Of the test split.
    pub(crate) test: String,
    /// Names of the classes, sorted.
    pub(crate) classes: Vec<String>,
}

/// Folders `train` and `test` (or `val`) in which every class has one.
///
/// # Errors
/// In words: one of the two is missing, or there are several of them; a class of the test split that the training split has not.
pub(crate) fn find(folder: &Path) -> Option<Result<ClassFolders, String>> {
    let with_classes = |names: &[&str]| -> Vec<(String, Vec<String>)> {
        let here = folders(folder).into_iter().filter(|n| names.contains(&n.to_lowercase().as_str()));
        let found = here.map(|name| (name.clone(), classes(&folder.join(&name))));
        found.filter(|(_, classes)| !classes.is_empty()).collect()
    };
    let (train, test) = (with_classes(&TRAIN), with_classes(&TEST));
    let shown = folder.display();
    Some(match (train.as_slice(), test.as_slice()) {
        ([], []) => return None,
        ([(train, classes)], [(test, others)]) => match others.iter().find(|c| !classes.contains(c)) {
            Some(class) => Err(format!("{shown}: {test} has a class {class:?} that {train} has not")),
            None => Ok(ClassFolders { train: train.clone(), test: test.clone(), classes: classes.clone() }),
        },
        ([_], []) => Err(format!("{shown} has folders of classes in train and none in test or val")),
        ([], _) => Err(format!("{shown} has folders of classes for testing and none in train")),
        (several, others) => {
            let (what, of) = if several.len() > 1 { ("training", several) } else { ("test", others) };
            let names: Vec<&str> = of.iter().map(|(name, _)| name.as_str()).collect();
            Err(format!(
                "{shown} has several {what} splits ({}); leave one, or write the manifest by hand (docs/datasets.md)",
                names.join(", ")
            ))
        }
    })
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// Folders with an image in them.
fn classes(folder: &Path) -> Vec<String> {
    folders(folder).into_iter().filter(|name| !images(&folder.join(name)).is_empty()).collect()
}

/// Images below a folder, by their paths in order.
fn images(folder: &Path) -> Vec<PathBuf> {
    fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && depth < DEPTH {
                gather(&path, depth + 1, found);
            } else if is_image(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    gather(folder, 0, &mut found);
    found.sort();
    found
}

/// The first image below a folder of classes.
pub(crate) fn first(folder: &Path) -> Option<PathBuf> {
    classes(folder).iter().find_map(|class| images(&folder.join(class)).into_iter().next())
}

/// Pixels and labels of the manifest's classes: the first image of each class, then the second of each, and so on, so that the first n are
/// of all classes.
///
/// # Errors
/// Images of a class that the manifest has not; in the training split a class without a folder; an image that does not decode, is too
/// large, or of another shape; more than the memory has room for.
pub(crate) fn read(folder: &Path, manifest: &Manifest, half: Half) -> Result<(Vec<u8>, Vec<u32>)> {
    if !folder.is_dir() {
        return Err(crate::error::file(folder, "there is no such folder"));
    }
    let here = classes(folder);
    if let Some(other) = here.iter().find(|name| !manifest.classes.contains(name)) {
        let why = format!("it has images of {other:?}, which is no class of the manifest");
        return Err(crate::error::file(folder, why));
    }
    // A test split may lack a class, a training split that does has lost one.
    let lost = manifest.classes.iter().find(|class| !here.contains(class)).filter(|_| half == Half::Train);
    if let Some(class) = lost.filter(|_| !here.is_empty()) {
        let why = format!("it has no images of the manifest's class {class:?}");
        return Err(crate::error::file(folder, why));
    }
    let of_class: Vec<Vec<PathBuf>> = manifest.classes.iter().map(|class| images(&folder.join(class))).collect();
    let longest = of_class.iter().map(Vec::len).max().unwrap_or(0);
    if longest == 0 {
        let some: Vec<&str> = manifest.classes.iter().take(3).map(String::as_str).collect();
        let why =
            format!("it has no images in folders that are called as the manifest's classes ({}, ...)", some.join(", "));
        return Err(crate::error::file(folder, why));
    }
    let ceiling = Ceiling::of(manifest);
    ceiling.room(folder, of_class.iter().map(Vec::len).sum::<usize>() as u64)?;
    let rows: Vec<(&PathBuf, u32)> = (0..longest)
        .flat_map(|i| of_class.iter().enumerate().filter_map(move |(class, all)| Some((all.get(i)?, class as u32))))
        .collect();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for chunk in rows.chunks(CHUNK) {
        let decoded: Vec<Vec<u8>> = chunk
            .par_iter()
            .map(|(path, _)| {
                let bytes = regular_file::read(path, ceiling.encoded(), "an image of this data set");
                let bytes = bytes.map_err(|e| crate::error::file(path, e))?;
                decode::one(&bytes, manifest).map_err(|why| Error::File { path: path.display().to_string(), why })
            })
            .collect::<Result<_>>()?;
        decoded.iter().for_each(|image| pixels.extend_from_slice(image));
        labels.extend(chunk.iter().map(|(_, label)| *label));
    }
    Ok((pixels, labels))
}
