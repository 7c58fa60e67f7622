//! A split that is what its manifest says.

use crate::manifest::Manifest;
use crate::{Error, Result, Split};

/// Compares a whole split with the content that the manifest pins, if it does. Local files may be another encoding of the
/// same data; their decoded content is pinned all the same.
pub(crate) fn verify(manifest: &Manifest, split: &str, whole: &Split) -> Result<()> {
    let part = if split == "train" { &manifest.train } else { &manifest.test };
    let Some(want) = &part.content else { return Ok(()) };
    let got = whole.sha256();
    if got == *want {
        return Ok(());
    }
    Err(Error::Content { name: manifest.name.clone(), split: split.into(), got, want: want.clone() })
}

/// A checked, non-empty split.
pub(crate) fn finish(manifest: &Manifest, split: &str, pixels: Vec<u8>, labels: Vec<u32>) -> Result<Split> {
    let part = if split == "train" { &manifest.train } else { &manifest.test };
    let mut whole = Split::new(manifest.shape, pixels, labels)?;
    verify(manifest, split, &whole)?;
    // Of arrays no other rows were read.
    if let Some(skip) = part.skip.filter(|_| part.arrays.is_none()) {
        whole.skip(skip);
    }
    if let Some(take) = part.take {
        whole.truncate(take);
    }
    if whole.is_empty() {
        return Err(Error::Empty { name: manifest.name.clone(), split: split.into() });
    }
    if let Some(bad) = whole.labels().iter().position(|l| *l as usize >= manifest.classes.len()) {
        return Err(Error::Row {
            path: format!("{split} labels of {}", manifest.name),
            row: bad,
            why: format!("label {} is outside 0..{}", whole.labels()[bad], manifest.classes.len()),
        });
    }
    Ok(whole)
}
