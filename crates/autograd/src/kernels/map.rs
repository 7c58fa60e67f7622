//! Elementwise maps over one, two or three tensors of one shape, in one pass over memory.

use super::scratch::{Shared, unwritten};
use super::simd::{Isa, on};
use super::{CHUNK, Real, by_dtype, dense, from_vec, on_gpu, view};
use crate::Result;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor};
use rayon::prelude::*;

fn run<T: Real>(n: usize, body: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    let mut out = unwritten(n);
    let isa = Isa::best();
    if n <= 4 * CHUNK {
        on(isa, || body(0, &mut out));
    } else {
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, chunk)| on(isa, || body(i * CHUNK, chunk)));
    }
    out
}

/// out = f(a).
pub fn map1<T: Real>(op: &'static str, a: &Tensor, f: impl Fn(T) -> T + Sync) -> Result<Tensor> {
    let a = dense(a)?;
    let x = view::<T>(op, &a)?;
    let x: &[T] = &x;
    let out = run(x.len(), |start, chunk| {
        let x = &x[start..start + chunk.len()];
        for (o, x) in chunk.iter_mut().zip(x) {
            *o = f(*x);
        }
    });
    from_vec(out, a.dims())
}

fn same_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dims() == b.dims() {
        return Ok(());
    }
    Err(crate::error::shape(op, format!("shapes differ: {:?} and {:?}", a.dims(), b.dims())))
}

/// out = f(a, b).
pub fn map2<T: Real>(op: &'static str, a: &Tensor, b: &Tensor, f: impl Fn(T, T) -> T + Sync) -> Result<Tensor> {
    same_shape(op, a, b)?;
    let (a, b) = (dense(a)?, dense(b)?);
    let (x, y) = (view::<T>(op, &a)?, view::<T>(op, &b)?);
    let (x, y): (&[T], &[T]) = (&x, &y);
    let out = run(x.len(), |start, chunk| {
        let (x, y) = (&x[start..start + chunk.len()], &y[start..start + chunk.len()]);
        for ((o, x), y) in chunk.iter_mut().zip(x).zip(y) {
            *o = f(*x, *y);
        }
    });
    from_vec(out, a.dims())
}

/// p · a + q · b.
pub fn blend((p, a): (f64, &Tensor), (q, b): (f64, &Tensor)) -> Result<Tensor> {
    by_dtype!("blend", a, T => {
        on_gpu!(a, crate::cuda::blend::<T>((p, a), (q, b)));
        let (p, q) = (T::of(p), T::of(q));
        map2("blend", a, b, |x: T, y: T| x * p + y * q)
    })
}

/// p · a + q · b for every pair of tensors.
pub fn blend_each((p, q): (f64, f64), pairs: &[(&Tensor, &Tensor)]) -> Result<Vec<Tensor>> {
    #[cfg(feature = "cuda")]
    if let Some((a, _)) = pairs.first().filter(|(a, _)| a.device().is_cuda()) {
        return by_dtype!("blend", a, T => crate::cuda::blend_each::<T>((p, q), pairs));
    }
    pairs.iter().map(|(a, b)| blend((p, a), (q, b))).collect()
}

/// Per-channel map: `out[n,c,..] = f(x[n,c,..], p[c], q[c])`; `x` is `(N, C, ..)`, `p` and `q` are `(C,)`.
pub fn map_channels<T: Real>(
    op: &'static str,
    a: &Tensor,
    p: &Tensor,
    q: &Tensor,
    f: impl Fn(T, T, T) -> T + Sync,
) -> Result<Tensor> {
    let dims = a.dims().to_vec();
    if dims.len() < 2 || p.dims() != [dims[1]] || q.dims() != [dims[1]] {
        return Err(crate::error::shape(
            op,
            format!("expected (N, C, ..) and two (C,), got {dims:?}, {:?}, {:?}", p.dims(), q.dims()),
        ));
    }
    let (a, p, q) = (dense(a)?, dense(p)?, dense(q)?);
    let (x, p, q) = (view::<T>(op, &a)?, view::<T>(op, &p)?, view::<T>(op, &q)?);
    let (x, p, q): (&[T], &[T], &[T]) = (&x, &p, &q);
    let channels = dims[1];
    let area: usize = dims[2..].iter().product();
    let mut out = unwritten(x.len());
    let image = channels * area;
    let isa = Isa::best();
    if image > 0 {
        out.par_chunks_mut(image).zip(x.par_chunks(image)).with_min_len(1 + 4096 / image).for_each(|(out, x)| {
            on(isa, || {
                for c in 0..channels {
                    let (p, q) = (p[c], q[c]);
                    let range = c * area..(c + 1) * area;
                    for (o, x) in out[range.clone()].iter_mut().zip(&x[range]) {
                        *o = f(*x, p, q);
                    }
                }
            });
        });
    }
    from_vec(out, &dims)
}

/// One pass over I inputs of one length that writes O outputs, in chunks that do not depend on the number of threads.
///
/// `f` is told where a chunk starts and writes every element of its output chunks.
///
/// # Panics
/// If the inputs differ in length: a mistake of the caller.
pub fn pass<T: Real, const I: usize, const O: usize>(
    inputs: [&[T]; I],
    chunk: usize,
    f: impl Fn(usize, [&[T]; I], [&mut [T]; O]) + Sync,
) -> [Vec<T>; O] {
    let n = inputs.first().map_or(0, |x| x.len());
    assert!(inputs.iter().all(|x| x.len() == n), "inputs of one length");
    let mut outputs: [Vec<T>; O] = std::array::from_fn(|_| unwritten(n));
    let shared = outputs.each_mut().map(|v| Shared::new(v));
    let isa = Isa::best();
    let body = |i: usize| {
        let range = i * chunk..n.min((i + 1) * chunk);
        // SAFETY: chunks do not overlap.
        #[expect(unsafe_code, reason = "disjoint parts of several results")]
        let to = shared.each_ref().map(|s| unsafe { s.part(range.start, range.len()) });
        on(isa, || f(range.start, inputs.map(|x| &x[range.clone()]), to));
    };
    match n.div_ceil(chunk) {
        chunks @ 0..=1 => (0..chunks).for_each(body),
        chunks => (0..chunks).into_par_iter().for_each(body),
    }
    outputs
}

struct AddInto;

impl InplaceOp2 for AddInto {
    fn name(&self) -> &'static str {
        "add_into"
    }
    fn cpu_fwd(&self, sum: &mut CpuStorage, to: &Layout, other: &CpuStorage, from: &Layout) -> candle_core::Result<()> {
        let (Some(to), Some(from)) = (to.contiguous_offsets(), from.contiguous_offsets()) else {
            candle_core::bail!("add_into: internal: strided tensors");
        };
        match (sum, other) {
            (CpuStorage::F32(a), CpuStorage::F32(b)) => add_slices(&mut a[to.0..to.1], &b[from.0..from.1]),
            (CpuStorage::F64(a), CpuStorage::F64(b)) => add_slices(&mut a[to.0..to.1], &b[from.0..from.1]),
            _ => candle_core::bail!("add_into: internal: two tensors of one dtype, f32 or f64"),
        }
        Ok(())
    }
}

fn add_slices<T: Real>(sum: &mut [T], other: &[T]) {
    let isa = Isa::best();
    let body = |(sum, other): (&mut [T], &[T])| {
        on(isa, || sum.iter_mut().zip(other).for_each(|(a, b)| *a += *b));
    };
    if sum.len() <= 4 * CHUNK {
        body((sum, other));
    } else {
        sum.par_chunks_mut(CHUNK).zip(other.par_chunks(CHUNK)).for_each(body);
    }
}

/// sum ← sum + other, in the buffer of `sum`, which nobody else may be looking at.
pub(crate) fn add_into(sum: &Tensor, other: &Tensor) -> Result<()> {
    same_shape("add_into", sum, other)?;
    on_gpu!(sum, by_dtype!("add_into", sum, T => crate::cuda::add_into::<T>(sum, other)));
    Ok(sum.inplace_op2(&dense(other)?, &AddInto)?)
}
