//! The threat model's verbs where tensors lie on a GPU: by a kernel where there is one, else on the CPU and back.

#[cfg(feature = "cuda")]
use crate::Error;
#[cfg(feature = "cuda")]
use crate::norm::for_pixels;
use crate::philox::Stream;
use crate::{Key, Result, ThreatModel};
#[cfg(feature = "cuda")]
use candle_core::DType;
use candle_core::{Device, Tensor};
#[cfg(feature = "cuda")]
use gauntlet_records::Norm;

impl ThreatModel {
    /// [`ThreatModel::random_start`] where row n draws from the first stream of `ids[n]` under a key.
    pub fn start(&self, x0: &Tensor, key: Key, ids: &[u64]) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if x0.device().is_cuda() && self.norm == Norm::Linf {
            let streams = (key.bits(), ids, 0, 0);
            return for_pixels!(x0, T => {
                Ok(gauntlet_autograd::cuda::start_linf::<T>(x0, streams, self.eps, self.bounds)?)
            });
        }
        let mut streams: Vec<Stream> = ids.iter().map(|id| key.stream(*id, 0, 0)).collect();
        let here = x0.to_device(&Device::Cpu)?;
        Ok(self.random_start(&here, &mut streams)?.to_device(x0.device())?)
    }

    /// A step on a GPU: by a kernel where there is one, else on the CPU and back.
    pub(crate) fn step_elsewhere(&self, x: &Tensor, x0: &Tensor, gradient: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(first) = alpha.first()
            && alpha.iter().all(|a| a == first)
        {
            let (points, sizes) = ((x, x0, gradient), (*first, self.eps));
            match self.norm {
                Norm::Linf => {
                    return for_pixels!(x, T => {
                        Ok(gauntlet_autograd::cuda::step_linf::<T>(points, sizes, self.bounds)?)
                    });
                }
                Norm::L2 => {
                    return for_pixels!(x, T => Ok(gauntlet_autograd::cuda::step_l2::<T>(points, sizes, self.bounds)?));
                }
                Norm::L1 | Norm::L0 => {}
            }
        }
        self.on_the_cpu(x, x0, Some(gradient), |x, x0, g| match g {
            Some(g) => self.step(x, x0, g, alpha),
            None => self.project(x, x0),
        })
    }

    pub(crate) fn on_the_cpu(
        &self,
        x: &Tensor,
        x0: &Tensor,
        g: Option<&Tensor>,
        f: impl Fn(&Tensor, &Tensor, Option<&Tensor>) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let here = |t: &Tensor| t.to_device(&Device::Cpu);
        let g = g.map(here).transpose()?;
        Ok(f(&here(x)?, &here(x0)?, g.as_ref())?.to_device(x.device())?)
    }
}
