//! Images of any size made alike.

use image::DynamicImage;
use image::imageops::FilterType;
use serde::{Deserialize, Serialize};

/// The shorter side resized to `resize` pixels (bilinear, smoothed where the image shrinks), then the `crop`×`crop` pixels of the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Pixels of the shorter side.
    pub resize: usize,
    /// Side of the square that is kept, at most `resize`.
    pub crop: usize,
}

impl Transform {
    /// The longest side that an image may have: a resized one has its area in memory.
    const LONGEST: usize = 1 << 14;

    /// What makes no sense, in words.
    pub(crate) fn odd(self, (_, h, w): (usize, usize, usize)) -> Option<String> {
        let Transform { resize, crop } = self;
        if crop == 0 || resize < crop || resize > Self::LONGEST {
            let most = Self::LONGEST;
            return Some(format!(
                "transform: crop must be from 1 to resize, and resize at most {most}, got {crop} and {resize}"
            ));
        }
        ((h, w) != (crop, crop)).then(|| format!("transform crops to {crop}×{crop}, and shape says {h}×{w}"))
    }

    /// The image as the data set has it.
    pub(crate) fn of(self, image: DynamicImage) -> DynamicImage {
        let (w, h) = (image.width() as usize, image.height() as usize);
        let short = w.min(h).max(1);
        let side = |n: usize| ((self.resize * n / short).clamp(self.resize, 64 * self.resize)) as u32;
        let (w, h) = (side(w), side(h));
        let image = if (image.width(), image.height()) == (w, h) {
            image
        } else {
            image.resize_exact(w, h, FilterType::Triangle)
        };
        let crop = self.crop as u32;
        image.crop_imm(middle(w - crop), middle(h - crop), crop, crop)
    }
}

/// Half of what is left over, a half rounded to even, as Python rounds.
fn middle(left: u32) -> u32 {
    let half = left / 2;
    half + u32::from(left % 2 == 1 && half % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};

    #[test]
    fn the_shorter_side_is_resized_and_the_middle_kept() {
        // A ramp from left to right, twice as wide as high.
        let ramp = GrayImage::from_fn(80, 40, |x, _| Luma([3 * x as u8]));
        let found = Transform { resize: 20, crop: 10 }.of(ramp.into()).into_luma8();
        assert_eq!(found.dimensions(), (10, 10));
        // 40×20 after resizing, columns 15 to 24 kept: column i is the mean of columns 2i and 2i + 1.
        for (x, _, Luma([v])) in found.enumerate_pixels() {
            let wanted = 3.0 * (2.0 * (x as f64 + 15.0) + 0.5);
            assert!((f64::from(*v) - wanted).abs() <= 1.0, "{x}: {v} instead of {wanted}");
        }
        let same = GrayImage::from_fn(6, 6, |x, y| Luma([(x + 7 * y) as u8]));
        let found = Transform { resize: 6, crop: 5 }.of(same.clone().into()).into_luma8();
        assert!(found.enumerate_pixels().all(|(x, y, v)| v == same.get_pixel(x, y)));
        assert_eq!([0, 1, 2, 3, 4, 5].map(middle), [0, 0, 1, 2, 2, 2]);
    }

    /// torchvision's Resize and CenterCrop on Pillow's images, smaller and larger: the same within one step of 255.
    #[test]
    fn pixels_are_those_of_torchvision() {
        let image = GrayImage::from_fn(53, 37, |x, y| Luma([((7 * x * x + 13 * y + 31 * x * y) % 256) as u8]));
        let near = |resize, crop, row: u32, wanted: &[u8]| {
            let found = Transform { resize, crop }.of(image.clone().into()).into_luma8();
            assert_eq!(found.dimensions(), (crop as u32, crop as u32));
            for (x, wanted) in wanted.iter().enumerate() {
                let Luma([got]) = found.get_pixel(x as u32, row);
                assert!(
                    got.abs_diff(*wanted) <= 1,
                    "{resize}, {crop}: {got} instead of {wanted} in column {x} of row {row}"
                );
            }
        };
        near(16, 12, 0, &[144, 148, 130, 126, 129, 135, 127, 109, 111, 127, 112, 77]);
        near(16, 12, 7, &[111, 114, 135, 147, 142, 183, 149, 150, 140, 130, 110, 127]);
        near(64, 61, 30, &[119, 194, 154, 119, 87, 61, 43, 134, 193, 186, 184, 185]);
        near(64, 61, 0, &[140, 107, 202, 230, 183, 149]);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let odd = |resize, crop, side| Transform { resize, crop }.odd((3, side, side));
        assert_eq!(odd(256, 224, 224), None);
        assert!(odd(200, 224, 224).unwrap().contains("crop must be from 1 to resize"));
        assert!(odd(256, 224, 200).unwrap().contains("crops to 224×224, and shape says 200×200"));
    }
}
