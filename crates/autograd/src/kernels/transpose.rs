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
    if T::DTYPE == candle_core::DType::F32 && isa != Isa::Portable {
        let turn = Turn {
            rows,
            cols,
            src: src.as_ptr().cast(),
            src_ld,
            dst: dst.as_mut_ptr().cast(),
            dst_ld,
            bias: epilogue.bias.map_or(std::ptr::null(), |b| b.as_ptr().cast()),
            relu: epilogue.relu,
        };
        // SAFETY: T is f32, the instruction set was detected, and the bounds were just checked.
        #[expect(unsafe_code, reason = "blocks in registers")]
        unsafe {
            match isa {
                Isa::Avx512 => blocks(turn),
                _ => half_blocks(turn),
            }
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

/// A transposition in f32; no bias is a null pointer.
#[cfg(target_arch = "x86_64")]
struct Turn {
    rows: usize,
    cols: usize,
    src: *const f32,
    src_ld: usize,
    dst: *mut f32,
    dst_ld: usize,
    bias: *const f32,
    relu: bool,
}

/// In blocks of 16 × 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
#[expect(unsafe_code, reason = "the caller vouches for bounds")]
unsafe fn blocks(turn: Turn) {
    let Turn { rows, cols, src, src_ld, dst, dst_ld, bias, relu } = turn;
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

/// The same in blocks of 8 × 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[expect(unsafe_code, reason = "the caller vouches for bounds")]
unsafe fn half_blocks(turn: Turn) {
    let Turn { rows, cols, src, src_ld, dst, dst_ld, bias, relu } = turn;
    use std::arch::x86_64::*;
    // SAFETY: rows and columns past the end are neither read nor written.
    unsafe {
        for r0 in (0..rows).step_by(8) {
            let high = (rows - r0).min(8);
            for c0 in (0..cols).step_by(8) {
                let wide = (cols - c0).min(8);
                let mut r = [_mm256_setzero_ps(); 8];
                for (i, r) in r[..high].iter_mut().enumerate() {
                    let from = src.add((r0 + i) * src_ld + c0);
                    *r = if wide == 8 {
                        _mm256_loadu_ps(from)
                    } else {
                        let mut beside = [0.0f32; 8];
                        std::ptr::copy_nonoverlapping(from, beside.as_mut_ptr(), wide);
                        _mm256_loadu_ps(beside.as_ptr())
                    };
                }
                let mut t = r;
                for i in (0..8).step_by(2) {
                    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
                    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
                }
                for g in (0..8).step_by(4) {
                    r[g] = _mm256_shuffle_ps::<0x44>(t[g], t[g + 2]);
                    r[g + 1] = _mm256_shuffle_ps::<0xee>(t[g], t[g + 2]);
                    r[g + 2] = _mm256_shuffle_ps::<0x44>(t[g + 1], t[g + 3]);
                    r[g + 3] = _mm256_shuffle_ps::<0xee>(t[g + 1], t[g + 3]);
                }
                for j in 0..4 {
                    t[j] = _mm256_permute2f128_ps::<0x20>(r[j], r[4 + j]);
                    t[4 + j] = _mm256_permute2f128_ps::<0x31>(r[j], r[4 + j]);
                }
                for (i, t) in t[..wide].iter().enumerate() {
                    let mut y = *t;
                    if !bias.is_null() {
                        y = _mm256_add_ps(y, _mm256_set1_ps(*bias.add(c0 + i)));
                    }
                    if relu {
                        y = _mm256_and_ps(y, _mm256_cmp_ps::<_CMP_NLE_UQ>(y, _mm256_setzero_ps()));
                    }
                    let to = dst.add((c0 + i) * dst_ld + r0);
                    if high == 8 {
                        _mm256_storeu_ps(to, y);
                    } else {
                        let mut beside = [0.0f32; 8];
                        _mm256_storeu_ps(beside.as_mut_ptr(), y);
                        std::ptr::copy_nonoverlapping(beside.as_ptr(), to, high);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_transposes_the_same_and_nothing_beside() {
        for (rows, cols) in [(1, 1), (8, 8), (16, 16), (5, 19), (33, 7), (49, 32), (3, 40)] {
            let (src_ld, dst_ld) = (cols + 3, rows + 2);
            let src: Vec<f32> =
                (0..rows * src_ld).map(|i| if i % 11 == 5 { f32::NAN } else { i as f32 - 40.0 }).collect();
            let bias: Vec<f32> = (0..cols).map(|c| c as f32 * 0.5).collect();
            for (bias, relu) in [(None, false), (Some(&*bias), true)] {
                for isa in Isa::available() {
                    let mut dst = vec![-7.0f32; cols * dst_ld];
                    transpose(isa, (rows, cols), (&src, src_ld), (&mut dst, dst_ld), Epilogue { bias, relu });
                    for (i, y) in dst.iter().enumerate() {
                        let (c, r) = (i / dst_ld, i % dst_ld);
                        let want = if r >= rows {
                            -7.0
                        } else {
                            let x = src[r * src_ld + c] + bias.map_or(0.0, |b| b[c]);
                            if relu { rectified(x) } else { x }
                        };
                        assert!(
                            y.to_bits() == want.to_bits() || y.is_nan() && want.is_nan(),
                            "{isa:?} {rows}×{cols} {i}"
                        );
                    }
                }
            }
        }
    }
}
