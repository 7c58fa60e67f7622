//! Crops and flips, keyed by example and epoch.

use candle_core::{DType, Tensor, WithDType};
use gauntlet_core::{Batch, Error, Key, Purpose, Result};
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
const PADDING: usize = 4;

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
        let x = match batch.x.dtype() {
            DType::F32 => crop_flip::<f32>(&batch, seed, epoch)?,
            DType::F64 => crop_flip::<f64>(&batch, seed, epoch)?,
            other => return Err(Error::value("pixels", format!("must be f32 or f64, got {other:?}"))),
        };
        Ok(Batch { x, ..batch })
    }
}

fn crop_flip<T: WithDType>(batch: &Batch, seed: u64, epoch: u32) -> Result<Tensor> {
    let (n, c, h, w) = batch.x.dims4()?;
    let from: Vec<T> = batch.x.flatten_all()?.to_vec1()?;
    let mut to = vec![T::zero(); from.len()];
    let key = Key::new(seed, Purpose::Augment);
    for (i, &id) in batch.ids.iter().enumerate().take(n) {
        let mut stream = key.stream(id, epoch, 0);
        let span = 2 * PADDING as u32 + 1;
        let (down, right, flip) =
            (stream.below(span) as usize, stream.below(span) as usize, stream.next_u32() & 1 == 1);
        for channel in i * c..(i + 1) * c {
            for row in 0..h {
                let Some(source) = (row + down).checked_sub(PADDING).filter(|r| *r < h) else { continue };
                for column in 0..w {
                    let shown = if flip { w - 1 - column } else { column };
                    let Some(from_column) = (column + right).checked_sub(PADDING).filter(|k| *k < w) else { continue };
                    to[(channel * h + row) * w + shown] = from[(channel * h + source) * w + from_column];
                }
            }
        }
    }
    Ok(Tensor::from_vec(to, (n, c, h, w), batch.x.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

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
