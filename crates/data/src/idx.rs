//! The idx format of MNIST and Fashion-MNIST, plain or gzipped.

use crate::{Error, Result};
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file of that name, or with `.gz`.
pub(crate) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|p| p.is_file())
}

/// Dimensions and bytes of an idx file of unsigned bytes.
///
/// # Errors
/// A file that is not idx, or shorter or longer than its header says.
pub(crate) fn read(path: &Path) -> Result<(Vec<usize>, Vec<u8>)> {
    let fail = |why: String| crate::error::file(path, why);
    let raw = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let raw = if raw.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        GzDecoder::new(raw.as_slice()).read_to_end(&mut plain).map_err(|e| fail(format!("it does not unzip: {e}")))?;
        plain
    } else {
        raw
    };
    let (Some([0, 0, 8, rank]), true) = (raw.first_chunk::<4>(), raw.len() >= 8) else {
        return Err(fail("it is no idx file of unsigned bytes".into()));
    };
    let start = 4 + 4 * usize::from(*rank);
    let (words, _) = raw.get(4..start).unwrap_or(&[]).as_chunks::<4>();
    let dims: Vec<usize> = words.iter().map(|d| u32::from_be_bytes(*d) as usize).collect();
    let body = raw.get(start..).unwrap_or(&[]).to_vec();
    if body.len() != dims.iter().product::<usize>() {
        return Err(fail(format!(
            "its header says {dims:?}, it holds {} bytes: it is truncated or damaged",
            body.len()
        )));
    }
    Ok((dims, body))
}

/// Images and labels of one split, if both files are there.
pub(crate) fn split(folder: &Path, prefix: &str, shape: (usize, usize, usize)) -> Result<Option<(Vec<u8>, Vec<u32>)>> {
    let (Some(images), Some(labels)) =
        (find(folder, &format!("{prefix}-images-idx3-ubyte")), find(folder, &format!("{prefix}-labels-idx1-ubyte")))
    else {
        return Ok(None);
    };
    let ((dims, pixels), (count, classes)) = (read(&images)?, read(&labels)?);
    if dims.len() != 3 || (1, dims[1], dims[2]) != shape || count.len() != 1 || count[0] != dims[0] {
        return Err(Error::File {
            path: images.display().to_string(),
            why: format!("images {dims:?} with {count:?} labels do not fit the manifest's shape {shape:?}"),
        });
    }
    Ok(Some((pixels, classes.into_iter().map(u32::from).collect())))
}
