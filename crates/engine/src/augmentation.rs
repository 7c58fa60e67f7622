//! Crops and flips, keyed by example and epoch.

use candle_core::Tensor;
use gauntlet_autograd::kernels::images::{Crop, crop_flip};
use gauntlet_core::{Batch, Key, Purpose, Result};
use serde::{Deserialize, Serialize};

/// What is done to a training image before it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// Nothing.
    None,
    /// Zero padding of 4 pixels, a random crop of the original size, a horizontal flip with probability ½.
    CropFlip,
}

/// Zeros added on each side before the crop.
pub(crate) const PADDING: usize = 4;

impl Augmentation {
    /// The names in suite files.
    pub const NAMES: [&'static str; 2] = ["none", "crop-flip"];

    /// The batch as it is shown in `epoch`: every draw is keyed by (seed, example, epoch), not by the batch.
    ///
    /// # Errors
    /// A dtype other than f32 and f64.
    pub fn apply(self, batch: Batch, seed: u64, epoch: u32) -> Result<Batch> {
        if self == Augmentation::None {
            return Ok(batch);
        }
        let n = batch.ids.len();
        let crops: Vec<u32> = batch.ids.iter().map(|id| crop(seed, *id, epoch).packed()).collect();
        let crops = Tensor::from_vec(crops, n, batch.x.device())?;
        Ok(Batch { x: crop_flip(&batch.x, &crops, PADDING)?, ..batch })
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

    #[test]
    fn a_crop_is_a_window_of_the_padded_image() {
        for epoch in 0..40 {
            let shown = row(&Augmentation::CropFlip.apply(batch(&[1]), 5, epoch).unwrap(), 0);
            let grid = |r: isize, k: isize| {
                if (0..12).contains(&r) && (0..12).contains(&k) { (r * 12 + k + 1) as f32 } else { 0.0 }
            };
            let mut matches = 0;
            for down in -4..=4isize {
                for right in -4..=4isize {
                    for flip in [false, true] {
                        let ok = (0..12isize).all(|r| {
                            (0..12isize).all(|k| {
                                let column = if flip { 11 - k } else { k };
                                shown[(r * 12 + column) as usize] == grid(r + down, k + right)
                            })
                        });
                        matches += usize::from(ok);
                    }
                }
            }
            assert_eq!(matches, 1, "epoch {epoch}");
        }
    }
}
