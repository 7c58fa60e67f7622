//! dw = Σₙ xₙ ⋆ dₙ.

use super::super::Real;
use super::super::matmul::{even_parts, panels};
use super::super::scratch::{Shared, scratch};
use super::super::simd::Isa;
use super::super::tile::{FAR, Far, farthest};
use super::super::transpose::{Epilogue, transpose};
use super::Geometry;
use super::forward::taps;
use super::groups::{IMAGES, fold};
use super::plan::Window;
use super::winograd;
use rayon::prelude::*;

/// Elements of images and cotangents that are kept at hand while all taps pass over them.
const BLOCK: usize = 192 * 1024;

/// `out (O, C, KH, KW)` of `x (N, C, H, W)` and the cotangent `d (N, O, OH, OW)`.
pub(super) fn weight_grad<T: Real>(isa: Isa, g: &Geometry, x: &[T], d: &[T], out: &mut [T]) {
    if winograd::pays::<T>(g) {
        return winograd::weight_grad(isa, g, x, d, out);
    }
    direct(isa, g, x, d, out);
}

#[expect(unsafe_code, reason = "tiles take pointers; the buffers they read and write are sized right here")]
pub(super) fn direct<T: Real>(isa: Isa, g: &Geometry, x: &[T], d: &[T], out: &mut [T]) {
    let (k, area) = (g.k(), g.area());
    if out.is_empty() {
        return;
    }
    if g.n == 0 || area == 0 {
        out.fill(T::zero());
        return;
    }
    let lanes = T::lanes(isa);
    let (panels, padded) = panels(g.o, lanes);
    let (height, width) = g.padded();
    let mut window = Window { h: g.h, w: g.w, top: g.padding, left: g.padding, height, width };
    if g.padding == 0 {
        (window.height, window.width) = (g.h, g.w);
    }
    let cut = if window.whole() { 0 } else { g.c * window.area() };
    let taps = taps(g, &window);
    let (image, turned) = (g.image(), area * padded);
    let block = (BLOCK / (cut.max(image) + turned)).clamp(1, IMAGES);
    let part = k * padded;
    // Large sums cost more than they compute: they take more images each.
    let members = if part > 1 << 19 { 4 * IMAGES } else { IMAGES };
    let groups = g.n.div_ceil(members);
    // Panels are shared out only where groups alone do not feed every thread.
    let wanted = rayon::current_num_threads().div_ceil(groups).min(panels.len());
    let strips: Vec<(usize, usize)> = even_parts(panels.len(), panels.len().div_ceil(wanted)).collect();
    scratch::<T, _>(groups * part, |sums| {
        let shared = Shared::new(sums);
        (0..groups * strips.len()).into_par_iter().with_max_len(1).for_each(|task| {
            let (group, (strip, count)) = (task / strips.len(), strips[task % strips.len()]);
            let images = group * members..((group + 1) * members).min(g.n);
            let sum = shared.pointer(group * part, part); // groups do not overlap, strips write disjoint columns
            let mine = &panels[strip..strip + count];
            let (start, end) = (mine[0].start, mine[count - 1].start + mine[count - 1].vectors * lanes);
            scratch::<T, _>(block * cut, |windows| {
                scratch::<T, _>(block * turned, |pixels| {
                    for (from, n) in even_parts(images.len(), block) {
                        let at = images.start + from;
                        let these = &x[at * image..(at + n) * image];
                        if cut > 0 {
                            for (from, to) in these.chunks_exact(image).zip(windows.chunks_exact_mut(cut)) {
                                window.cut(from, to);
                            }
                        }
                        for i in 0..n {
                            let d = &d[((at + i) * g.o + start) * area..(at + i + 1) * g.o * area];
                            let to = &mut pixels[i * turned + start..(i + 1) * turned];
                            let used = end.min(g.o) - start;
                            if end > g.o {
                                to.chunks_mut(padded).for_each(|row| row[used..end - start].fill(T::zero()));
                            }
                            transpose(isa, (used, area), (d, area), (to, padded), Epilogue::NONE);
                        }
                        let (input, size) = if cut > 0 { (&*windows, cut) } else { (these, image) };
                        for panel in mine {
                            for (first, p) in even_parts(k, farthest(isa, panel.vectors)) {
                                let mut rows = [0; FAR];
                                for (row, tap) in rows.iter_mut().zip(&taps[first..first + p]) {
                                    *row = *tap as usize;
                                }
                                // SAFETY: taps stay inside windows, pixels and sums are sized above.
                                unsafe {
                                    let tile = Far {
                                        counts: [n, g.oh, g.ow],
                                        a: input.as_ptr(),
                                        rows,
                                        steps: [size, g.stride * window.width, g.stride],
                                        b: pixels.as_ptr().add(panel.start),
                                        b_step: padded,
                                        c: sum.add(first * padded + panel.start),
                                        c_step: padded,
                                        accumulate: from > 0,
                                    };
                                    T::far(isa, p, panel.vectors)(&tile);
                                }
                            }
                        }
                    }
                });
            });
        });
        fold(isa, sums, part);
        transpose(isa, (k, g.o), (&sums[..part], padded), (out, k), Epilogue::NONE);
    });
}
