//! Attention over paged keys and values (pages as in PagedAttention, Kwon et al. 2023, arXiv:2309.06180; grouped
//! queries: Ainslie et al. 2023, arXiv:2305.13245; sliding window: Beltagy et al. 2020, arXiv:2004.05150).
//!
//! A page holds 16 positions of every key/value head. Keys lie `[kv_head][page][head_dim][16]`, so that one load is an
//! element of 16 positions, and values `[kv_head][page][16][head_dim]`; `store` writes both. Per (token, head):
//!
//! ```text
//! score[p] = scale * dot, dot = fma(k[p][d], q[d], dot) in order of d     then cap * tanh(score / cap) where capped
//! e[p]     = exp(score[p] - max)                                          max and sum in lanes: lane l takes p = l mod 16
//! out[d]   = (1 / sum) * acc, acc = fma(e[p], v[p][d], acc) in order of p
//! ```
//!
//! Keys and values are f32, f16, or bytes: whole numbers n of a head at one position under one scale s, so that what is
//! stored is never written again. There `dot` and `e[p]` above are of n, and s comes in once:
//!
//! ```text
//! score[p] = scale * (s_k[p] * dot)       out[d] = (1 / sum) * acc, acc = fma(s_v[p] * e[p], n_v[p][d], acc)
//! ```
//!
//! Nothing depends on where a page or chunk begins. Queries that share a key/value head are computed together.

mod kernel;
mod products;
mod split;
mod store;
#[cfg(test)]
mod tests;
mod view;
pub mod whole;

use half::f16;

use crate::cpu::{Isa, isa};
use crate::shared::Shared;
use crate::team::Team;
use kernel::{Block, Source};
pub use store::store;

/// Positions per page.
pub const PAGE_TOKENS: usize = 16;

/// One layer's keys or values as bytes; `store` says how they are rounded.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    /// Whole numbers of -127 to 127, in the place of floats.
    pub numbers: &'a [i8],
    /// What they are multiplied by, `[kv_head][page][PAGE_TOKENS]`.
    pub scales: &'a [f32],
}

/// `Bytes` to write to.
#[derive(Debug)]
pub struct BytesMut<'a> {
    /// As `Bytes::numbers`.
    pub numbers: &'a mut [i8],
    /// As `Bytes::scales`.
    pub scales: &'a mut [f32],
}

/// One layer's keys and values; each slice of elements is `pages * kv_heads * head_dim * PAGE_TOKENS` long.
#[derive(Debug, Clone, Copy)]
pub enum KvLayer<'a> {
    /// About half the memory of f16, rounded to a 254th of a head's range.
    Q8 {
        /// `[kv_head][page][head_dim][PAGE_TOKENS]`
        keys: Bytes<'a>,
        /// `[kv_head][page][PAGE_TOKENS][head_dim]`
        values: Bytes<'a>,
    },
    /// Half the memory of f32; values are rounded to f16.
    F16 {
        /// `[kv_head][page][head_dim][PAGE_TOKENS]`
        keys: &'a [f16],
        /// `[kv_head][page][PAGE_TOKENS][head_dim]`
        values: &'a [f16],
    },
    /// Exact.
    F32 {
        /// `[kv_head][page][head_dim][PAGE_TOKENS]`
        keys: &'a [f32],
        /// `[kv_head][page][PAGE_TOKENS][head_dim]`
        values: &'a [f32],
    },
}

/// `KvLayer` to write to.
#[derive(Debug)]
pub enum KvLayerMut<'a> {
    /// As `KvLayer::Q8`.
    Q8 {
        /// Keys.
        keys: BytesMut<'a>,
        /// Values.
        values: BytesMut<'a>,
    },
    /// As `KvLayer::F16`.
    F16 {
        /// Keys.
        keys: &'a mut [f16],
        /// Values.
        values: &'a mut [f16],
    },
    /// As `KvLayer::F32`.
    F32 {
        /// Keys.
        keys: &'a mut [f32],
        /// Values.
        values: &'a mut [f32],
    },
}

/// One sequence's share of a step: `len` new tokens after `past` earlier ones.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Tokens already stored before this step.
    pub past: usize,
    /// New tokens.
    pub len: usize,
    /// Page table, long enough for `past + len` positions.
    pub pages: &'a [u32],
}

/// Shape and kind of attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Factor of the scores, usually 1 / sqrt(head_dim).
    pub scale: f32,
    /// A token sees itself and this many positions less one before it; `None` sees all.
    pub window: Option<usize>,
    /// Scores become cap * tanh(score / cap).
    pub softcap: Option<f32>,
}

/// Causal attention of every segment's new tokens over its stored positions; their own must have been stored.
/// Shapes: `q`, `out` `[T, heads * head_dim]`.
///
/// # Panics
/// If lengths do not fit these shapes or a page number is out of range.
pub fn attend(team: &Team, out: &mut [f32], q: &[f32], segments: &[Segment<'_>], layer: &KvLayer<'_>, params: &Params) {
    attend_on(isa(), team, out, q, segments, layer, params);
}

pub(crate) fn attend_on(
    isa: Isa,
    team: &Team,
    out: &mut [f32],
    q: &[f32],
    segments: &[Segment<'_>],
    layer: &KvLayer<'_>,
    params: &Params,
) {
    let width = params.heads * params.head_dim;
    assert!(
        params.kv_heads > 0 && params.heads.is_multiple_of(params.kv_heads),
        "query heads share key/value heads"
    );
    assert_eq!(
        q.len(),
        segments.iter().map(|s| s.len).sum::<usize>() * width,
        "q is [T, heads * head_dim]"
    );
    assert_eq!(q.len(), out.len(), "out is as q");
    let mut blocks = Vec::new();
    let mut row = 0;
    for segment in segments {
        let end = segment.past + segment.len;
        assert!(segment.pages.len() * PAGE_TOKENS >= end, "the page table is too short");
        let step = kernel::tokens_per_block(params, end);
        for first in (0..segment.len).step_by(step) {
            let len = step.min(segment.len - first);
            let start = segment.past + first;
            blocks.extend((0..params.kv_heads).map(|kv_head| Block {
                kv_head,
                row: row + first,
                len,
                first_end: start + 1,
                causal: true,
                source: Source {
                    layer: *layer,
                    pages: segment.pages,
                },
            }));
        }
        row += segment.len;
    }
    run(isa, team, out, q, &blocks, params);
}

fn run(isa: Isa, team: &Team, out: &mut [f32], q: &[f32], blocks: &[Block<'_>], params: &Params) {
    let out = Shared::new(out);
    if let Some(parts) = split::parts(team, blocks, params) {
        return split::run(isa, team, &out, q, (blocks, params), parts);
    }
    // In the order of tokens, as all other jobs.
    team.run(blocks.len(), &|i| kernel::block_on(isa, &out, q, &blocks[i], params));
}

/// Keys and values of `attend_all`, kept so that memory is asked for once and not in every layer.
#[derive(Debug, Default)]
pub struct Pages {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Attention of sequences whose tokens all see each other, for encoders. `lengths` are the sequences' tokens.
/// Shapes: `q`, `out` `[T, heads * head_dim]`, `k`, `v` `[T, kv_heads * head_dim]`.
///
/// # Panics
/// If lengths do not fit these shapes.
pub fn attend_all(
    team: &Team,
    out: &mut [f32],
    qkv: (&[f32], &[f32], &[f32]),
    lengths: &[usize],
    params: &Params,
    pages: &mut Pages,
) {
    attend_all_on(isa(), team, out, qkv, lengths, params, pages);
}

pub(crate) fn attend_all_on(
    isa: Isa,
    team: &Team,
    out: &mut [f32],
    (q, k, v): (&[f32], &[f32], &[f32]),
    lengths: &[usize],
    params: &Params,
    pages: &mut Pages,
) {
    assert!(
        params.kv_heads > 0 && params.heads.is_multiple_of(params.kv_heads),
        "query heads share key/value heads"
    );
    let tokens: usize = lengths.iter().sum();
    assert_eq!(
        q.len(),
        tokens * params.heads * params.head_dim,
        "q is [T, heads * head_dim]"
    );
    assert_eq!(q.len(), out.len(), "out is as q");
    let counts = lengths.iter().map(|n| n.div_ceil(PAGE_TOKENS));
    let total: usize = counts.clone().sum();
    let table: Vec<u32> = (0..total as u32).collect();
    let size = total * PAGE_TOKENS * params.kv_heads * params.head_dim;
    // What is beyond a sequence's end may be left over from another layer: nobody sees it.
    let Pages { keys, values } = pages;
    keys.resize(size, 0.0);
    values.resize(size, 0.0);
    let mut start = 0;
    let segments: Vec<Segment<'_>> = lengths
        .iter()
        .zip(counts)
        .map(|(&len, pages)| {
            start += pages;
            Segment {
                past: 0,
                len,
                pages: &table[start - pages..start],
            }
        })
        .collect();
    let kv = KvLayerMut::F32 { keys, values };
    store(team, kv, &segments, k, v, params.kv_heads, params.head_dim);
    let layer = KvLayer::F32 { keys, values };
    let mut blocks = Vec::new();
    let mut row = 0;
    for segment in &segments {
        let step = kernel::tokens_per_block(params, segment.len);
        for first in (0..segment.len).step_by(step) {
            let len = step.min(segment.len - first);
            blocks.extend((0..params.kv_heads).map(|kv_head| Block {
                kv_head,
                row: row + first,
                len,
                first_end: segment.len,
                causal: false,
                source: Source {
                    layer,
                    pages: segment.pages,
                },
            }));
        }
        row += segment.len;
    }
    run(isa, team, out, q, &blocks, params);
}
