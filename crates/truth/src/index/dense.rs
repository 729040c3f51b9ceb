//! Search by meaning: every vector is compared with the question's. A row is int8 values under one scale (its largest
//! magnitude is 127), the question has 14 bits, and the dot product of the integers is exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use candor_kernels::scan::{QUERY_MAX, dots};
use candor_kernels::team::Team;

use super::TextSet;
use super::rows::{BLOCK, Snapshot};

/// Rows that a thread scans at a time; a block has a whole number of them.
const PIECE: usize = BLOCK / 2;

/// Scale and values of a vector.
pub(super) fn quantize(vector: &[f32], values: &mut Vec<i8>) -> f32 {
    let largest = vector.iter().fold(0f32, |most, v| most.max(v.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    values.extend(vector.iter().map(|v| (v / scale).round() as i8));
    scale
}

fn quantize_query(vector: &[f32]) -> (f32, Vec<i16>) {
    let largest = vector.iter().fold(0f32, |most, v| most.max(v.abs()));
    let scale = if largest > 0.0 {
        largest / f32::from(QUERY_MAX)
    } else {
        1.0
    };
    (scale, vector.iter().map(|v| (v / scale).round() as i16).collect())
}

/// A score with its row: higher scores first, and of equal ones the earlier row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored(f32, usize);

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The `limit` rows nearest to `query`, nearest first, with their cosine.
pub(super) fn nearest(
    snapshot: &Snapshot,
    query: &[f32],
    limit: usize,
    allowed: Option<&TextSet>,
    team: &Team,
) -> Vec<(usize, f32)> {
    if query.len() != snapshot.commit.dim || limit == 0 {
        return Vec::new();
    }
    let (query_scale, query) = quantize_query(query);
    let pieces = |block: usize| {
        (0..snapshot.blocks[block].scales.len())
            .step_by(PIECE)
            .map(move |at| (block, at))
    };
    let pieces: Vec<_> = (0..snapshot.blocks.len()).flat_map(pieces).collect();
    let best = Mutex::new(Vec::new());
    team.run(pieces.len(), &|piece| {
        let (n, at) = pieces[piece];
        let block = &snapshot.blocks[n];
        let count = PIECE.min(block.scales.len() - at);
        let mut products = vec![0; count];
        dots(
            team,
            &mut products,
            &block.values[at * query.len()..][..count * query.len()],
            &query,
        );
        let scored = products
            .iter()
            .zip(&block.scales[at..])
            .enumerate()
            .map(|(i, (dot, scale))| {
                let allowed = move || allowed.is_none_or(|texts| texts.contains(block.rows[at + i].text));
                (Scored(*dot as f32 * scale * query_scale, n * BLOCK + at + i), allowed)
            });
        let of_piece = highest(scored, limit);
        best.lock().unwrap_or_else(PoisonError::into_inner).extend(of_piece);
    });
    let mut best = best.into_inner().unwrap_or_else(PoisonError::into_inner);
    best.sort_unstable_by(|a, b| b.cmp(a));
    best.truncate(limit);
    best.into_iter().map(|Scored(score, row)| (row, score)).collect()
}

/// The `limit` highest of those that are allowed, in no order.
fn highest(scored: impl Iterator<Item = (Scored, impl Fn() -> bool)>, limit: usize) -> Vec<Scored> {
    let mut best: BinaryHeap<Reverse<Scored>> = BinaryHeap::new();
    for (scored, allowed) in scored {
        let full = best.len() == limit;
        // Whether a row is allowed takes longer to say than whether it is high enough.
        if (full && best.peek().is_some_and(|Reverse(worst)| scored <= *worst)) || !allowed() {
            continue;
        }
        if full {
            best.pop();
        }
        best.push(Reverse(scored));
    }
    best.into_iter().map(|Reverse(scored)| scored).collect()
}
