//! Training images as they are shown: crop and flip, what comes after, and partners that are mixed in.

use crate::Result;
use crate::train::trainer::TrainingJob;
use candle_core::{DType, Tensor};
use gauntlet_autograd::kernels;
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::{Batch, Key, Mixed, Purpose};
use std::sync::Arc;

impl TrainingJob<'_> {
    /// These rows as they are shown in `epoch`, where they are trained on, with the second labels where images are mixtures.
    ///
    /// Every draw is keyed by (seed, example, epoch), partners are drawn among all rows that are trained on: what an example is
    /// shown as depends on no batch.
    pub(crate) fn shown(&self, rows: &[usize], epoch: u32) -> Result<(Batch, Option<Mixed>)> {
        let augments = self.augments()?;
        let device = self.compute.device();
        let mut batch = self.changed(rows, epoch, &augments)?;
        let mut mixed = None;
        if let Some(mix) = augments.iter().find(|a| a.mixes()) {
            let all = self.rows()? as u32;
            let key = Key::new(self.seed, Purpose::Augment).named("partner");
            let partners: Vec<usize> =
                rows.iter().map(|row| key.stream(*row as u64, epoch, 0).below(all) as usize).collect();
            let others = self.changed(&partners, epoch, &augments)?;
            mixed = Some(blended(&mut batch, &others, &**mix, (self.seed, epoch))?);
        }
        let there = |t: &Tensor| t.to_device(device);
        let mixed = match mixed {
            Some(Mixed { other, share }) => Some(Mixed { other: there(&other)?, share: there(&share)? }),
            None => None,
        };
        Ok((Batch { x: there(&batch.x)?, y: there(&batch.y)?, ..batch }, mixed))
    }

    fn augments(&self) -> Result<Vec<Arc<dyn Augment>>> {
        let each = self.config.tricks.augmentations.iter();
        each.map(|component| Ok(self.registry.augmentation(&component.given())?.0)).collect()
    }

    /// Rows after all that changes one image alone.
    fn changed(&self, rows: &[usize], epoch: u32, augments: &[Arc<dyn Augment>]) -> Result<Batch> {
        let batch = self.config.augmentation.apply(self.batch(rows)?, self.seed, epoch)?;
        let alone: Vec<(usize, &Arc<dyn Augment>)> = augments.iter().enumerate().filter(|(_, a)| !a.mixes()).collect();
        if alone.is_empty() {
            return Ok(batch);
        }
        let mut pictures = pictures(&batch.x)?;
        for (place, augment) in alone {
            let key = Key::new(self.seed, Purpose::Augment).named("after").child(place as u64);
            for (picture, id) in pictures.iter_mut().zip(&batch.ids) {
                augment.change(picture, &mut key.stream(*id, epoch, 0));
            }
        }
        Ok(Batch { x: images(&pictures, &batch.x)?, ..batch })
    }
}

/// The second labels of a batch into which its partners were mixed; the label of the larger share becomes the first.
fn blended(batch: &mut Batch, others: &Batch, mix: &dyn Augment, (seed, epoch): (u64, u32)) -> Result<Mixed> {
    let key = Key::new(seed, Purpose::Augment).named("mix");
    let (mut mine, theirs) = (pictures(&batch.x)?, pictures(&others.x)?);
    let (mut first, mut second): (Vec<u32>, Vec<u32>) = (batch.y.to_vec1()?, others.y.to_vec1()?);
    let mut shares = Vec::with_capacity(mine.len());
    for (i, id) in batch.ids.iter().enumerate() {
        let share = mix.mix(&mut mine[i], &theirs[i], &mut key.stream(*id, epoch, 0));
        if share < 0.5 {
            std::mem::swap(&mut first[i], &mut second[i]);
        }
        shares.push(share.max(1.0 - share));
    }
    let n = shares.len();
    batch.x = images(&mine, &batch.x)?;
    batch.y = Tensor::from_vec(first, n, batch.y.device())?;
    let other = Tensor::from_vec(second, n, batch.y.device())?;
    Ok(Mixed { other, share: kernels::numbers_like(&shares, &[n], &batch.x)? })
}

/// A batch as single images.
fn pictures(x: &Tensor) -> Result<Vec<Picture>> {
    let (n, c, h, w) = x.dims4()?;
    let values: Vec<f64> = x.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
    let each = values.chunks(c * h * w).take(n);
    Ok(each.map(|pixels| Picture { shape: (c, h, w), pixels: pixels.to_vec() }).collect())
}

/// Single images as a batch like `like`.
fn images(pictures: &[Picture], like: &Tensor) -> Result<Tensor> {
    let values: Vec<f64> = pictures.iter().flat_map(|p| p.pixels.iter().copied()).collect();
    Ok(kernels::numbers_like(&values, like.dims(), like)?)
}
