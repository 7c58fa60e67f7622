//! CIFAR-10's binary files: a label and an image of 3 × 32 × 32, channel first, 10,000 times.

use crate::Result;
use gauntlet_records::regular_file;
use std::path::{Path, PathBuf};

const IMAGE: usize = 3 * 32 * 32;
const RECORDS: usize = 10_000;

/// The folder with the binary files: `folder` itself or `cifar-10-batches-bin` below it.
pub(crate) fn find(folder: &Path) -> Option<PathBuf> {
    [folder.to_path_buf(), folder.join("cifar-10-batches-bin")].into_iter().find(|f| f.join("test_batch.bin").is_file())
}

/// Train and test: channel-first pixels and labels.
///
/// # Errors
/// A file that is not there or is not exactly as long as 10,000 records, by its name.
pub(crate) fn read(folder: &Path) -> Result<[(Vec<u8>, Vec<u32>); 2]> {
    let train: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    Ok([batches(folder, &train)?, batches(folder, &["test_batch.bin".to_string()])?])
}

fn batches(folder: &Path, names: &[String]) -> Result<(Vec<u8>, Vec<u32>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for name in names {
        let path = folder.join(name);
        let whole = RECORDS * (1 + IMAGE);
        let what = "a batch of CIFAR-10's 10,000 images";
        let bytes = regular_file::read(&path, whole as u64, what).map_err(|e| crate::error::file(&path, e))?;
        if bytes.len() < whole {
            let why = format!("it has {} bytes, and {what} has {whole}: it is cut off", bytes.len());
            return Err(crate::error::file(&path, why));
        }
        for record in bytes.chunks_exact(1 + IMAGE) {
            labels.push(u32::from(record[0]));
            pixels.extend_from_slice(&record[1..]);
        }
    }
    Ok((pixels, labels))
}
