//! Transposition, with what follows a matrix product: a bias per output row and a rectifier.

use super::Real;
use super::simd::Isa;

/// What happens to an element on its way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a, T> {
    /// Added, one per output row.
    pub(crate) bias: Option<&'a [T]>,
    /// max(0, ·), a NaN stays a NaN.
    pub(crate) relu: bool,
}

impl<T> Epilogue<'_, T> {
    pub(crate) const NONE: Self = Epilogue { bias: None, relu: false };
}

/// A NaN stays a NaN: it must not become a harmless zero.
#[inline(always)]
pub(crate) fn rectified<T: Real>(x: T) -> T {
    if x <= T::zero() { T::zero() } else { x }
}

/// `dst[c · dst_ld + r] = f(src[r · src_ld + c])` for `rows × cols`.
pub(crate) fn transpose<T: Real>(
    isa: Isa,
    (rows, cols): (usize, usize),
    (src, src_ld): (&[T], usize),
    (dst, dst_ld): (&mut [T], usize),
    epilogue: Epilogue<'_, T>,
) {
    if rows == 0 || cols == 0 {
        return;
    }
    assert!(src.len() >= (rows - 1) * src_ld + cols && dst.len() >= (cols - 1) * dst_ld + rows, "transpose bounds");
    assert!(epilogue.bias.is_none_or(|b| b.len() >= cols), "a bias per output row");
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 && T::DTYPE == candle_core::DType::F32 {
        let bias = epilogue.bias.map_or(std::ptr::null(), |b| b.as_ptr().cast::<f32>());
        // SAFETY: T is f32, the instruction set was detected, and the bounds were just checked.
        #[expect(unsafe_code, reason = "16 × 16 blocks in registers")]
        unsafe {
            blocks((rows, cols), (src.as_ptr().cast(), src_ld), (dst.as_mut_ptr().cast(), dst_ld), bias, epilogue.relu);
        }
        return;
    }
    let _ = isa;
    for (c, out) in dst.chunks_mut(dst_ld.max(1)).take(cols).enumerate() {
        let bias = epilogue.bias.map_or(T::zero(), |b| b[c]);
        for (r, out) in out[..rows].iter_mut().enumerate() {
            let x = src[r * src_ld + c];
            let x = if epilogue.bias.is_some() { x + bias } else { x };
            *out = if epilogue.relu { rectified(x) } else { x };
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
#[expect(unsafe_code, reason = "the caller vouches for bounds")]
unsafe fn blocks(
    (rows, cols): (usize, usize),
    (src, src_ld): (*const f32, usize),
    (dst, dst_ld): (*mut f32, usize),
    bias: *const f32,
    relu: bool,
) {
    use std::arch::x86_64::*;
    // SAFETY: masks keep loads and stores inside rows × cols.
    unsafe {
        let mask = |left: usize| -> __mmask16 { if left >= 16 { 0xffff } else { (1u16 << left) - 1 } };
        for r0 in (0..rows).step_by(16) {
            let row_mask = mask(rows - r0);
            for c0 in (0..cols).step_by(16) {
                let col_mask = mask(cols - c0);
                let mut r = [_mm512_setzero_ps(); 16];
                for (i, r) in r.iter_mut().enumerate() {
                    if r0 + i < rows {
                        *r = _mm512_maskz_loadu_ps(col_mask, src.add((r0 + i) * src_ld + c0));
                    }
                }
                let mut t = r;
                for i in (0..16).step_by(2) {
                    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
                    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
                }
                for g in (0..16).step_by(4) {
                    let pd = |x| _mm512_castps_pd(x);
                    r[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(pd(t[g]), pd(t[g + 2])));
                    r[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pd(t[g]), pd(t[g + 2])));
                    r[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pd(t[g + 1]), pd(t[g + 3])));
                    r[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pd(t[g + 1]), pd(t[g + 3])));
                }
                for j in 0..4 {
                    let x0 = _mm512_shuffle_f32x4::<0x88>(r[j], r[4 + j]);
                    let x1 = _mm512_shuffle_f32x4::<0x88>(r[8 + j], r[12 + j]);
                    let x2 = _mm512_shuffle_f32x4::<0xdd>(r[j], r[4 + j]);
                    let x3 = _mm512_shuffle_f32x4::<0xdd>(r[8 + j], r[12 + j]);
                    t[j] = _mm512_shuffle_f32x4::<0x88>(x0, x1);
                    t[8 + j] = _mm512_shuffle_f32x4::<0xdd>(x0, x1);
                    t[4 + j] = _mm512_shuffle_f32x4::<0x88>(x2, x3);
                    t[12 + j] = _mm512_shuffle_f32x4::<0xdd>(x2, x3);
                }
                for (i, t) in t.iter().enumerate() {
                    if c0 + i < cols {
                        let mut y = *t;
                        if !bias.is_null() {
                            y = _mm512_add_ps(y, _mm512_set1_ps(*bias.add(c0 + i)));
                        }
                        if relu {
                            y = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(y, _mm512_setzero_ps()), y);
                        }
                        _mm512_mask_storeu_ps(dst.add((c0 + i) * dst_ld + r0), row_mask, y);
                    }
                }
            }
        }
    }
}
