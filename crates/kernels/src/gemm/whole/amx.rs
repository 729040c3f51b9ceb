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
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Block([[[i8; STEP]; TOKENS]; 2]);

/// Four tiles of sums: high by high digits, high by low, low by high, low by low.
#[repr(C, align(64))]
struct Sums([[[i32; ROWS]; TOKENS]; 4]);

/// Rounds up to 16 rows of `x`, `[tokens, cols]`.
///
/// # Safety
/// The processor has AVX-512.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(super) unsafe fn round(x: &[f32], cols: usize, out: &mut [MaybeUninit<Block>], scales: &mut [f32]) {
    let mut inverses = [0.0; TOKENS];
    for ((row, scale), inverse) in x.chunks_exact(cols).zip(scales.iter_mut()).zip(&mut inverses) {
        (*scale, *inverse) = scale_of(row);
    }
    for (s, out) in out.iter_mut().enumerate() {
        let to = out.as_mut_ptr().cast::<u8>();
        for t in 0..TOKENS {
            let row = x.get(t * cols..(t + 1) * cols).unwrap_or_default();
            let of = |part: usize| {
                let from = row.get(s * STEP + part * 16..).unwrap_or_default();
                let mask = u16::MAX.unbounded_shr(16u32.saturating_sub(from.len() as u32));
                // SAFETY: only values that are there are read.
                let v = unsafe { _mm512_maskz_loadu_ps(mask, from.as_ptr()) };
                // To the nearest, ties to even; what is not finite has a scale of NaN.
                _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(inverses[t])))
            };
            // Packing takes four of each in turn: the order that `Layout::Bytes` states.
            let digits = |words: __m512i| {
                let up = _mm512_add_epi16(words, _mm512_set1_epi16(64));
                let low = _mm512_and_si512(up, _mm512_set1_epi16(127));
                let low = _mm512_sub_epi16(low, _mm512_set1_epi16(64));
                (_mm512_srai_epi16::<7>(up), low)
            };
            let first = digits(_mm512_packs_epi32(of(0), of(1)));
            let second = digits(_mm512_packs_epi32(of(2), of(3)));
            // SAFETY: token t of a block has STEP bytes of each digit.
            unsafe {
                let high = _mm512_packs_epi16(first.0, second.0);
                let low = _mm512_packs_epi16(first.1, second.1);
                _mm512_storeu_si512(to.add(t * STEP).cast(), high);
                _mm512_storeu_si512(to.add((TOKENS + t) * STEP).cast(), low);
            }
        }
    }
}

/// A task's products.
///
/// # Safety
/// The processor is an `Isa::Amx`.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(super) unsafe fn part(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    let config = Config::new(STEP as u8, TOKENS as u8);
    let mut sums = MaybeUninit::<Sums>::uninit();
    // SAFETY: as promised.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
    // What the unit has computed is finished while it computes the next.
    let mut last: Option<(End<Avx512>, usize)> = None;
    for g in place.groups.clone() {
        let group = w.group(g);
        for first in place.tokens.clone().step_by(TOKENS) {
            let tile = acts.tile(first);
            assert_eq!(group.len(), size_of_val(tile), "same inputs");
            // SAFETY: both hold as many steps (asserted), and the unit is configured.
            unsafe { multiply(tile, group) };
            if let Some((end, first)) = &last {
                // SAFETY: `store` wrote them.
                finish(unsafe { sums.assume_init_ref() }, end, *first, acts, place);
            }
            // SAFETY: after `multiply`.
            unsafe { store(sums.as_mut_ptr()) };
            last = Some((place.end(w, g), first));
        }
    }
    if let Some((end, first)) = &last {
        // SAFETY: as above.
        finish(unsafe { sums.assume_init_ref() }, end, *first, acts, place);
    }
    // SAFETY: as promised.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Puts the sums of 16 tokens together and stores them.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
fn finish(sums: &Sums, end: &End<Avx512>, first: usize, acts: &Activations, place: &Place<'_>) {
    for t in first..(first + TOKENS).min(place.tokens.end) {
        // SAFETY: 16 integers each.
        let of = |i: usize| unsafe { _mm512_loadu_si512(sums.0[i][t - first].as_ptr().cast()) };
        let mixed = _mm512_add_epi32(of(1), of(2));
        // dot = 2^14 high + 2^7 mixed + low; what of `mixed` is below 2^7 stays with `low`.
        let high = _mm512_add_epi32(of(0), _mm512_srai_epi32::<7>(mixed));
        let rest = _mm512_and_si512(mixed, _mm512_set1_epi32(127));
        let low = _mm512_add_epi32(of(3), _mm512_slli_epi32::<7>(rest));
        place.put(end, t, value::<Avx512>(high, low), acts.scale(t));
    }
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
