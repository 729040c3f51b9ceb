//! Attention of few tokens over a long context, cut finer than by key/value heads, so that all threads have a share: scores by
//! pages, then sums by elements. What is computed, and in which order, is as in one piece.

use std::ops::Range;

use super::kernel::{Block, on_a_line, with_elements};
use super::products::Stored;
use super::view::{Elements, TILE, View};
use super::{KvLayer, PAGE_TOKENS, Params};
use crate::cpu::Isa;
use crate::lanes::{Lanes, ask, dispatch};
use crate::ops::softmax;
use crate::shared::Shared;
use crate::team::Team;

/// Pages of a part at least: shorter ones are done sooner than another job has begun.
const PAGES: usize = 8;
/// Vectors of 16 elements of a part at least: of f16, a cache line.
const VECTORS: usize = 2;

/// In how many parts scores and sums are cut: only where there are fewer key/value heads than threads. Where memory is the limit,
/// threads that are not quite even lose less than rows of values read in pieces.
pub(super) fn parts(team: &Team, blocks: &[Block<'_>], params: &Params) -> Option<(usize, usize)> {
    let threads = team.threads();
    if blocks.is_empty() || blocks.len() >= threads {
        return None;
    }
    let views = blocks.iter().map(|block| View::new(block, params));
    let (rows, pages) = views.fold((0, usize::MAX), |(rows, pages), view| {
        (rows.max(view.rows), pages.min(view.pages().len()))
    });
    let even = |most: usize| {
        (1..=most)
            .find(|parts| (blocks.len() * parts).is_multiple_of(threads))
            .unwrap_or(most)
    };
    let parts = (even(pages / PAGES), even(params.head_dim / (16 * VECTORS)));
    (rows <= TILE && params.head_dim.is_multiple_of(16 * VECTORS) && parts.0.min(parts.1) > 1).then_some(parts)
}

/// Part `i` of `parts` of a range.
fn part(of: Range<usize>, i: usize, parts: usize) -> Range<usize> {
    of.start + of.len() * i / parts..of.start + of.len() * (i + 1) / parts
}

/// Attention of all blocks as two jobs, with their parts as `parts` says.
pub(super) fn run(
    isa: Isa,
    team: &Team,
    out: &Shared<'_, f32>,
    q: &[f32],
    (blocks, params): (&[Block<'_>], &Params),
    (scoring, summing): (usize, usize),
) {
    // Where each block's scores begin, `[rows][columns]`.
    let mut starts = vec![0];
    for block in blocks {
        let view = View::new(block, params);
        starts.push(starts[starts.len() - 1] + view.rows * view.pages().len() * PAGE_TOKENS);
    }
    let mut scores = vec![0.0; starts[blocks.len()]];
    let all = Shared::new(&mut scores);
    team.run(blocks.len() * scoring, &|i| {
        let (n, i) = (i / scoring, i % scoring);
        score_on(isa, (&all, starts[n]), q, (&blocks[n], params), (i, scoring));
    });
    team.run(blocks.len() * summing, &|i| {
        let (n, i) = (i / summing, i % summing);
        sum_on(
            isa,
            out,
            &scores[starts[n]..starts[n + 1]],
            (&blocks[n], params),
            (i, summing),
        );
    });
}

fn score_on(
    isa: Isa,
    scores: (&Shared<'_, f32>, usize),
    q: &[f32],
    block: (&Block<'_>, &Params),
    which: (usize, usize),
) {
    dispatch!(isa, score(scores: (&Shared<'_, f32>, usize), q: &[f32], block: (&Block<'_>, &Params), which: (usize, usize)));
}

#[inline(always)]
fn score<L: Lanes>(
    scores: (&Shared<'_, f32>, usize),
    q: &[f32],
    (block, params): (&Block<'_>, &Params),
    which: (usize, usize),
) {
    with_elements!(
        block.source.layer,
        score_stored::<L>(scores, q, View::new(block, params), which)
    );
}

/// Scores of some pages.
#[inline(always)]
fn score_stored<L: Lanes, T: Stored>(
    (scores, start): (&Shared<'_, f32>, usize),
    q: &[f32],
    mut view: View<'_>,
    (i, parts): (usize, usize),
    keys: Elements<'_, T>,
    _: Elements<'_, T>,
) {
    let all = view.pages();
    let pages = part(all.clone(), i, parts);
    let (columns, len) = (all.len() * PAGE_TOKENS, pages.len() * PAGE_TOKENS);
    view.stride = len + PAGE_TOKENS;
    let mut kept = Vec::new();
    let own = on_a_line(&mut kept, view.rows * view.stride, f32::NEG_INFINITY);
    let from = start + (pages.start - all.start) * PAGE_TOKENS;
    view.score::<L, T>(keys, pages, q, &mut [], own);
    for (row, own) in own.chunks_exact(view.stride).enumerate() {
        // SAFETY: tasks have other blocks or other columns.
        unsafe { scores.slice(from + row * columns, len) }.copy_from_slice(&own[..len]);
    }
}

fn sum_on(isa: Isa, out: &Shared<'_, f32>, scores: &[f32], block: (&Block<'_>, &Params), which: (usize, usize)) {
    dispatch!(isa, sum(out: &Shared<'_, f32>, scores: &[f32], block: (&Block<'_>, &Params), which: (usize, usize)));
}

#[inline(always)]
fn sum<L: Lanes>(out: &Shared<'_, f32>, scores: &[f32], (block, params): (&Block<'_>, &Params), which: (usize, usize)) {
    with_elements!(
        block.source.layer,
        sum_stored::<L>(out, scores, View::new(block, params), which)
    );
}

/// Sums of some elements.
#[inline(always)]
fn sum_stored<L: Lanes, T: Stored>(
    out: &Shared<'_, f32>,
    scores: &[f32],
    view: View<'_>,
    (i, parts): (usize, usize),
    _: Elements<'_, T>,
    values: Elements<'_, T>,
) {
    let (pages, vectors) = (view.pages(), part(0..view.dim / 16, i, parts));
    let columns = pages.len() * PAGE_TOKENS;
    let mut kept = [const { Vec::new() }; 2];
    let [weights, acc] = &mut kept;
    let weights = on_a_line(weights, view.rows * view.stride, 0.0);
    let acc = on_a_line(acc, view.rows * view.dim, 0.0);
    let ask_for = |page: usize| {
        if page < pages.end {
            for slot in view.of(values.stored, page).chunks_exact(view.dim) {
                ask::<L>(
                    slot[vectors.start * 16..].as_ptr().cast(),
                    vectors.len() * 16 * size_of::<T>(),
                );
            }
        }
    };
    (pages.start..pages.start + 2).for_each(ask_for);
    let mut sums = vec![0.0; view.rows];
    for ((row, scores), sum) in weights
        .chunks_exact_mut(view.stride)
        .zip(scores.chunks_exact(columns))
        .zip(&mut sums)
    {
        row[..columns].copy_from_slice(scores);
        *sum = softmax::unnormalized::<L>(&mut row[..columns]);
    }
    for page in pages.clone() {
        ask_for(page + 2);
        let weights = &mut weights[(page - pages.start) * PAGE_TOKENS..];
        view.scale_weights::<L, T>(values, page, weights);
        view.weigh_page::<L, T>(page, view.of(values.stored, page), weights, acc, vectors.clone());
    }
    let elements = vectors.start * 16..vectors.end * 16;
    for ((row, acc), sum) in acc.chunks_exact(view.dim).enumerate().zip(&sums) {
        let factor = 1.0 / sum;
        // SAFETY: tasks have other blocks or other elements.
        let out = unsafe { out.slice(view.at(row) + elements.start, elements.len()) };
        out.iter_mut()
            .zip(&acc[elements.clone()])
            .for_each(|(y, a)| *y = a * factor);
    }
}
