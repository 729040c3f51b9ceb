//! One task of attention: a block of tokens by the query heads of one key/value head, over all pages they see.
//!
//! Rows of the block are (token, query head) pairs; a page is used for all of them, six at a time, which is what 16
//! vector registers hold. Where there are 32, two pages of keys or two vectors of values go together.

use super::products::{Stored, dots, pad, weighted, widen_all};
use super::{Bytes, KvLayer, PAGE_TOKENS, Params};
use crate::cpu::Isa;
use crate::lanes::{Lanes, ask, dispatch};
use crate::ops::{maths, softmax};
use crate::shared::Shared;

/// Rows side by side.
pub(super) const TILE: usize = 6;
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

/// Elements as they are stored, all pages of a layer; scales where they are whole numbers, `[kv_head][page][16]`.
#[derive(Clone, Copy)]
struct Elements<'a, T> {
    stored: &'a [T],
    scales: Option<&'a [f32]>,
}

#[inline(always)]
fn attend_block<L: Lanes>(out: &Shared<'_, f32>, q: &[f32], block: &Block<'_>, params: &Params) {
    fn floats<T>(stored: &[T]) -> Elements<'_, T> {
        Elements { stored, scales: None }
    }
    fn bytes(all: Bytes<'_>) -> Elements<'_, i8> {
        Elements {
            stored: all.numbers,
            scales: Some(all.scales),
        }
    }
    match block.source.layer {
        KvLayer::Q8 { keys, values } => attend_stored::<L, _>(out, q, block, params, bytes(keys), bytes(values)),
        KvLayer::F16 { keys, values } => attend_stored::<L, _>(out, q, block, params, floats(keys), floats(values)),
        KvLayer::F32 { keys, values } => attend_stored::<L, _>(out, q, block, params, floats(keys), floats(values)),
    }
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
    let dim = params.head_dim;
    let padded = dim.next_multiple_of(16);
    let group = params.heads / params.kv_heads;
    let rows = block.len * group;
    let first_page = block.span(0, group, params.window).from / PAGE_TOKENS;
    let last_page = block.span(rows - 1, group, params.window).to.div_ceil(PAGE_TOKENS);
    let columns = (last_page - first_page) * PAGE_TOKENS;
    // A page's scores of all rows are one column of lines. One line more a row, and they lie in different sets of a
    // near cache also where there is a power of two of them.
    let stride = columns + PAGE_TOKENS;
    // Row r of the block is head r % group of token r / group, so a token's rows lie side by side in q and out.
    let at = |row: usize| ((block.row + row / group) * params.heads + block.kv_head * group + row % group) * dim;

    let mut kept = [const { Vec::new() }; 3];
    let [scores, acc, room] = &mut kept;
    let scores = on_a_line(scores, rows * stride, f32::NEG_INFINITY);
    let acc = on_a_line(acc, rows * padded, 0.0);
    let widened = T::NARROW && rows > TILE;
    let copied = if widened || padded != dim {
        2 * PAGE_TOKENS * padded
    } else {
        0
    };
    let room = on_a_line(room, copied, 0.0);

    // Queries tile by tile, `[dim][TILE]`: one stream to read instead of six.
    let mut queries = vec![[0.0; TILE]; rows.div_ceil(TILE) * dim];
    for row in 0..rows {
        let tile = &mut queries[row / TILE * dim..][..dim];
        for (to, x) in tile.iter_mut().zip(&q[at(row)..][..dim]) {
            to[row % TILE] = *x;
        }
    }
    let view = View {
        rows,
        dim,
        stride,
        group,
        block,
        params,
    };
    let mut page = first_page;
    while page < last_page {
        let two = L::WIDE && page + 1 < last_page;
        view.ask_for::<L, T>(keys, page + 2..(page + if two { 4 } else { 3 }).min(last_page));
        let scores = &mut scores[(page - first_page) * PAGE_TOKENS..];
        let one = (view.of(keys.stored, page), view.scales(keys, page));
        if two {
            let next = (view.of(keys.stored, page + 1), view.scales(keys, page + 1));
            let scales = [one.1, next.1];
            if widened {
                let (a, b) = room.split_at_mut(dim * PAGE_TOKENS);
                widen_all::<L, T>(a, one.0);
                widen_all::<L, T>(b, next.0);
                view.score_pages::<L, f32, 2>(page, [&*a, &b[..dim * PAGE_TOKENS]], scales, &queries, scores);
            } else {
                view.score_pages::<L, T, 2>(page, [one.0, next.0], scales, &queries, scores);
            }
        } else if widened {
            widen_all::<L, T>(room, one.0);
            view.score_pages::<L, f32, 1>(page, [&room[..dim * PAGE_TOKENS]], [one.1], &queries, scores);
        } else {
            view.score_pages::<L, T, 1>(page, [one.0], [one.1], &queries, scores);
        }
        page += if two { 2 } else { 1 };
    }
    view.ask_for::<L, T>(values, first_page..(first_page + 2).min(last_page));
    let mut sums = vec![0.0; rows];
    for (row, sum) in scores.chunks_exact_mut(stride).zip(&mut sums) {
        *sum = softmax::unnormalized::<L>(&mut row[..columns]);
    }
    for page in first_page..last_page {
        view.ask_for::<L, T>(values, page + 2..(page + 3).min(last_page));
        let weights = &mut scores[(page - first_page) * PAGE_TOKENS..];
        if let Some(scales) = view.scales(values, page) {
            for row in weights.chunks_mut(stride) {
                if let Some(row) = row.first_chunk_mut() {
                    L::load(row).mul(L::load(scales)).store(row);
                }
            }
        }
        let stored = view.of(values.stored, page);
        if padded == dim && !widened {
            view.weigh_page::<L, T>(page, stored, weights, acc);
            continue;
        }
        let room = &mut room[..PAGE_TOKENS * padded];
        if padded == dim {
            widen_all::<L, T>(room, stored);
        } else {
            pad(room, padded, stored, dim);
        }
        view.weigh_page::<L, f32>(page, room, weights, acc);
    }
    for ((row, acc), sum) in acc.chunks_exact(padded).enumerate().zip(&sums) {
        let factor = 1.0 / sum;
        // SAFETY: rows of different tasks do not overlap: they differ in token or key/value head.
        let out = unsafe { out.slice(at(row), dim) };
        out.iter_mut().zip(acc).for_each(|(y, a)| *y = a * factor);
    }
}

/// `len` times `value`, from the beginning of a cache line on: a vector across two lines is loaded twice.
fn on_a_line(kept: &mut Vec<f32>, len: usize, value: f32) -> &mut [f32] {
    *kept = vec![value; len + LINE - 1];
    let from = kept.as_ptr().align_offset(size_of::<f32>() * LINE).min(LINE - 1);
    &mut kept[from..][..len]
}

impl Block<'_> {
    /// What row `row` sees.
    #[inline(always)]
    fn span(&self, row: usize, group: usize, window: Option<usize>) -> Span {
        let to = self.first_end + if self.causal { row / group } else { 0 };
        let from = match window {
            Some(window) => to.saturating_sub(window),
            None => 0,
        };
        Span { from, to }
    }
}

/// A task's shapes. Few rows read narrow pages directly; many rows read a page widened to f32 once.
struct View<'a> {
    rows: usize,
    dim: usize,
    /// Scores per row.
    stride: usize,
    /// Query heads per key/value head.
    group: usize,
    block: &'a Block<'a>,
    params: &'a Params,
}

impl View<'_> {
    #[inline(always)]
    fn slots(&self, row: usize, page: usize) -> std::ops::Range<usize> {
        self.block.span(row, self.group, self.params.window).slots(page)
    }

    /// Whether all rows see all of a page, as they do with most.
    #[inline(always)]
    fn whole(&self, page: usize) -> bool {
        let (first, last) = (
            self.block.span(0, self.group, self.params.window),
            self.block.span(self.rows - 1, self.group, self.params.window),
        );
        last.from <= page * PAGE_TOKENS && first.to >= (page + 1) * PAGE_TOKENS
    }

    /// This head's part of a page.
    #[inline(always)]
    fn of<'s, T>(&self, all: &'s [T], page: usize) -> &'s [T] {
        let len = self.dim * PAGE_TOKENS;
        &all[self.place(page, all.len() / len) * len..][..len]
    }

    /// The scales of this head's part of a page.
    #[inline(always)]
    fn scales<'s, T: Copy>(&self, of: Elements<'s, T>, page: usize) -> Option<&'s [f32; PAGE_TOKENS]> {
        of.scales.map(|scales| {
            let parts = scales.as_chunks().0;
            &parts[self.place(page, parts.len())]
        })
    }

    /// Which of a layer's `parts`, `[kv_head][page]`, is this head's of a page.
    #[inline(always)]
    fn place(&self, page: usize, parts: usize) -> usize {
        self.block.kv_head * (parts / self.params.kv_heads) + self.block.source.pages[page] as usize
    }

    /// Asks for the keys or values of pages that come next: pages lie anywhere, so the processor cannot know.
    #[inline(always)]
    fn ask_for<L: Lanes, T: Copy>(&self, of: Elements<'_, T>, pages: std::ops::Range<usize>) {
        for page in pages {
            let part = self.of(of.stored, page);
            ask::<L>(part.as_ptr().cast(), size_of_val(part));
            if let Some(scales) = self.scales(of, page) {
                ask::<L>(scales.as_ptr().cast(), size_of_val(scales));
            }
        }
    }

    /// Scores of all rows with the keys of PAGES pages, `[dim][16]` each; `scores` begins at the first page's column.
    #[inline(always)]
    fn score_pages<L: Lanes, T: Stored, const PAGES: usize>(
        &self,
        first: usize,
        keys: [&[T]; PAGES],
        scales: [Option<&[f32; PAGE_TOKENS]>; PAGES],
        queries: &[[f32; TILE]],
        scores: &mut [f32],
    ) {
        let whole = self.whole(first) && self.whole(first + PAGES - 1);
        for (tile, queries) in queries.chunks_exact(self.dim).enumerate() {
            let row = tile * TILE;
            let n = TILE.min(self.rows - row);
            let dots = match n {
                1 => in_tile(dots::<L, T, PAGES, 1>(keys, queries)),
                2 => in_tile(dots::<L, T, PAGES, 2>(keys, queries)),
                3 => in_tile(dots::<L, T, PAGES, 3>(keys, queries)),
                4 => in_tile(dots::<L, T, PAGES, 4>(keys, queries)),
                _ => dots::<L, T, PAGES, TILE>(keys, queries),
            };
            if whole {
                for i in 0..n {
                    let scores = &mut scores[(row + i) * self.stride..];
                    for (j, scores) in scores.as_chunks_mut().0.iter_mut().take(PAGES).enumerate() {
                        score(dots[j][i], scales[j], self.params).store(scores);
                    }
                }
                continue;
            }
            for j in 0..PAGES {
                for i in 0..n {
                    let slots = self.slots(row + i, first + j);
                    let scores = &mut scores[(row + i) * self.stride + j * PAGE_TOKENS..][..PAGE_TOKENS];
                    if slots.len() == PAGE_TOKENS {
                        if let Some(scores) = scores.first_chunk_mut() {
                            score(dots[j][i], scales[j], self.params).store(scores);
                        }
                    } else if !slots.is_empty() {
                        let mut lanes = [0.0; 16];
                        score(dots[j][i], scales[j], self.params).store(&mut lanes);
                        scores[slots.clone()].copy_from_slice(&lanes[slots]);
                    }
                }
            }
        }
    }

    /// Adds the values of a page, `[16][padded]`, times their weights; `weights` begins at the page's column.
    #[inline(always)]
    fn weigh_page<L: Lanes, T: Stored>(&self, page: usize, values: &[T], weights: &[f32], acc: &mut [f32]) {
        let padded = values.len() / PAGE_TOKENS;
        let whole = self.whole(page);
        let mut row = 0;
        while row < self.rows {
            // Rows that see the same slots go together.
            let slots = if whole { 0..PAGE_TOKENS } else { self.slots(row, page) };
            let mut n = if whole { TILE.min(self.rows - row) } else { 1 };
            while !whole && n < TILE && row + n < self.rows && self.slots(row + n, page) == slots {
                n += 1;
            }
            let weights = &weights[row * self.stride..];
            let acc = &mut acc[row * padded..];
            match n {
                1 => weighted::<L, T, 1>(acc, values, weights, self.stride, slots),
                2 => weighted::<L, T, 2>(acc, values, weights, self.stride, slots),
                3 => weighted::<L, T, 3>(acc, values, weights, self.stride, slots),
                4 => weighted::<L, T, 4>(acc, values, weights, self.stride, slots),
                5 => weighted::<L, T, 5>(acc, values, weights, self.stride, slots),
                _ => weighted::<L, T, TILE>(acc, values, weights, self.stride, slots),
            }
            row += n;
        }
    }
}

#[inline(always)]
fn in_tile<L: Lanes, const PAGES: usize, const N: usize>(lanes: [[L; N]; PAGES]) -> [[L; TILE]; PAGES] {
    let mut out = [[L::splat(0.0); TILE]; PAGES];
    for j in 0..PAGES {
        out[j][..N].copy_from_slice(&lanes[j]);
    }
    out
}

#[inline(always)]
fn score<L: Lanes>(dot: L, scales: Option<&[f32; PAGE_TOKENS]>, params: &Params) -> L {
    let dot = scales.map_or(dot, |scales| dot.mul(L::load(scales)));
    let score = dot.mul(L::splat(params.scale));
    match params.softcap {
        Some(cap) => maths::tanh(score.div(L::splat(cap))).mul(L::splat(cap)),
        None => score,
    }
}
