//! Crops and flips, keyed by example and epoch.

use candle_core::Tensor;
use gauntlet_autograd::kernels::border::Border;
use gauntlet_autograd::kernels::images::{Crop, crop_flip};
use gauntlet_core::{Batch, Key, Purpose, Result, Spec};
use serde::{Deserialize, Serialize};

/// What is done to a training image before it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// Nothing.
    None,
    /// Zero padding of 4 pixels, a random crop of the original size, a horizontal flip with probability ½.
    CropFlip,
    /// The same with the image mirrored at its edges instead of zeros (images of at least 5×5 pixels).
    CropFlipReflect,
}

const fn spec(name: &'static str, summary: &'static str, formula: &'static str) -> Spec<()> {
    Spec::described(name, summary, formula, "-", &[])
}

impl Augmentation {
    /// As lists and documents see them; what comes after them is in the registry.
    pub const SPECS: [Spec<()>; 3] = [
        spec("none", "images as they are", "x"),
        spec(
            "crop-flip",
            "zero padding of 4 pixels, a random crop of the original size, a flip every other time",
            "shifts uniform in ±4, flip with probability ½",
        ),
        spec(
            "crop-flip-reflect",
            "the same with the image mirrored at its edges instead of zeros (5×5 pixels at least)",
            "shifts uniform in ±4, flip with probability ½",
        ),
    ];
}

/// Pixels added on each side before the crop.
pub(crate) const PADDING: usize = 4;

impl Augmentation {
    /// The names in suite files.
    pub const NAMES: [&'static str; 3] = ["none", "crop-flip", "crop-flip-reflect"];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Augmentation> {
        match name {
            "none" => Some(Augmentation::None),
            "crop-flip" => Some(Augmentation::CropFlip),
            "crop-flip-reflect" => Some(Augmentation::CropFlipReflect),
            _ => None,
        }
    }

    /// What surrounds the image before the crop; none where nothing is done.
    pub(crate) fn border(self) -> Option<Border> {
        match self {
            Augmentation::None => None,
            Augmentation::CropFlip => Some(Border::Zeros),
            Augmentation::CropFlipReflect => Some(Border::Reflect),
        }
    }

    /// The batch as it is shown in `epoch`: every draw is keyed by (seed, example, epoch), not by the batch.
    ///
    /// # Errors
    /// A dtype other than f32 and f64; images too small to be reflected.
    pub fn apply(self, batch: Batch, seed: u64, epoch: u32) -> Result<Batch> {
        let Some(border) = self.border() else { return Ok(batch) };
        let n = batch.ids.len();
        let crops: Vec<u32> = batch.ids.iter().map(|id| crop(seed, *id, epoch).packed()).collect();
        let crops = Tensor::from_vec(crops, n, batch.x.device())?;
        Ok(Batch { x: crop_flip(&batch.x, &crops, PADDING, border)?, ..batch })
    }
}

/// What example `id` is shown as in `epoch`.
pub(crate) fn crop(seed: u64, id: u64, epoch: u32) -> Crop {
    let mut stream = Key::new(seed, Purpose::Augment).stream(id, epoch, 0);
    let span = 2 * PADDING as u32 + 1;
    Crop { down: stream.below(span) as u8, right: stream.below(span) as u8, flip: stream.next_u32() & 1 == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn batch(ids: &[u64]) -> Batch {
        let images: Vec<Tensor> = ids
            .iter()
            .map(|id| {
                (Tensor::arange(1f32, 145.0, &Device::Cpu).unwrap().reshape((1, 12, 12)).unwrap() * (*id as f64))
                    .unwrap()
            })
            .collect();
        let y = Tensor::zeros(ids.len(), DType::U32, &Device::Cpu).unwrap();
        Batch { x: Tensor::stack(&images, 0).unwrap(), y, ids: ids.to_vec() }
    }
    fn row(b: &Batch, i: usize) -> Vec<f32> {
        b.x.get(i).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn draws_belong_to_the_example_and_the_epoch() {
        let a = Augmentation::CropFlip.apply(batch(&[3, 7, 9]), 0, 2).unwrap();
        let b = Augmentation::CropFlip.apply(batch(&[9, 3]), 0, 2).unwrap();
        assert_eq!(row(&a, 0), row(&b, 1));
        assert_eq!(row(&a, 2), row(&b, 0));
        let later = Augmentation::CropFlip.apply(batch(&[3, 7, 9]), 0, 3).unwrap();
        assert!((0..3).any(|i| row(&a, i) != row(&later, i)));
    }

    /// How many windows of the padded image, flipped or not, are what example 1 is shown as in this epoch.
    fn windows(how: Augmentation, epoch: u32, padded: impl Fn(isize, isize) -> f32) -> usize {
        let shown = row(&how.apply(batch(&[1]), 5, epoch).unwrap(), 0);
        let mut matches = 0;
        for down in -4..=4isize {
            for right in -4..=4isize {
                for flip in [false, true] {
                    let ok = (0..12isize).all(|r| {
                        (0..12isize).all(|k| {
                            let column = if flip { 11 - k } else { k };
                            shown[(r * 12 + column) as usize] == padded(r + down, k + right)
                        })
                    });
                    matches += usize::from(ok);
                }
            }
        }
        matches
    }

    #[test]
    fn a_crop_is_a_window_of_the_padded_image() {
        let zeros = |r: isize, k: isize| {
            if (0..12).contains(&r) && (0..12).contains(&k) { (r * 12 + k + 1) as f32 } else { 0.0 }
        };
        // -1 is 1, 12 is 10: the outermost pixels are not repeated.
        let back = |p: isize| if p < 0 { -p } else { p.min(22 - p) };
        let mirrored = |r: isize, k: isize| (back(r) * 12 + back(k) + 1) as f32;
        for epoch in 0..40 {
            assert_eq!(windows(Augmentation::CropFlip, epoch, zeros), 1, "epoch {epoch}");
            assert_eq!(windows(Augmentation::CropFlipReflect, epoch, mirrored), 1, "epoch {epoch}");
        }
    }

    #[test]
    fn an_image_that_is_too_small_to_be_reflected_is_refused() {
        let small = Batch {
            x: Tensor::zeros((1, 1, 8, 4), DType::F32, &Device::Cpu).unwrap(),
            y: Tensor::zeros(1, DType::U32, &Device::Cpu).unwrap(),
            ids: vec![0],
        };
        let error = Augmentation::CropFlipReflect.apply(small, 0, 0).unwrap_err().to_string();
        assert!(error.contains("8×4 images cannot be reflected by 4 pixels"), "{error}");
    }
}
