//! Convolutions as im2col and matrix products over blocks of images.
//!
//! The block holds about 256 output positions, so that small images do not make small products; its size depends
//! on the layer alone and the last block is padded, so an image's result does not depend on the batch.

use super::matmul::{Mat, gemm_into};
use super::{Real, dense, from_vec, view};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Output positions per matrix product, at least.
const COLUMNS: usize = 256;
/// Images per partial sum of a weight gradient.
const IMAGES: usize = 16;

/// The shapes of one convolution: input `(N, C, H, W)`, weight `(O, C, KH, KW)`, output `(N, O, OH, OW)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Geometry {
    pub n: usize,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub o: usize,
    pub kh: usize,
    pub kw: usize,
    pub stride: usize,
    pub padding: usize,
    pub oh: usize,
    pub ow: usize,
}

impl Geometry {
    /// Checks shapes and computes the output's.
    pub fn new(op: &'static str, x: &[usize], weight: &[usize], stride: usize, padding: usize) -> Result<Self> {
        let (&[n, c, h, w], &[o, wc, kh, kw]) = (x, weight) else {
            return Err(crate::error::shape(
                op,
                format!("expected (N, C, H, W) and (O, C, KH, KW), got {x:?} and {weight:?}"),
            ));
        };
        if c != wc {
            return Err(crate::error::shape(
                op,
                format!("input has {c} channels, weight expects {wc} ({x:?}, {weight:?})"),
            ));
        }
        if stride == 0 || kh == 0 || kw == 0 || h + 2 * padding < kh || w + 2 * padding < kw {
            return Err(crate::error::shape(
                op,
                format!("a {kh}×{kw} kernel (stride {stride}, padding {padding}) does not fit an image of {h}×{w}"),
            ));
        }
        let (oh, ow) = ((h + 2 * padding - kh) / stride + 1, (w + 2 * padding - kw) / stride + 1);
        Ok(Geometry { n, c, h, w, o, kh, kw, stride, padding, oh, ow })
    }
    fn k(&self) -> usize {
        self.c * self.kh * self.kw
    }
    fn area(&self) -> usize {
        self.oh * self.ow
    }
    fn block(&self) -> usize {
        COLUMNS.div_ceil(self.area()).max(1)
    }
    fn image(&self) -> usize {
        self.c * self.h * self.w
    }
    /// Output columns whose input column `ow · stride + kw − padding` lies inside the image, and the first of those.
    fn inside(&self, kx: usize) -> (usize, usize) {
        let low = self.padding.saturating_sub(kx).div_ceil(self.stride).min(self.ow);
        let reach = self.w + self.padding;
        let high = if reach > kx { (reach - kx - 1) / self.stride + 1 } else { 0 };
        (low, high.min(self.ow).max(low))
    }
}

/// Writes image `x (C, H, W)` into columns `at .. at + OH·OW` of the `k × width` matrix `columns`.
fn im2col<T: Real>(g: &Geometry, x: &[T], columns: &mut [T], width: usize, at: usize) {
    let mut row = 0;
    for c in 0..g.c {
        let plane = &x[c * g.h * g.w..(c + 1) * g.h * g.w];
        for ky in 0..g.kh {
            for kx in 0..g.kw {
                let (low, high) = g.inside(kx);
                for oy in 0..g.oh {
                    let out = &mut columns[row * width + at + oy * g.ow..][..g.ow];
                    let y = oy * g.stride + ky;
                    if y < g.padding || y >= g.h + g.padding || low == high {
                        out.fill(T::zero());
                        continue;
                    }
                    let line = &plane[(y - g.padding) * g.w..][..g.w];
                    out[..low].fill(T::zero());
                    out[high..].fill(T::zero());
                    let first = low * g.stride + kx - g.padding;
                    if g.stride == 1 {
                        out[low..high].copy_from_slice(&line[first..first + high - low]);
                    } else {
                        for (o, x) in out[low..high].iter_mut().zip(line[first..].iter().step_by(g.stride)) {
                            *o = *x;
                        }
                    }
                }
                row += 1;
            }
        }
    }
}

/// The adjoint of [`im2col`]: adds columns back onto the image.
fn col2im<T: Real>(g: &Geometry, columns: &[T], width: usize, at: usize, x: &mut [T]) {
    let mut row = 0;
    for c in 0..g.c {
        let plane = &mut x[c * g.h * g.w..(c + 1) * g.h * g.w];
        for ky in 0..g.kh {
            for kx in 0..g.kw {
                let (low, high) = g.inside(kx);
                for oy in 0..g.oh {
                    let y = oy * g.stride + ky;
                    if y < g.padding || y >= g.h + g.padding || low == high {
                        continue;
                    }
                    let from = &columns[row * width + at + oy * g.ow..][low..high];
                    let line = &mut plane[(y - g.padding) * g.w..][..g.w];
                    let first = low * g.stride + kx - g.padding;
                    if g.stride == 1 {
                        for (x, f) in line[first..first + high - low].iter_mut().zip(from) {
                            *x += *f;
                        }
                    } else {
                        for (x, f) in line[first..].iter_mut().step_by(g.stride).zip(from) {
                            *x += *f;
                        }
                    }
                }
                row += 1;
            }
        }
    }
}

/// Images `(B, O, area)` side by side as an `O × (block · area)` matrix; missing images are zero.
fn side_by_side<T: Real>(images: &[T], o: usize, area: usize, width: usize) -> Vec<T> {
    let mut out = vec![T::zero(); o * width];
    for (b, image) in images.chunks_exact(o * area).enumerate() {
        for (channel, plane) in image.chunks_exact(area).enumerate() {
            out[channel * width + b * area..][..area].copy_from_slice(plane);
        }
    }
    out
}

/// y = x ⋆ weight (+ bias): `(N, C, H, W)`, `(O, C, KH, KW)`, `(O,)` to `(N, O, OH, OW)`.
pub fn conv2d<T: Real>(g: &Geometry, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let op = "conv2d";
    let (x, weight) = (dense(x)?, dense(weight)?);
    let bias = bias.map(dense).transpose()?;
    let (x, weight) = (view::<T>(op, &x)?, view::<T>(op, &weight)?);
    let bias = bias.as_ref().map(|b| view::<T>(op, b)).transpose()?;
    let (x, weight, bias): (&[T], &[T], Option<&[T]>) = (&x, &weight, bias.as_deref());
    let (k, area, block) = (g.k(), g.area(), g.block());
    let width = block * area;
    let mut out = vec![T::zero(); g.n * g.o * area];
    out.par_chunks_mut(block * g.o * area).zip(x.par_chunks(block * g.image())).for_each(|(out, x)| {
        let mut columns = vec![T::zero(); k * width];
        for (b, image) in x.chunks_exact(g.image()).enumerate() {
            im2col(g, image, &mut columns, width, b * area);
        }
        let w = Mat { data: weight, rs: k, cs: 1 };
        let columns = Mat { data: &columns, rs: width, cs: 1 };
        if block == 1 {
            gemm_into((g.o, width, k), w, columns, out, width, false);
            if let Some(bias) = bias {
                for (plane, b) in out.chunks_exact_mut(area).zip(bias) {
                    plane.iter_mut().for_each(|y| *y += *b);
                }
            }
            return;
        }
        let mut product = vec![T::zero(); g.o * width];
        gemm_into((g.o, width, k), w, columns, &mut product, width, false);
        for (b, image) in out.chunks_exact_mut(g.o * area).enumerate() {
            for (channel, plane) in image.chunks_exact_mut(area).enumerate() {
                let from = &product[channel * width + b * area..][..area];
                let bias = bias.map_or(T::zero(), |b| b[channel]);
                for (y, f) in plane.iter_mut().zip(from) {
                    *y = *f + bias;
                }
            }
        }
    });
    from_vec(out, &[g.n, g.o, g.oh, g.ow])
}

/// The input gradient: cotangent `(N, O, OH, OW)`, weight `(O, C, KH, KW)` to `(N, C, H, W)`.
pub fn conv2d_input_grad<T: Real>(g: &Geometry, cotangent: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let op = "conv2d_input_grad";
    let (cotangent, weight) = (dense(cotangent)?, dense(weight)?);
    let (d, weight) = (view::<T>(op, &cotangent)?, view::<T>(op, &weight)?);
    let (d, weight): (&[T], &[T]) = (&d, &weight);
    let (k, area, block) = (g.k(), g.area(), g.block());
    let width = block * area;
    let mut out = vec![T::zero(); g.n * g.image()];
    out.par_chunks_mut(block * g.image()).zip(d.par_chunks(block * g.o * area)).for_each(|(out, d)| {
        let gathered;
        let d = if block == 1 {
            d
        } else {
            gathered = side_by_side(d, g.o, area, width);
            &gathered
        };
        let mut columns = vec![T::zero(); k * width];
        let transposed = Mat { data: weight, rs: 1, cs: k };
        gemm_into((k, width, g.o), transposed, Mat { data: d, rs: width, cs: 1 }, &mut columns, width, false);
        for (b, image) in out.chunks_exact_mut(g.image()).enumerate() {
            col2im(g, &columns, width, b * area, image);
        }
    });
    from_vec(out, &[g.n, g.c, g.h, g.w])
}

/// The weight gradient: input `(N, C, H, W)`, cotangent `(N, O, OH, OW)` to `(O, C, KH, KW)`.
pub fn conv2d_weight_grad<T: Real>(g: &Geometry, x: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let op = "conv2d_weight_grad";
    let (x, cotangent) = (dense(x)?, dense(cotangent)?);
    let (x, d) = (view::<T>(op, &x)?, view::<T>(op, &cotangent)?);
    let (x, d): (&[T], &[T]) = (&x, &d);
    let (k, area, block) = (g.k(), g.area(), g.block());
    let width = block * area;
    // Fixed groups of images, one accumulator each, added in order: the same sum for any number of threads.
    let group = IMAGES.div_ceil(block) * block;
    let parts: Vec<Vec<T>> = x
        .par_chunks(group * g.image())
        .zip(d.par_chunks(group * g.o * area))
        .map(|(x, d)| {
            let mut sum = vec![T::zero(); g.o * k];
            let mut columns = vec![T::zero(); k * width];
            for (x, d) in x.chunks(block * g.image()).zip(d.chunks(block * g.o * area)) {
                for (b, image) in x.chunks_exact(g.image()).enumerate() {
                    im2col(g, image, &mut columns, width, b * area);
                }
                let gathered;
                let d = if block == 1 {
                    d
                } else {
                    // Missing images are zero here, so what is left in their columns does not count.
                    gathered = side_by_side(d, g.o, area, width);
                    &gathered
                };
                let transposed = Mat { data: &columns, rs: 1, cs: width };
                gemm_into((g.o, k, width), Mat { data: d, rs: width, cs: 1 }, transposed, &mut sum, k, true);
            }
            sum
        })
        .collect();
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_else(|| vec![T::zero(); g.o * k]);
    for part in parts {
        total.iter_mut().zip(&part).for_each(|(t, p)| *t += *p);
    }
    from_vec(total, &[g.o, g.c, g.kh, g.kw])
}
