//! The products on the matrix unit, 16 tokens at a time: weights by values as in `gemm::whole`, and queries by keys,
//! whose few inputs leave room for both digits side by side.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::Head;
use super::pairs::value_scales;
use crate::gemm::amx::Config;
use crate::gemm::whole::amx::{Block, join, products, split};
use crate::gemm::whole::weights::scale_of;
use crate::gemm::whole::{MOST, STEP};
use crate::lanes::{Avx512, Lanes};
use crate::ops::maths::exp;
use crate::ops::softmax::largest;

/// Tokens of a tile; positions or elements of a group.
const SIDE: usize = 16;
/// Elements of a query or key whose digits make a line.
const CHUNK: usize = 32;

/// 64 bytes: a row of a tile.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

const ZERO: Line = Line([0; 64]);

/// Attention of a head.
///
/// # Safety
/// The processor is an `Isa::Amx`.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
pub(super) unsafe fn attend(head: &Head<'_>) {
    let (keys, values) = (Keys::new(head), Values::new(head));
    let stride = head.len.next_multiple_of(SIDE);
    let mut scores = vec![0.0; SIDE * stride];
    let mut queries = vec![ZERO; keys.chunks * SIDE];
    let mut weights = vec![Block::ZERO; values.steps];
    for first in (0..head.len).step_by(SIDE) {
        let n = SIDE.min(head.len - first);
        let mut factors = [0.0; SIDE];
        for t in 0..n {
            factors[t] = digits(head.query(first + t), queries.iter_mut().skip(t).step_by(SIDE)) * head.scale;
        }
        // SAFETY: as promised.
        unsafe { keys.scores(&queries, &factors[..n], &mut scores, stride) };
        for (t, row) in scores.chunks_exact_mut(stride).take(n).enumerate() {
            row[head.len..].fill(f32::NEG_INFINITY);
            let sum = exponentials(row, &mut weights, t);
            // The largest weight is e^0.
            factors[t] = 1.0 / MOST / sum;
        }
        // SAFETY: as promised.
        unsafe {
            products(
                values.scales.len() / SIDE,
                |g| (&weights, values.group(g)),
                |g, sums| {
                    let scales = Avx512::load(&values.scales.as_chunks().0[g]);
                    for t in 0..n {
                        let v = sums.dots(t).mul(scales.mul(Avx512::splat(factors[t])));
                        // SAFETY: each head is one task's own; the mask leaves what is not its own.
                        let to = head.result(first + t, g * SIDE);
                        _mm512_mask_storeu_ps(to.as_mut_ptr(), u16::MAX >> (SIDE - to.len()), v.0);
                    }
                },
            );
        }
    }
}

/// Rounds a head's elements: a line of 32 high digits and 32 low ones for each chunk. Returns the scale.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
fn digits<'a>(x: &[f32], lines: impl Iterator<Item = &'a mut Line>) -> f32 {
    let (scale, inverse) = scale_of(x);
    for (x, line) in x.chunks(CHUNK).zip(lines) {
        let of = |part: usize| {
            let from = x.get(part * 16..).unwrap_or_default();
            let mask = u16::MAX.unbounded_shr(16u32.saturating_sub(from.len() as u32));
            // SAFETY: only values that are there are read.
            let v = unsafe { _mm512_maskz_loadu_ps(mask, from.as_ptr()) };
            // To the nearest, ties to even; what is not finite has a scale of NaN.
            _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(inverse)))
        };
        let (high, low) = split(_mm512_packs_epi32(of(0), of(1)));
        // Packing takes four or eight bytes of each in turn; this puts the fours in order, high digits first.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(high, low));
        // SAFETY: 64 bytes.
        unsafe { _mm512_storeu_si512(line.0.as_mut_ptr().cast(), bytes) };
    }
    scale
}

/// Keys of a head.
struct Keys {
    /// Lines of a key.
    chunks: usize,
    /// For each 16 positions and chunk, fours of elements below each other: 8 lines of low digits, 8 of high ones, 8 of
    /// zeros; and 8 of zeros before all. Three tiles that begin 8 lines apart then hold what a query's high and low
    /// digits, side by side, are multiplied by: nothing and low, low and high, high and nothing.
    lines: Vec<Line>,
    /// Zero beyond the last position.
    scales: Vec<f32>,
}

/// Lines of a chunk of a group.
const GROUP_LINES: usize = 24;

/// Three tiles of sums: low by low digits, mixed, high by high.
#[repr(C, align(64))]
struct Sums([[[i32; SIDE]; SIDE]; 3]);

impl Keys {
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
    fn new(head: &Head<'_>) -> Self {
        let (chunks, groups) = (head.dim.div_ceil(CHUNK), head.len.div_ceil(SIDE));
        let mut lines = vec![ZERO; 8 + groups * chunks * GROUP_LINES];
        let mut scales = vec![0.0; groups * SIDE];
        let mut rows = vec![ZERO; chunks * SIDE];
        for (g, to) in lines[8..].chunks_exact_mut(chunks * GROUP_LINES).enumerate() {
            for i in 0..SIDE.min(head.len - g * SIDE) {
                let row = rows[i * chunks..][..chunks].iter_mut();
                scales[g * SIDE + i] = digits(head.key(g * SIDE + i), row);
            }
            for (c, to) in to.chunks_exact_mut(GROUP_LINES).enumerate() {
                let places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let places = _mm512_mullo_epi32(places, _mm512_set1_epi32(64 * chunks as i32));
                for four in 0..16 {
                    // SAFETY: four bytes of each of 16 rows of `chunks` lines; a line is 64 bytes.
                    unsafe {
                        let column = rows.as_ptr().add(c).cast::<u8>().add(four * 4);
                        let column = _mm512_i32gather_epi32::<1>(places, column.cast());
                        _mm512_storeu_si512(to[(four + 8) % 16].0.as_mut_ptr().cast(), column);
                    }
                }
            }
        }
        Keys { chunks, lines, scales }
    }

    /// Scores of a tile of queries, `[chunks][16 tokens]` lines, with all keys; `factors` are those of the tokens.
    ///
    /// # Safety
    /// The processor is an `Isa::Amx`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
    unsafe fn scores(&self, queries: &[Line], factors: &[f32], scores: &mut [f32], stride: usize) {
        assert!(queries.len() == self.chunks * SIDE, "a line per token and chunk");
        let config = Config::new(STEP as u8, SIDE as u8);
        // SAFETY: as promised.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        let mut sums = [const { MaybeUninit::<Sums>::uninit() }; 2];
        let groups = self.lines[8..].chunks_exact(self.chunks * GROUP_LINES);
        let count = groups.len();
        // What the unit has computed is finished while it computes the next, in tiles of its own.
        for g in 0..=count {
            if g < count {
                let keys = self.lines[g * self.chunks * GROUP_LINES..].as_ptr();
                // SAFETY: the unit is configured; queries and keys have `chunks` chunks.
                unsafe { multiply(g % 2 == 1, queries.as_ptr(), keys, self.chunks) };
            }
            if g > 0 {
                let g = g - 1;
                let sums = &mut sums[g % 2];
                // SAFETY: after `multiply` of that group.
                let sums = unsafe {
                    store(g % 2 == 1, sums.as_mut_ptr());
                    sums.assume_init_ref()
                };
                let scales = Avx512::load(&self.scales.as_chunks().0[g]);
                for (t, factor) in factors.iter().enumerate() {
                    // SAFETY: 16 integers each.
                    let of = |i: usize| unsafe { _mm512_loadu_si512(sums.0[i][t].as_ptr().cast()) };
                    let score = join(of(2), of(1), of(0)).mul(scales.mul(Avx512::splat(*factor)));
                    score.store(&mut scores[t * stride..].as_chunks_mut().0[g]);
                }
            }
        }
        // SAFETY: as promised.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// `multiply` into three of the unit's tiles.
macro_rules! multiply {
    ($low:literal, $mixed:literal, $high:literal, $queries:expr, $keys:expr, $chunks:expr) => {
        asm!(
            concat!("tilezero ", $low),
            concat!("tilezero ", $mixed),
            concat!("tilezero ", $high),
            "2:",
            "tileloadd tmm6, [{q} + {row}]",
            "tileloadd tmm7, [{k} + {row}]",
            concat!("tdpbssd ", $low, ", tmm6, tmm7"),
            "tileloadd tmm7, [{k} + {row} + 512]",
            concat!("tdpbssd ", $mixed, ", tmm6, tmm7"),
            "tileloadd tmm7, [{k} + {row} + 1024]",
            concat!("tdpbssd ", $high, ", tmm6, tmm7"),
            "add {q}, 1024",
            "add {k}, 1536",
            "dec {chunks}",
            "jnz 2b",
            q = inout(reg) $queries => _,
            k = inout(reg) $keys => _,
            chunks = inout(reg) $chunks => _,
            row = in(reg) 64usize,
            options(nostack, readonly),
        )
    };
}

/// Products of 16 queries with 16 keys, left in tiles 0 to 2, or 3 to 5, for `store`: no code of the compiler's uses
/// tiles, so they stay as they are.
///
/// # Safety
/// The unit is configured; at `queries` are 16 lines for each of `chunks`, at least one, at `keys` 24 and 8 more.
#[inline]
unsafe fn multiply(odd: bool, queries: *const Line, keys: *const Line, chunks: usize) {
    // SAFETY: as promised; tiles are loaded by rows of 64 bytes.
    unsafe {
        if odd {
            multiply!("tmm3", "tmm4", "tmm5", queries, keys, chunks);
        } else {
            multiply!("tmm0", "tmm1", "tmm2", queries, keys, chunks);
        }
    }
}

/// Stores what `multiply` left.
///
/// # Safety
/// The unit is configured; `to` may be written.
#[inline]
unsafe fn store(odd: bool, to: *mut Sums) {
    macro_rules! store {
        ($low:literal, $mixed:literal, $high:literal) => {
            asm!(
                concat!("tilestored [{to} + {row}], ", $low),
                concat!("tilestored [{to} + {row} + 1024], ", $mixed),
                concat!("tilestored [{to} + {row} + 2048], ", $high),
                to = in(reg) to,
                row = in(reg) 64usize,
                options(nostack, preserves_flags),
            )
        };
    }
    // SAFETY: as promised; tiles are stored by rows of 64 bytes.
    unsafe {
        if odd {
            store!("tmm3", "tmm4", "tmm5");
        } else {
            store!("tmm0", "tmm1", "tmm2");
        }
    }
}

/// Turns scores into weights e^(score - max), rounded, as row `t` of `blocks`. Returns their sum.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
fn exponentials(scores: &[f32], blocks: &mut [Block], t: usize) -> f32 {
    let max = Avx512::splat(largest::<Avx512>(scores));
    let (steps, rest) = scores.as_chunks::<STEP>();
    let mut last = [f32::NEG_INFINITY; STEP];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(&last);
    let mut sum = Avx512::splat(0.0);
    for (scores, block) in steps.iter().chain(last).zip(blocks) {
        let vectors = scores.as_chunks::<16>().0;
        let mut integers = [_mm512_setzero_si512(); 4];
        for i in 0..4 {
            let e = exp(Avx512::load(&vectors[i]).sub(max));
            sum = sum.add(e);
            integers[i] = _mm512_cvtps_epi32(e.mul(Avx512::splat(MOST)).0);
        }
        // SAFETY: `t` is a token of the block.
        unsafe { Block::put(block, t, integers) };
    }
    sum.sum()
}

/// Values of a head: groups of 16 elements, over all positions.
struct Values {
    /// Steps of a group.
    steps: usize,
    data: Vec<Block>,
    /// Zero beyond the last element.
    scales: Vec<f32>,
}

impl Values {
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
    fn new(head: &Head<'_>) -> Self {
        let (scales, inverses) = value_scales::<Avx512>(head);
        let steps = head.len.div_ceil(STEP);
        let mut data = vec![Block::ZERO; scales.len() / SIDE * steps];
        for (g, inverses) in inverses.as_chunks().0.iter().enumerate() {
            let inverse = Avx512::load(inverses).0;
            let finite = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(inverse, _mm512_setzero_ps());
            let mask = finite & u16::MAX >> (SIDE - (head.dim - g * SIDE).min(SIDE));
            // Four positions side by side: a line of the group.
            for four in 0..head.len.div_ceil(4) {
                let (mut high, mut low) = (_mm512_setzero_si512(), _mm512_setzero_si512());
                for i in 0..(head.len - four * 4).min(4) {
                    let value = &head.value(four * 4 + i)[g * SIDE..];
                    // SAFETY: the mask leaves what is not there.
                    let v = unsafe { _mm512_maskz_loadu_ps(mask, value.as_ptr()) };
                    let (h, l) = split(_mm512_cvtps_epi32(_mm512_mul_ps(v, inverse)));
                    let shift = _mm512_set1_epi32(8 * i as i32);
                    let byte = |v| _mm512_sllv_epi32(_mm512_and_si512(v, _mm512_set1_epi32(255)), shift);
                    high = _mm512_or_si512(high, byte(h));
                    low = _mm512_or_si512(low, byte(l));
                }
                let block = &mut data[g * steps + four / SIDE];
                // The order in which `Block::put` packs positions.
                let at = four % 4 * 4 + four % SIDE / 4;
                // SAFETY: 64 bytes each.
                unsafe {
                    _mm512_storeu_si512(block.0[0][at].as_mut_ptr().cast(), high);
                    _mm512_storeu_si512(block.0[1][at].as_mut_ptr().cast(), low);
                }
            }
        }
        Values { steps, data, scales }
    }

    fn group(&self, g: usize) -> &[u8] {
        let blocks = &self.data[g * self.steps..][..self.steps];
        // SAFETY: a block is bytes without gaps.
        unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }
    }
}
