//! Vectors: one trait, an implementation per instruction set, chosen when the program runs.
//!
//! Kernels are written once over [`Simd`]. What a vector is wide does not change any result: lanes hold different
//! outputs, and every output is one chain of fused multiply-adds in an order that depends on shapes alone.

use std::sync::OnceLock;

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the compiler makes of arrays.
    Portable,
}

impl Isa {
    /// What kernels run on: the widest that this CPU has, or what `GAUNTLET_ISA` names.
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::chosen().unwrap_or_else(|_| Self::available()[0]))
    }

    /// The one that the variable `GAUNTLET_ISA` names, the widest without it. No result depends on it.
    ///
    /// # Errors
    /// A name that is none, or of a set that this CPU lacks.
    pub fn chosen() -> std::result::Result<Isa, String> {
        let available = Self::available();
        match std::env::var("GAUNTLET_ISA") {
            Ok(name) if !name.is_empty() => available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
                let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
                format!("GAUNTLET_ISA is \"{name}\"; this CPU has {}", names.join(", "))
            }),
            _ => Ok(available[0]),
        }
    }

    /// As `GAUNTLET_ISA` has it.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }

    /// All that this CPU has, widest first.
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("fma")
            {
                found.push(Isa::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
            }
        }
        found.push(Isa::Portable);
        found
    }

    /// Whether 32 vector registers allow the large tiles.
    pub fn large(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => true,
            _ => false,
        }
    }
}

/// Work compiled for the widest vectors of this CPU: implement `run` with `#[inline(always)]`, and call nothing in it that
/// is not inlined. Only the instructions change: sums must be written over a fixed number of accumulators.
pub trait Vectorised {
    /// What comes out.
    type Out;
    /// The work.
    fn run(self) -> Self::Out;
}

/// Does [`Vectorised`] work, which unlike a long closure is inlined without fail.
#[expect(unsafe_code, reason = "instruction sets were detected: Isa values come from Isa::available")]
pub fn vectorised<V: Vectorised>(work: V) -> V::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
        unsafe fn wide<V: Vectorised>(work: V) -> V::Out {
            work.run()
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn half<V: Vectorised>(work: V) -> V::Out {
            work.run()
        }
        match Isa::best() {
            // SAFETY: the instruction set was detected.
            Isa::Avx512 => unsafe { wide(work) },
            // SAFETY: as above.
            Isa::Avx2 => unsafe { half(work) },
            Isa::Portable => work.run(),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        work.run()
    }
}

/// Runs `f` compiled for the given instruction set: what is inlined into it may use all of it.
#[inline(always)]
#[expect(unsafe_code, reason = "instruction sets were detected: Isa values come from Isa::available")]
pub fn on<R>(isa: Isa, f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
        unsafe fn wide<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn half<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        match isa {
            // SAFETY: the instruction set was detected.
            Isa::Avx512 => unsafe { wide(f) },
            // SAFETY: as above.
            Isa::Avx2 => unsafe { half(f) },
            Isa::Portable => f(),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = isa;
        f()
    }
}

/// A vector of `LANES` numbers.
///
/// # Safety
/// Methods may only be called where the instruction set is available; pointers must be good for `LANES` elements (one
/// for `splat`).
#[expect(unsafe_code, reason = "vectors are loaded from and stored to raw tiles")]
pub unsafe trait Simd: Copy {
    /// Element.
    type T: Copy;
    /// Elements per vector.
    const LANES: usize;
    unsafe fn zero() -> Self;
    /// `*x` in every lane.
    unsafe fn splat(x: *const Self::T) -> Self;
    unsafe fn load(x: *const Self::T) -> Self;
    unsafe fn store(self, x: *mut Self::T);
    /// a · b + self, rounded once.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, a: Self) -> Self;
    unsafe fn sub(self, a: Self) -> Self;
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_vector {
    ($vector:ident, $T:ident, $lanes:literal, $zero:ident, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $sub:ident) => {
        #[expect(unsafe_code, reason = "intrinsics")]
        unsafe impl Simd for std::arch::x86_64::$vector {
            type T = $T;
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { std::arch::x86_64::$zero() }
            }
            #[inline(always)]
            unsafe fn splat(x: *const $T) -> Self {
                unsafe { std::arch::x86_64::$splat(*x) }
            }
            #[inline(always)]
            unsafe fn load(x: *const $T) -> Self {
                unsafe { std::arch::x86_64::$load(x) }
            }
            #[inline(always)]
            unsafe fn store(self, x: *mut $T) {
                unsafe { std::arch::x86_64::$store(x, self) }
            }
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                unsafe { std::arch::x86_64::$fma(a, b, self) }
            }
            #[inline(always)]
            unsafe fn add(self, a: Self) -> Self {
                unsafe { std::arch::x86_64::$add(self, a) }
            }
            #[inline(always)]
            unsafe fn sub(self, a: Self) -> Self {
                unsafe { std::arch::x86_64::$sub(self, a) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
x86_vector!(
    __m512,
    f32,
    16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_sub_ps
);
#[cfg(target_arch = "x86_64")]
x86_vector!(
    __m512d,
    f64,
    8,
    _mm512_setzero_pd,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_fmadd_pd,
    _mm512_add_pd,
    _mm512_sub_pd
);
#[cfg(target_arch = "x86_64")]
x86_vector!(
    __m256,
    f32,
    8,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_sub_ps
);
#[cfg(target_arch = "x86_64")]
x86_vector!(
    __m256d,
    f64,
    4,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_fmadd_pd,
    _mm256_add_pd,
    _mm256_sub_pd
);

/// Four numbers in an array.
#[derive(Clone, Copy)]
pub struct Four<T>([T; 4]);

#[expect(unsafe_code, reason = "reads and writes through the pointers of the trait")]
unsafe impl<T: num_traits::Float> Simd for Four<T> {
    type T = T;
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Four([T::zero(); 4])
    }
    #[inline(always)]
    unsafe fn splat(x: *const T) -> Self {
        Four([unsafe { *x }; 4])
    }
    #[inline(always)]
    unsafe fn load(x: *const T) -> Self {
        Four(unsafe { *x.cast::<[T; 4]>() })
    }
    #[inline(always)]
    unsafe fn store(self, x: *mut T) {
        unsafe { *x.cast::<[T; 4]>() = self.0 }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let mut out = self.0;
        for (o, (a, b)) in out.iter_mut().zip(a.0.iter().zip(&b.0)) {
            // Without the instruction a fused multiply-add is a slow library call, and it is what the other sets do.
            *o = a.mul_add(*b, *o);
        }
        Four(out)
    }
    #[inline(always)]
    unsafe fn add(self, a: Self) -> Self {
        let mut out = self.0;
        out.iter_mut().zip(a.0).for_each(|(o, a)| *o = *o + a);
        Four(out)
    }
    #[inline(always)]
    unsafe fn sub(self, a: Self) -> Self {
        let mut out = self.0;
        out.iter_mut().zip(a.0).for_each(|(o, a)| *o = *o - a);
        Four(out)
    }
}
