//! Sums: over everything, over rows, over all but the channel. Accumulated in f64 in chunks that depend on shapes only.

use super::simd::{Isa, on};
use super::{CHUNK, Real, dense, from_vec, view};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

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
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let parts: Vec<f64> = x.par_chunks(CHUNK).map(sum_slice).collect();
    from_vec(vec![T::of(parts.iter().sum())], &[])
}

/// Σ over all but the first dimension: `(N, ..)` to `(N,)`.
pub fn sum_rows<T: Real>(op: &'static str, a: &Tensor) -> Result<Tensor> {
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

/// Σ over all but the second dimension: `(N, C, ..)` to `(C,)`.
pub fn sum_channels<T: Real>(op: &'static str, a: &Tensor) -> Result<Tensor> {
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
