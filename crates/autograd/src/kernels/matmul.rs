//! Matrix products whose rows do not depend on how many rows there are.
//!
//! Every element is one chain of fused multiply-adds over k, whatever the tile that computed it: a row's bits do not
//! change with the number of rows, of threads, or with the width of the CPU's vectors.

use super::scratch::{Shared, scratch, unwritten};
use super::simd::Isa;
use super::tile::{FAR, Far, farthest};
use super::transpose::{Epilogue, rectified, transpose};
use super::{Real, dense, from_vec, on_gpu, view, work};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Steps of k whose panel of the right operand is packed at a time.
const DEPTH: usize = 512;
/// Steps of k up to which a right operand that is not transposed is read in place.
const UNPACKED: usize = 128;
/// Multiplications up to which waking another thread costs more than it saves.
const SMALL: usize = 1 << 20;
/// Rows of one task at most.
const ROWS: usize = 256;

/// A strip of output columns: where it starts and how many vectors it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel {
    pub(crate) start: usize,
    pub(crate) vectors: usize,
}

/// Covers n columns with panels of two vectors, the last of one where that is enough; and the padded width.
pub(crate) fn panels(n: usize, lanes: usize) -> (Vec<Panel>, usize) {
    let mut found = Vec::new();
    let mut start = 0;
    while start < n {
        let vectors = if n - start > lanes { 2 } else { 1 };
        found.push(Panel { start, vectors });
        start += vectors * lanes;
    }
    (found, start)
}

/// Splits `n` into the fewest parts of at most `most`, as equal as can be.
pub(crate) fn even_parts(n: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let parts = n.div_ceil(most.max(1));
    let (each, more) = (n / parts.max(1), n % parts.max(1));
    (0..parts).map(move |i| (i * each + i.min(more), each + usize::from(i < more)))
}

/// The right operand: `(K, N)`, or `(N, K)` when `transposed`; row major.
#[derive(Clone, Copy)]
struct Right<'a, T> {
    data: &'a [T],
    ld: usize,
    transposed: bool,
}

/// C = op(A) · op(B) (+ bias per column, rectified) for matrices; `ta`, `tb` transpose.
pub fn matmul<T: Real>(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    (ta, tb): (bool, bool),
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::matmul::<T>(op, a, b, (ta, tb), bias, relu));
    let ((ar, ac), (br, bc)) = (a.dims2()?, b.dims2()?);
    let (m, k) = if ta { (ac, ar) } else { (ar, ac) };
    let (k2, n) = if tb { (bc, br) } else { (br, bc) };
    if k != k2 {
        return Err(crate::error::shape(
            op,
            format!("cannot multiply {m}×{k} by {k2}×{n} (from {:?} and {:?})", a.dims(), b.dims()),
        ));
    }
    if let Some(bias) = bias.filter(|bias| bias.dims() != [n]) {
        return Err(crate::error::shape(op, format!("bias {:?} for {n} columns", bias.dims())));
    }
    work::count(m * n * k);
    let (a, b, bias) = (dense(a)?, dense(b)?, bias.map(dense).transpose()?);
    let (x, y) = (view::<T>(op, &a)?, view::<T>(op, &b)?);
    let bias = bias.as_ref().map(|b| view::<T>(op, b)).transpose()?;
    let (x, bias): (&[T], Option<&[T]>) = (&x, bias.as_deref());
    let right = Right { data: &y, ld: bc, transposed: tb };
    let mut out = unwritten(m * n);
    product(Isa::best(), (m, n, k), (x, ta), right, Epilogue { bias, relu }, &mut out);
    from_vec(out, &[m, n])
}

#[expect(unsafe_code, reason = "tiles take pointers; bounds are asserted right here")]
fn product<T: Real>(
    isa: Isa,
    (m, n, k): (usize, usize, usize),
    (a, transposed): (&[T], bool),
    right: Right<'_, T>,
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
) {
    if m == 0 || n == 0 {
        return;
    }
    if transposed {
        // Rows of large strides would fight for the same cache lines.
        return scratch::<T, _>(m * k, |rows| {
            transpose(isa, (k, m), (a, m), (rows, k), Epilogue::NONE);
            product(isa, (m, n, k), (rows, false), right, epilogue, out);
        });
    }
    assert!(a.len() == m * k, "left operand out of bounds");
    assert!(right.data.len() == n * k && out.len() == m * n, "right operand or result out of bounds");
    let lanes = T::lanes(isa);
    let (panels, _) = panels(n, lanes);
    // More tasks than panels only where panels alone do not feed every thread.
    let threads = rayon::current_num_threads();
    let split = (4 * threads).div_ceil(panels.len()).min(m.div_ceil(64));
    let blocks: Vec<(usize, usize)> = even_parts(m, m.div_ceil(split).min(ROWS)).collect();
    let shared = Shared::new(out);
    let tasks = panels.len() * blocks.len();
    let body = |task: usize| {
        let (panel, (row, rows)) = (panels[task / blocks.len()], blocks[task % blocks.len()]);
        let width = panel.vectors * lanes;
        let used = width.min(n - panel.start);
        // A full panel is written where it belongs, a narrow one beside and then copied.
        let beside = if used < width { rows * width } else { 0 };
        scratch::<T, _>(beside, |side| {
            let (c, c_step) = if used < width {
                (side.as_mut_ptr(), width)
            } else {
                (shared.pointer(row * n + panel.start, (rows - 1) * n + used), n)
            };
            // Few rows of the right operand stay where they are; many would be on as many pages.
            let packed = right.transposed || used < width || k > UNPACKED;
            scratch::<T, _>(if packed { DEPTH.min(k) * width } else { 0 }, |b| {
                if k == 0 {
                    // SAFETY: rows of `used` elements from `c` on are this task's.
                    (0..rows).for_each(|i| unsafe { c.add(i * c_step).write_bytes(0, used) });
                }
                for (from, depth) in even_parts(k, DEPTH) {
                    let (b, b_step) = if packed {
                        pack(isa, right, (from, depth), (panel.start, used, width), b);
                        (b.as_ptr(), width)
                    } else {
                        (right.data[from * right.ld + panel.start..].as_ptr(), right.ld)
                    };
                    for (i, p) in even_parts(rows, farthest(isa, panel.vectors)) {
                        let mut offsets = [0; FAR];
                        for (j, o) in offsets[..p].iter_mut().enumerate() {
                            *o = j * k;
                        }
                        // SAFETY: row + i + p ≤ m and from + depth ≤ k, asserted above to lie inside; `b` holds depth
                        // rows of a panel, `c` this task's rows.
                        unsafe {
                            let tile = Far {
                                counts: [1, 1, depth],
                                a: a.as_ptr().add((row + i) * k + from),
                                rows: offsets,
                                steps: [0, 0, 1],
                                b,
                                b_step,
                                c: c.add(i * c_step),
                                c_step,
                                accumulate: from > 0,
                            };
                            T::far(isa, p, panel.vectors)(&tile);
                        }
                    }
                }
            });
            if used == width && epilogue.bias.is_none() && !epilogue.relu {
                return;
            }
            for i in 0..rows {
                // SAFETY: tasks own disjoint columns or rows.
                let to = unsafe { shared.part((row + i) * n + panel.start, used) };
                if used < width {
                    to.copy_from_slice(&side[i * width..][..used]);
                }
                if let Some(bias) = epilogue.bias {
                    to.iter_mut().zip(&bias[panel.start..]).for_each(|(y, b)| *y += *b);
                }
                if epilogue.relu {
                    to.iter_mut().for_each(|y| *y = rectified(*y));
                }
            }
        });
    };
    if tasks == 1 || m * n * k < SMALL {
        (0..tasks).for_each(body);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(body);
    }
}

/// Packs `depth` steps of a panel as `[k][width]`, columns past `used` zero.
fn pack<T: Real>(
    isa: Isa,
    right: Right<'_, T>,
    (from, depth): (usize, usize),
    (start, used, width): (usize, usize, usize),
    to: &mut [T],
) {
    if right.transposed {
        let source = &right.data[start * right.ld + from..];
        transpose(isa, (used, depth), (source, right.ld), (to, width), Epilogue::NONE);
        if used < width {
            to[..depth * width].chunks_exact_mut(width).for_each(|row| row[used..].fill(T::zero()));
        }
    } else {
        for (k, row) in to[..depth * width].chunks_exact_mut(width).enumerate() {
            row[..used].copy_from_slice(&right.data[(from + k) * right.ld + start..][..used]);
            row[used..].fill(T::zero());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn every_instruction_set_and_shape_gives_the_chain_of_fused_multiply_adds() {
        for (m, n, k) in [(1, 1, 1), (7, 33, 5), (20, 50, 1030), (3, 16, 600), (130, 10, 40)] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let mut want = vec![0.0f32; m * n];
            for i in 0..m {
                for j in 0..n {
                    want[i * n + j] = (0..k).fold(0.0f32, |s, l| a[i * k + l].mul_add(b[l * n + j], s));
                }
            }
            for isa in Isa::available() {
                for (ta, tb) in [(false, false), (true, false), (false, true)] {
                    let flip = |x: &[f32], r: usize, c: usize| -> Vec<f32> {
                        (0..c).flat_map(|j| (0..r).map(move |i| (i, j))).map(|(i, j)| x[i * c + j]).collect()
                    };
                    let left = if ta { flip(&a, m, k) } else { a.clone() };
                    let data = if tb { flip(&b, k, n) } else { b.clone() };
                    let right = Right { data: &data, ld: if tb { k } else { n }, transposed: tb };
                    let mut out = vec![0.0; m * n];
                    product(isa, (m, n, k), (&left, ta), right, Epilogue::NONE, &mut out);
                    assert!(out == want, "{isa:?} {m}×{n}×{k} {ta} {tb}");
                }
            }
        }
    }
}
