//! Local files: `--data-dir` with parquet, idx or CIFAR-10 binary files.

use crate::ceiling::Ceiling;
use crate::checked::finish;
#[cfg(feature = "hub")]
use crate::decode::decode;
use crate::manifest::{Manifest, RemoteFile, Source};
#[cfg(feature = "hub")]
use crate::parquet_rows;
use crate::{Error, Half, Result, Split, cifar, idx};
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
        let files = &half.of(manifest).files;
        let found: Option<Vec<PathBuf>> = files.iter().map(|f| find_parquet(folder, id, &f.path)).collect();
        if let Some(found) = found.filter(|f| !f.is_empty()) {
            return self::files(manifest, half, &found, image, label);
        }
        let prefix = if half == Half::Train { "train" } else { "t10k" };
        if let Some((pixels, labels)) = idx::split(folder, prefix, manifest.shape, Ceiling::of(manifest))? {
            return finish(manifest, half.name(), pixels, labels);
        }
        if let (Some(folder), (3, 32, 32)) = (cifar::find(folder), manifest.shape) {
            let [train, test] = cifar::read(&folder)?;
            let (pixels, labels) = if half == Half::Train { train } else { test };
            return finish(manifest, half.name(), pixels, labels);
        }
    }
    let mut looked_for: Vec<String> = half.of(manifest).files.iter().map(|f| f.path.clone()).collect();
    let prefix = if half == Half::Train { "train" } else { "t10k" };
    looked_for.push(format!("{prefix}-images-idx3-ubyte[.gz] and its labels"));
    if manifest.shape == (3, 32, 32) {
        looked_for.push("data_batch_1.bin … test_batch.bin".into());
    }
    Err(Error::NothingLocal {
        folder: folder.display().to_string(),
        name: manifest.name.clone(),
        split: half.name(),
        looked_for: looked_for.join(", "),
    })
}

/// Both halves at once, where they are CIFAR-10's binary files.
pub(crate) fn both(manifest: &Manifest, folder: &Path) -> Result<Option<(Split, Split)>> {
    let Some(found) = [folder.to_path_buf(), folder.join(&manifest.name)].iter().find_map(|f| cifar::find(f)) else {
        return Ok(None);
    };
    let parquet = |f: &RemoteFile| find_parquet(folder, "", &f.path).is_some();
    if manifest.shape != (3, 32, 32) || manifest.train.files.iter().any(parquet) {
        return Ok(None);
    }
    let [train, test] = cifar::read(&found)?;
    Ok(Some((finish(manifest, "train", train.0, train.1)?, finish(manifest, "test", test.0, test.1)?)))
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
    for path in paths {
        let shown = path.display().to_string();
        parquet_rows::read(path, (image, label), Ceiling::of(manifest), |first, rows| {
            decode((&shown, first), rows, manifest, &mut pixels, &mut labels)
        })?;
    }
    finish(manifest, half.name(), pixels, labels)
}
