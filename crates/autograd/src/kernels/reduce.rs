//! Sums and their adjoints, repetitions: over everything, over rows, over all but the channel. Accumulated in f64 in chunks that depend on shapes only.

use super::scratch::unwritten;
use super::simd::{Isa, on};
use super::{CHUNK, Real, dense, from_vec, on_gpu, view};
use crate::Result;
use candle_core::Tensor;
use num_traits::Float;
use rayon::prelude::*;

/// Elements up to which waking another thread costs more than it saves.
const SMALL: usize = 1 << 17;

/// Sum in f64 with eight independent lanes (so that it vectorises), lanes added in order.
pub(crate) fn sum_slice<T: Real>(x: &[T]) -> f64 {
    on(Isa::best(), || lanes_of(x))
}

#[inline(always)]
fn lanes_of<T: Real>(x: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let whole = x.chunks_exact(8);
    let rest = whole.remainder();
    for eight in whole {
        for (lane, x) in lanes.iter_mut().zip(eight) {
            *lane += x.wide();
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x.wide();
    }
    lanes.iter().sum()
}

/// Σ over all elements, a scalar.
pub fn sum_all<T: Real>(op: &'static str, a: &Tensor) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::sum_all::<T>(a));
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let parts: Vec<f64> = x.par_chunks(CHUNK).map(sum_slice).collect();
    from_vec(vec![T::of(parts.iter().sum())], &[])
}

/// Σ over all but the first dimension: `(N, ..)` to `(N,)`.
pub fn sum_rows<T: Real>(op: &'static str, a: &Tensor) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::sum_rows::<T>(a));
    let n = a.dims().first().copied().unwrap_or(1);
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let width = x.len() / n.max(1);
    if width == 0 {
        return from_vec(vec![T::zero(); n], &[n]);
    }
    from_vec(x.par_chunks(width).with_min_len(1 + 4096 / width).map(|row| T::of(sum_slice(row))).collect(), &[n])
}

/// 1 / max |x| over all but the first dimension, 0 where that is below `negligible`: `(N,)`.
pub fn scale_rows<T: Real>(op: &'static str, a: &Tensor, negligible: f64) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::scale_rows::<T>(a, negligible));
    let scale = |s: f64| T::of(if s < negligible { 0.0 } else { 1.0 / s });
    let found: Vec<T> = largest_of_rows::<T>(op, a)?.into_iter().map(scale).collect();
    let n = found.len();
    from_vec(found, &[n])
}

/// max |x| over all but the first dimension, `(N,)`; a NaN is larger than anything: it must show, not vanish.
pub fn largest_rows<T: Real>(op: &'static str, a: &Tensor) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::largest_rows::<T>(a));
    let found: Vec<T> = largest_of_rows::<T>(op, a)?.into_iter().map(T::of).collect();
    let n = found.len();
    from_vec(found, &[n])
}

fn largest_of_rows<T: Real>(op: &'static str, a: &Tensor) -> Result<Vec<f64>> {
    let n = a.dims().first().copied().unwrap_or(1);
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let width = x.len() / n.max(1);
    if width == 0 {
        return Ok(vec![0.0; n]);
    }
    let isa = Isa::best();
    let largest = |row: &[T]| {
        on(isa, || {
            let mut lanes = [T::zero(); 16];
            for entries in row.chunks(16) {
                for (lane, x) in lanes.iter_mut().zip(entries) {
                    let size = Float::abs(*x);
                    *lane = if size > *lane || size.is_nan() { size } else { *lane };
                }
            }
            lanes.iter().fold(0.0, |m: f64, l| if l.wide() > m || l.is_nan() { l.wide() } else { m })
        })
    };
    Ok(x.par_chunks(width).with_min_len(SMALL / width + 1).map(largest).collect())
}

/// Σ over all but the second dimension: `(N, C, ..)` to `(C,)`.
pub fn sum_channels<T: Real>(op: &'static str, a: &Tensor) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::sum_channels::<T>(a));
    let dims = a.dims().to_vec();
    if dims.len() < 2 {
        return Err(crate::error::shape(op, format!("expected (N, C, ..), got {dims:?}")));
    }
    let (n, channels) = (dims[0], dims[1]);
    let area: usize = dims[2..].iter().product();
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let sums: Vec<T> = if area == 1 {
        // A matrix: row after row, column sums side by side.
        let mut sums = vec![0.0f64; channels];
        for row in x.chunks_exact(channels.max(1)) {
            for (s, x) in sums.iter_mut().zip(row) {
                *s += x.wide();
            }
        }
        sums.into_iter().map(T::of).collect()
    } else {
        (0..channels)
            .into_par_iter()
            .with_min_len(SMALL / (n * area).max(1) + 1)
            .map(|c| {
                let total: f64 = (0..n)
                    .map(|i| {
                        let start = (i * channels + c) * area;
                        sum_slice(&x[start..start + area])
                    })
                    .sum();
                T::of(total)
            })
            .collect()
    };
    from_vec(sums, &[channels])
}

/// Repeats `(N,)` along all other dimensions of `dims`: the adjoint of [`sum_rows`].
pub fn repeat_rows<T: Real>(op: &'static str, a: &Tensor, dims: &[usize]) -> Result<Tensor> {
    repeat::<T>(op, a, dims, dims.first().copied().unwrap_or(1), 1)
}

/// Repeats `(C,)` to `dims = (N, C, ..)`: the adjoint of [`sum_channels`].
pub fn repeat_channels<T: Real>(op: &'static str, a: &Tensor, dims: &[usize]) -> Result<Tensor> {
    repeat::<T>(op, a, dims, dims[1], dims[0])
}

/// `count` values, each along a stretch of its own, all of that `times` over.
fn repeat<T: Real>(op: &'static str, a: &Tensor, dims: &[usize], count: usize, times: usize) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::repeat::<T>(a, dims, dims.iter().product::<usize>() / (count * times).max(1)));
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let total: usize = dims.iter().product();
    let mut out = unwritten(total);
    let stretch = total / (count * times).max(1);
    if stretch == 1 {
        out.chunks_exact_mut(count).for_each(|row| row.copy_from_slice(x));
    } else if stretch > 0 {
        out.par_chunks_mut(stretch)
            .enumerate()
            .with_min_len(1 + 4096 / stretch)
            .for_each(|(i, to)| to.fill(x[i % count]));
    }
    from_vec(out, dims)
}
