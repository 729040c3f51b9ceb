//! AVX2 and AVX-512: 16 rows x 2 inputs are two registers or one, and one instruction adds both products of a row.
#![allow(clippy::undocumented_unsafe_blocks)] // as in `lanes`: the values exist only where the instructions do

use std::arch::x86_64::*;

use super::Tile;
use crate::lanes::{Avx2, Avx512};

impl Tile for Avx2 {
    type Int = (__m256i, __m256i);
    #[inline(always)]
    unsafe fn line(from: *const u8) -> Self::Int {
        let p = from.cast::<__m256i>();
        unsafe { (_mm256_loadu_si256(p), _mm256_loadu_si256(p.add(1))) }
    }
    #[inline(always)]
    unsafe fn put(line: Self::Int, to: *mut u8) {
        let p = to.cast::<__m256i>();
        unsafe {
            _mm256_storeu_si256(p, line.0);
            _mm256_storeu_si256(p.add(1), line.1);
        }
    }
    #[inline(always)]
    fn bits(v: i32) -> Self::Int {
        let v = unsafe { _mm256_set1_epi32(v) };
        (v, v)
    }
    #[inline(always)]
    fn and(a: Self::Int, b: Self::Int) -> Self::Int {
        unsafe { (_mm256_and_si256(a.0, b.0), _mm256_and_si256(a.1, b.1)) }
    }
    #[inline(always)]
    fn or(a: Self::Int, b: Self::Int) -> Self::Int {
        unsafe { (_mm256_or_si256(a.0, b.0), _mm256_or_si256(a.1, b.1)) }
    }
    #[inline(always)]
    fn right(a: Self::Int, by: i32) -> Self::Int {
        unsafe {
            let by = _mm_cvtsi32_si128(by);
            (_mm256_srl_epi16(a.0, by), _mm256_srl_epi16(a.1, by))
        }
    }
    #[inline(always)]
    fn left(a: Self::Int, by: i32) -> Self::Int {
        unsafe {
            let by = _mm_cvtsi32_si128(by);
            (_mm256_sll_epi16(a.0, by), _mm256_sll_epi16(a.1, by))
        }
    }
    #[inline(always)]
    fn dot(acc: Self::Int, w: Self::Int, a: Self::Int) -> Self::Int {
        unsafe {
            (
                _mm256_add_epi32(acc.0, _mm256_madd_epi16(w.0, a.0)),
                _mm256_add_epi32(acc.1, _mm256_madd_epi16(w.1, a.1)),
            )
        }
    }
    const PARTS: bool = true;
    #[inline(always)]
    fn fours(acc: Self::Int, w: Self::Int, a: Self::Int) -> Self::Int {
        unsafe {
            (
                _mm256_add_epi16(acc.0, _mm256_maddubs_epi16(w.0, a.0)),
                _mm256_add_epi16(acc.1, _mm256_maddubs_epi16(w.1, a.1)),
            )
        }
    }
    #[inline(always)]
    fn widen(dots: Self::Int, parts: Self::Int) -> Self::Int {
        Self::dot(dots, parts, Self::bits(0x0001_0001))
    }
    #[inline(always)]
    fn plus(a: Self::Int, b: Self::Int) -> Self::Int {
        unsafe { (_mm256_add_epi32(a.0, b.0), _mm256_add_epi32(a.1, b.1)) }
    }
    #[inline(always)]
    fn shifted(a: Self::Int, by: i32) -> Self::Int {
        unsafe {
            let by = _mm_cvtsi32_si128(by);
            (_mm256_sra_epi32(a.0, by), _mm256_sra_epi32(a.1, by))
        }
    }
    #[inline(always)]
    fn minus_upper(acc: Self::Int, v: Self::Int) -> Self::Int {
        unsafe {
            (
                _mm256_sub_epi32(acc.0, _mm256_slli_epi32::<16>(v.0)),
                _mm256_sub_epi32(acc.1, _mm256_slli_epi32::<16>(v.1)),
            )
        }
    }
    #[inline(always)]
    fn float(a: Self::Int) -> Self {
        unsafe { Avx2(_mm256_cvtepi32_ps(a.0), _mm256_cvtepi32_ps(a.1)) }
    }
    #[inline(always)]
    unsafe fn halves(from: *const u8) -> Self {
        let p = from.cast::<__m128i>();
        unsafe {
            Avx2(
                _mm256_cvtph_ps(_mm_loadu_si128(p)),
                _mm256_cvtph_ps(_mm_loadu_si128(p.add(1))),
            )
        }
    }
    #[inline(always)]
    unsafe fn brains(from: *const u8) -> Self {
        let p = from.cast::<__m128i>();
        unsafe {
            let low = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)));
            let high = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.add(1))));
            Avx2(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }
    }
    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self {
        unsafe {
            let low = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()));
            let high = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.add(8).cast()));
            Avx2(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }
}

/// As the intrinsic, but one instruction: of that the compiler makes a product and a sum, which shortens a chain that
/// waits and doubles the work of all others (the kernels here have many chains). Not marked `pure`: products then stay in
/// the order that is written, chain beside chain, and not one chain after another.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vpdpwssd(mut acc: __m512i, w: __m512i, a: __m512i) -> __m512i {
    // SAFETY: registers only, and the processor has the instruction.
    unsafe {
        std::arch::asm!("vpdpwssd {acc}, {w}, {a}", acc = inout(zmm_reg) acc, w = in(zmm_reg) w, a = in(zmm_reg) a,
            options(nomem, nostack, preserves_flags));
    }
    acc
}

/// `vpdpwssd` that reads its pair itself: half of the instructions, which count where another program shares the core.
///
/// # Safety
/// 64 bytes at `pairs` are readable.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn vpdpwssd_at<const QUAD: usize, const I: usize>(mut acc: __m512i, w: __m512i, pairs: *const i16) -> __m512i {
    // SAFETY: as promised, and the processor has the instruction.
    unsafe {
        std::arch::asm!("vpdpwssd {acc}, {w}, dword ptr [{pairs} + {at}]{{1to16}}", acc = inout(zmm_reg) acc,
            w = in(zmm_reg) w, pairs = in(reg) pairs, at = const QUAD * 16 + I * 4,
            options(readonly, nostack, preserves_flags));
    }
    acc
}

/// Products of four bytes, in the manner of `vpdpwssd_at`.
///
/// # Safety
/// 32 bytes at `bytes` are readable.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn vpdpbusd_at<const QUAD: usize, const I: usize>(mut acc: __m512i, w: __m512i, bytes: *const i8) -> __m512i {
    // SAFETY: as promised, and the processor has the instruction.
    unsafe {
        std::arch::asm!("vpdpbusd {acc}, {w}, dword ptr [{bytes} + {at}]{{1to16}}", acc = inout(zmm_reg) acc,
            w = in(zmm_reg) w, bytes = in(reg) bytes, at = const QUAD * 8 + I * 4,
            options(readonly, nostack, preserves_flags));
    }
    acc
}

impl Tile for Avx512 {
    type Int = __m512i;
    #[inline(always)]
    unsafe fn line(from: *const u8) -> Self::Int {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn put(line: Self::Int, to: *mut u8) {
        unsafe { _mm512_storeu_si512(to.cast(), line) }
    }
    #[inline(always)]
    fn bits(v: i32) -> Self::Int {
        unsafe { _mm512_set1_epi32(v) }
    }
    #[inline(always)]
    fn and(a: Self::Int, b: Self::Int) -> Self::Int {
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    fn or(a: Self::Int, b: Self::Int) -> Self::Int {
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    fn right(a: Self::Int, by: i32) -> Self::Int {
        unsafe { _mm512_srl_epi16(a, _mm_cvtsi32_si128(by)) }
    }
    #[inline(always)]
    fn left(a: Self::Int, by: i32) -> Self::Int {
        unsafe { _mm512_sll_epi16(a, _mm_cvtsi32_si128(by)) }
    }
    #[inline(always)]
    fn dot(acc: Self::Int, w: Self::Int, a: Self::Int) -> Self::Int {
        unsafe { vpdpwssd(acc, w, a) }
    }
    #[inline(always)]
    unsafe fn dot_at<const QUAD: usize, const I: usize>(acc: Self::Int, w: Self::Int, pairs: *const i16) -> Self::Int {
        unsafe { vpdpwssd_at::<QUAD, I>(acc, w, pairs) }
    }
    #[inline(always)]
    fn plus_upper(acc: Self::Int, v: Self::Int) -> Self::Int {
        // A row's two words are the halves of its 32 bits: nought times the lower one, once the upper one.
        Self::dot(acc, v, Self::bits(1 << 16))
    }
    #[inline(always)]
    unsafe fn fours_at<const QUAD: usize, const I: usize>(acc: Self::Int, w: Self::Int, bytes: *const i8) -> Self::Int {
        unsafe { vpdpbusd_at::<QUAD, I>(acc, w, bytes) }
    }
    #[inline(always)]
    fn plus(a: Self::Int, b: Self::Int) -> Self::Int {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    fn shifted(a: Self::Int, by: i32) -> Self::Int {
        unsafe { _mm512_sra_epi32(a, _mm_cvtsi32_si128(by)) }
    }
    #[inline(always)]
    fn minus_upper(acc: Self::Int, v: Self::Int) -> Self::Int {
        unsafe { _mm512_sub_epi32(acc, _mm512_slli_epi32::<16>(v)) }
    }
    #[inline(always)]
    fn float(a: Self::Int) -> Self {
        unsafe { Avx512(_mm512_cvtepi32_ps(a)) }
    }
    #[inline(always)]
    unsafe fn halves(from: *const u8) -> Self {
        unsafe { Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn brains(from: *const u8) -> Self {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
        }
    }
    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self {
        unsafe { Avx512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))) }
    }
}
