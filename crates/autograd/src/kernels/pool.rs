//! Pooling with stored indices, and its adjoints.

use super::scratch::unwritten;
use super::simd::{Isa, on};
use super::window::pooled;
use super::{Real, dense, from_vec, on_gpu, view};
use crate::Result;
use candle_core::{Device, Storage, Tensor};
use rayon::prelude::*;

/// A later value takes the place of an earlier one if it is larger, or the first NaN.
#[inline(always)]
fn wins<T: Real>(value: T, best: T) -> bool {
    // Not "greater or NaN" spelt out: this form compiles to two comparisons.
    #[expect(clippy::neg_cmp_op_on_partial_ord, clippy::eq_op, reason = "NaN compares false with everything")]
    let wins = !(value <= best) & (best == best);
    wins
}

/// Windows of 2×2 side by side: without branches, so that it vectorises.
#[inline(always)]
fn pairs<T: Real>(plane: &[T], w: usize, values: &mut [T], places: &mut [u32], (oh, ow): (usize, usize)) {
    for oy in 0..oh {
        let (top, bottom) = (&plane[2 * oy * w..][..2 * ow], &plane[(2 * oy + 1) * w..][..2 * ow]);
        let (values, places) = (&mut values[oy * ow..][..ow], &mut places[oy * ow..][..ow]);
        for ox in 0..ow {
            let first = (2 * oy * w + 2 * ox) as u32;
            let (mut best, mut place) = (top[2 * ox], first);
            for (value, at) in [
                (top[2 * ox + 1], first + 1),
                (bottom[2 * ox], first + w as u32),
                (bottom[2 * ox + 1], first + w as u32 + 1),
            ] {
                let better = wins(value, best);
                best = if better { value } else { best };
                place = if better { at } else { place };
            }
            values[ox] = best;
            places[ox] = place;
        }
    }
}

fn windows<T: Real>(
    (plane, w): (&[T], usize),
    (k, stride): (usize, usize),
    values: &mut [T],
    places: &mut [u32],
    (oh, ow): (usize, usize),
) {
    for oy in 0..oh {
        for ox in 0..ow {
            let mut place = oy * stride * w + ox * stride;
            let mut best = plane[place];
            for y in oy * stride..oy * stride + k {
                for x in ox * stride..ox * stride + k {
                    if wins(plane[y * w + x], best) {
                        (best, place) = (plane[y * w + x], y * w + x);
                    }
                }
            }
            values[oy * ow + ox] = best;
            places[oy * ow + ox] = place as u32;
        }
    }
}

/// Maxima of the windows, `(N, C, OH, OW)`, and their positions within each plane (u32); ties go to the first, a NaN
/// wins, both as in PyTorch.
pub fn max_pool2d<T: Real>(a: &Tensor, k: usize, stride: usize) -> Result<(Tensor, Tensor)> {
    on_gpu!(a, crate::cuda::max_pool2d::<T>(a, k, stride));
    let op = "max_pool2d";
    let (oh, ow) = pooled(op, a.dims(), k, stride)?;
    let (n, c, h, w) = a.dims4()?;
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let mut values = unwritten(n * c * oh * ow);
    let mut places = vec![0u32; n * c * oh * ow];
    let isa = Isa::best();
    values
        .par_chunks_mut(oh * ow)
        .zip(places.par_chunks_mut(oh * ow))
        .zip(x.par_chunks(h * w))
        .with_min_len(1 + 4096 / (h * w))
        .for_each(|((values, places), plane)| {
            on(isa, || {
                if (k, stride) == (2, 2) {
                    pairs(plane, w, values, places, (oh, ow));
                } else {
                    windows((plane, w), (k, stride), values, places, (oh, ow));
                }
            });
        });
    Ok((from_vec(values, &[n, c, oh, ow])?, Tensor::from_vec(places, (n, c, oh, ow), &Device::Cpu)?))
}

/// Borrows stored positions.
fn with_places<R>(places: &Tensor, f: impl FnOnce(&[u32]) -> Result<R>) -> Result<R> {
    let places = places.contiguous()?;
    let (storage, layout) = places.storage_and_layout();
    let start = layout.start_offset();
    match &*storage {
        Storage::Cpu(cpu) => f(&cpu.as_slice::<u32>()?[start..start + layout.shape().elem_count()]),
        _ => Err(crate::Error::Device { op: "max_pool2d" }),
    }
}

/// Adds values at their stored positions: `(N, C, OH, OW)` to `dims = (N, C, H, W)`; `window` is (k, stride) of the pooling.
pub fn unpool<T: Real>(a: &Tensor, at: &Tensor, dims: &[usize], window: (usize, usize)) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::unpool::<T>(a, at, dims, window));
    let _ = window; // a position says it all where one thread owns a plane
    let a = dense(a)?;
    let x = view::<T>("unpool", &a)?;
    let (_, _, oh, ow) = a.dims4()?;
    let plane = dims[2] * dims[3];
    let mut out = unwritten(dims.iter().product());
    let x: &[T] = &x;
    with_places(at, |at| {
        out.par_chunks_mut(plane)
            .zip(x.par_chunks(oh * ow))
            .zip(at.par_chunks(oh * ow))
            .with_min_len(1 + 4096 / plane)
            .for_each(|((out, x), at)| {
                out.fill(T::zero());
                for (x, at) in x.iter().zip(at) {
                    out[*at as usize] += *x;
                }
            });
        Ok(())
    })?;
    from_vec(out, dims)
}

/// Reads values at stored positions: `(N, C, H, W)` to the shape of `at`.
pub fn gather_at<T: Real>(a: &Tensor, at: &Tensor) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::gather_at::<T>(a, at));
    let a = dense(a)?;
    let dims = at.dims().to_vec();
    let x = view::<T>("gather_at", &a)?;
    let (_, _, h, w) = a.dims4()?;
    let plane = dims[2] * dims[3];
    let mut out = unwritten(dims.iter().product());
    let x: &[T] = &x;
    with_places(at, |at| {
        out.par_chunks_mut(plane)
            .zip(x.par_chunks(h * w))
            .zip(at.par_chunks(plane))
            .with_min_len(1 + 4096 / (h * w))
            .for_each(|((out, x), at)| {
                for (o, at) in out.iter_mut().zip(at) {
                    *o = x[*at as usize];
                }
            });
        Ok(())
    })?;
    from_vec(out, &dims)
}

/// Means of the windows, `(N, C, OH, OW)`.
pub fn avg_pool2d<T: Real>(a: &Tensor, k: usize, stride: usize) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::avg_pool2d::<T>(a, k, stride));
    let op = "avg_pool2d";
    let (oh, ow) = pooled(op, a.dims(), k, stride)?;
    let (n, c, h, w) = a.dims4()?;
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let scale = T::of(1.0 / (k * k) as f64);
    let mut out = unwritten(n * c * oh * ow);
    out.par_chunks_mut(oh * ow).zip(x.par_chunks(h * w)).with_min_len(8).for_each(|(out, plane)| {
        for oy in 0..oh {
            for ox in 0..ow {
                let mut sum = T::zero();
                for y in oy * stride..oy * stride + k {
                    for x in ox * stride..ox * stride + k {
                        sum += plane[y * w + x];
                    }
                }
                out[oy * ow + ox] = sum * scale;
            }
        }
    });
    from_vec(out, &[n, c, oh, ow])
}

/// The adjoint of [`avg_pool2d`]: spreads `(N, C, OH, OW)` over `dims = (N, C, H, W)`.
pub fn avg_unpool<T: Real>(a: &Tensor, k: usize, stride: usize, dims: &[usize]) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::avg_unpool::<T>(a, k, stride, dims));
    let a = dense(a)?;
    let x = view::<T>("avg_unpool", &a)?;
    let x: &[T] = &x;
    let (_, _, oh, ow) = a.dims4()?;
    let (h, w) = (dims[2], dims[3]);
    let scale = T::of(1.0 / (k * k) as f64);
    let mut out = unwritten(dims.iter().product());
    out.par_chunks_mut(h * w).zip(x.par_chunks(oh * ow)).with_min_len(8).for_each(|(out, x)| {
        out.fill(T::zero());
        for oy in 0..oh {
            for ox in 0..ow {
                let share = x[oy * ow + ox] * scale;
                for y in oy * stride..oy * stride + k {
                    for x in ox * stride..ox * stride + k {
                        out[y * w + x] += share;
                    }
                }
            }
        }
    });
    from_vec(out, dims)
}
