//! How much a file may hold: what its manifest says an image is, and some more, before anything is decoded.

use crate::manifest::Manifest;
use crate::{Error, Result};
use gauntlet_core::memory;
use std::path::Path;

/// An encoded image is at most so many times as long as its pixels.
const TIMES: u64 = 4;
/// Bytes beside the pixels of an encoded image: colour profiles, dates, thumbnails.
const BESIDE_ONE: u64 = 1 << 20;
/// The same, on average over a column of images.
const BESIDE_EACH: u64 = 4096;
/// Bytes that a decoder needs for a pixel: two copies of four channels of 16 bits.
const DECODED: u64 = 16;

/// The limits of one data set's files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceiling {
    /// Bytes of an image as this program keeps it.
    image: u64,
    /// Pixels of an image.
    area: u64,
    /// Whether images of any size are made alike.
    any_size: bool,
}

/// Bytes of an encoded image, and pixels of a decoded one, where images may have any size.
const ANY_ENCODED: u64 = 1 << 25;
const ANY_AREA: u64 = 1 << 26;

impl Ceiling {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let (c, h, w) = manifest.shape;
        let area = (h as u64).saturating_mul(w as u64);
        Ceiling { image: area.saturating_mul(c as u64), area, any_size: manifest.transform.is_some() }
    }

    /// For images of so many bytes.
    #[cfg(test)]
    pub(crate) const fn plain(image: u64) -> Self {
        Ceiling { image, area: image, any_size: false }
    }

    /// For images of whose shape nothing is known: what the memory holds of so many.
    pub(crate) fn of_memory(rows: u64) -> Self {
        /// One image, where there is no end to the memory.
        const MOST: u64 = 1 << 26;
        let left = memory::available().unwrap_or(u64::MAX) / 8;
        let image = (left / rows.max(1)).clamp(1, MOST);
        Ceiling { image, area: image, any_size: false }
    }

    /// Bytes of an encoded image.
    pub(crate) fn encoded(self) -> u64 {
        let most = self.image.saturating_mul(TIMES).saturating_add(BESIDE_ONE);
        if self.any_size { most.max(ANY_ENCODED) } else { most }
    }

    /// Bytes that a column of `rows` values unpacks to.
    pub(crate) fn column(self, rows: u64) -> u64 {
        let each = self.image.saturating_mul(TIMES).saturating_add(BESIDE_EACH);
        let most = each.saturating_mul(rows).saturating_add(BESIDE_ONE);
        if self.any_size { most.max(ANY_ENCODED) } else { most }
    }

    /// Bytes that decoding one image takes.
    pub(crate) fn decoder(self) -> u64 {
        let area = if self.any_size { self.area.max(ANY_AREA) } else { self.area };
        area.saturating_mul(DECODED).saturating_add(BESIDE_ONE)
    }

    /// Whether a file that announces so many images can be kept in memory.
    ///
    /// # Errors
    /// [`Error::Message`] with the file and both figures.
    pub(crate) fn room(self, path: &Path, rows: u64) -> Result<()> {
        let what = format!("{}: it announces {rows} images, which", path.display());
        memory::room(self.image.saturating_mul(rows), &what).map_err(Error::Message)
    }
}
