//! The lanes of AVX2 and AVX-512.
#![allow(clippy::undocumented_unsafe_blocks)] // one reason for all of them, at `Lanes`; loads and stores take 16-lane arrays

use std::arch::x86_64::*;

use half::f16;

use super::Lanes;

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// Lanes 0..8 and 8..16.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(crate) __m256, pub(crate) __m256);

/// One register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(crate) __m512);

macro_rules! both {
    ($self:ident, $o:ident, $f:ident) => {
        unsafe { Avx2($f($self.0, $o.0), $f($self.1, $o.1)) }
    };
}

/// The largest of eight whole numbers, as the bits of an f32.
#[inline(always)]
unsafe fn largest_bits(eight: __m256i) -> f32 {
    unsafe {
        let four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
        let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
        let one = _mm_max_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
        f32::from_bits(_mm_cvtsi128_si32(one) as u32)
    }
}

/// Eight lanes folded 8 -> 4 -> 2 -> 1.
macro_rules! fold {
    ($eight:expr, $f:ident) => {{
        let eight = $eight;
        let four = $f(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = $f(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32($f(two, _mm_shuffle_ps::<1>(two, two)))
    }};
}

impl Lanes for Avx2 {
    #[inline(always)]
    fn prefetch(at: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[inline(always)]
    fn splat(v: f32) -> Self {
        unsafe { Avx2(_mm256_set1_ps(v), _mm256_set1_ps(v)) }
    }
    #[inline(always)]
    fn load(from: &[f32; 16]) -> Self {
        unsafe { Avx2(_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; 16]) {
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), self.0);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), self.1);
        }
    }
    #[inline(always)]
    fn load_half(from: &[f16; 16]) -> Self {
        unsafe {
            let p = from.as_ptr().cast::<__m128i>();
            Avx2(
                _mm256_cvtph_ps(_mm_loadu_si128(p)),
                _mm256_cvtph_ps(_mm_loadu_si128(p.add(1))),
            )
        }
    }
    #[inline(always)]
    fn store_half(self, to: &mut [f16; 16]) {
        unsafe {
            let p = to.as_mut_ptr().cast::<__m128i>();
            _mm_storeu_si128(p, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(p.add(1), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1));
        }
    }
    #[inline(always)]
    fn load_bytes(from: &[i8; 16]) -> Self {
        unsafe {
            let bytes = _mm_loadu_si128(from.as_ptr().cast());
            Avx2(
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes))),
            )
        }
    }
    #[inline(always)]
    fn store_bytes(self, to: &mut [i8; 16]) {
        unsafe {
            let (low, high) = (_mm256_cvttps_epi32(self.0), _mm256_cvttps_epi32(self.1));
            // The pack takes 128 bits of each in turn; the permutation puts them in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        both!(self, o, _mm256_add_ps)
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        both!(self, o, _mm256_sub_ps)
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        both!(self, o, _mm256_mul_ps)
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        both!(self, o, _mm256_div_ps)
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        unsafe { Avx2(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        both!(self, o, _mm256_max_ps)
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        both!(self, o, _mm256_min_ps)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Avx2(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
        }
    }
    #[inline(always)]
    fn round(self) -> Self {
        unsafe { Avx2(_mm256_round_ps::<NEAREST>(self.0), _mm256_round_ps::<NEAREST>(self.1)) }
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_add_epi32(_mm256_cvttps_epi32(self.0), bias);
            let high = _mm256_add_epi32(_mm256_cvttps_epi32(self.1), bias);
            Avx2(
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
            )
        }
    }
    #[inline(always)]
    fn integers(self, to: &mut [i16; 16]) -> i32 {
        unsafe {
            let (low, high) = (_mm256_cvttps_epi32(self.0), _mm256_cvttps_epi32(self.1));
            // The pack takes 128 bits of each in turn; the permutation puts them in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), words);
            let sum = _mm256_add_epi32(low, high);
            let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
            let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
            _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32::<0b00_00_00_01>(pair)))
        }
    }
    #[inline(always)]
    fn magnitude(self, o: Self) -> f32 {
        let (a, b) = (self.abs(), o.abs());
        unsafe {
            let low = _mm256_max_epi32(_mm256_castps_si256(a.0), _mm256_castps_si256(b.0));
            let high = _mm256_max_epi32(_mm256_castps_si256(a.1), _mm256_castps_si256(b.1));
            largest_bits(_mm256_max_epi32(low, high))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { fold!(_mm256_add_ps(self.0, self.1), _mm_add_ps) }
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        unsafe { fold!(_mm256_max_ps(self.0, self.1), _mm_max_ps) }
    }
    #[inline(always)]
    fn less(self, o: Self, yes: Self, no: Self) -> Self {
        unsafe {
            Avx2(
                _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, o.0)),
                _mm256_blendv_ps(no.1, yes.1, _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, o.1)),
            )
        }
    }
    #[inline(always)]
    fn sign_of(self, s: Self) -> Self {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Avx2(
                _mm256_or_ps(_mm256_andnot_ps(sign, self.0), _mm256_and_ps(sign, s.0)),
                _mm256_or_ps(_mm256_andnot_ps(sign, self.1), _mm256_and_ps(sign, s.1)),
            )
        }
    }
}

impl Lanes for Avx512 {
    const WIDE: bool = true;
    #[inline(always)]
    fn prefetch(at: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[inline(always)]
    fn splat(v: f32) -> Self {
        unsafe { Avx512(_mm512_set1_ps(v)) }
    }
    #[inline(always)]
    fn load(from: &[f32; 16]) -> Self {
        unsafe { Avx512(_mm512_loadu_ps(from.as_ptr())) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; 16]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn load_half(from: &[f16; 16]) -> Self {
        unsafe { Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn store_half(self, to: &mut [f16; 16]) {
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtps_ph::<NEAREST>(self.0)) }
    }
    #[inline(always)]
    fn load_bytes(from: &[i8; 16]) -> Self {
        unsafe {
            Avx512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(
                from.as_ptr().cast(),
            ))))
        }
    }
    #[inline(always)]
    fn store_bytes(self, to: &mut [i8; 16]) {
        unsafe {
            _mm_storeu_si128(
                to.as_mut_ptr().cast(),
                _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(self.0)),
            )
        }
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        unsafe { Avx512(_mm512_add_ps(self.0, o.0)) }
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        unsafe { Avx512(_mm512_sub_ps(self.0, o.0)) }
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        unsafe { Avx512(_mm512_mul_ps(self.0, o.0)) }
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        unsafe { Avx512(_mm512_div_ps(self.0, o.0)) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        unsafe { Avx512(_mm512_fmadd_ps(self.0, b.0, c.0)) }
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        unsafe { Avx512(_mm512_max_ps(self.0, o.0)) }
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        unsafe { Avx512(_mm512_min_ps(self.0, o.0)) }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        unsafe { Avx512(_mm512_abs_ps(self.0)) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        unsafe { Avx512(_mm512_roundscale_ps::<NEAREST>(self.0)) }
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        unsafe {
            let n = _mm512_add_epi32(_mm512_cvttps_epi32(self.0), _mm512_set1_epi32(127));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(n)))
        }
    }
    #[inline(always)]
    fn integers(self, to: &mut [i16; 16]) -> i32 {
        unsafe {
            let whole = _mm512_cvttps_epi32(self.0);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(whole));
            _mm512_reduce_add_epi32(whole)
        }
    }
    #[inline(always)]
    fn magnitude(self, o: Self) -> f32 {
        let (a, b) = (self.abs(), o.abs());
        unsafe {
            let all = _mm512_max_epi32(_mm512_castps_si512(a.0), _mm512_castps_si512(b.0));
            let high = _mm512_extracti64x4_epi64::<1>(all);
            largest_bits(_mm256_max_epi32(_mm512_castsi512_si256(all), high))
        }
    }
    #[inline(always)]
    fn times_pow2(self, n: Self) -> Self {
        unsafe { Avx512(_mm512_scalef_ps(self.0, n.0)) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe {
            let (low, high) = (_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0));
            fold!(_mm256_add_ps(low, high), _mm_add_ps)
        }
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        unsafe {
            let (low, high) = (_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0));
            fold!(_mm256_max_ps(low, high), _mm_max_ps)
        }
    }
    #[inline(always)]
    fn less(self, o: Self, yes: Self, no: Self) -> Self {
        unsafe {
            Avx512(_mm512_mask_blend_ps(
                _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, o.0),
                no.0,
                yes.0,
            ))
        }
    }
    #[inline(always)]
    fn sign_of(self, s: Self) -> Self {
        unsafe {
            let sign = _mm512_set1_ps(-0.0);
            Avx512(_mm512_or_ps(_mm512_andnot_ps(sign, self.0), _mm512_and_ps(sign, s.0)))
        }
    }
}
