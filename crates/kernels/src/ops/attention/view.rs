//! What a task of attention sees, and its products page by page.
//!
//! Rows of the block are (token, query head) pairs; a page is used for all of them, six at a time, which is what 16
//! vector registers hold. Where there are 32, two pages of keys or two vectors of values go together.

use super::kernel::Block;
use super::products::{Stored, dots, weighted, widen_all};
use super::{Bytes, PAGE_TOKENS, Params};
use crate::lanes::{Lanes, ask};
use crate::ops::maths;

/// Rows side by side.
pub(super) const TILE: usize = 6;

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
pub(super) struct Elements<'a, T> {
    pub(super) stored: &'a [T],
    scales: Option<&'a [f32]>,
}

impl<'a, T> Elements<'a, T> {
    pub(super) fn floats(stored: &'a [T]) -> Self {
        Elements { stored, scales: None }
    }
}

impl<'a> Elements<'a, i8> {
    pub(super) fn bytes(all: Bytes<'a>) -> Self {
        Elements {
            stored: all.numbers,
            scales: Some(all.scales),
        }
    }
}

/// A task's shapes. Few rows read narrow pages directly; many rows read a page widened to f32 once.
pub(super) struct View<'a> {
    pub(super) rows: usize,
    pub(super) dim: usize,
    /// Scores per row.
    pub(super) stride: usize,
    /// Query heads per key/value head.
    group: usize,
    block: &'a Block<'a>,
    params: &'a Params,
}

impl<'a> View<'a> {
    #[inline(always)]
    pub(super) fn new(block: &'a Block<'a>, params: &'a Params) -> Self {
        let group = params.heads / params.kv_heads;
        let mut view = View {
            rows: block.len * group,
            dim: params.head_dim,
            stride: 0,
            group,
            block,
            params,
        };
        // A page's scores of all rows are one column of lines. One line more a row, and they lie in different sets of a
        // near cache also where there is a power of two of them.
        view.stride = (view.pages().len() + 1) * PAGE_TOKENS;
        view
    }

    /// Pages that any row sees.
    #[inline(always)]
    pub(super) fn pages(&self) -> std::ops::Range<usize> {
        let (first, last) = (self.span(0), self.span(self.rows - 1));
        first.from / PAGE_TOKENS..last.to.div_ceil(PAGE_TOKENS)
    }

    /// Where row `row` begins in q and out: it is head `row % group` of token `row / group`, so that a token's rows lie side
    /// by side.
    #[inline(always)]
    pub(super) fn at(&self, row: usize) -> usize {
        let token = self.block.row + row / self.group;
        (token * self.params.heads + self.block.kv_head * self.group + row % self.group) * self.dim
    }

    /// What row `row` sees.
    #[inline(always)]
    fn span(&self, row: usize) -> Span {
        let block = self.block;
        let to = block.first_end + if block.causal { row / self.group } else { 0 };
        let from = match self.params.window {
            Some(window) => to.saturating_sub(window),
            None => 0,
        };
        Span { from, to }
    }

    /// Scores of all rows with the keys of `pages`, the first of which has the first column of `scores`. With room for two pages
    /// they are widened first.
    #[inline(always)]
    pub(super) fn score<L: Lanes, T: Stored>(
        &self,
        keys: Elements<'_, T>,
        pages: std::ops::Range<usize>,
        q: &[f32],
        room: &mut [f32],
        scores: &mut [f32],
    ) {
        let dim = self.dim;
        // Queries tile by tile, `[dim][TILE]`: one stream to read instead of six.
        let mut queries = vec![[0.0; TILE]; self.rows.div_ceil(TILE) * dim];
        for row in 0..self.rows {
            let tile = &mut queries[row / TILE * dim..][..dim];
            for (to, x) in tile.iter_mut().zip(&q[self.at(row)..][..dim]) {
                to[row % TILE] = *x;
            }
        }
        let (mut page, widened) = (pages.start, !room.is_empty());
        while page < pages.end {
            let two = L::WIDE && page + 1 < pages.end;
            self.ask_for::<L, T>(keys, page + 2..(page + if two { 4 } else { 3 }).min(pages.end));
            let scores = &mut scores[(page - pages.start) * PAGE_TOKENS..];
            let one = (self.of(keys.stored, page), self.scales(keys, page));
            if two {
                let next = (self.of(keys.stored, page + 1), self.scales(keys, page + 1));
                let scales = [one.1, next.1];
                if widened {
                    let (a, b) = room.split_at_mut(dim * PAGE_TOKENS);
                    widen_all::<L, T>(a, one.0);
                    widen_all::<L, T>(b, next.0);
                    self.score_pages::<L, f32, 2>(page, [&*a, &b[..dim * PAGE_TOKENS]], scales, &queries, scores);
                } else {
                    self.score_pages::<L, T, 2>(page, [one.0, next.0], scales, &queries, scores);
                }
            } else if widened {
                widen_all::<L, T>(room, one.0);
                self.score_pages::<L, f32, 1>(page, [&room[..dim * PAGE_TOKENS]], [one.1], &queries, scores);
            } else {
                self.score_pages::<L, T, 1>(page, [one.0], [one.1], &queries, scores);
            }
            page += if two { 2 } else { 1 };
        }
    }

    /// Multiplies the weights of a page by the scales of its values, where they have some.
    #[inline(always)]
    pub(super) fn scale_weights<L: Lanes, T: Stored>(&self, values: Elements<'_, T>, page: usize, weights: &mut [f32]) {
        let Some(scales) = self.scales(values, page) else {
            return;
        };
        for row in weights.chunks_mut(self.stride) {
            if let Some(row) = row.first_chunk_mut() {
                L::load(row).mul(L::load(scales)).store(row);
            }
        }
    }

    #[inline(always)]
    fn slots(&self, row: usize, page: usize) -> std::ops::Range<usize> {
        self.span(row).slots(page)
    }

    /// Whether all rows see all of a page, as they do with most.
    #[inline(always)]
    fn whole(&self, page: usize) -> bool {
        let (first, last) = (self.span(0), self.span(self.rows - 1));
        last.from <= page * PAGE_TOKENS && first.to >= (page + 1) * PAGE_TOKENS
    }

    /// This head's part of a page.
    #[inline(always)]
    pub(super) fn of<'s, T>(&self, all: &'s [T], page: usize) -> &'s [T] {
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
    pub(super) fn ask_for<L: Lanes, T: Copy>(&self, of: Elements<'_, T>, pages: std::ops::Range<usize>) {
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

    /// Adds `vectors` (of 16 elements) of the values of a page, `[16][padded]`, times their weights; `weights` begins at the
    /// page's column.
    #[inline(always)]
    pub(super) fn weigh_page<L: Lanes, T: Stored>(
        &self,
        page: usize,
        values: &[T],
        weights: &[f32],
        acc: &mut [f32],
        vectors: std::ops::Range<usize>,
    ) {
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
                1 => weighted::<L, T, 1>(acc, values, (weights, self.stride), slots, vectors.clone()),
                2 => weighted::<L, T, 2>(acc, values, (weights, self.stride), slots, vectors.clone()),
                3 => weighted::<L, T, 3>(acc, values, (weights, self.stride), slots, vectors.clone()),
                4 => weighted::<L, T, 4>(acc, values, (weights, self.stride), slots, vectors.clone()),
                5 => weighted::<L, T, 5>(acc, values, (weights, self.stride), slots, vectors.clone()),
                _ => weighted::<L, T, TILE>(acc, values, (weights, self.stride), slots, vectors.clone()),
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
