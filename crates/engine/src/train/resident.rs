//! A training split that lies on the device where it is trained on: no image is copied there again.

use crate::train::augmentation::{Augmentation, PADDING, crop};
use candle_core::{Device, Tensor};
use gauntlet_autograd::kernels::border::Border;
use gauntlet_autograd::kernels::images::{crop_flip, pixels};
use gauntlet_core::{Batch, Precision, Result};
use gauntlet_data::Split;

/// The images of a split as bytes on a device.
pub(crate) struct Resident {
    images: Tensor,
    labels: Vec<u32>,
}

/// An epoch in its order: rows, labels and crops are there before its first step.
pub(crate) struct Shown {
    ids: Vec<u64>,
    rows: Tensor,
    labels: Tensor,
    crops: Option<(Tensor, Border)>,
}

impl Resident {
    pub(crate) fn new(split: &Split, device: &Device) -> Result<Self> {
        let (c, h, w) = split.shape();
        let bytes: Vec<u8> = (0..split.len()).filter_map(|row| split.image(row)).flatten().copied().collect();
        Ok(Resident {
            images: Tensor::from_vec(bytes, (split.len(), c, h, w), device)?,
            labels: split.labels().to_vec(),
        })
    }

    /// Rows of the split, in this order, as they are shown in `epoch`.
    pub(crate) fn shown(&self, order: &[usize], how: Augmentation, seed: u64, epoch: u32) -> Result<Shown> {
        let device = self.images.device();
        let upload = |values: Vec<u32>| Tensor::from_vec(values, order.len(), device);
        let crops = match how.border() {
            None => None,
            Some(border) => {
                let packed = order.iter().map(|row| crop(seed, *row as u64, epoch).packed()).collect();
                Some((upload(packed)?, border))
            }
        };
        Ok(Shown {
            ids: order.iter().map(|row| *row as u64).collect(),
            rows: upload(order.iter().map(|row| *row as u32).collect())?,
            labels: upload(order.iter().map(|row| self.labels[*row]).collect())?,
            crops,
        })
    }

    /// `n` of them from place `first` on: no copy from the host.
    pub(crate) fn batch(&self, shown: &Shown, first: usize, n: usize, precision: Precision) -> Result<Batch> {
        let x = pixels(&self.images, &shown.rows.narrow(0, first, n)?, precision.dtype())?;
        let x = match &shown.crops {
            None => x,
            Some((crops, border)) => crop_flip(&x, &crops.narrow(0, first, n)?, PADDING, *border)?,
        };
        Ok(Batch { x, y: shown.labels.narrow(0, first, n)?, ids: shown.ids[first..first + n].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_those_of_the_split() {
        let area = 3 * 10 * 10;
        let bytes: Vec<u8> = (0..5 * area).map(|i| (i * 37 % 251) as u8).collect();
        let split = Split::new((3, 10, 10), bytes, vec![4, 0, 3, 1, 2]).unwrap();
        let resident = Resident::new(&split, &Device::Cpu).unwrap();
        let order = [3usize, 1, 4, 0];
        for how in [Augmentation::None, Augmentation::CropFlip, Augmentation::CropFlipReflect] {
            let shown = resident.shown(&order, how, 7, 2).unwrap();
            for precision in [Precision::F32, Precision::F64] {
                let got = resident.batch(&shown, 1, 3, precision).unwrap();
                let want = how.apply(split.batch(&order[1..], precision, &Device::Cpu).unwrap(), 7, 2).unwrap();
                let flat = |t: &Tensor| {
                    t.flatten_all().unwrap().to_dtype(candle_core::DType::F64).unwrap().to_vec1::<f64>().unwrap()
                };
                assert_eq!(flat(&got.x), flat(&want.x), "{how:?} {precision:?}");
                assert_eq!((got.y.to_vec1::<u32>().unwrap(), got.ids), (want.y.to_vec1::<u32>().unwrap(), want.ids));
            }
        }
    }
}
