//! dx = the adjoint of x ↦ x ⋆ w.

use super::super::Real;
use super::super::matmul::{Panel, panels};
use super::super::scratch::{Shared, scratch};
use super::super::simd::Isa;
use super::super::transpose::{Epilogue, transpose};
use super::Geometry;
use super::forward::{Part, Sweep, pack};
use super::plan::{Grid, Plan, Window};
use super::winograd;
use rayon::prelude::*;

/// Taps of all channels up to which vectors run along taps: more channels fill vectors of their own.
const COLUMNS: usize = 32;

/// `out (N, C, H, W)` of the cotangent `d (N, O, OH, OW)` and `weight (O, C, KH, KW)`.
pub(super) fn input_grad<T: Real>(isa: Isa, g: &Geometry, d: &[T], weight: &[T], out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    if g.k() <= COLUMNS {
        return columns(isa, g, d, weight, out);
    }
    if g.stride == 1 && g.padding < g.kh && winograd::pays::<T>(g) {
        return winograd::input_grad(isa, g, d, weight, out);
    }
    direct(isa, g, d, weight, out);
}

/// Stride s makes s² interleaved images of dx; each is a convolution of d with every s-th tap of the turned kernel.
pub(super) fn direct<T: Real>(isa: Isa, g: &Geometry, d: &[T], weight: &[T], out: &mut [T]) {
    let (panels, padded) = panels(g.c, T::lanes(isa));
    let s = g.stride;
    // d with as many zeros around it as taps can reach over its border.
    let before = |k: usize| (k - 1) / s;
    let (top, left) = (before(g.kh), before(g.kw));
    let reach = |size: usize, k: usize| (size - 1 + g.padding) / s + 1 + before(k);
    let window = Window {
        h: g.oh,
        w: g.ow,
        top,
        left,
        height: reach(g.h, g.kh).max(g.oh + top),
        width: reach(g.w, g.kw).max(g.ow + left),
    };
    // Which taps meet phase p: ky = r, r + s, … with r = (p + padding) mod s; they read row (p + padding − ky) / s + i.
    let phase = |p: usize, k: usize| -> (usize, Vec<usize>) {
        ((p + g.padding) / s, ((p + g.padding) % s..k).step_by(s).collect())
    };
    scratch::<T, _>(g.o * g.kh * g.kw * padded, |packed| {
        let mut rest = packed;
        let mut parts = Vec::new();
        let mut empty = false;
        for py in 0..s.min(g.h) {
            for px in 0..s.min(g.w) {
                let ((base_y, ys), (base_x, xs)) = (phase(py, g.kh), phase(px, g.kw));
                let k = g.o * ys.len() * xs.len();
                let (mine, others) = rest.split_at_mut(k * padded);
                rest = others;
                let split = |i: usize| {
                    let (o, t) = (i / (ys.len() * xs.len()), i % (ys.len() * xs.len()));
                    (o, t / xs.len(), t % xs.len())
                };
                let inner: Vec<usize> = ys.iter().flat_map(|y| xs.iter().map(move |x| y * g.kw + x)).collect();
                pack_taps(isa, g, &panels, &inner, weight, mine);
                let taps = (0..k).map(|i| {
                    let (o, ty, tx) = split(i);
                    (o * window.area() + (base_y - ty + top) * window.width + (base_x - tx + left)) as u32
                });
                let grid = Grid {
                    rows: (g.h - py).div_ceil(s),
                    cols: (g.w - px).div_ceil(s),
                    step: 1,
                    row_step: window.width,
                    out_step: s,
                    out_row: s * g.w,
                };
                empty |= k == 0;
                let taps: Vec<u32> = taps.collect();
                parts.push(Part { plan: Plan::new(isa, grid), first: py * g.w + px, taps, weights: mine });
            }
        }
        let sweep =
            Sweep { window, channels: g.o, parts, panels: &panels, out: (g.c, padded), area: g.h * g.w, zero: empty };
        sweep.run(isa, g.n, d, Epilogue::NONE, out);
    });
}

/// Packs the chosen taps of all kernels, `[panel][(o, tap)][width]` along input channels.
fn pack_taps<T: Real>(isa: Isa, g: &Geometry, panels: &[Panel], chosen: &[usize], weight: &[T], to: &mut [T]) {
    let (lanes, all, k) = (T::lanes(isa), g.kh * g.kw, g.o * chosen.len());
    let padded = panels.iter().map(|p| p.vectors * lanes).sum::<usize>();
    let shared = Shared::new(to);
    (0..g.o).into_par_iter().with_min_len((1 << 14) / (all * g.c) + 1).for_each(|o| {
        scratch::<T, _>(all * padded, |turned| {
            if padded > g.c {
                turned.fill(T::zero());
            }
            let kernels = &weight[o * g.c * all..(o + 1) * g.c * all];
            transpose(isa, (g.c, all), (kernels, all), (turned, padded), Epilogue::NONE);
            for panel in panels {
                let width = panel.vectors * lanes;
                for (i, tap) in chosen.iter().enumerate() {
                    // SAFETY: every (panel, o, tap) has its own `width` elements.
                    #[expect(unsafe_code, reason = "disjoint parts of one buffer")]
                    let to = unsafe { shared.part(panel.start * k + (o * chosen.len() + i) * width, width) };
                    to.copy_from_slice(&turned[tap * padded + panel.start..][..width]);
                }
            }
        });
    });
}

/// Few channels: vectors run along all taps of all channels, and each pixel's taps are added where they belong.
fn columns<T: Real>(isa: Isa, g: &Geometry, d: &[T], weight: &[T], out: &mut [T]) {
    let k = g.k();
    let (panels, padded) = panels(k, T::lanes(isa));
    let area = g.area();
    let grid = Grid { rows: 1, cols: area, step: 1, row_step: 0, out_step: 1, out_row: 0 };
    let taps: Vec<u32> = (0..g.o).map(|o| (o * area) as u32).collect();
    let (height, width) = (g.padding + g.h.max(g.padded().0), g.padding + g.w.max(g.padded().1));
    scratch::<T, _>(g.o * padded, |packed| {
        pack(isa, &panels, (k, g.o), packed, |k_, o| weight[o * k + k_]);
        let plan = Plan::new(isa, grid);
        let lanes = T::lanes(isa);
        out.par_chunks_exact_mut(g.image()).zip(d.par_chunks_exact(g.o * area)).for_each(|(out, d)| {
            scratch::<T, _>(area * padded, |rows| {
                for panel in &panels {
                    // SAFETY: taps and the grid stay inside an image of d; `rows` holds area × padded.
                    #[expect(unsafe_code, reason = "tiles take pointers")]
                    unsafe {
                        plan.run(
                            *panel,
                            d.as_ptr(),
                            &taps,
                            (packed[panel.start * g.o..].as_ptr(), panel.vectors * lanes),
                            (rows[panel.start..].as_mut_ptr(), padded),
                        );
                    }
                }
                scratch::<T, _>(g.c * height * width, |sum| {
                    sum.fill(T::zero());
                    spread(isa, g, rows, padded, sum, (height, width));
                    for (plane, sum) in out.chunks_exact_mut(g.h * g.w).zip(sum.chunks_exact(height * width)) {
                        for (y, line) in plane.chunks_exact_mut(g.w).enumerate() {
                            line.copy_from_slice(&sum[(y + g.padding) * width + g.padding..][..g.w]);
                        }
                    }
                });
            });
        });
    });
}

/// Adds the taps of every pixel, `(area, padded)`, onto the padded image.
fn spread<T: Real>(isa: Isa, g: &Geometry, rows: &[T], padded: usize, sum: &mut [T], (height, width): (usize, usize)) {
    super::super::simd::on(isa, || {
        for c in 0..g.c {
            let plane = &mut sum[c * height * width..(c + 1) * height * width];
            for oy in 0..g.oh {
                for ky in 0..g.kh {
                    let line = &mut plane[(oy * g.stride + ky) * width..][..width];
                    let first = (c * g.kh + ky) * g.kw;
                    for ox in 0..g.ow {
                        let from = &rows[(oy * g.ow + ox) * padded + first..][..g.kw];
                        for (x, f) in line[ox * g.stride..].iter_mut().zip(from) {
                            *x += *f;
                        }
                    }
                }
            }
        }
    });
}
