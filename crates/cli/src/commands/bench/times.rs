//! How long something takes, several times over.

use crate::exit::Failure;
use gauntlet::autograd::kernels::awake;
use std::time::Instant;

/// Times in milliseconds, sorted.
pub(super) struct Times(pub(super) Vec<f64>);

impl Times {
    /// Calls `f` at least `least` times and for `seconds`.
    pub(super) fn measure(
        least: usize,
        seconds: f64,
        mut f: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
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
    pub(super) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }
    pub(super) fn min(&self) -> f64 {
        self.0[0]
    }
}
