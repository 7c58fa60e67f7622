//! The two register tiles that convolutions and matrix products are made of.
//!
//! Both compute `acc[p][j] += a[p, k] · b[k][j]` for k in order, each element one chain of fused multiply-adds that
//! starts from zero (or from what is stored, when a product is continued): the result does not depend on the tile's
//! size, so any remainder may use a smaller one.

#![expect(clippy::needless_range_loop, reason = "tiles are indexed as in the formulas")]

use super::simd::{Four, Isa, Simd};

/// A tile of R × Q neighbouring outputs: `a` is read at `a + taps[k] + r · a_row + q · STEP`, `b` is packed
/// `[k][V · LANES]`, outputs go to `c + r · c_row + q · c_step`.
#[derive(Clone, Copy)]
pub struct Near<T> {
    pub a: *const T,
    pub a_row: usize,
    pub b: *const T,
    /// From one k to the next.
    pub b_step: usize,
    pub c: *mut T,
    pub c_step: usize,
    pub c_row: usize,
    /// Continue from what is stored.
    pub accumulate: bool,
}

/// A tile of P outputs anywhere: `a` is read at `a + rows[p] + i · steps[0] + j · steps[1] + k · steps[2]` over three
/// nested loops, `b` advances by `b_step` with every k; output p goes to `c + p · c_step`.
#[derive(Clone, Copy)]
pub struct Far<T> {
    pub counts: [usize; 3],
    pub a: *const T,
    pub rows: [usize; FAR],
    pub steps: [usize; 3],
    pub b: *const T,
    pub b_step: usize,
    pub c: *mut T,
    pub c_step: usize,
    /// Continue from what is stored.
    pub accumulate: bool,
}

/// Rows of the largest [`Far`] tile: their offsets must fit the general registers.
pub const FAR: usize = 8;

/// Rows of a [`Far`] tile of so many vectors whose sums stay in registers beside what they are made of.
pub fn farthest(isa: Isa, vectors: usize) -> usize {
    if isa.large() || vectors == 1 { FAR } else { 6 }
}

pub type NearFn<T> = unsafe fn(&Near<T>, &[u32]);
pub type FarFn<T> = unsafe fn(&Far<T>);

#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn near<S: Simd, const R: usize, const Q: usize, const V: usize, const STEP: usize>(
    t: &Near<S::T>,
    taps: &[u32],
) {
    // SAFETY: the callers' contract.
    unsafe {
        let mut acc = [[[S::zero(); V]; Q]; R];
        if t.accumulate {
            for r in 0..R {
                for q in 0..Q {
                    for v in 0..V {
                        acc[r][q][v] = S::load(t.c.add(r * t.c_row + q * t.c_step + v * S::LANES));
                    }
                }
            }
        }
        let (mut b, a_row) = (t.b, t.a_row);
        for tap in taps {
            let a = t.a.add(*tap as usize);
            let mut bs = [S::zero(); V];
            for (v, bv) in bs.iter_mut().enumerate() {
                *bv = S::load(b.add(v * S::LANES));
            }
            for r in 0..R {
                for q in 0..Q {
                    let x = S::splat(a.add(r * a_row + q * STEP));
                    for v in 0..V {
                        acc[r][q][v] = acc[r][q][v].fma(x, bs[v]);
                    }
                }
            }
            b = b.add(t.b_step);
        }
        for r in 0..R {
            for q in 0..Q {
                for v in 0..V {
                    acc[r][q][v].store(t.c.add(r * t.c_row + q * t.c_step + v * S::LANES));
                }
            }
        }
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "the caller vouches for the pointers")]
unsafe fn far<S: Simd, const P: usize, const V: usize>(t: &Far<S::T>) {
    // SAFETY: the callers' contract.
    unsafe {
        let mut acc = [[S::zero(); V]; P];
        if t.accumulate {
            for p in 0..P {
                for v in 0..V {
                    acc[p][v] = S::load(t.c.add(p * t.c_step + v * S::LANES));
                }
            }
        }
        let mut rows = [0usize; P];
        rows.copy_from_slice(&t.rows[..P]);
        let (mut b, b_step, step) = (t.b, t.b_step, t.steps[2]);
        for i in 0..t.counts[0] {
            for j in 0..t.counts[1] {
                let mut a = t.a.add(i * t.steps[0] + j * t.steps[1]);
                for _ in 0..t.counts[2] {
                    let mut bs = [S::zero(); V];
                    for (v, bv) in bs.iter_mut().enumerate() {
                        *bv = S::load(b.add(v * S::LANES));
                    }
                    for p in 0..P {
                        let x = S::splat(a.add(rows[p]));
                        for v in 0..V {
                            acc[p][v] = acc[p][v].fma(x, bs[v]);
                        }
                    }
                    a = a.add(step);
                    b = b.add(b_step);
                }
            }
        }
        for p in 0..P {
            for v in 0..V {
                acc[p][v].store(t.c.add(p * t.c_step + v * S::LANES));
            }
        }
    }
}

/// Tiles by element type.
pub trait Tiles: Sized + 'static {
    /// Elements per vector.
    fn lanes(isa: Isa) -> usize;
    /// The tile of `r × q` outputs by `v` vectors; `step` is 1 or 2.
    fn near(isa: Isa, r: usize, q: usize, v: usize, step: usize) -> NearFn<Self>;
    /// The tile of `p` outputs by `v` vectors.
    fn far(isa: Isa, p: usize, v: usize) -> FarFn<Self>;
}

/// Largest q of a [`Near`] tile with r = 1.
pub fn widest(isa: Isa) -> usize {
    if isa.large() { 14 } else { 6 }
}

/// Largest q with r = 2.
pub fn widest_pair(isa: Isa) -> usize {
    if isa.large() { 7 } else { 3 }
}

macro_rules! wrap {
    ($module:ident, $features:literal) => {
        #[cfg(target_arch = "x86_64")]
        mod $module {
            use super::{Far, Near, Simd};
            #[target_feature(enable = $features)]
            #[expect(unsafe_code, reason = "compiled for an instruction set; the caller vouches for the pointers")]
            pub(super) unsafe fn near<S: Simd, const R: usize, const Q: usize, const V: usize, const STEP: usize>(
                t: &Near<S::T>,
                taps: &[u32],
            ) {
                unsafe { super::near::<S, R, Q, V, STEP>(t, taps) }
            }
            #[target_feature(enable = $features)]
            #[expect(unsafe_code, reason = "compiled for an instruction set; the caller vouches for the pointers")]
            pub(super) unsafe fn far<S: Simd, const P: usize, const V: usize>(t: &Far<S::T>) {
                unsafe { super::far::<S, P, V>(t) }
            }
        }
    };
}
wrap!(avx512, "avx512f,avx512vl,avx512dq,avx512bw,fma");
wrap!(avx2, "avx2,fma");

macro_rules! pick_near {
    ($path:path, $S:ty, $key:expr; $($r:literal $q:literal),*) => {
        match $key {
            $(($r, $q, 1, 1) => { use $path as f; f::<$S, $r, $q, 1, 1> })*
            $(($r, $q, 2, 1) => { use $path as f; f::<$S, $r, $q, 2, 1> })*
            $(($r, $q, 1, 2) => { use $path as f; f::<$S, $r, $q, 1, 2> })*
            $(($r, $q, 2, 2) => { use $path as f; f::<$S, $r, $q, 2, 2> })*
            other => unreachable!("no tile {other:?}"),
        }
    };
}
macro_rules! pick_far {
    ($path:path, $S:ty, $key:expr; $($p:literal),*) => {
        match $key {
            $(($p, 1) => { use $path as f; f::<$S, $p, 1> })*
            $(($p, 2) => { use $path as f; f::<$S, $p, 2> })*
            other => unreachable!("no tile {other:?}"),
        }
    };
}

macro_rules! tiles {
    ($T:ident, $wide:ident, $half:ident, $wide_lanes:literal, $half_lanes:literal) => {
        impl Tiles for $T {
            fn lanes(isa: Isa) -> usize {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => $wide_lanes,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => $half_lanes,
                    Isa::Portable => 4,
                }
            }
            fn near(isa: Isa, r: usize, q: usize, v: usize, step: usize) -> NearFn<Self> {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => pick_near!(avx512::near, std::arch::x86_64::$wide, (r, q, v, step);
                        1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 1 8, 1 9, 1 10, 1 11, 1 12, 1 13, 1 14,
                        2 1, 2 2, 2 3, 2 4, 2 5, 2 6, 2 7),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => pick_near!(avx2::near, std::arch::x86_64::$half, (r, q, v, step);
                        1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 2 1, 2 2, 2 3),
                    Isa::Portable => pick_near!(self::near, Four<$T>, (r, q, v, step);
                        1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 2 1, 2 2, 2 3),
                }
            }
            fn far(isa: Isa, p: usize, v: usize) -> FarFn<Self> {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => {
                        pick_far!(avx512::far, std::arch::x86_64::$wide, (p, v); 1, 2, 3, 4, 5, 6, 7, 8)
                    }
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => pick_far!(avx2::far, std::arch::x86_64::$half, (p, v); 1, 2, 3, 4, 5, 6, 7, 8),
                    Isa::Portable => pick_far!(self::far, Four<$T>, (p, v); 1, 2, 3, 4, 5, 6, 7, 8),
                }
            }
        }
    };
}
tiles!(f32, __m512, __m256, 16, 8);
tiles!(f64, __m512d, __m256d, 8, 4);
