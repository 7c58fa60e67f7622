//! CPU kernels: plain functions from tensors to tensors, generic over f32 and f64.
//!
//! Two promises hold throughout. Work is split into chunks that do not depend on the number of threads, so results do
//! not either. And where a batch is one of the dimensions, the arithmetic of one example does not depend on how many
//! others there are: an output element is one chain of fused multiply-adds, whatever tile computed it.

mod awake;
pub mod batch_norm;
pub mod border;
pub mod conv;
mod dtype;
pub mod images;
pub mod map;
pub mod matmul;
pub mod pool;
pub mod reduce;
mod scratch;
mod select;
mod simd;
mod slice;
mod tile;
mod transpose;
pub mod window;
pub mod work;

pub use awake::awake;
pub(crate) use dtype::by_dtype;
pub use map::pass;
pub use map::{blend, blend_each};
pub use select::{argmax_rows, one_hot, runner_up, select_rows};
pub use simd::{Isa, Vectorised, vectorised};
pub use slice::{OnGpu, Real, View, constant_like, numbers_like, ones_like, values, zeros_like};
pub(crate) use slice::{dense, from_vec, on_gpu, view};

/// Elements per parallel task of an elementwise kernel.
pub(crate) const CHUNK: usize = 16_384;
