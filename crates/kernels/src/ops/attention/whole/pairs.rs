//! The products as pairs of 16-bit integers, once for all instruction sets, and the scalar twin.

use super::Head;
use crate::cpu::Isa;
use crate::gemm::pack::word;
use crate::gemm::tile::Tile;
use crate::gemm::whole::kernel::{Parts, dots, value};
use crate::gemm::whole::weights::{round_row, scale_for, whole_row};
use crate::lanes::{Lanes, Scalar};
use crate::ops::softmax;

/// Integers that `dots` takes at a time; what is missing is zero.
const STEP: usize = 32;
/// Tokens from here their keys and values are asked for: they lie too far apart for the processor to know.
const AHEAD: usize = 8;

pub(super) fn attend_on(isa: Isa, head: &Head<'_>) {
    match isa {
        // SAFETY: `isa` says that the processor has these instructions.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => unsafe { avx512(head) },
        // SAFETY: likewise.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(head) },
        // SAFETY: likewise.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon(head) },
        _ => scalar(head),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn avx2(head: &Head<'_>) {
    attend::<crate::lanes::Avx2, 2>(head);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn avx512(head: &Head<'_>) {
    attend::<crate::lanes::Avx512, 8>(head);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon(head: &Head<'_>) {
    attend::<crate::lanes::Neon, 2>(head);
}

/// The scale of each element over all positions, and what values are multiplied by, both zero beyond `dim`.
#[inline(always)]
pub(super) fn value_scales<L: Lanes>(head: &Head<'_>) -> (Vec<f32>, Vec<f32>) {
    let mut largest = vec![0; head.dim.next_multiple_of(16)];
    for p in 0..head.len {
        head.ask::<L>(2, p + AHEAD);
        for (largest, v) in largest.iter_mut().zip(head.value(p)) {
            *largest = (*largest).max(v.to_bits() & 0x7fff_ffff);
        }
    }
    largest.into_iter().map(scale_for).unzip()
}

/// Pairs of integers of 16 rows, each placed by `word`, on a cache line: across two it would be loaded twice.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i16; 32]);

/// A head's keys and values, rounded.
struct Packed {
    /// Integers of a key, in whole steps.
    depth: usize,
    /// Positions, in whole steps.
    positions: usize,
    /// `[positions / 16][depth / 2]`
    keys: Vec<Line>,
    key_scales: Vec<f32>,
    /// `[dim / 16][positions / 2]`
    values: Vec<Line>,
    value_scales: Vec<f32>,
}

impl Packed {
    #[inline(always)]
    fn new<L: Lanes>(head: &Head<'_>) -> Self {
        let (depth, positions) = (head.dim.next_multiple_of(STEP), head.len.next_multiple_of(STEP));
        let mut keys = vec![Line([0; 32]); positions / 16 * depth / 2];
        let mut key_scales = vec![0.0; positions];
        let mut row = vec![0; depth];
        for p in 0..head.len {
            head.ask::<L>(1, p + AHEAD);
            key_scales[p] = whole_row::<L>(head.key(p), &mut row);
            let group = &mut keys[p / 16 * depth / 2..];
            for (line, pair) in group.iter_mut().zip(row.as_chunks::<2>().0) {
                (line.0[word(p % 16, 0)], line.0[word(p % 16, 1)]) = (pair[0], pair[1]);
            }
        }
        let (value_scales, inverses) = value_scales::<L>(head);
        let mut values = vec![Line([0; 32]); value_scales.len() / 16 * positions / 2];
        for (group, inverses) in inverses.as_chunks::<16>().0.iter().enumerate() {
            let lines = &mut values[group * positions / 2..];
            for (p, line) in (0..head.len).step_by(2).zip(lines) {
                let mut both = [[0; 16]; 2];
                for (p, row) in (p..head.len).zip(&mut both) {
                    let value = &head.value(p)[group * 16..];
                    let value = L::load_tail(&value[..value.len().min(16)], 0.0);
                    let (inverse, zero) = (L::load(inverses), L::splat(0.0));
                    // What is not finite has no inverse, and a scale of NaN.
                    zero.less(inverse, value.mul(inverse).round(), zero).integers(row);
                }
                for i in 0..16 {
                    (line.0[word(i, 0)], line.0[word(i, 1)]) = (both[0][i], both[1][i]);
                }
            }
        }
        Packed {
            depth,
            positions,
            keys,
            key_scales,
            values,
            value_scales,
        }
    }

    /// The keys of 16 positions.
    fn key_group(&self, g: usize) -> *const u8 {
        let len = self.depth / 2;
        self.keys[g * len..][..len].as_ptr().cast()
    }

    /// 16 elements of all values.
    fn value_group(&self, g: usize) -> *const u8 {
        let len = self.positions / 2;
        self.values[g * len..][..len].as_ptr().cast()
    }
}

/// N tokens at a time; where the last ones are fewer, some are computed again.
#[inline(always)]
fn attend<L: Tile, const N: usize>(head: &Head<'_>) {
    let packed = Packed::new::<L>(head);
    let mut integers = vec![0; N * packed.depth.max(packed.positions)];
    let mut scores = vec![0.0; N * packed.positions];
    for t in (0..head.len).step_by(N) {
        if head.len >= N {
            rows::<L, N>(head, &packed, t.min(head.len - N), &mut integers, &mut scores);
        } else {
            (t..head.len).for_each(|t| rows::<L, 1>(head, &packed, t, &mut integers, &mut scores));
        }
    }
}

#[inline(always)]
fn rows<L: Tile, const N: usize>(head: &Head<'_>, packed: &Packed, t: usize, integers: &mut [i16], scores: &mut [f32]) {
    let (depth, positions) = (packed.depth, packed.positions);
    let mut factors = [0.0; N];
    for (i, row) in integers.chunks_exact_mut(depth).take(N).enumerate() {
        row[head.dim..].fill(0);
        head.ask::<L>(0, t + i + N);
        factors[i] = whole_row::<L>(head.query(t + i), row) * head.scale;
    }
    let starts = |integers: &[i16], len: usize| std::array::from_fn(|i| integers[i * len..][..len].as_ptr());
    let queries: [*const i16; N] = starts(integers, depth);
    for (g, key_scales) in packed.key_scales.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: `starts` and `key_group` checked that `depth` integers, and 16 times as many, are there.
        let [high, sum] = unsafe { dots::<L, N>(queries, packed.key_group(g), depth) };
        let scales = L::load(key_scales);
        for i in 0..N {
            let score = value::<L>(high[i], sum[i]).mul(scales.mul(L::splat(factors[i])));
            score.store(&mut scores[i * positions..].as_chunks_mut::<16>().0[g]);
        }
    }
    for (i, row) in scores.chunks_exact_mut(positions).take(N).enumerate() {
        row[head.len..].fill(f32::NEG_INFINITY);
        let sum = softmax::unnormalized::<L>(row);
        factors[i] = exponentials::<L>(row, sum, &mut integers[i * positions..][..positions]) / sum;
    }
    let weights: [*const i16; N] = starts(integers, positions);
    for g in 0..packed.value_scales.len() / 16 {
        // SAFETY: as above, with `positions` integers.
        unsafe {
            let parts = dots::<L, N>(weights, packed.value_group(g), positions);
            results::<L, N>(head, packed, (t, g), parts, &factors);
        }
    }
}

/// `whole_row` of what `softmax::unnormalized` made: its largest is e^0, unless its sum says that a score was no number.
#[inline(always)]
fn exponentials<L: Lanes>(row: &[f32], sum: f32, q: &mut [i16]) -> f32 {
    let largest: f32 = if sum.is_nan() { f32::NAN } else { 1.0 };
    round_row::<L>(row, scale_for(largest.to_bits()), q)
}

/// Stores the results of N tokens from `t`, elements of group `g`.
///
/// # Safety
/// As `Head::result`.
#[inline(always)]
unsafe fn results<L: Tile, const N: usize>(
    head: &Head<'_>,
    packed: &Packed,
    (t, g): (usize, usize),
    [high, sum]: Parts<L, N>,
    factors: &[f32; N],
) {
    let scales = L::load(&packed.value_scales.as_chunks::<16>().0[g]);
    for i in 0..N {
        let v = value::<L>(high[i], sum[i]).mul(scales.mul(L::splat(factors[i])));
        // SAFETY: as promised.
        let to = unsafe { head.result(t + i, g * 16) };
        match to.as_mut_array::<16>() {
            Some(to) => v.store(to),
            None => {
                let mut lanes = [0.0; 16];
                v.store(&mut lanes);
                to.copy_from_slice(&lanes[..to.len()]);
            }
        }
    }
}

/// The scalar twin: it defines the bits.
fn scalar(head: &Head<'_>) {
    let rounded = |x: &[f32]| {
        let mut q = vec![0; x.len()];
        let scale = whole_row::<Scalar>(x, &mut q);
        (q, scale)
    };
    let dot = |a: &[i16], b: &[i16]| {
        let products = a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b));
        products.sum::<i64>() as f32
    };
    let keys: Vec<_> = (0..head.len).map(|p| rounded(head.key(p))).collect();
    let values: Vec<_> = (0..head.dim)
        .map(|d| rounded(&(0..head.len).map(|p| head.value(p)[d]).collect::<Vec<_>>()))
        .collect();
    for t in 0..head.len {
        let (query, q_scale) = rounded(head.query(t));
        let factor = q_scale * head.scale;
        let score = |(key, scale): &(Vec<i16>, f32)| dot(&query, key) * (scale * factor);
        let mut scores: Vec<f32> = keys.iter().map(score).collect();
        let sum = softmax::unnormalized::<Scalar>(&mut scores);
        let (weights, e_scale) = rounded(&scores);
        let factor = e_scale / sum;
        for (d, (value, scale)) in values.iter().enumerate() {
            // SAFETY: each head is one task's own.
            unsafe { head.result(t, d)[0] = dot(&weights, value) * (scale * factor) };
        }
    }
}
