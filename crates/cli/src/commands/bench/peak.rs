//! The most that this machine does and that this process took.

use super::times::Times;
use crate::exit::Failure;
use candle_core::{Device, Tensor};
use gauntlet::autograd::Var;

/// The largest resident set of this process so far, in MiB, where the system tells.
pub(super) fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// GFLOP/s of a large matrix product, the best of several, by our kernel or by candle's (the `gemm` crate), whichever is
/// faster: what the rest is held against.
pub(super) fn peak() -> Result<f64, Failure> {
    const SIDE: usize = 1536;
    let tensor =
        || Ok::<_, gauntlet::core::Error>(Var::constant(Tensor::rand(0f32, 1f32, (SIDE, SIDE), &Device::Cpu)?));
    let (a, b) = (tensor()?, tensor()?);
    let error = |e: gauntlet::core::Error| Failure::from(e);
    let ours = Times::measure(5, 0.2, || a.matmul(&b).map(drop).map_err(|e| error(e.into())))?;
    let theirs = Times::measure(5, 0.2, || a.tensor().matmul(b.tensor()).map(drop).map_err(|e| error(e.into())))?;
    Ok(2e-6 * (SIDE as f64).powi(3) / ours.min().min(theirs.min()))
}
