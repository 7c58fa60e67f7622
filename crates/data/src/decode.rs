//! Encoded images to pixels.

use crate::manifest::Manifest;
use crate::{Error, Result, Split};
use image::{ColorType, DynamicImage};
use rayon::prelude::*;

/// An encoded image and its label, with where it came from.
pub(crate) struct Row {
    pub(crate) bytes: Vec<u8>,
    pub(crate) label: i64,
}

/// Decodes the rows of one file, in parallel, onto a split.
pub(crate) fn decode(
    path: &str,
    rows: &[Row],
    manifest: &Manifest,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<()> {
    let images: Vec<(Vec<u8>, u32)> = rows
        .par_iter()
        .enumerate()
        .map(|(row, Row { bytes, label })| {
            let fail = |why: String| Error::Row { path: path.into(), row, why };
            let label =
                u32::try_from(*label).ok().filter(|l| (*l as usize) < manifest.classes.len()).ok_or_else(|| {
                    fail(format!("label {label} is outside 0..{} of the manifest's classes", manifest.classes.len()))
                })?;
            let image = image::load_from_memory(bytes).map_err(|e| {
                fail(format!("the image does not decode ({e}); the file is damaged or the column holds no images"))
            })?;
            Ok((planes(image, manifest).map_err(fail)?, label))
        })
        .collect::<Result<_>>()?;
    for (image, label) in images {
        pixels.extend_from_slice(&image);
        labels.push(label);
    }
    Ok(())
}

/// Channel-first pixels of the manifest's shape.
fn planes(image: DynamicImage, manifest: &Manifest) -> Result<Vec<u8>, String> {
    let (c, h, w) = manifest.shape;
    if (image.height() as usize, image.width() as usize) != (h, w) {
        return Err(format!("the image is {}×{}, the manifest says {h}×{w}", image.height(), image.width()));
    }
    let grey = matches!(image.color(), ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16);
    match (c, grey) {
        (1, true) => Ok(image.into_luma8().into_raw()),
        (3, _) => {
            let interleaved = image.into_rgb8().into_raw();
            Ok((0..3).flat_map(|ch| interleaved.iter().skip(ch).step_by(3).copied().collect::<Vec<_>>()).collect())
        }
        _ => Err(format!("the image has colours ({:?}), the manifest says {c} channel", image.color())),
    }
}

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
