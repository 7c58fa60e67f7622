//! What an example should be answered with: its label, smoothed, or shared with another's.

use crate::Result;
use candle_core::Tensor;
use gauntlet_autograd::{Var, kernels};

/// Second labels of a batch whose images are mixtures of two (mixup, CutMix).
#[derive(Debug, Clone)]
pub struct Mixed {
    /// Labels of what was mixed in, `(N,)`, u32.
    pub other: Tensor,
    /// Share of the first label, `(N,)`, in [½, 1], dtype of the images.
    pub share: Tensor,
}

impl Mixed {
    /// The `n` examples from `start` on.
    ///
    /// # Errors
    /// A range outside the batch.
    pub fn part(&self, start: usize, n: usize) -> Result<Mixed> {
        Ok(Mixed { other: self.other.narrow(0, start, n)?, share: self.share.narrow(0, start, n)? })
    }
}

/// The targets of a step's cross-entropy. The default is the labels as they are.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// s, in [0, 1): (1 − s) · target + s/K.
    pub smoothing: f64,
    /// Where the images are mixtures.
    pub mixed: Option<Mixed>,
}

impl Targets {
    /// −Σₖ tₙₖ log pₙₖ, `(N,)`, of logits `z (N, K)`; tₙ = (1 − s) · (share · onehot(y) + (1 − share) · onehot(other)) + s/K.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn cross_entropy(&self, z: &Var, y: &Tensor) -> Result<Var> {
        let mut loss = z.cross_entropy(y)?;
        if let Some(Mixed { other, share }) = &self.mixed {
            let share = Var::constant(share.clone());
            let rest = share.affine(-1.0, 1.0)?;
            loss = loss.mul(&share)?.add(&z.cross_entropy(other)?.mul(&rest)?)?;
        }
        if self.smoothing > 0.0 {
            let uniform = z.log_softmax()?.mean_per_example()?.neg()?;
            loss = loss.affine(1.0 - self.smoothing, 0.0)?.add(&uniform.affine(self.smoothing, 0.0)?)?;
        }
        Ok(loss)
    }

    /// tₙₖ, `(N, K)`, for losses that need more than the cross-entropy; `like` gives K, dtype and device.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn distribution(&self, like: &Var, y: &Tensor) -> Result<Var> {
        let classes = like.dim(1)?;
        let one_hot = |labels: &Tensor| -> Result<Var> {
            let labels = labels.to_vec1::<u32>()?;
            let row = |y: &u32| (0..classes as u32).map(|k| f64::from(u8::from(k == *y))).collect::<Vec<f64>>();
            let values: Vec<f64> = labels.iter().flat_map(row).collect();
            Ok(Var::constant(kernels::numbers_like(&values, &[labels.len(), classes], like.tensor())?))
        };
        let mut t = one_hot(y)?;
        if let Some(Mixed { other, share }) = &self.mixed {
            let share = Var::constant(share.unsqueeze(1)?);
            let rest = share.affine(-1.0, 1.0)?;
            t = t.broadcast_mul(&share)?.add(&one_hot(other)?.broadcast_mul(&rest)?)?;
        }
        if self.smoothing > 0.0 {
            t = t.affine(1.0 - self.smoothing, self.smoothing / classes as f64)?;
        }
        Ok(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_loss_is_the_sum_over_the_distribution() {
        let z = Var::constant(Tensor::new(&[[1.0f64, -0.5, 2.0], [0.3, 0.2, -1.0]], &Device::Cpu).unwrap());
        let y = Tensor::new(&[0u32, 2], &Device::Cpu).unwrap();
        let mixed = Mixed {
            other: Tensor::new(&[1u32, 2], &Device::Cpu).unwrap(),
            share: Tensor::new(&[0.75f64, 0.6], &Device::Cpu).unwrap(),
        };
        for targets in [
            Targets::default(),
            Targets { smoothing: 0.1, mixed: None },
            Targets { smoothing: 0.0, mixed: Some(mixed.clone()) },
            Targets { smoothing: 0.2, mixed: Some(mixed) },
        ] {
            let t = targets.distribution(&z, &y).unwrap();
            let rows: Vec<Vec<f64>> = t.tensor().to_vec2().unwrap();
            assert!(rows.iter().all(|r| (r.iter().sum::<f64>() - 1.0).abs() < 1e-12), "{rows:?}");
            let want = t.mul(&z.log_softmax().unwrap()).unwrap().sum_per_example().unwrap().neg().unwrap();
            let got = targets.cross_entropy(&z, &y).unwrap();
            let pair = |v: &Var| v.tensor().to_vec1::<f64>().unwrap();
            assert!(pair(&got).iter().zip(pair(&want)).all(|(a, b)| (a - b).abs() < 1e-12), "{targets:?}");
        }
        let t = Targets { smoothing: 0.3, mixed: None }.distribution(&z, &y).unwrap();
        assert!((t.tensor().to_vec2::<f64>().unwrap()[0][0] - 0.8).abs() < 1e-12);
    }
}
