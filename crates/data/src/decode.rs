//! Encoded images to pixels.

use crate::ceiling::Ceiling;
use crate::manifest::Manifest;
use crate::{Error, Result};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};
use rayon::prelude::*;
use std::io::Cursor;

/// An encoded image and its label, with where it came from.
pub(crate) struct Row {
    pub(crate) bytes: Vec<u8>,
    pub(crate) label: i64,
}

/// Decodes rows of one file, in parallel, onto a split; `first`: the number of the first of them.
pub(crate) fn decode(
    (path, first): (&str, usize),
    rows: &[Row],
    manifest: &Manifest,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<()> {
    let images: Vec<(Vec<u8>, u32)> = rows
        .par_iter()
        .enumerate()
        .map(|(row, Row { bytes, label })| {
            let fail = |why: String| Error::Row { path: path.into(), row: first + row, why };
            let label =
                u32::try_from(*label).ok().filter(|l| (*l as usize) < manifest.classes.len()).ok_or_else(|| {
                    fail(format!("label {label} is outside 0..{} of the manifest's classes", manifest.classes.len()))
                })?;
            Ok((one(bytes, manifest).map_err(fail)?, label))
        })
        .collect::<Result<_>>()?;
    for (image, label) in images {
        pixels.extend_from_slice(&image);
        labels.push(label);
    }
    Ok(())
}

/// Channel-first pixels of one encoded image.
///
/// # Errors
/// In words: it does not decode, or is of another size or kind than the manifest's.
pub(crate) fn one(bytes: &[u8], manifest: &Manifest) -> Result<Vec<u8>, String> {
    planes(image(bytes, manifest)?, manifest)
}

/// An image of the manifest's size; one of another size is not decoded, unless they are made alike.
fn image(bytes: &[u8], manifest: &Manifest) -> Result<DynamicImage, String> {
    let odd = |e: ImageError| match e {
        ImageError::Limits(_) => {
            "the image has more beside its pixels than there is room for; save it again without".into()
        }
        e => format!("the image does not decode ({e}); the file is damaged or the column holds no images"),
    };
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| odd(e.into()))?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(Ceiling::of(manifest).decoder());
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(odd)?;
    let (_, h, w) = manifest.shape;
    let (width, height) = decoder.dimensions();
    let Some(transform) = manifest.transform else {
        if (height as usize, width as usize) != (h, w) {
            return Err(format!(
                "the image is {height}×{width}, the manifest says {h}×{w}; where sizes differ, a transform makes them alike \
                 (docs/datasets.md)"
            ));
        }
        return DynamicImage::from_decoder(decoder).map_err(odd);
    };
    let decoded = DynamicImage::from_decoder(decoder).map_err(odd)?;
    // In 8 bits first, as other libraries resize.
    let eight = match (manifest.shape.0, is_grey(decoded.color())) {
        (1, true) => DynamicImage::from(decoded.into_luma8()),
        (4, _) => DynamicImage::from(decoded.into_rgba8()),
        (3, _) => DynamicImage::from(decoded.into_rgb8()),
        _ => decoded,
    };
    Ok(transform.of(eight))
}

/// Channels, height and width of an encoded image, from its header.
///
/// # Errors
/// In words: it is no image.
pub(crate) fn shape(bytes: &[u8]) -> Result<(usize, usize, usize), String> {
    let odd =
        |e: ImageError| format!("the image does not decode ({e}); the column holds no images, or the file is damaged");
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| odd(e.into()))?;
    let decoder = reader.into_decoder().map_err(odd)?;
    let (width, height) = decoder.dimensions();
    Ok((if is_grey(decoder.color_type()) { 1 } else { 3 }, height as usize, width as usize))
}

fn is_grey(colour: ColorType) -> bool {
    matches!(colour, ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16)
}

/// Channel-first pixels of the manifest's shape.
fn planes(image: DynamicImage, manifest: &Manifest) -> Result<Vec<u8>, String> {
    let (c, ..) = manifest.shape;
    match (c, is_grey(image.color())) {
        (1, true) => Ok(image.into_luma8().into_raw()),
        (3, _) => Ok(apart(&image.into_rgb8().into_raw(), 3)),
        (4, _) => Ok(apart(&image.into_rgba8().into_raw(), 4)),
        (2 | 5.., _) => Err(format!(
            "images in files have 1, 3 or 4 channels, the manifest says {c}; arrays of NumPy's have any number"
        )),
        _ => Err(format!("the image has colours ({:?}), the manifest says {c} channel", image.color())),
    }
}

/// Channels that lay side by side, one after the other.
fn apart(interleaved: &[u8], channels: usize) -> Vec<u8> {
    (0..channels).flat_map(|ch| interleaved.iter().skip(ch).step_by(channels).copied()).collect()
}
