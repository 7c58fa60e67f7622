//! Fewer multiplications for square kernels of stride 1 in f32: F(m×m, r×r) of Winograd 1980; Lavin & Gray 2016.
//!
//! A tile of m×m outputs reads (m+r−1)² pixels; both are moved to a basis in which the convolution is a product per
//! position: y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ d B)]A. Over channels that is one matrix product per position. Input and weight
//! gradients are the same three maps transposed. Images are turned channels last, so that every transformation runs
//! along channels and no border needs padding: pixels outside are read from a row of zeros.

#![expect(clippy::needless_range_loop, reason = "matrices are indexed as in the formulas")]

use super::super::Real;
use super::super::matmul::{Panel, even_parts, panels};
use super::super::scratch::{Shared, scratch};
use super::super::simd::{Four, Isa, Simd};
use super::super::tile::{FAR, Far, Tiles, farthest};
use super::super::transpose::{Epilogue, transpose};
use super::Geometry;
use super::groups::{IMAGES, fold};
use rayon::prelude::*;

/// The matrices of F(m×m, r×r), t = m + r − 1.
trait Form<const T: usize, const M: usize, const R: usize>: Send + Sync + 'static {
    /// Bᵀ: pixels to the product basis.
    const BT: [[f32; T]; T];
    /// G: weights to the product basis.
    const G: [[f32; R]; T];
    /// Aᵀ: products to outputs.
    const AT: [[f32; T]; M];
}

/// Interpolation at 0, ±1, ±2, ∞.
const SIX: [[f32; 6]; 6] = [
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
    [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
    [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
    [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
];

/// 4×4 outputs of a 3×3 kernel: 36 multiplications instead of 144.
struct FourOfThree;
impl Form<6, 4, 3> for FourOfThree {
    const BT: [[f32; 6]; 6] = SIX;
    const G: [[f32; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    const AT: [[f32; 6]; 4] = [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
        [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
        [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
    ];
}

/// 2×2 outputs of a 5×5 kernel: 36 multiplications instead of 100.
struct TwoOfFive;
impl Form<6, 2, 5> for TwoOfFive {
    const BT: [[f32; 6]; 6] = SIX;
    const G: [[f32; 5]; 6] = [
        [1.0 / 4.0, 0.0, 0.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0, 1.0 / 3.0, 2.0 / 3.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0, -1.0 / 3.0, 2.0 / 3.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ];
    const AT: [[f32; 6]; 2] = [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 2.0, -2.0, 1.0]];
}

/// 2×2 outputs of a 3×3 kernel: 16 multiplications instead of 36.
struct TwoOfThree;
impl Form<4, 2, 3> for TwoOfThree {
    const BT: [[f32; 4]; 4] =
        [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, -1.0, 0.0, 1.0]];
    const G: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
    const AT: [[f32; 4]; 2] = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 1.0]];
}

/// matrix · x.
#[inline(always)]
#[expect(unsafe_code, reason = "vector arithmetic; the instruction set is the caller's")]
unsafe fn times<S: Simd<T = f32>, const R: usize, const C: usize>(matrix: &[[f32; C]; R], x: &[S; C]) -> [S; R] {
    // SAFETY: the caller's contract.
    unsafe {
        let mut out = [S::zero(); R];
        for r in 0..R {
            let mut fresh = true;
            for c in 0..C {
                out[r] = more(out[r], &mut fresh, matrix[r][c], x[c]);
            }
        }
        out
    }
}

/// matrixᵀ · x.
#[inline(always)]
#[expect(unsafe_code, reason = "vector arithmetic; the instruction set is the caller's")]
unsafe fn times_t<S: Simd<T = f32>, const R: usize, const C: usize>(matrix: &[[f32; C]; R], x: &[S; R]) -> [S; C] {
    // SAFETY: the caller's contract.
    unsafe {
        let mut out = [S::zero(); C];
        for c in 0..C {
            let mut fresh = true;
            for r in 0..R {
                out[c] = more(out[c], &mut fresh, matrix[r][c], x[r]);
            }
        }
        out
    }
}

/// sum + coefficient · x, without needless arithmetic: matrices are constants, all of this folds when compiled.
#[inline(always)]
#[expect(unsafe_code, reason = "vector arithmetic; the instruction set is the caller's")]
#[expect(clippy::float_cmp, reason = "exact small constants")]
unsafe fn more<S: Simd<T = f32>>(sum: S, fresh: &mut bool, coefficient: f32, x: S) -> S {
    // SAFETY: the caller's contract.
    unsafe {
        if coefficient == 0.0 {
            sum
        } else if coefficient == 1.0 && *fresh {
            *fresh = false;
            x
        } else if coefficient == 1.0 {
            sum.add(x)
        } else if coefficient == -1.0 && !*fresh {
            sum.sub(x)
        } else {
            *fresh = false;
            sum.fma(S::splat(&coefficient), x)
        }
    }
}

/// `V = Bᵀ d B` of one tile along channels: pixels at `offsets`, results `pos_step` apart.
#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn pixels<F: Form<T, M, R>, S: Simd<T = f32>, const T: usize, const M: usize, const R: usize>(
    (image, offsets, ld): (*const f32, &[u32], usize),
    (to, pos_step): (*mut f32, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        for c in (0..ld).step_by(S::LANES) {
            let mut half = [[S::zero(); T]; T];
            for i in 0..T {
                let mut d = [S::zero(); T];
                for j in 0..T {
                    d[j] = S::load(image.add(*offsets.get_unchecked(i * T + j) as usize * ld + c));
                }
                half[i] = times(&F::BT, &d);
            }
            for j in 0..T {
                let mut column = [S::zero(); T];
                for i in 0..T {
                    column[i] = half[i][j];
                }
                let column = times(&F::BT, &column);
                for i in 0..T {
                    column[i].store(to.add((i * T + j) * pos_step + c));
                }
            }
        }
    }
}

/// `y = Aᵀ m A` of one tile along channels `from .. until`.
#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn outputs<F: Form<T, M, R>, S: Simd<T = f32>, const T: usize, const M: usize, const R: usize>(
    (products, pos_step): (*const f32, usize),
    (image, offsets, ld): (*mut f32, &[u32], usize),
    (from, until): (usize, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        for c in (from..until).step_by(S::LANES) {
            let mut half = [[S::zero(); M]; T];
            for i in 0..T {
                let mut m = [S::zero(); T];
                for j in 0..T {
                    m[j] = S::load(products.add((i * T + j) * pos_step + c));
                }
                half[i] = times(&F::AT, &m);
            }
            for j in 0..M {
                let mut column = [S::zero(); T];
                for i in 0..T {
                    column[i] = half[i][j];
                }
                let column = times(&F::AT, &column);
                for i in 0..M {
                    column[i].store(image.add(*offsets.get_unchecked(i * M + j) as usize * ld + c));
                }
            }
        }
    }
}

/// `A y Aᵀ` of one tile of the cotangent: the adjoint of [`outputs`].
#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn cotangents<F: Form<T, M, R>, S: Simd<T = f32>, const T: usize, const M: usize, const R: usize>(
    (image, offsets, ld): (*const f32, &[u32], usize),
    (to, pos_step): (*mut f32, usize),
    (first, until): (usize, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        for c in (first..until).step_by(S::LANES) {
            let mut half = [[S::zero(); T]; M];
            for i in 0..M {
                let mut y = [S::zero(); M];
                for j in 0..M {
                    y[j] = S::load(image.add(*offsets.get_unchecked(i * M + j) as usize * ld + c));
                }
                half[i] = times_t(&F::AT, &y);
            }
            for j in 0..T {
                let mut column = [S::zero(); M];
                for i in 0..M {
                    column[i] = half[i][j];
                }
                let column = times_t(&F::AT, &column);
                for i in 0..T {
                    column[i].store(to.add((i * T + j) * pos_step + c));
                }
            }
        }
    }
}

/// `U = G w Gᵀ`: taps `[r·r][ld]` to positions `pos_step` apart, panel by panel `panel_steps` apart.
#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn weights<F: Form<T, M, R>, S: Simd<T = f32>, const T: usize, const M: usize, const R: usize>(
    (taps, ld): (*const f32, usize),
    (to, pos_step): (*mut f32, usize),
    (width, turned): (usize, bool),
) {
    // SAFETY: the caller's contract.
    unsafe {
        for c in (0..width).step_by(S::LANES) {
            let mut half = [[S::zero(); T]; R];
            for i in 0..R {
                let mut w = [S::zero(); R];
                for j in 0..R {
                    let at = if turned { R * R - 1 - (i * R + j) } else { i * R + j };
                    w[j] = S::load(taps.add(at * ld + c));
                }
                half[i] = times(&F::G, &w);
            }
            for j in 0..T {
                let mut column = [S::zero(); R];
                for i in 0..R {
                    column[i] = half[i][j];
                }
                let column = times(&F::G, &column);
                for i in 0..T {
                    column[i].store(to.add((i * T + j) * pos_step + c));
                }
            }
        }
    }
}

/// `dw = Gᵀ u G`: the adjoint of [`weights`].
#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn weights_back<F: Form<T, M, R>, S: Simd<T = f32>, const T: usize, const M: usize, const R: usize>(
    (from, pos_step): (*const f32, usize),
    (taps, ld): (*mut f32, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        for c in (0..ld).step_by(S::LANES) {
            let mut half = [[S::zero(); R]; T];
            for i in 0..T {
                let mut u = [S::zero(); T];
                for j in 0..T {
                    u[j] = S::load(from.add((i * T + j) * pos_step + c));
                }
                half[i] = times_t(&F::G, &u);
            }
            for j in 0..R {
                let mut column = [S::zero(); T];
                for i in 0..T {
                    column[i] = half[i][j];
                }
                let column = times_t(&F::G, &column);
                for i in 0..R {
                    column[i].store(taps.add((i * R + j) * ld + c));
                }
            }
        }
    }
}

/// Calls a transformation compiled for an instruction set.
macro_rules! vectorised {
    ($name:ident, $inner:ident, ($($arg:ident: $type:ty),*)) => {
        #[expect(unsafe_code, reason = "the caller vouches for the pointers")]
        unsafe fn $name<F: Form<T, M, R>, const T: usize, const M: usize, const R: usize>(isa: Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                unsafe fn wide<F: Form<T, M, R>, const T: usize, const M: usize, const R: usize>($($arg: $type),*) {
                    unsafe { $inner::<F, std::arch::x86_64::__m512, T, M, R>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn half<F: Form<T, M, R>, const T: usize, const M: usize, const R: usize>($($arg: $type),*) {
                    unsafe { $inner::<F, std::arch::x86_64::__m256, T, M, R>($($arg),*) }
                }
                // SAFETY: the instruction set was detected, pointers are the caller's.
                unsafe {
                    match isa {
                        Isa::Avx512 => wide::<F, T, M, R>($($arg),*),
                        Isa::Avx2 => half::<F, T, M, R>($($arg),*),
                        Isa::Portable => $inner::<F, Four<f32>, T, M, R>($($arg),*),
                    }
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                let _ = isa;
                // SAFETY: pointers are the caller's.
                unsafe { $inner::<F, Four<f32>, T, M, R>($($arg),*) }
            }
        }
    };
}
vectorised!(transform_pixels, pixels, (from: (*const f32, &[u32], usize), to: (*mut f32, usize)));
vectorised!(transform_outputs, outputs, (from: (*const f32, usize), to: (*mut f32, &[u32], usize), span: (usize, usize)));
vectorised!(transform_cotangents, cotangents, (from: (*const f32, &[u32], usize), to: (*mut f32, usize), span: (usize, usize)));
vectorised!(transform_weights, weights, (from: (*const f32, usize), to: (*mut f32, usize), how: (usize, bool)));
vectorised!(transform_weights_back, weights_back, (from: (*const f32, usize), to: (*mut f32, usize)));

/// Whether this module takes a convolution (and its gradients).
pub(super) fn pays<T: Real>(g: &Geometry) -> bool {
    T::DTYPE == candle_core::DType::F32
        && Geometry::winograd((g.kh, g.kw), g.stride, (g.c, g.o))
        && g.area() >= 4
        && g.n > 0
}

/// Calls a function with the form that suits a geometry, whatever the batch: large tiles save more multiplications, but
/// their weights weigh twice as much, which small images do not earn back.
macro_rules! with_form {
    ($g:expr, $function:ident($($arg:expr),*)) => {
        if $g.kh == 5 {
            $function::<TwoOfFive, 6, 2, 5>($($arg),*)
        } else if $g.oh * $g.ow >= 36 {
            $function::<FourOfThree, 6, 4, 3>($($arg),*)
        } else {
            $function::<TwoOfThree, 4, 2, 3>($($arg),*)
        }
    };
}

/// Slices of f32 for what [`pays`] has made sure is f32.
#[expect(unsafe_code, reason = "T is f32, pays() said so")]
fn plain<T: Real>(x: &[T]) -> &[f32] {
    assert!(T::DTYPE == candle_core::DType::F32);
    // SAFETY: T is f32.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}
#[expect(unsafe_code, reason = "T is f32, pays() said so")]
fn plain_mut<T: Real>(x: &mut [T]) -> &mut [f32] {
    assert!(T::DTYPE == candle_core::DType::F32);
    // SAFETY: T is f32.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

pub(super) fn forward<T: Real>(
    isa: Isa,
    g: &Geometry,
    x: &[T],
    weight: &[T],
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
) {
    let epilogue = Epilogue { bias: epilogue.bias.map(plain), relu: epilogue.relu };
    let (x, weight, out) = (plain(x), plain(weight), plain_mut(out));
    with_form!(g, convolve(isa, g, x, weight, false, epilogue, out));
}

/// The input gradient is a convolution of the cotangent with turned kernels, channels exchanged.
pub(super) fn input_grad<T: Real>(isa: Isa, g: &Geometry, d: &[T], weight: &[T], out: &mut [T]) {
    let turned = Geometry { c: g.o, h: g.oh, w: g.ow, o: g.c, oh: g.h, ow: g.w, padding: g.kh - 1 - g.padding, ..*g };
    let (d, weight, out) = (plain(d), plain(weight), plain_mut(out));
    with_form!(turned, convolve(isa, &turned, d, weight, true, Epilogue::NONE, out));
}

pub(super) fn weight_grad<T: Real>(isa: Isa, g: &Geometry, x: &[T], d: &[T], out: &mut [T]) {
    let (x, d, out) = (plain(x), plain(d), plain_mut(out));
    with_form!(g, correlate(isa, g, x, d, out));
}

/// Where tiles read and write, in pixels of an image; pixels outside are one past the last.
struct Tiling {
    /// Tiles per image.
    per: usize,
    /// t × t input pixels of every tile.
    reads: Vec<u32>,
    /// m × m output pixels of every tile.
    writes: Vec<u32>,
}

impl Tiling {
    fn new(g: &Geometry, t: usize, m: usize) -> Self {
        let (down, across) = (g.oh.div_ceil(m), g.ow.div_ceil(m));
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for (ty, tx) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            for (i, j) in (0..t).flat_map(|i| (0..t).map(move |j| (i, j))) {
                let (y, x) = (ty * m + i, tx * m + j);
                let inside = y >= g.padding && y < g.padding + g.h && x >= g.padding && x < g.padding + g.w;
                reads.push(if inside { (y - g.padding) * g.w + x - g.padding } else { g.h * g.w } as u32);
            }
            for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
                let (y, x) = (ty * m + i, tx * m + j);
                writes.push(if y < g.oh && x < g.ow { y * g.ow + x } else { g.area() } as u32);
            }
        }
        Tiling { per: down * across, reads, writes }
    }
}

/// An image `(channels, area)` as `[area + 1][ld]`, the last row zero.
fn channels_last(isa: Isa, image: &[f32], (channels, area): (usize, usize), to: &mut [f32], ld: usize) {
    if ld > channels {
        to.chunks_exact_mut(ld).for_each(|row| row[channels..].fill(0.0));
    }
    transpose(isa, (channels, area), (image, area), (to, ld), Epilogue::NONE);
    to[area * ld..].fill(0.0);
}

/// Weights in the product basis, `[position][panel][k][width]`: `k` input channels (output channels when `turned`).
fn transformed<F: Form<T, M, R>, const T: usize, const M: usize, const R: usize>(
    isa: Isa,
    g: &Geometry,
    weight: &[f32],
    turned: bool,
    (panels, padded): (&[Panel], usize),
    to: &mut [f32],
) {
    let lanes = f32::lanes(isa);
    let shared = Shared::new(to);
    // weight is (O, C, r, r) of the untransposed convolution: out channels of this one are its rows, or its columns.
    let (row, k_step) = if turned { (R * R, g.o * R * R) } else { (g.c * R * R, R * R) };
    (0..g.c).into_par_iter().with_min_len((1 << 13) / padded + 1).for_each(|k| {
        scratch::<f32, _>(R * R * padded, |taps| {
            if padded > g.o {
                taps.fill(0.0);
            }
            transpose(isa, (g.o, R * R), (&weight[k * k_step..], row), (taps, padded), Epilogue::NONE);
            for panel in panels {
                let width = panel.vectors * lanes;
                let to = shared.pointer(panel.start * g.c + k * width, width);
                // SAFETY: every (position, panel, k) has its own `width` elements; `to` holds T² · C · padded.
                #[expect(unsafe_code, reason = "interleaved parts of one buffer")]
                unsafe {
                    let from = (taps.as_ptr().add(panel.start), padded);
                    transform_weights::<F, T, M, R>(isa, from, (to, g.c * padded), (width, turned));
                }
            }
        });
    });
}

/// Elements of tiles, in and out, that are handled at a time.
const BLOCK: usize = 192 * 1024;

#[expect(unsafe_code, reason = "transformations and tiles take pointers into buffers that are sized right here")]
fn convolve<F: Form<T, M, R>, const T: usize, const M: usize, const R: usize>(
    isa: Isa,
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    turned: bool,
    epilogue: Epilogue<'_, f32>,
    out: &mut [f32],
) {
    let lanes = f32::lanes(isa);
    let (panels, padded) = panels(g.o, lanes);
    let (ld, area, seen) = (g.c.next_multiple_of(lanes), g.area(), g.h * g.w);
    let tiling = Tiling::new(g, T, M);
    let positions = T * T;
    let threads = rayon::current_num_threads();
    // Weights pass by once per block: large ones want more tiles, up to where every thread still has work.
    let tiles =
        (BLOCK / (positions * (ld + padded))).max(if g.c * g.o > 1 << 15 { 96 } else { 32 }).next_multiple_of(FAR);
    let images = tiles.div_ceil(tiling.per).clamp(1, g.n.div_ceil(threads));
    let blocks: Vec<(usize, usize)> = even_parts(g.n, images).collect();
    let strips: Vec<(usize, usize)> = if g.n >= threads {
        vec![(0, panels.len())]
    } else {
        even_parts(panels.len(), panels.len().div_ceil((2 * threads).div_ceil(g.n))).collect()
    };
    let shared = Shared::new(out);
    scratch::<f32, _>(positions * g.c * padded, |u| {
        transformed::<F, T, M, R>(isa, g, weight, turned, (&panels, padded), u);
        let u = &*u;
        (0..blocks.len() * strips.len()).into_par_iter().with_max_len(1).for_each(|task| {
            let (first, count) = blocks[task / strips.len()];
            let (strip, number) = strips[task % strips.len()];
            let mine = &panels[strip..strip + number];
            let (start, end) = (mine[0].start, mine[number - 1].start + mine[number - 1].vectors * lanes);
            let (per_in, per_out) = ((seen + 1) * ld, (area + 1) * padded);
            let all = count * tiling.per;
            let most = tiles.min(all);
            scratch::<f32, _>(count * per_in, |input| {
                for (i, to) in input.chunks_exact_mut(per_in).enumerate() {
                    let from = &x[(first + i) * g.c * seen..(first + i + 1) * g.c * seen];
                    channels_last(isa, from, (g.c, seen), to, ld);
                }
                scratch::<f32, _>(count * per_out, |output| {
                    scratch::<f32, _>(positions * most * ld, |v| {
                        scratch::<f32, _>(positions * most * padded, |m| {
                            for (from, number) in even_parts(all, tiles) {
                                for j in 0..number {
                                    let (image, tile) = ((from + j) / tiling.per, (from + j) % tiling.per);
                                    let reads = &tiling.reads[tile * positions..(tile + 1) * positions];
                                    // SAFETY: reads lie in an image of area + 1 rows.
                                    unsafe {
                                        transform_pixels::<F, T, M, R>(
                                            isa,
                                            (input.as_ptr().add(image * per_in), reads, ld),
                                            (v.as_mut_ptr().add(j * ld), most * ld),
                                        );
                                    }
                                }
                                for position in 0..positions {
                                    for panel in mine {
                                        let width = panel.vectors * lanes;
                                        for (j, p) in even_parts(number, farthest(isa, panel.vectors)) {
                                            let mut rows = [0; FAR];
                                            rows[..p].iter_mut().enumerate().for_each(|(i, r)| *r = i * ld);
                                            // SAFETY: tile j + p ≤ most, channels and panels as sized.
                                            unsafe {
                                                let tile = Far {
                                                    counts: [1, 1, g.c],
                                                    a: v.as_ptr().add((position * most + j) * ld),
                                                    rows,
                                                    steps: [0, 0, 1],
                                                    b: u.as_ptr().add((position * padded + panel.start) * g.c),
                                                    b_step: width,
                                                    c: m.as_mut_ptr().add((position * most + j) * padded + panel.start),
                                                    c_step: padded,
                                                    accumulate: false,
                                                };
                                                f32::far(isa, p, panel.vectors)(&tile);
                                            }
                                        }
                                    }
                                }
                                for j in 0..number {
                                    let (image, tile) = ((from + j) / tiling.per, (from + j) % tiling.per);
                                    let writes = &tiling.writes[tile * M * M..(tile + 1) * M * M];
                                    // SAFETY: writes lie in an image of area + 1 rows.
                                    unsafe {
                                        transform_outputs::<F, T, M, R>(
                                            isa,
                                            (m.as_ptr().add(j * padded), most * padded),
                                            (output.as_mut_ptr().add(image * per_out), writes, padded),
                                            (start, end),
                                        );
                                    }
                                }
                            }
                        });
                    });
                    let used = end.min(g.o);
                    for (i, from) in output.chunks_exact(per_out).enumerate() {
                        // SAFETY: tasks own disjoint channels of disjoint images.
                        let to = unsafe { shared.part(((first + i) * g.o + start) * area, (used - start) * area) };
                        let epilogue = Epilogue { bias: epilogue.bias.map(|b| &b[start..used]), ..epilogue };
                        transpose(isa, (area, used - start), (&from[start..], padded), (to, area), epilogue);
                    }
                });
            });
        });
    });
}

#[expect(unsafe_code, reason = "transformations and tiles take pointers into buffers that are sized right here")]
fn correlate<F: Form<T, M, R>, const T: usize, const M: usize, const R: usize>(
    isa: Isa,
    g: &Geometry,
    x: &[f32],
    d: &[f32],
    out: &mut [f32],
) {
    let lanes = f32::lanes(isa);
    let (panels, padded) = panels(g.o, lanes);
    let (ld, area, seen) = (g.c.next_multiple_of(lanes), g.area(), g.h * g.w);
    let tiling = Tiling::new(g, T, M);
    let positions = T * T;
    let part = positions * g.c * padded;
    // Large sums cost more than they compute: they take more images each.
    let members = if part > 1 << 20 { 4 * IMAGES } else { IMAGES };
    let groups = g.n.div_ceil(members);
    let wanted = rayon::current_num_threads().div_ceil(groups).min(panels.len());
    let strips: Vec<(usize, usize)> = even_parts(panels.len(), panels.len().div_ceil(wanted)).collect();
    // Sums are read and written once per block: large ones want more tiles.
    let tiles = (BLOCK / (positions * (ld + padded))).max(64);
    let images = tiles.div_ceil(tiling.per).clamp(1, IMAGES);
    scratch::<f32, _>(groups * part, |sums| {
        let shared = Shared::new(sums);
        (0..groups * strips.len()).into_par_iter().with_max_len(1).for_each(|task| {
            let (group, (strip, number)) = (task / strips.len(), strips[task % strips.len()]);
            let members = group * members..((group + 1) * members).min(g.n);
            let sum = shared.pointer(group * part, part); // groups do not overlap, strips write disjoint columns
            let mine = &panels[strip..strip + number];
            let (start, end) = (mine[0].start, mine[number - 1].start + mine[number - 1].vectors * lanes);
            let used = end.min(g.o);
            let (per_in, per_out) = ((seen + 1) * ld, (area + 1) * padded);
            let most = tiles.min(images * tiling.per);
            scratch::<f32, _>(images * per_in, |input| {
                scratch::<f32, _>(images * per_out, |output| {
                    scratch::<f32, _>(positions * most * ld, |v| {
                        scratch::<f32, _>(positions * most * padded, |e| {
                            let mut accumulate = false;
                            for (at, count) in even_parts(members.len(), images) {
                                let at = members.start + at;
                                for i in 0..count {
                                    let from = &x[(at + i) * g.c * seen..(at + i + 1) * g.c * seen];
                                    channels_last(isa, from, (g.c, seen), &mut input[i * per_in..(i + 1) * per_in], ld);
                                    let from = &d[((at + i) * g.o + start) * area..((at + i) * g.o + used) * area];
                                    let to = &mut output[i * per_out + start..(i + 1) * per_out];
                                    if end > used {
                                        to.chunks_mut(padded).for_each(|row| row[used - start..end - start].fill(0.0));
                                    }
                                    transpose(isa, (used - start, area), (from, area), (to, padded), Epilogue::NONE);
                                    to[area * padded..][..end - start].fill(0.0);
                                }
                                for (from, number) in even_parts(count * tiling.per, tiles) {
                                    for j in 0..number {
                                        let (image, tile) = ((from + j) / tiling.per, (from + j) % tiling.per);
                                        let reads = &tiling.reads[tile * positions..(tile + 1) * positions];
                                        let writes = &tiling.writes[tile * M * M..(tile + 1) * M * M];
                                        // SAFETY: both lie in images of area + 1 rows.
                                        unsafe {
                                            transform_pixels::<F, T, M, R>(
                                                isa,
                                                (input.as_ptr().add(image * per_in), reads, ld),
                                                (v.as_mut_ptr().add(j * ld), most * ld),
                                            );
                                            transform_cotangents::<F, T, M, R>(
                                                isa,
                                                (output.as_ptr().add(image * per_out), writes, padded),
                                                (e.as_mut_ptr().add(j * padded), most * padded),
                                                (start, end),
                                            );
                                        }
                                    }
                                    for position in 0..positions {
                                        for panel in mine {
                                            for (c, p) in even_parts(g.c, farthest(isa, panel.vectors)) {
                                                let mut rows = [0; FAR];
                                                rows[..p].iter_mut().enumerate().for_each(|(i, r)| *r = i);
                                                // SAFETY: channels, tiles and panels as sized.
                                                unsafe {
                                                    let tile = Far {
                                                        counts: [1, 1, number],
                                                        a: v.as_ptr().add(position * most * ld + c),
                                                        rows,
                                                        steps: [0, 0, ld],
                                                        b: e.as_ptr().add(position * most * padded + panel.start),
                                                        b_step: padded,
                                                        c: sum.add((position * g.c + c) * padded + panel.start),
                                                        c_step: padded,
                                                        accumulate,
                                                    };
                                                    f32::far(isa, p, panel.vectors)(&tile);
                                                }
                                            }
                                        }
                                    }
                                    accumulate = true;
                                }
                            }
                        });
                    });
                });
            });
        });
        fold(isa, sums, part);
        let sums = &*sums;
        let shared = Shared::new(out);
        (0..g.c).into_par_iter().with_min_len((1 << 13) / padded + 1).for_each(|c| {
            scratch::<f32, _>(R * R * padded, |taps| {
                // SAFETY: sums hold T² · C · padded; every c writes its own taps of every output channel.
                unsafe {
                    let from = (sums.as_ptr().add(c * padded), g.c * padded);
                    transform_weights_back::<F, T, M, R>(isa, from, (taps.as_mut_ptr(), padded));
                }
                for o in 0..g.o {
                    // SAFETY: as above.
                    let to = unsafe { shared.part((o * g.c + c) * R * R, R * R) };
                    for (i, to) in to.iter_mut().enumerate() {
                        *to = taps[i * padded + o];
                    }
                }
            });
        });
    });
}
