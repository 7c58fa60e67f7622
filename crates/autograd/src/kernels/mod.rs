//! CPU kernels: plain functions from tensors to tensors, generic over f32 and f64.
//!
//! Two promises hold throughout. Work is split into chunks that do not depend on the number of threads, so results do
//! not either. And where a batch is one of the dimensions, the arithmetic of one example does not depend on how many
//! others there are: an output element is one chain of fused multiply-adds, whatever tile computed it.

mod awake;
pub mod batch_norm;
pub mod conv;
pub mod map;
pub mod matmul;
pub mod pool;
pub mod reduce;
mod scratch;
mod simd;
mod slice;
mod tile;
mod transpose;
pub mod work;

pub use awake::awake;
pub use map::pass;
pub use slice::{Real, View, by_dtype_names, values};
pub(crate) use slice::{by_dtype, dense, from_vec, view};

/// Runs a loop compiled for the widest vectors of this CPU; what is called in it has to be inlined.
///
/// Only the instructions change: sums must be written over a fixed number of accumulators, see [`sum`].
#[inline(always)]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    simd::on(simd::Isa::best(), f)
}

/// Σ f(i), i < n, in sixteen interleaved accumulators: the same value whatever the vectors.
#[inline(always)]
pub fn sum(n: usize, f: impl Fn(usize) -> f64) -> f64 {
    let mut parts = [0.0; 16];
    let whole = n - n % 16;
    for start in (0..whole).step_by(16) {
        for (lane, part) in parts.iter_mut().enumerate() {
            *part += f(start + lane);
        }
    }
    for i in whole..n {
        parts[i % 16] += f(i);
    }
    parts.iter().sum()
}

/// Elements per parallel task of an elementwise kernel.
pub(crate) const CHUNK: usize = 16_384;
