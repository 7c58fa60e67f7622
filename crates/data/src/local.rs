//! Local files: `--data-dir` with parquet, NumPy's arrays, folders of images, idx or CIFAR-10 binary files.

use crate::ceiling::Ceiling;
use crate::checked::finish;
#[cfg(feature = "hub")]
use crate::decode::decode;
use crate::manifest::{Manifest, RemoteFile, Source};
use crate::numpy::Array;
#[cfg(feature = "hub")]
use crate::parquet_rows;
use crate::{Arrays, Error, Half, Result, Split, cifar, class_folders, idx};
use std::path::{Path, PathBuf};

/// One half from `folder`, or from the folder in it that has the data set's name.
pub(crate) fn load(manifest: &Manifest, folder: &Path, half: Half) -> Result<Split> {
    let (id, image, label) = match &manifest.source {
        Source::Hub { id, image, label, .. } => (id.as_str(), image, label),
        Source::Local { image, label, .. } => ("", image, label),
        Source::Glyphs { .. } => {
            return Err(Error::Message(format!("{} is drawn by the program and takes no --data-dir", manifest.name)));
        }
    };
    let own = folder.join(&manifest.name);
    for folder in [folder, &own] {
        let part = half.of(manifest);
        if let Some(named) = part.arrays.as_ref().filter(|a| array_file(folder, &a.images).is_file()) {
            return arrays(manifest, half, folder, named);
        }
        if let Some(classes) = part.folder.as_ref().map(|f| folder.join(f)).filter(|f| f.is_dir()) {
            let (pixels, labels) = class_folders::read(&classes, manifest, half)?;
            return finish(manifest, half.name(), pixels, labels);
        }
        let files = &part.files;
        let found: Option<Vec<PathBuf>> = files.iter().map(|f| find_parquet(folder, id, &f.path)).collect();
        if let Some(found) = found.filter(|f| !f.is_empty()) {
            return self::files(manifest, half, &found, image, label);
        }
        if !unnamed(manifest) {
            continue;
        }
        let prefix = if half == Half::Train { "train" } else { "t10k" };
        if let Some((pixels, labels)) = idx::split(folder, prefix, manifest.shape, Ceiling::of(manifest))? {
            return finish(manifest, half.name(), pixels, labels);
        }
        if let Some(folder) = cifar::find(folder).filter(|_| maybe_cifar10(manifest)) {
            let [train, test] = cifar::read(&folder)?;
            let (pixels, labels) = if half == Half::Train { train } else { test };
            return finish(manifest, half.name(), pixels, labels);
        }
    }
    let part = half.of(manifest);
    let mut looked_for: Vec<String> = part.files.iter().map(|f| f.path.clone()).collect();
    looked_for.extend(part.arrays.iter().map(|a| a.images.clone()).chain(part.folder.iter().cloned()));
    if unnamed(manifest) {
        let prefix = if half == Half::Train { "train" } else { "t10k" };
        looked_for.push(format!("{prefix}-images-idx3-ubyte[.gz] and its labels"));
    }
    if looked_for.is_empty() {
        let why = format!("{} has no {} split: its manifest names nothing of one", manifest.name, half.name());
        return Err(Error::Message(why));
    }
    if maybe_cifar10(manifest) {
        looked_for.push("data_batch_1.bin … test_batch.bin".into());
    }
    Err(Error::NothingLocal {
        folder: folder.display().to_string(),
        name: manifest.name.clone(),
        split: half.name(),
        looked_for: looked_for.join(", "),
    })
}

/// Whether files whose names say nothing of a data set (idx, CIFAR-10's binary ones) can be this one's: not where the manifest says which
/// arrays or folders are.
fn unnamed(manifest: &Manifest) -> bool {
    [&manifest.train, &manifest.test].iter().all(|part| part.arrays.is_none() && part.folder.is_none())
}

/// Whether CIFAR-10's binary files can be this data set: those of the hub's others are of the same shape.
fn maybe_cifar10(manifest: &Manifest) -> bool {
    let other = matches!(&manifest.source, Source::Hub { id, .. } if !id.ends_with("/cifar10"));
    unnamed(manifest) && !other && manifest.shape == (3, 32, 32)
}

/// Both halves at once, where they are CIFAR-10's binary files.
pub(crate) fn both(manifest: &Manifest, folder: &Path) -> Result<Option<(Split, Split)>> {
    let Some(found) = [folder.to_path_buf(), folder.join(&manifest.name)].iter().find_map(|f| cifar::find(f)) else {
        return Ok(None);
    };
    let parquet = |f: &RemoteFile| find_parquet(folder, "", &f.path).is_some();
    if !maybe_cifar10(manifest) || manifest.train.files.iter().any(parquet) {
        return Ok(None);
    }
    let [train, test] = cifar::read(&found)?;
    Ok(Some((finish(manifest, "train", train.0, train.1)?, finish(manifest, "test", test.0, test.1)?)))
}

/// The file in which an array lies.
fn array_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.split_once(".npz/").map_or(name.to_string(), |(file, _)| format!("{file}.npz")))
}

/// One split from two arrays: the rows that are wanted, and no other ones.
fn arrays(manifest: &Manifest, half: Half, folder: &Path, Arrays { images, labels }: &Arrays) -> Result<Split> {
    let (part, images, classes) = (half.of(manifest), Array::open(folder, images)?, Array::open(folder, labels)?);
    let all = images.rows();
    let first = part.skip.unwrap_or(0).min(all);
    let rows = first..part.take.map_or(all, |take| first.saturating_add(take).min(all));
    if classes.rows() != all && part.skip.is_none() && part.take.is_none() {
        let path = array_file(folder, labels);
        return Err(crate::error::file(&path, format!("it has {} labels for {all} images", classes.rows())));
    }
    let pixels = images.images(manifest.shape, rows.clone(), Ceiling::of(manifest))?;
    finish(manifest, half.name(), pixels, classes.labels(rows)?)
}

/// A parquet file under its repository path, below the data set's id, or by its bare name.
fn find_parquet(folder: &Path, id: &str, path: &str) -> Option<PathBuf> {
    let bare = path.rsplit('/').next().unwrap_or(path);
    [folder.join(path), folder.join(id).join(path), folder.join(bare)].into_iter().find(|p| p.is_file())
}

/// Reading parquet files comes with the hub.
#[cfg(not(feature = "hub"))]
pub(crate) fn files(_: &Manifest, _: Half, paths: &[PathBuf], _: &str, _: &str) -> Result<Split> {
    let shown = paths.first().map(|p| p.display().to_string()).unwrap_or_default();
    Err(crate::without_hub::missing(&shown))
}

/// One split from parquet files in order.
#[cfg(feature = "hub")]
pub(crate) fn files(manifest: &Manifest, half: Half, paths: &[PathBuf], image: &str, label: &str) -> Result<Split> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let part = half.of(manifest);
    // Where no whole split is to be compared with a content, no more is read than is kept.
    let enough = match (&part.content, part.take) {
        (None, Some(take)) => take.saturating_add(part.skip.unwrap_or(0)),
        _ => usize::MAX,
    };
    for path in paths {
        if labels.len() >= enough {
            break;
        }
        let shown = path.display().to_string();
        parquet_rows::read(path, (image, label), Ceiling::of(manifest), |first, rows| {
            decode((&shown, first), rows, manifest, &mut pixels, &mut labels)
        })?;
    }
    finish(manifest, half.name(), pixels, labels)
}
