//! Pooling with stored indices, and its adjoints.

use super::{Real, dense, from_vec, view};
use crate::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Output size of a window `k` moved by `stride`, without padding.
pub fn pooled(op: &'static str, dims: &[usize], k: usize, stride: usize) -> Result<(usize, usize)> {
    let &[_, _, h, w] = dims else {
        return Err(crate::error::shape(op, format!("expected (N, C, H, W), got {dims:?}")));
    };
    if k == 0 || stride == 0 || k > h || k > w {
        return Err(crate::error::shape(
            op,
            format!("a {k}×{k} window (stride {stride}) does not fit an image of {h}×{w}"),
        ));
    }
    Ok(((h - k) / stride + 1, (w - k) / stride + 1))
}

/// Maxima of the windows, `(N, C, OH, OW)`, and their positions within each plane (u32); ties go to the first, a NaN
/// wins, both as in PyTorch.
pub fn max_pool2d<T: Real>(a: &Tensor, k: usize, stride: usize) -> Result<(Tensor, Tensor)> {
    let op = "max_pool2d";
    let (oh, ow) = pooled(op, a.dims(), k, stride)?;
    let (n, c, h, w) = a.dims4()?;
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let mut values = vec![T::zero(); n * c * oh * ow];
    let mut places = vec![0u32; n * c * oh * ow];
    values
        .par_chunks_mut(oh * ow)
        .zip(places.par_chunks_mut(oh * ow))
        .zip(x.par_chunks(h * w))
        .with_min_len(8)
        .for_each(|((values, places), plane)| {
            for oy in 0..oh {
                for ox in 0..ow {
                    let mut place = oy * stride * w + ox * stride;
                    let mut best = plane[place];
                    for y in oy * stride..oy * stride + k {
                        for x in ox * stride..ox * stride + k {
                            let value = plane[y * w + x];
                            if value > best || (value.is_nan() && !best.is_nan()) {
                                (best, place) = (value, y * w + x);
                            }
                        }
                    }
                    values[oy * ow + ox] = best;
                    places[oy * ow + ox] = place as u32;
                }
            }
        });
    Ok((from_vec(values, &[n, c, oh, ow])?, Tensor::from_vec(places, (n, c, oh, ow), &Device::Cpu)?))
}

fn places(places: &Tensor) -> Result<Vec<u32>> {
    Ok(places.flatten_all()?.to_vec1()?)
}

/// Adds values at their stored positions: `(N, C, OH, OW)` to `dims = (N, C, H, W)`.
pub fn unpool<T: Real>(a: &Tensor, at: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let a = dense(a)?;
    let x = view::<T>("unpool", &a)?;
    let (x, at): (&[T], &[u32]) = (&x, &places(at)?);
    let (_, _, oh, ow) = a.dims4()?;
    let plane = dims[2] * dims[3];
    let mut out = vec![T::zero(); dims.iter().product()];
    out.par_chunks_mut(plane).zip(x.par_chunks(oh * ow)).zip(at.par_chunks(oh * ow)).with_min_len(8).for_each(
        |((out, x), at)| {
            for (x, at) in x.iter().zip(at) {
                out[*at as usize] += *x;
            }
        },
    );
    from_vec(out, dims)
}

/// Reads values at stored positions: `(N, C, H, W)` to the shape of `at`.
pub fn gather_at<T: Real>(a: &Tensor, at: &Tensor) -> Result<Tensor> {
    let a = dense(a)?;
    let dims = at.dims().to_vec();
    let x = view::<T>("gather_at", &a)?;
    let (x, at): (&[T], &[u32]) = (&x, &places(at)?);
    let (_, _, h, w) = a.dims4()?;
    let plane = dims[2] * dims[3];
    let mut out = vec![T::zero(); at.len()];
    out.par_chunks_mut(plane).zip(x.par_chunks(h * w)).zip(at.par_chunks(plane)).with_min_len(8).for_each(
        |((out, x), at)| {
            for (o, at) in out.iter_mut().zip(at) {
                *o = x[*at as usize];
            }
        },
    );
    from_vec(out, &dims)
}

/// Means of the windows, `(N, C, OH, OW)`.
pub fn avg_pool2d<T: Real>(a: &Tensor, k: usize, stride: usize) -> Result<Tensor> {
    let op = "avg_pool2d";
    let (oh, ow) = pooled(op, a.dims(), k, stride)?;
    let (n, c, h, w) = a.dims4()?;
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let scale = T::of(1.0 / (k * k) as f64);
    let mut out = vec![T::zero(); n * c * oh * ow];
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
    let a = dense(a)?;
    let x = view::<T>("avg_unpool", &a)?;
    let x: &[T] = &x;
    let (_, _, oh, ow) = a.dims4()?;
    let (h, w) = (dims[2], dims[3]);
    let scale = T::of(1.0 / (k * k) as f64);
    let mut out = vec![T::zero(); dims.iter().product()];
    out.par_chunks_mut(h * w).zip(x.par_chunks(oh * ow)).with_min_len(8).for_each(|(out, x)| {
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
