//! Convolutions without unfolding: every tap of the kernel reads the (padded) image where it lies.
//!
//! Vectors run along output channels, whose weights are packed; pixels are broadcast. So neither strides nor small
//! images cost anything, nothing is unfolded, and a weight gradient is the same tile with pixels as the inner sum. 3×3
//! convolutions of stride 1 in f32 go through [`winograd`] where it pays.

mod forward;
mod geometry;
mod input_grad;
mod plan;
mod weight_grad;
mod winograd;

pub use geometry::Geometry;

use super::scratch::unwritten;
use super::simd::Isa;
use super::transpose::Epilogue;
use super::{Real, dense, from_vec, view, work};
use crate::Result;
use candle_core::Tensor;

/// y = x ⋆ weight (+ bias), rectified on the way out if asked: `(N, C, H, W)`, `(O, C, KH, KW)`, `(O,)` to `(N, O, OH, OW)`.
pub fn conv2d<T: Real>(
    g: &Geometry,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let op = "conv2d";
    work::count(g.multiplications());
    let (x, weight, bias) = (dense(x)?, dense(weight)?, bias.map(dense).transpose()?);
    let (x, weight) = (view::<T>(op, &x)?, view::<T>(op, &weight)?);
    let bias = bias.as_ref().map(|b| view::<T>(op, b)).transpose()?;
    let epilogue = Epilogue { bias: bias.as_deref(), relu };
    let mut out = unwritten(g.n * g.o * g.area());
    forward::forward(Isa::best(), g, &x, &weight, epilogue, &mut out);
    from_vec(out, &[g.n, g.o, g.oh, g.ow])
}

/// The input gradient: cotangent `(N, O, OH, OW)`, weight `(O, C, KH, KW)` to `(N, C, H, W)`.
pub fn conv2d_input_grad<T: Real>(g: &Geometry, cotangent: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let op = "conv2d_input_grad";
    work::count(g.multiplications());
    let (cotangent, weight) = (dense(cotangent)?, dense(weight)?);
    let (d, weight) = (view::<T>(op, &cotangent)?, view::<T>(op, &weight)?);
    let mut out = unwritten(g.n * g.image());
    input_grad::input_grad(Isa::best(), g, &d, &weight, &mut out);
    from_vec(out, &[g.n, g.c, g.h, g.w])
}

/// The weight gradient: input `(N, C, H, W)`, cotangent `(N, O, OH, OW)` to `(O, C, KH, KW)`.
pub fn conv2d_weight_grad<T: Real>(g: &Geometry, x: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let op = "conv2d_weight_grad";
    work::count(g.multiplications());
    let (x, cotangent) = (dense(x)?, dense(cotangent)?);
    let (x, d) = (view::<T>(op, &x)?, view::<T>(op, &cotangent)?);
    let mut out = unwritten(g.o * g.k());
    weight_grad::weight_grad(Isa::best(), g, &x, &d, &mut out);
    from_vec(out, &[g.o, g.c, g.kh, g.kw])
}
