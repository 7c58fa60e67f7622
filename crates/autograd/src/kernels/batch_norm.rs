//! Batch normalisation, channel by channel: what is read several times stays in the cache.

use super::map::map2;
use super::reduce::sum_slice;
use super::scratch::{Shared, unwritten};
use super::simd::{Isa, on};
use super::{Real, dense, from_vec, on_gpu, view};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Planes of one channel of `(N, C, area)`.
#[derive(Clone, Copy)]
struct Channel {
    n: usize,
    channels: usize,
    area: usize,
    c: usize,
}

impl Channel {
    fn starts(self) -> impl Iterator<Item = usize> {
        (0..self.n).map(move |i| (i * self.channels + self.c) * self.area)
    }
    fn count(self) -> f64 {
        (self.n * self.area) as f64
    }
}

fn channels(x: &Tensor) -> Result<(usize, usize, usize)> {
    let dims = x.dims();
    Ok((dims[0], x.dim(1)?, dims[2..].iter().product()))
}

/// max(0, v) as everywhere: a NaN stays one.
#[inline(always)]
pub(crate) fn rectified<T: Real>(v: T) -> T {
    if v <= T::zero() { T::zero() } else { v }
}

/// y = γ · (x − mean) / √(var + eps) + β, rectified if asked; beside it the batch's mean and 1/√(var + eps), both `(C,)`.
///
/// Sums are taken in f64, plane by plane.
pub fn normalise<T: Real>(
    x: &Tensor,
    (gamma, beta): (&Tensor, &Tensor),
    (eps, relu): (f64, bool),
) -> Result<(Tensor, Vec<Tensor>)> {
    on_gpu!(x, crate::cuda::batch_norm::<T>(x, (gamma, beta), (eps, relu)));
    let op = "batch_norm";
    let (n, count, area) = channels(x)?;
    let (x, gamma, beta) = (dense(x)?, dense(gamma)?, dense(beta)?);
    let (input, gamma, beta) = (view::<T>(op, &x)?, view::<T>(op, &gamma)?, view::<T>(op, &beta)?);
    let (input, gamma, beta): (&[T], &[T], &[T]) = (&input, &gamma, &beta);
    let mut out = unwritten(input.len());
    let shared = Shared::new(&mut out);
    let isa = Isa::best();
    let stats: Vec<(T, T)> = (0..count)
        .into_par_iter()
        .map(|c| {
            let channel = Channel { n, channels: count, area, c };
            let mean = channel.starts().map(|at| sum_slice(&input[at..at + area])).sum::<f64>() / channel.count();
            let centre = T::of(mean);
            let squares = |plane: &[T]| {
                on(isa, || {
                    let mut lanes = [0.0f64; 8];
                    for eight in plane.chunks(8) {
                        for (lane, x) in lanes.iter_mut().zip(eight) {
                            let d = (*x - centre).wide();
                            *lane += d * d;
                        }
                    }
                    lanes.iter().sum::<f64>()
                })
            };
            let variance = channel.starts().map(|at| squares(&input[at..at + area])).sum::<f64>() / channel.count();
            let inverse = 1.0 / (variance + eps).sqrt();
            let scale = T::of(gamma[c].wide() * inverse);
            let shift = T::of(beta[c].wide() - scale.wide() * mean);
            for at in channel.starts() {
                // SAFETY: planes do not overlap.
                #[expect(unsafe_code, reason = "disjoint parts of one result")]
                let to = unsafe { shared.part(at, area) };
                let pairs = to.iter_mut().zip(&input[at..at + area]);
                if relu {
                    on(isa, || pairs.for_each(|(y, x)| *y = rectified(*x * scale + shift)));
                } else {
                    on(isa, || pairs.for_each(|(y, x)| *y = *x * scale + shift));
                }
            }
            (centre, T::of(inverse))
        })
        .collect();
    let (mean, inverse): (Vec<T>, Vec<T>) = stats.into_iter().unzip();
    Ok((from_vec(out, x.dims())?, vec![from_vec(mean, &[count])?, from_vec(inverse, &[count])?]))
}

/// Gradients by x, γ and β of [`normalise`] for the cotangent g, all of them constants; with the output, if that was
/// rectified.
///
/// dβ = Σ g, dγ = Σ g x̂, dx = γ/σ · (g − dβ/m − x̂ dγ/m) with x̂ = (x − mean)/σ.
pub fn gradients<T: Real>(
    x: &Tensor,
    gamma: &Tensor,
    (mean, inverse): (&Tensor, &Tensor),
    (g, output): (&Tensor, Option<&Tensor>),
) -> Result<(Tensor, Tensor, Tensor)> {
    on_gpu!(x, crate::cuda::batch_norm_gradients::<T>(x, gamma, (mean, inverse), (g, output)));
    let op = "batch_norm";
    let (n, count, area) = channels(x)?;
    let masked = output.map(|y| map2(op, g, y, |g: T, y: T| if y > T::zero() { g } else { T::zero() })).transpose()?;
    let g = masked.as_ref().unwrap_or(g);
    let (x, g, gamma) = (dense(x)?, dense(g)?, dense(gamma)?);
    let (input, slope, gamma) = (view::<T>(op, &x)?, view::<T>(op, &g)?, view::<T>(op, &gamma)?);
    let (mean, inverse) = (view::<T>(op, mean)?, view::<T>(op, inverse)?);
    let (input, slope): (&[T], &[T]) = (&input, &slope);
    let (gamma, mean, inverse): (&[T], &[T], &[T]) = (&gamma, &mean, &inverse);
    let mut out = unwritten(input.len());
    let shared = Shared::new(&mut out);
    let isa = Isa::best();
    let sums: Vec<(T, T)> = (0..count)
        .into_par_iter()
        .map(|c| {
            let channel = Channel { n, channels: count, area, c };
            let (centre, scale) = (mean[c], inverse[c]);
            let (mut dbeta, mut dgamma) = (0.0, 0.0);
            for at in channel.starts() {
                let (x, g) = (&input[at..at + area], &slope[at..at + area]);
                let (sum, along) = on(isa, || {
                    let (mut sums, mut alongs) = ([0.0f64; 8], [0.0f64; 8]);
                    for (g, x) in g.chunks(8).zip(x.chunks(8)) {
                        for ((s, a), (g, x)) in sums.iter_mut().zip(&mut alongs).zip(g.iter().zip(x)) {
                            *s += g.wide();
                            *a += (*g * ((*x - centre) * scale)).wide();
                        }
                    }
                    (sums.iter().sum::<f64>(), alongs.iter().sum::<f64>())
                });
                dbeta += sum;
                dgamma += along;
            }
            let (across, along) = (T::of(dbeta / channel.count()), T::of(dgamma / channel.count()));
            let factor = T::of(gamma[c].wide() * scale.wide());
            for at in channel.starts() {
                // SAFETY: planes do not overlap.
                #[expect(unsafe_code, reason = "disjoint parts of one result")]
                let to = unsafe { shared.part(at, area) };
                let (x, g) = (&input[at..at + area], &slope[at..at + area]);
                on(isa, || {
                    for (to, (x, g)) in to.iter_mut().zip(x.iter().zip(g)) {
                        *to = factor * (*g - across - (*x - centre) * scale * along);
                    }
                });
            }
            (T::of(dgamma), T::of(dbeta))
        })
        .collect();
    let (dgamma, dbeta): (Vec<T>, Vec<T>) = sums.into_iter().unzip();
    Ok((from_vec(out, x.dims())?, from_vec(dgamma, &[count])?, from_vec(dbeta, &[count])?))
}
