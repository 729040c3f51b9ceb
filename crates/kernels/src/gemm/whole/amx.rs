//! The products on the matrix unit (see `gemm::amx`): digits of 7 bits, four products of bytes to the end of a row, and
//! only then vectors.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::activations::Activations;
use super::kernel::{End, Place, value};
use super::weights::{WholeRows, scale_of};
use super::{ROWS, STEP};
use crate::gemm::amx::{Config, TOKENS};
use crate::lanes::Avx512;

/// 64 inputs of 16 tokens: high digits, then low ones. Missing tokens and inputs are zero.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [[[i8; STEP]; TOKENS]; 2]);

impl Block {
    pub(crate) const ZERO: Block = Block([[[0; STEP]; TOKENS]; 2]);

    /// Writes the integers of token `t`, 16 after 16, in the order that `Layout::Bytes` states.
    ///
    /// # Safety
    /// A block may be written to `to`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(crate) unsafe fn put(to: *mut Block, t: usize, integers: [__m512i; 4]) {
        // Packing takes four of each in turn.
        let first = split(_mm512_packs_epi32(integers[0], integers[1]));
        let second = split(_mm512_packs_epi32(integers[2], integers[3]));
        let to = to.cast::<u8>();
        // SAFETY: as promised; token t has STEP bytes of each digit.
        unsafe {
            _mm512_storeu_si512(to.add(t * STEP).cast(), _mm512_packs_epi16(first.0, second.0));
            _mm512_storeu_si512(
                to.add((TOKENS + t) * STEP).cast(),
                _mm512_packs_epi16(first.1, second.1),
            );
        }
    }
}

/// The digits of 16-bit integers, high ones and low ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn split(words: __m512i) -> (__m512i, __m512i) {
    let up = _mm512_add_epi16(words, _mm512_set1_epi16(64));
    let low = _mm512_and_si512(up, _mm512_set1_epi16(127));
    (_mm512_srai_epi16::<7>(up), _mm512_sub_epi16(low, _mm512_set1_epi16(64)))
}

/// Dots of which the products of high digits, of high with low ones, and of low digits were added up apart.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(crate) fn join(high: __m512i, mixed: __m512i, low: __m512i) -> Avx512 {
    // dot = 2^14 high + 2^7 mixed + low; what of `mixed` is below 2^7 stays with `low`.
    let high = _mm512_add_epi32(high, _mm512_srai_epi32::<7>(mixed));
    let rest = _mm512_and_si512(mixed, _mm512_set1_epi32(127));
    value::<Avx512>(high, _mm512_add_epi32(low, _mm512_slli_epi32::<7>(rest)))
}

/// Four tiles of sums: high by high digits, high by low, low by high, low by low.
#[repr(C, align(64))]
pub(crate) struct Sums([[[i32; ROWS]; TOKENS]; 4]);

impl Sums {
    /// The dots of token `t` with 16 rows.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
    pub(crate) fn dots(&self, t: usize) -> Avx512 {
        // SAFETY: 16 integers each.
        let of = |i: usize| unsafe { _mm512_loadu_si512(self.0[i][t].as_ptr().cast()) };
        join(of(0), _mm512_add_epi32(of(1), of(2)), of(3))
    }
}

/// Rounds up to 16 rows of `cols` values, one for each of `scales`; they begin every `stride` values of `x`.
///
/// # Safety
/// The processor has AVX-512.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(crate) unsafe fn round(
    x: &[f32],
    (stride, cols): (usize, usize),
    out: &mut [MaybeUninit<Block>],
    scales: &mut [f32],
) {
    let mut inverses = [0.0; TOKENS];
    for (t, (scale, inverse)) in scales.iter_mut().zip(&mut inverses).enumerate() {
        (*scale, *inverse) = scale_of(&x[t * stride..][..cols]);
    }
    for (s, out) in out.iter_mut().enumerate() {
        for t in 0..TOKENS {
            let row = if t < scales.len() {
                &x[t * stride..][..cols]
            } else {
                &[]
            };
            let of = |part: usize| {
                let from = row.get(s * STEP + part * 16..).unwrap_or_default();
                let mask = u16::MAX.unbounded_shr(16u32.saturating_sub(from.len() as u32));
                // SAFETY: only values that are there are read.
                let v = unsafe { _mm512_maskz_loadu_ps(mask, from.as_ptr()) };
                // To the nearest, ties to even; what is not finite has a scale of NaN.
                _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(inverses[t])))
            };
            // SAFETY: `t` is a token of the block.
            unsafe { Block::put(out.as_mut_ptr(), t, [of(0), of(1), of(2), of(3)]) };
        }
    }
}

/// A task's products.
///
/// # Safety
/// The processor is an `Isa::Amx`.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(super) unsafe fn part(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    let tiles = place.tokens.len().div_ceil(TOKENS);
    let which = |i: usize| (place.groups.start + i / tiles, place.tokens.start + i % tiles * TOKENS);
    // SAFETY: as promised.
    unsafe {
        products(
            place.groups.len() * tiles,
            |i| (acts.tile(which(i).1), w.group(which(i).0)),
            |i, sums| {
                let (g, first) = which(i);
                let end: End<Avx512> = place.end(w, g);
                for t in first..(first + TOKENS).min(place.tokens.end) {
                    place.put(&end, t, sums.dots(t - first), acts.scale(t));
                }
            },
        );
    }
}

/// Multiplies `count` times the tile of tokens by the group of rows that `of` names, and calls `done` with the sums.
///
/// # Safety
/// The processor is an `Isa::Amx`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(crate) unsafe fn products<'a>(
    count: usize,
    of: impl Fn(usize) -> (&'a [Block], &'a [u8]),
    mut done: impl FnMut(usize, &Sums),
) {
    let config = Config::new(STEP as u8, TOKENS as u8);
    let mut sums = MaybeUninit::<Sums>::uninit();
    // SAFETY: as promised.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
    // What the unit has computed is finished while it computes the next.
    for i in 0..=count {
        if i < count {
            let (tile, group) = of(i);
            assert_eq!(group.len(), size_of_val(tile), "same inputs");
            // SAFETY: both hold as many steps (asserted), and the unit is configured.
            unsafe { multiply(tile, group) };
        }
        if i > 0 {
            // SAFETY: `store` wrote them.
            done(i - 1, unsafe { sums.assume_init_ref() });
        }
        if i < count {
            // SAFETY: after `multiply`.
            unsafe { store(sums.as_mut_ptr()) };
        }
    }
    // SAFETY: as promised.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// All products of a tile of tokens and a group, left in the unit's tiles 0 to 3 for `store`: no code of the compiler's
/// uses tiles, so they stay as they are.
///
/// # Safety
/// The unit is configured; `group` holds as many steps as `tile`, at least one.
#[inline]
unsafe fn multiply(tile: &[Block], group: &[u8]) {
    // SAFETY: as promised; tiles are loaded by rows of 64 bytes.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{w} + {row}]",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tileloadd tmm7, [{w} + {row} + 1024]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tdpbssd tmm1, tmm4, tmm7",
            "tdpbssd tmm2, tmm5, tmm6",
            "tdpbssd tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {w}, 2048",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) tile.as_ptr() => _,
            w = inout(reg) group.as_ptr() => _,
            steps = inout(reg) tile.len() => _,
            row = in(reg) 64usize,
            options(nostack, readonly),
        );
    }
}

/// Stores what `multiply` left.
///
/// # Safety
/// The unit is configured; `to` may be written.
#[inline]
unsafe fn store(to: *mut Sums) {
    // SAFETY: as promised; tiles are stored by rows of 64 bytes.
    unsafe {
        asm!(
            "tilestored [{to} + {row}], tmm0",
            "tilestored [{to} + {row} + 1024], tmm1",
            "tilestored [{to} + {row} + 2048], tmm2",
            "tilestored [{to} + {row} + 3072], tmm3",
            to = in(reg) to,
            row = in(reg) 64usize,
            options(nostack, preserves_flags),
        );
    }
}
