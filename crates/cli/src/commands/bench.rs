//! `gauntlet bench`: how fast this machine is at what gauntlet does.

mod attack;
mod beside;
mod ops;
mod step;

use crate::arguments::{Bench, BenchWhat};
use crate::exit::{Code, Failure};
use crate::session::Session;
use candle_core::{Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::awake;
use std::time::Instant;

pub(crate) fn bench(session: &Session, arguments: &Bench) -> Result<Code, Failure> {
    match &arguments.what {
        BenchWhat::Step(a) => step::step(session, a),
        BenchWhat::Attack(a) => attack::attack(session, a),
        BenchWhat::Ops(a) => ops::ops(session, a),
    }
}

/// Times in milliseconds, sorted.
struct Times(Vec<f64>);

impl Times {
    /// Calls `f` at least `least` times and for `seconds`.
    fn measure(least: usize, seconds: f64, mut f: impl FnMut() -> Result<(), Failure>) -> Result<Self, Failure> {
        awake(|| {
            let begun = Instant::now();
            let mut times = Vec::new();
            while times.len() < least || begun.elapsed().as_secs_f64() < seconds {
                let start = Instant::now();
                f()?;
                times.push(1e3 * start.elapsed().as_secs_f64());
            }
            times.sort_by(f64::total_cmp);
            Ok(Times(times))
        })
    }
    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }
    fn min(&self) -> f64 {
        self.0[0]
    }
}

/// The largest resident set of this process so far, in MiB, where the system tells.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// GFLOP/s of a large matrix product, the best of several, by our kernel or by candle's (the `gemm` crate), whichever is
/// faster: what the rest is held against.
fn peak() -> Result<f64, Failure> {
    const SIDE: usize = 1536;
    let tensor = || Ok::<_, gauntlet_core::Error>(Var::constant(Tensor::rand(0f32, 1f32, (SIDE, SIDE), &Device::Cpu)?));
    let (a, b) = (tensor()?, tensor()?);
    let error = |e: gauntlet_core::Error| Failure::from(e);
    let ours = Times::measure(5, 0.2, || a.matmul(&b).map(drop).map_err(|e| error(e.into())))?;
    let theirs = Times::measure(5, 0.2, || a.tensor().matmul(b.tensor()).map(drop).map_err(|e| error(e.into())))?;
    Ok(2e-6 * (SIDE as f64).powi(3) / ours.min().min(theirs.min()))
}
