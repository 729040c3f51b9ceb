//! One task of attention: a block of tokens by the query heads of one key/value head, over all pages they see.
//!
//! Rows of the block are (token, query head) pairs; a page is widened to f32 once and used for all rows, six at a time,
//! which is what 16 vector registers hold.

use super::{KvLayer, PAGE_TOKENS, Params};
use crate::cpu::Isa;
use crate::lanes::{Lanes, dispatch};
use crate::ops::{maths, softmax};
use crate::shared::Shared;

/// Rows side by side.
const TILE: usize = 6;
/// Scores kept by a task: 64 Ki f32 stay in the second-level cache.
const SCORES: usize = 1 << 16;

/// Where keys and values come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) layer: KvLayer<'a>,
    pub(super) pages: &'a [u32],
}

/// A task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) kv_head: usize,
    /// First row of `q` and `out`.
    pub(super) row: usize,
    /// Tokens.
    pub(super) len: usize,
    /// Positions that the first token sees end here; each further token sees one more if causal.
    pub(super) first_end: usize,
    pub(super) causal: bool,
    pub(super) source: Source<'a>,
}

/// How many tokens a task takes so that its scores fit; no effect on any result.
pub(super) fn tokens_per_block(params: &Params, positions: usize) -> usize {
    let per_token = (params.heads / params.kv_heads) * positions.next_multiple_of(PAGE_TOKENS).max(1);
    (SCORES / per_token).clamp(1, 16)
}

pub(super) fn block_on(isa: Isa, out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params) {
    dispatch!(isa, attend_block(out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params));
}

/// Positions that one row sees.
#[derive(Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
}

impl Span {
    /// The part of page `page`, as slots.
    #[inline(always)]
    fn slots(self, page: usize) -> std::ops::Range<usize> {
        let start = page * PAGE_TOKENS;
        let slot = |p: usize| p.saturating_sub(start).min(PAGE_TOKENS);
        slot(self.from)..slot(self.to).max(slot(self.from))
    }
}

#[inline(always)]
fn attend_block<L: Lanes>(out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params) {
    let dim = params.head_dim;
    let padded = dim.next_multiple_of(16);
    let group = params.heads / params.kv_heads;
    let rows = block.len * group;
    let span = |row: usize| {
        let to = block.first_end + if block.causal { row / group } else { 0 };
        Span { from: params.window.map_or(0, |w| to.saturating_sub(w)), to }
    };
    let first_page = span(0).from / PAGE_TOKENS;
    let last_page = span(rows - 1).to.div_ceil(PAGE_TOKENS);
    let stride = (last_page - first_page) * PAGE_TOKENS;
    // Row r of the block is head r % group of token r / group, so a token's rows lie side by side in q and out.
    let at = |row: usize| ((block.row + row / group) * params.heads + block.kv_head * group + row % group) * dim;

    let mut scores = vec![f32::NEG_INFINITY; rows * stride];
    let mut acc = vec![0.0; rows * padded];
    let mut page_values = vec![0.0; PAGE_TOKENS * padded];

    // Queries tile by tile, `[dim][TILE]`: one stream to read instead of six.
    let mut queries = vec![[0.0; TILE]; rows.div_ceil(TILE) * dim];
    for row in 0..rows {
        let tile = &mut queries[row / TILE * dim..][..dim];
        for (to, x) in tile.iter_mut().zip(&q[at(row)..][..dim]) {
            to[row % TILE] = *x;
        }
    }
    for page in first_page..last_page {
        let keys = block.source.keys::<L>(page, block.kv_head, params, &mut page_values);
        let column = (page - first_page) * PAGE_TOKENS;
        for (tile, queries) in queries.chunks_exact(dim).enumerate() {
            let row = tile * TILE;
            let n = TILE.min(rows - row);
            let dots = match n {
                1 => widen(dots::<L, 1>(keys, queries)),
                2 => widen(dots::<L, 2>(keys, queries)),
                3 => widen(dots::<L, 3>(keys, queries)),
                _ => dots::<L, TILE>(keys, queries),
            };
            for i in 0..n {
                let slots = span(row + i).slots(page);
                let scores = &mut scores[(row + i) * stride + column..][..PAGE_TOKENS];
                if slots.len() == PAGE_TOKENS {
                    if let Some(scores) = scores.first_chunk_mut() {
                        score(dots[i], params).store(scores);
                    }
                } else if !slots.is_empty() {
                    let mut lanes = [0.0; 16];
                    score(dots[i], params).store(&mut lanes);
                    scores[slots.clone()].copy_from_slice(&lanes[slots]);
                }
            }
        }
    }
    let mut sums = vec![0.0; rows];
    for (row, sum) in scores.chunks_exact_mut(stride).zip(&mut sums) {
        *sum = softmax::unnormalized::<L>(row);
    }
    for page in first_page..last_page {
        let values = block.source.values::<L>(page, block.kv_head, params, &mut page_values);
        let column = (page - first_page) * PAGE_TOKENS;
        let mut row = 0;
        while row < rows {
            // Rows that see the same slots go together; where they differ, one by one.
            let slots = span(row).slots(page);
            let mut n = 1;
            while n < TILE && row + n < rows && span(row + n).slots(page) == slots {
                n += 1;
            }
            let weights = &scores[row * stride + column..];
            let acc = &mut acc[row * padded..];
            match n {
                1 => weighted::<L, 1>(acc, values, weights, stride, slots),
                2 => weighted::<L, 2>(acc, values, weights, stride, slots),
                3 => weighted::<L, 3>(acc, values, weights, stride, slots),
                4 => weighted::<L, 4>(acc, values, weights, stride, slots),
                5 => weighted::<L, 5>(acc, values, weights, stride, slots),
                _ => weighted::<L, TILE>(acc, values, weights, stride, slots),
            }
            row += n;
        }
    }
    for ((row, acc), sum) in acc.chunks_exact(padded).enumerate().zip(&sums) {
        let factor = 1.0 / sum;
        // SAFETY: rows of different tasks do not overlap: they differ in token or key/value head.
        let out = unsafe { out.slice(at(row), dim) };
        out.iter_mut().zip(acc).for_each(|(y, a)| *y = a * factor);
    }
}

#[inline(always)]
fn widen<L: Lanes, const N: usize>(lanes: [L; N]) -> [L; TILE] {
    let mut out = [lanes[0]; TILE];
    out[..N].copy_from_slice(&lanes);
    out
}

#[inline(always)]
fn score<L: Lanes>(dot: L, params: &Params) -> L {
    let score = dot.mul(L::splat(params.scale));
    match params.softcap {
        Some(cap) => maths::tanh(score.div(L::splat(cap))).mul(L::splat(cap)),
        None => score,
    }
}

/// Dots of N queries of a tile with the 16 keys of a page, `[dim][16]`.
#[inline(always)]
fn dots<L: Lanes, const N: usize>(keys: &[f32], queries: &[[f32; TILE]]) -> [L; N] {
    let mut acc = [L::splat(0.0); N];
    for (key, q) in keys.as_chunks::<16>().0.iter().zip(queries) {
        let key = L::load(key);
        for i in 0..N {
            acc[i] = key.fma(L::splat(q[i]), acc[i]);
        }
    }
    acc
}

/// acc += weights x values, for N rows over the slots of a page; `values` `[16][padded]`, `acc` `[N][padded]`.
#[inline(always)]
fn weighted<L: Lanes, const N: usize>(
    acc: &mut [f32],
    values: &[f32],
    weights: &[f32],
    stride: usize,
    slots: std::ops::Range<usize>,
) {
    let chunks = values.len() / PAGE_TOKENS / 16;
    let values = &values.as_chunks::<16>().0[..PAGE_TOKENS * chunks];
    let acc = &mut acc.as_chunks_mut::<16>().0[..N * chunks];
    let mut rows = [&[0.0; PAGE_TOKENS]; N];
    for i in 0..N {
        if let Some(row) = weights[i * stride..].first_chunk() {
            rows[i] = row;
        }
    }
    for c in 0..chunks {
        let mut lanes = [L::splat(0.0); N];
        for i in 0..N {
            lanes[i] = L::load(&acc[i * chunks + c]);
        }
        if slots.len() == PAGE_TOKENS {
            for p in 0..PAGE_TOKENS {
                let value = L::load(&values[p * chunks + c]);
                for i in 0..N {
                    lanes[i] = value.fma(L::splat(rows[i][p]), lanes[i]);
                }
            }
        } else {
            for p in slots.start..slots.end.min(PAGE_TOKENS) {
                let value = L::load(&values[p * chunks + c]);
                for i in 0..N {
                    lanes[i] = value.fma(L::splat(rows[i][p]), lanes[i]);
                }
            }
        }
        for i in 0..N {
            lanes[i].store(&mut acc[i * chunks + c]);
        }
    }
}

impl Source<'_> {
    /// Keys of a page, `[head_dim][16]`.
    #[inline(always)]
    fn keys<'s, L: Lanes>(&'s self, page: usize, kv_head: usize, params: &Params, room: &'s mut [f32]) -> &'s [f32] {
        let len = params.head_dim * PAGE_TOKENS;
        let from = (self.pages[page] as usize * params.kv_heads + kv_head) * len;
        match self.layer {
            KvLayer::F32 { keys, .. } => &keys[from..][..len],
            KvLayer::F16 { keys, .. } => {
                let from = keys[from..][..len].as_chunks::<16>().0;
                for (to, from) in room.as_chunks_mut::<16>().0.iter_mut().zip(from) {
                    L::load_half(from).store(to);
                }
                &room[..len]
            }
        }
    }

    /// Values of a page, `[16][head_dim padded to 16]`.
    #[inline(always)]
    fn values<'s, L: Lanes>(&'s self, page: usize, kv_head: usize, params: &Params, room: &'s mut [f32]) -> &'s [f32] {
        let dim = params.head_dim;
        let len = dim * PAGE_TOKENS;
        let padded = dim.next_multiple_of(16);
        let from = (self.pages[page] as usize * params.kv_heads + kv_head) * len;
        match self.layer {
            KvLayer::F32 { values, .. } if padded == dim => &values[from..][..len],
            KvLayer::F32 { values, .. } => {
                let rows = values[from..][..len].chunks_exact(dim);
                room.chunks_exact_mut(padded).zip(rows).for_each(|(to, from)| to[..dim].copy_from_slice(from));
                room
            }
            KvLayer::F16 { values, .. } if padded == dim => {
                let from = values[from..][..len].as_chunks::<16>().0;
                for (to, from) in room.as_chunks_mut::<16>().0.iter_mut().zip(from) {
                    L::load_half(from).store(to);
                }
                room
            }
            KvLayer::F16 { values, .. } => {
                for (to, from) in room.chunks_exact_mut(padded).zip(values[from..][..len].chunks_exact(dim)) {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32());
                }
                room
            }
        }
    }
}
