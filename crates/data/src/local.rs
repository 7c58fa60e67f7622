//! Local files: `--data-dir` with parquet, idx or CIFAR-10 binary files.

use crate::ceiling::Ceiling;
use crate::decode::{decode, finish};
use crate::manifest::{Manifest, Part, Source};
use crate::{Error, Result, Split, cifar, idx, parquet_rows};
use std::path::{Path, PathBuf};

/// Both splits from `folder`.
pub(crate) fn load(manifest: &Manifest, folder: &Path) -> Result<(Split, Split)> {
    let Source::Hub { id, image, label, .. } = &manifest.source else {
        return Err(Error::Message(format!("{} is drawn by the program and takes no --data-dir", manifest.name)));
    };
    let parquet = |part: &Part| -> Option<Vec<PathBuf>> {
        part.files.iter().map(|f| find_parquet(folder, id, &f.path)).collect()
    };
    if let (Some(train), Some(test)) = (parquet(&manifest.train), parquet(&manifest.test)) {
        return Ok((files(manifest, "train", &train, image, label)?, files(manifest, "test", &test, image, label)?));
    }
    let ceiling = Ceiling::of(manifest);
    if let (Some(train), Some(test)) =
        (idx::split(folder, "train", manifest.shape, ceiling)?, idx::split(folder, "t10k", manifest.shape, ceiling)?)
    {
        return Ok((finish(manifest, "train", train.0, train.1)?, finish(manifest, "test", test.0, test.1)?));
    }
    if let (Some(folder), (3, 32, 32)) = (cifar::find(folder), manifest.shape) {
        let [train, test] = cifar::read(&folder)?;
        return Ok((finish(manifest, "train", train.0, train.1)?, finish(manifest, "test", test.0, test.1)?));
    }
    let mut looked_for: Vec<String> =
        manifest.train.files.iter().chain(&manifest.test.files).map(|f| f.path.clone()).collect();
    looked_for.push("train-images-idx3-ubyte[.gz] and its companions".into());
    if manifest.shape == (3, 32, 32) {
        looked_for.push("data_batch_1.bin … test_batch.bin".into());
    }
    Err(Error::NothingLocal {
        folder: folder.display().to_string(),
        name: manifest.name.clone(),
        looked_for: looked_for.join(", "),
    })
}

/// A parquet file under its repository path, below the data set's id, or by its bare name.
fn find_parquet(folder: &Path, id: &str, path: &str) -> Option<PathBuf> {
    let bare = path.rsplit('/').next().unwrap_or(path);
    [folder.join(path), folder.join(id).join(path), folder.join(bare)].into_iter().find(|p| p.is_file())
}

/// One split from parquet files in order.
pub(crate) fn files(manifest: &Manifest, split: &str, paths: &[PathBuf], image: &str, label: &str) -> Result<Split> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        let shown = path.display().to_string();
        parquet_rows::read(path, (image, label), Ceiling::of(manifest), |first, rows| {
            decode((&shown, first), rows, manifest, &mut pixels, &mut labels)
        })?;
    }
    finish(manifest, split, pixels, labels)
}
