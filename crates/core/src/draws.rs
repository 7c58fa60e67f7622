//! Numbers for every pixel of a batch, keyed by example: made where the batch lies.

use crate::philox::Stream;
use crate::{Key, Result};
use candle_core::Tensor;
use gauntlet_autograd::kernels;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Uniform(f64, f64),
    Normal,
}

impl Key {
    /// U(low, high), `dims = (N, ..)`, of `like`'s dtype and device; row n draws from the stream of `ids[n]`.
    pub fn uniform(self, ids: &[u64], dims: &[usize], (low, high): (f64, f64), like: &Tensor) -> Result<Tensor> {
        self.drawn(Draw::Uniform(low, high), ids, 0, dims, like)
    }
    /// N(0, 1), likewise.
    pub fn normal(self, ids: &[u64], dims: &[usize], like: &Tensor) -> Result<Tensor> {
        self.drawn(Draw::Normal, ids, 0, dims, like)
    }
    /// [`Key::uniform`] of another epoch (or restart, or replay).
    pub(crate) fn uniform_at(
        self,
        epoch: u32,
        ids: &[u64],
        dims: &[usize],
        range: (f64, f64),
        like: &Tensor,
    ) -> Result<Tensor> {
        self.drawn(Draw::Uniform(range.0, range.1), ids, epoch, dims, like)
    }
    /// [`Key::normal`] of another epoch.
    pub(crate) fn normal_at(self, epoch: u32, ids: &[u64], dims: &[usize], like: &Tensor) -> Result<Tensor> {
        self.drawn(Draw::Normal, ids, epoch, dims, like)
    }

    fn drawn(self, what: Draw, ids: &[u64], epoch: u32, dims: &[usize], like: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if like.device().is_cuda() {
            use gauntlet_autograd::cuda;
            let device = like.device().as_cuda_device()?;
            let what = match what {
                Draw::Uniform(low, high) => cuda::Draw::Uniform(low, high),
                Draw::Normal => cuda::Draw::Normal,
            };
            let streams = (self.bits(), ids, epoch, 0);
            return Ok(match crate::Precision::of(like)? {
                crate::Precision::F64 => cuda::draw::<f64>(device, what, streams, dims)?,
                crate::Precision::F32 => cuda::draw::<f32>(device, what, streams, dims)?,
            });
        }
        let draw = |stream: &mut Stream| match what {
            Draw::Uniform(low, high) => low + (high - low) * stream.uniform(),
            Draw::Normal => stream.normal(),
        };
        let each = dims.iter().skip(1).product();
        let mut values = Vec::with_capacity(ids.len() * each);
        for id in ids {
            let mut stream = self.stream(*id, epoch, 0);
            values.extend((0..each).map(|_| draw(&mut stream)));
        }
        Ok(kernels::numbers_like(&values, dims, like)?)
    }
}
