//! Matrix products whose rows do not depend on how many rows there are.
//!
//! A GEMM library chooses its kernels and its blocking of k by shape, so the bits of one row can change with the number
//! of rows. Every product here is therefore made of calls of constant shape: blocks of `ROWS` rows, the last one
//! padded with zeros.

use super::{Real, dense, from_vec, view};
use crate::Result;
use candle_core::Tensor;
use gemm::Parallelism;
use rayon::prelude::*;

/// Rows per call.
pub const ROWS: usize = 32;
/// Columns per call of a product that contracts over the batch.
const COLUMNS: usize = 256;

/// A matrix in memory: element (i, j) at `i · rs + j · cs`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) rs: usize,
    pub(crate) cs: usize,
}

impl<T> Mat<'_, T> {
    fn fits(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.rs + (columns - 1) * self.cs < self.data.len()
    }
}

/// out (m × n, row major with row stride `out_rs`) = a (m × k) · b (k × n), plus what is in `out` if `accumulate`.
#[expect(unsafe_code, reason = "gemm takes pointers; bounds are asserted right here")]
pub(crate) fn gemm_into<T: Real>(
    (m, n, k): (usize, usize, usize),
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    out: &mut [T],
    out_rs: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.fits(m, k) && b.fits(k, n), "gemm operand out of bounds");
    assert!((m - 1) * out_rs + n <= out.len() && (m == 1 || out_rs >= n), "gemm result out of bounds");
    // SAFETY: all three operands were just checked to lie inside their slices, `out` is exclusively borrowed and its
    // rows do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_rs as isize,
            accumulate,
            a.data.as_ptr(),
            a.cs as isize,
            a.rs as isize,
            b.data.as_ptr(),
            b.cs as isize,
            b.rs as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// C = op(A) · op(B) for matrices; `ta`, `tb` transpose. The rows of C are a batch unless `ta`.
pub fn matmul<T: Real>(op: &'static str, a: &Tensor, b: &Tensor, ta: bool, tb: bool) -> Result<Tensor> {
    let ((ar, ac), (br, bc)) = (a.dims2()?, b.dims2()?);
    let (m, k) = if ta { (ac, ar) } else { (ar, ac) };
    let (k2, n) = if tb { (bc, br) } else { (br, bc) };
    if k != k2 {
        return Err(crate::error::shape(
            op,
            format!("cannot multiply {m}×{k} by {k2}×{n} (from {:?} and {:?})", a.dims(), b.dims()),
        ));
    }
    let (a, b) = (dense(a)?, dense(b)?);
    let (x, y) = (view::<T>(op, &a)?, view::<T>(op, &b)?);
    let (x, y): (&[T], &[T]) = (&x, &y);
    let left = if ta { Mat { data: x, rs: 1, cs: ac } } else { Mat { data: x, rs: ac, cs: 1 } };
    let right = if tb { Mat { data: y, rs: 1, cs: bc } } else { Mat { data: y, rs: bc, cs: 1 } };
    let mut out = vec![T::zero(); m * n];
    if m == 0 || n == 0 || k == 0 {
        return from_vec(out, &[m, n]);
    }
    if ta {
        // Contracts over the batch: m and n are dimensions of weights; one task per block of columns.
        let blocks: Vec<(usize, Vec<T>)> = (0..n.div_ceil(COLUMNS))
            .into_par_iter()
            .map(|block| {
                let start = block * COLUMNS;
                let width = COLUMNS.min(n - start);
                let mut part = vec![T::zero(); m * width];
                let right = Mat { data: &right.data[start * right.cs..], ..right };
                gemm_into((m, width, k), left, right, &mut part, width, false);
                (start, part)
            })
            .collect();
        for (start, part) in blocks {
            let width = part.len() / m;
            for (row, part) in out.chunks_exact_mut(n).zip(part.chunks_exact(width)) {
                row[start..start + width].copy_from_slice(part);
            }
        }
    } else {
        out.par_chunks_mut(ROWS * n).enumerate().for_each(|(block, out)| {
            let rows = out.len() / n;
            let start = block * ROWS;
            if rows == ROWS {
                let left = Mat { data: &left.data[start * left.rs..], ..left };
                gemm_into((ROWS, n, k), left, right, out, n, false);
            } else {
                let mut padded = vec![T::zero(); ROWS * k];
                padded[..rows * k].copy_from_slice(&left.data[start * k..(start + rows) * k]);
                let mut part = vec![T::zero(); ROWS * n];
                gemm_into((ROWS, n, k), Mat { data: &padded, rs: k, cs: 1 }, right, &mut part, n, false);
                out.copy_from_slice(&part[..rows * n]);
            }
        });
    }
    from_vec(out, &[m, n])
}
