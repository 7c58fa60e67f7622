//! y = x ⋆ w.

use super::super::Real;
use super::super::matmul::{Panel, even_parts, panels};
use super::super::scratch::{Shared, scratch};
use super::super::simd::Isa;
use super::super::transpose::{Epilogue, transpose};
use super::Geometry;
use super::plan::{Grid, Plan, Window};
use super::winograd;
use rayon::prelude::*;

/// Elements of input and output that a task handles at a time: what fits a level-2 cache beside the weights.
const BLOCK: usize = 256 * 1024;

/// A convolution of padded images with packed weights, results channels last and then transposed: what forward and
/// input gradient share.
pub(super) struct Sweep<'a, T> {
    pub(super) window: Window,
    pub(super) channels: usize,
    /// Grids of outputs with their taps and their weights `[k][padded]`.
    pub(super) parts: Vec<Part<'a, T>>,
    pub(super) panels: &'a [Panel],
    /// Output channels, and with padding.
    pub(super) out: (usize, usize),
    /// Output pixels.
    pub(super) area: usize,
    /// Some outputs belong to no part: they are zero.
    pub(super) zero: bool,
}

pub(super) struct Part<'a, T> {
    pub(super) plan: Plan<T>,
    /// Of output pixel 0, in pixels.
    pub(super) first: usize,
    pub(super) taps: Vec<u32>,
    /// Packed panel after panel: `[panel][k][width]`.
    pub(super) weights: &'a [T],
}

impl<T: Real> Sweep<'_, T> {
    #[expect(unsafe_code, reason = "tiles take pointers; the buffers they read and write are sized right here")]
    pub(super) fn run(&self, isa: Isa, n: usize, x: &[T], epilogue: Epilogue<'_, T>, out: &mut [T]) {
        let lanes = T::lanes(isa);
        let threads = rayon::current_num_threads();
        let image = self.channels * self.window.h * self.window.w;
        let (channels, padded) = self.out;
        let cut = if self.window.whole() { 0 } else { self.channels * self.window.area() };
        let produced = self.area * padded;
        let block = (BLOCK / (cut.max(image) + produced).max(1)).clamp(1, n.div_ceil(4 * threads).max(1));
        // Panels are shared out only where images alone do not feed every thread.
        let strips: Vec<(usize, usize)> = if n >= threads {
            vec![(0, self.panels.len())]
        } else {
            even_parts(self.panels.len(), self.panels.len().div_ceil((2 * threads).div_ceil(n.max(1)))).collect()
        };
        let blocks: Vec<(usize, usize)> = even_parts(n, block).collect();
        let shared = Shared::new(out);
        (0..blocks.len() * strips.len()).into_par_iter().with_max_len(1).for_each(|task| {
            let (first, count) = blocks[task / strips.len()];
            let (strip, width) = strips[task % strips.len()];
            let images = &x[first * image..(first + count) * image];
            scratch::<T, _>(count * cut, |windows| {
                if cut > 0 {
                    for (from, to) in images.chunks_exact(image).zip(windows.chunks_exact_mut(cut)) {
                        self.window.cut(from, to);
                    }
                }
                let (input, size) = if cut > 0 { (&*windows, cut) } else { (images, image) };
                scratch::<T, _>(count * produced, |rows| {
                    if self.zero {
                        rows.fill(T::zero());
                    }
                    for part in self.parts.iter().filter(|p| !p.taps.is_empty()) {
                        for panel in &self.panels[strip..strip + width] {
                            let weights = &part.weights[panel.start * part.taps.len()..];
                            for i in 0..count {
                                // SAFETY: taps were made for this window, grids for this area.
                                unsafe {
                                    part.plan.run(
                                        *panel,
                                        input.as_ptr().add(i * size),
                                        &part.taps,
                                        (weights.as_ptr(), panel.vectors * lanes),
                                        (
                                            rows.as_mut_ptr().add(i * produced + part.first * padded + panel.start),
                                            padded,
                                        ),
                                    );
                                }
                            }
                        }
                    }
                    let start = self.panels[strip].start;
                    let last = self.panels[strip + width - 1];
                    let end = (last.start + last.vectors * lanes).min(channels);
                    for i in 0..count {
                        // SAFETY: tasks own disjoint channels of disjoint images.
                        let to = unsafe {
                            shared.part(((first + i) * channels + start) * self.area, (end - start) * self.area)
                        };
                        let from = &rows[i * produced + start..(i + 1) * produced];
                        let epilogue = Epilogue { bias: epilogue.bias.map(|b| &b[start..end]), ..epilogue };
                        transpose(isa, (self.area, end - start), (from, padded), (to, self.area), epilogue);
                    }
                });
            });
        });
    }
}

/// Packs weights `value(channel, k)` as `[panel][k][width]`, channels past `o` zero.
pub(super) fn pack<T: Real>(
    isa: Isa,
    panels: &[Panel],
    (o, k): (usize, usize),
    to: &mut [T],
    value: impl Fn(usize, usize) -> T + Sync,
) {
    let lanes = T::lanes(isa);
    let shared = Shared::new(to);
    panels.par_iter().with_min_len((1 << 14) / (k * 2 * lanes).max(1) + 1).for_each(|panel| {
        let width = panel.vectors * lanes;
        // SAFETY: panels do not overlap.
        #[expect(unsafe_code, reason = "disjoint parts of one buffer")]
        let to = unsafe { shared.part(panel.start * k, width * k) };
        for (k, row) in to.chunks_exact_mut(width).enumerate() {
            for (j, w) in row.iter_mut().enumerate() {
                *w = if panel.start + j < o { value(panel.start + j, k) } else { T::zero() };
            }
        }
    });
}

/// `out (N, O, OH, OW)` of `x (N, C, H, W)` and `weight (O, C, KH, KW)`.
pub(super) fn forward<T: Real>(
    isa: Isa,
    g: &Geometry,
    x: &[T],
    weight: &[T],
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
) {
    if winograd::pays::<T>(g) {
        return winograd::forward(isa, g, x, weight, epilogue, out);
    }
    direct(isa, g, x, weight, epilogue, out);
}

pub(super) fn direct<T: Real>(isa: Isa, g: &Geometry, x: &[T], weight: &[T], epilogue: Epilogue<'_, T>, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let (panels, padded) = panels(g.o, T::lanes(isa));
    let (height, width) = g.padded();
    let mut window = Window { h: g.h, w: g.w, top: g.padding, left: g.padding, height, width };
    if g.padding == 0 {
        // Without padding the image serves as it is, even where the last rows are not read.
        (window.height, window.width) = (g.h, g.w);
    }
    let k = g.k();
    let taps = taps(g, &window);
    let grid =
        Grid { rows: g.oh, cols: g.ow, step: g.stride, row_step: g.stride * window.width, out_step: 1, out_row: g.ow };
    scratch::<T, _>(k * padded, |packed| {
        let lanes = T::lanes(isa);
        let shared = Shared::new(packed);
        panels.par_iter().with_min_len((1 << 14) / (k * 2 * lanes).max(1) + 1).for_each(|panel| {
            let (width, used) = (panel.vectors * lanes, (panel.vectors * lanes).min(g.o - panel.start));
            // SAFETY: panels do not overlap.
            #[expect(unsafe_code, reason = "disjoint parts of one buffer")]
            let to = unsafe { shared.part(panel.start * k, width * k) };
            if used < width {
                to.fill(T::zero());
            }
            transpose(isa, (used, k), (&weight[panel.start * k..], k), (to, width), Epilogue::NONE);
        });
        let part = Part { plan: Plan::new(isa, grid), first: 0, taps, weights: packed };
        let sweep = Sweep {
            window,
            channels: g.c,
            parts: vec![part],
            panels: &panels,
            out: (g.o, padded),
            area: g.area(),
            zero: false,
        };
        sweep.run(isa, g.n, x, epilogue, out);
    });
}

/// Where in a window each multiplication of output 0 reads, in the order c, ky, kx.
pub(super) fn taps(g: &Geometry, window: &Window) -> Vec<u32> {
    (0..g.k())
        .map(|k| {
            let (c, ky, kx) = (k / (g.kh * g.kw), k / g.kw % g.kh, k % g.kw);
            (c * window.area() + ky * window.width + kx) as u32
        })
        .collect()
}
