//! One task of attention: a block of tokens by the query heads of one key/value head, over all pages they see.

use super::products::{Stored, pad, widen_all};
use super::view::{Elements, TILE, View};
use super::{KvLayer, PAGE_TOKENS, Params};
use crate::cpu::Isa;
use crate::lanes::{Lanes, dispatch};
use crate::ops::softmax;
use crate::shared::Shared;

/// Rows of a task: enough to pay for widening a page.
const ROWS: usize = 48;
/// Scores kept by a task, 8 MiB. They need not stay in a near cache: a score is written once and read three times in order,
/// while keys and values of a long context come from memory once for each task, so that many rows should share them.
const SCORES: usize = 1 << 21;

/// Numbers of a cache line.
const LINE: usize = 16;

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
    let positions = params.window.map_or(positions, |window| positions.min(window + ROWS));
    let per_token = (params.heads / params.kv_heads) * positions.next_multiple_of(PAGE_TOKENS).max(1);
    (SCORES / per_token).clamp(1, ROWS.div_ceil(params.heads / params.kv_heads))
}

pub(super) fn block_on(isa: Isa, out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params) {
    dispatch!(isa, attend_block(out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params));
}

/// Calls `$f::<L, _>($($arg),*, keys, values)` with a layer's elements.
macro_rules! with_elements {
    ($layer:expr, $f:ident::<$lanes:ty>($($arg:expr),*)) => {
        match $layer {
            KvLayer::Q8 { keys, values } => {
                $f::<$lanes, _>($($arg),*, Elements::bytes(keys), Elements::bytes(values))
            }
            KvLayer::F16 { keys, values } => {
                $f::<$lanes, _>($($arg),*, Elements::floats(keys), Elements::floats(values))
            }
            KvLayer::F32 { keys, values } => {
                $f::<$lanes, _>($($arg),*, Elements::floats(keys), Elements::floats(values))
            }
        }
    };
}
pub(super) use with_elements;

#[inline(always)]
fn attend_block<L: Lanes>(out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params) {
    with_elements!(block.source.layer, attend_stored::<L>(out, q, block, params));
}

#[inline(always)]
fn attend_stored<L: Lanes, T: Stored>(
    out: &Shared<'_, f32>,
    q: &[f32],
    block: &Block<'_>,
    params: &Params,
    keys: Elements<'_, T>,
    values: Elements<'_, T>,
) {
    let view = View::new(block, params);
    let (rows, padded) = (view.rows, view.dim.next_multiple_of(16));
    let pages = view.pages();
    let columns = pages.len() * PAGE_TOKENS;

    let mut kept = [const { Vec::new() }; 3];
    let [scores, acc, room] = &mut kept;
    let scores = on_a_line(scores, rows * view.stride, f32::NEG_INFINITY);
    let acc = on_a_line(acc, rows * padded, 0.0);
    let widened = T::NARROW && rows > TILE;
    let copied = if widened || padded != view.dim {
        2 * PAGE_TOKENS * padded
    } else {
        0
    };
    let room = on_a_line(room, copied, 0.0);

    view.score::<L, T>(
        keys,
        pages.clone(),
        q,
        if widened { &mut *room } else { &mut [] },
        scores,
    );
    view.ask_for::<L, T>(values, pages.start..(pages.start + 2).min(pages.end));
    let mut sums = vec![0.0; rows];
    for (row, sum) in scores.chunks_exact_mut(view.stride).zip(&mut sums) {
        *sum = softmax::unnormalized::<L>(&mut row[..columns]);
    }
    for page in pages.clone() {
        view.ask_for::<L, T>(values, page + 2..(page + 3).min(pages.end));
        let weights = &mut scores[(page - pages.start) * PAGE_TOKENS..];
        view.scale_weights::<L, T>(values, page, weights);
        let stored = view.of(values.stored, page);
        let all = 0..padded / 16;
        if padded == view.dim && !widened {
            view.weigh_page::<L, T>(page, stored, weights, acc, all);
            continue;
        }
        let room = &mut room[..PAGE_TOKENS * padded];
        if padded == view.dim {
            widen_all::<L, T>(room, stored);
        } else {
            pad(room, padded, stored, view.dim);
        }
        view.weigh_page::<L, f32>(page, room, weights, acc, all);
    }
    for ((row, acc), sum) in acc.chunks_exact(padded).enumerate().zip(&sums) {
        let factor = 1.0 / sum;
        // SAFETY: rows of different tasks do not overlap: they differ in token or key/value head.
        let out = unsafe { out.slice(view.at(row), view.dim) };
        out.iter_mut().zip(acc).for_each(|(y, a)| *y = a * factor);
    }
}

/// `len` times `value`, from the beginning of a cache line on: a vector across two lines is loaded twice.
pub(super) fn on_a_line(kept: &mut Vec<f32>, len: usize, value: f32) -> &mut [f32] {
    *kept = vec![value; len + LINE - 1];
    let from = kept.as_ptr().align_offset(size_of::<f32>() * LINE).min(LINE - 1);
    &mut kept[from..][..len]
}
