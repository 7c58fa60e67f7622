//! CIFAR-10's binary files, read with candle-datasets.

use crate::Result;
use candle_core::DType;
use std::path::{Path, PathBuf};

/// The folder with the binary files: `folder` itself or `cifar-10-batches-bin` below it.
pub(crate) fn find(folder: &Path) -> Option<PathBuf> {
    [folder.to_path_buf(), folder.join("cifar-10-batches-bin")].into_iter().find(|f| f.join("test_batch.bin").is_file())
}

/// Train and test: channel-first pixels and labels.
///
/// `load_dir` of candle-datasets is right (its `load`, from the hub, transposes every image and is not used); it hands
/// out pixel / 255, which times 255 is the pixel again after rounding.
pub(crate) fn read(folder: &Path) -> Result<[(Vec<u8>, Vec<u32>); 2]> {
    let set = candle_datasets::vision::cifar::load_dir(folder)
        .map_err(|e| crate::error::file(folder, format!("the CIFAR-10 binary files cannot be read: {e}")))?;
    let pixels = |t: &candle_core::Tensor| -> Result<Vec<u8>> {
        Ok(t.flatten_all()?.to_vec1::<f32>()?.iter().map(|p| (p * 255.0).round() as u8).collect())
    };
    let labels = |t: &candle_core::Tensor| -> Result<Vec<u32>> { Ok(t.to_dtype(DType::U32)?.to_vec1()?) };
    Ok([
        (pixels(&set.train_images)?, labels(&set.train_labels)?),
        (pixels(&set.test_images)?, labels(&set.test_labels)?),
    ])
}
