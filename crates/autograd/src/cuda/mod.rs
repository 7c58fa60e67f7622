//! The operations on a GPU: kernels of our own (`crates/autograd/cuda`) and cuBLAS.
//!
//! One device, one stream, one submitting thread: everything is ordered by the stream, nothing waits for the host, and
//! buffers are freed behind their last use. Sums are taken in f64 in an order that depends on shapes only, no kernel adds
//! atomically: what runs twice gives the same bits.

mod arg;
mod attack;
mod classification;
mod constants;
mod convolution;
mod elementwise;
mod fill;
mod gemm;
mod graph;
mod images;
mod launch;
mod memory;
mod movement;
mod normalisation;
mod open;
mod optimiser;
mod pooling;
mod reduce;
mod winograd;

pub(crate) use classification::{
    best_column, cross_entropy, cross_entropy_slope, gather_labels, log_softmax, one_hot, scatter_labels,
};
pub(crate) use constants::constant;
pub(crate) use convolution::{conv2d, conv2d_input_grad, conv2d_weight_grad};
pub(crate) use elementwise::{Binary, Unary, add_into, binary, blend, channel_affine, mask_below, unary};
pub(crate) use fill::fill;
pub(crate) use gemm::matmul;
pub(crate) use movement::{cat, dense, pad, repeat, select_rows};
pub(crate) use normalisation::{affine_of, batch_norm, batch_norm_gradients};
pub(crate) use pooling::{avg_pool2d, avg_unpool, gather_at, max_pool2d, unpool};
pub(crate) use reduce::{largest_rows, scale_rows, sum_all, sum_channels, sum_dims, sum_rows};

pub use attack::{Draw, draw, start_linf, step_l2, step_linf};
pub use graph::{Graph, overwrite_each, record};
pub use images::{crop_flip, pixels};
pub use open::{make, open, synchronise};
pub(crate) use optimiser::blend_each;
pub use optimiser::{Alarm, Moments, Update, update};

use arg::Arg;
use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::driver::DeviceRepr;

/// An element type with kernels.
pub trait Element: CudaDType + DeviceRepr {
    /// The kernels' names end with it.
    const SUFFIX: &'static str;
    #[doc(hidden)]
    fn number(x: f64) -> Number;
}

/// A number of an element type, on its way to a kernel.
#[doc(hidden)]
pub struct Number(Arg);

impl Element for f32 {
    const SUFFIX: &'static str = "f32";
    fn number(x: f64) -> Number {
        Number(Arg::Single(x as f32))
    }
}

impl Element for f64 {
    const SUFFIX: &'static str = "f64";
    fn number(x: f64) -> Number {
        Number(Arg::Double(x))
    }
}

/// A number as the kernel's T.
fn number<T: Element>(x: f64) -> Arg {
    T::number(x).0
}

fn int(x: usize) -> Arg {
    Arg::Int(x as u32)
}
