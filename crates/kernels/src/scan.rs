//! Dot products of many int8 rows with one query: exact dense search over quantized vectors.
//!
//! A row's value is `scale * r[i]`, the query's `scale * q[i]` with 14-bit integers: eight bits where memory is what the
//! scan waits for, more where it costs nothing. Sums are exact 32-bit integers, so every version returns the same numbers.

use crate::cpu::{Isa, isa};
use crate::shared::Shared;
use crate::team::Team;

/// Largest magnitude of a query's integer.
pub const QUERY_MAX: i16 = 8191;
/// Longest row: 2048 * 128 * 8191 is below 2^31.
pub const MAX_DIM: usize = 2048;
/// Rows of a thread's task.
const TASK: usize = 4096;

/// `out[n]` = dot of row `n` with `query`. Shapes: `rows` `[out.len(), dim]`, `query` `[dim]`.
///
/// # Panics
/// If the lengths do not fit these shapes, a row is longer than [`MAX_DIM`], or the query exceeds [`QUERY_MAX`].
pub fn dots(team: &Team, out: &mut [i32], rows: &[i8], query: &[i16]) {
    let dim = query.len();
    assert!(dim > 0 && dim <= MAX_DIM, "a row has 1..={MAX_DIM} values");
    assert_eq!(rows.len(), out.len() * dim, "rows are [n, dim]");
    assert!(
        query.iter().all(|q| q.unsigned_abs() <= QUERY_MAX.unsigned_abs()),
        "the query's integers are at most {QUERY_MAX}"
    );
    let (isa, count) = (isa(), out.len());
    let out = Shared::new(out);
    team.run(count.div_ceil(TASK), &|task| {
        let from = task * TASK;
        let len = TASK.min(count - from);
        // SAFETY: tasks take parts of their own.
        let out = unsafe { out.slice(from, len) };
        dots_on(isa, out, &rows[from * dim..][..len * dim], query);
    });
}

fn dots_on(isa: Isa, out: &mut [i32], rows: &[i8], query: &[i16]) {
    match isa {
        // SAFETY: `cpu` names Avx2 only where the processor has it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(out, rows, query) },
        // SAFETY: likewise.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => unsafe { avx512(out, rows, query) },
        // SAFETY: likewise.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon(out, rows, query) },
        _ => scalar(out, rows, query),
    }
}

fn scalar(out: &mut [i32], rows: &[i8], query: &[i16]) {
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        *out = dot(row, query);
    }
}

#[inline(always)]
fn dot(row: &[i8], query: &[i16]) -> i32 {
    row.iter().zip(query).map(|(r, q)| i32::from(*r) * i32::from(*q)).sum()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(out: &mut [i32], rows: &[i8], query: &[i16]) {
    use std::arch::x86_64::*;
    let (queries, query_tail) = query.as_chunks::<16>();
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        let (blocks, tail) = row.as_chunks::<16>();
        let mut sums = [_mm256_setzero_si256(); 2]; // two, so that one addition need not wait for the other
        for (i, (block, query)) in blocks.iter().zip(queries).enumerate() {
            // SAFETY: a block is 16 bytes, a query 16 words of 2 bytes; `loadu` needs no alignment.
            let (r, q) = unsafe {
                (
                    _mm_loadu_si128(block.as_ptr().cast()),
                    _mm256_loadu_si256(query.as_ptr().cast()),
                )
            };
            let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(r), q);
            sums[i % 2] = _mm256_add_epi32(sums[i % 2], products);
        }
        let sum = _mm256_add_epi32(sums[0], sums[1]);
        let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
        let one = _mm_add_epi32(pair, _mm_shuffle_epi32::<0b00_00_00_01>(pair));
        *out = _mm_cvtsi128_si32(one) + dot(tail, query_tail);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn avx512(out: &mut [i32], rows: &[i8], query: &[i16]) {
    use std::arch::x86_64::*;
    let (queries, query_tail) = query.as_chunks::<32>();
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        let (blocks, tail) = row.as_chunks::<32>();
        let mut sums = [_mm512_setzero_si512(); 2];
        for (i, (block, query)) in blocks.iter().zip(queries).enumerate() {
            // SAFETY: a block is 32 bytes, a query 32 words of 2 bytes; `loadu` needs no alignment.
            let (r, q) = unsafe {
                (
                    _mm256_loadu_si256(block.as_ptr().cast()),
                    _mm512_loadu_si512(query.as_ptr().cast()),
                )
            };
            sums[i % 2] = _mm512_dpwssd_epi32(sums[i % 2], _mm512_cvtepi8_epi16(r), q);
        }
        *out = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1])) + dot(tail, query_tail);
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon(out: &mut [i32], rows: &[i8], query: &[i16]) {
    use std::arch::aarch64::*;
    let (queries, query_tail) = query.as_chunks::<16>();
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        let (blocks, tail) = row.as_chunks::<16>();
        let mut sums = [vdupq_n_s32(0); 4]; // four, so that no addition waits for the one before it
        for (block, query) in blocks.iter().zip(queries) {
            // SAFETY: a block is 16 bytes, a query twice 8 words.
            let (r, low, high) = unsafe {
                (
                    vld1q_s8(block.as_ptr()),
                    vld1q_s16(query.as_ptr()),
                    vld1q_s16(query.as_ptr().add(8)),
                )
            };
            let (a, b) = (vmovl_s8(vget_low_s8(r)), vmovl_high_s8(r));
            sums[0] = vmlal_s16(sums[0], vget_low_s16(a), vget_low_s16(low));
            sums[1] = vmlal_high_s16(sums[1], a, low);
            sums[2] = vmlal_s16(sums[2], vget_low_s16(b), vget_low_s16(high));
            sums[3] = vmlal_high_s16(sums[3], b, high);
        }
        let sum = vaddq_s32(vaddq_s32(sums[0], sums[1]), vaddq_s32(sums[2], sums[3]));
        *out = vaddvq_s32(sum) + dot(tail, query_tail);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::cpu;

    proptest! {
        #[test]
        fn every_path_returns_the_scalar_twins_integers(
            query in vec(-QUERY_MAX..=QUERY_MAX, 1..200),
            bytes in vec(any::<i8>(), 0..2000),
        ) {
            let rows = &bytes[..bytes.len() / query.len() * query.len()];
            let mut want = vec![0; rows.len() / query.len()];
            scalar(&mut want, rows, &query);
            for isa in cpu::available() {
                let mut got = vec![1; want.len()];
                dots_on(isa, &mut got, rows, &query);
                prop_assert_eq!(&got, &want, "{:?}", isa);
            }
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        for (r, q) in [(-128, -QUERY_MAX), (-128, QUERY_MAX), (127, QUERY_MAX)] {
            let (row, query) = (vec![r; MAX_DIM], vec![q; MAX_DIM]);
            for isa in cpu::available() {
                let mut out = [0];
                dots_on(isa, &mut out, &row, &query);
                let want = i64::from(r) * i64::from(q) * MAX_DIM as i64;
                assert_eq!(i64::from(out[0]), want, "{isa:?}");
            }
        }
    }

    #[test]
    fn a_team_fills_every_row() {
        let (dim, count) = (3, 3 * TASK + 7);
        let rows: Vec<i8> = (0..count * dim).map(|i| (i % 251) as i8).collect();
        let query = [1, -2, 3];
        let (mut got, mut want) = (vec![0; count], vec![0; count]);
        dots(&Team::new(2), &mut got, &rows, &query);
        scalar(&mut want, &rows, &query);
        assert_eq!(got, want);
    }
}
