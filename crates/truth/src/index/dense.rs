//! Search by meaning: every vector is compared with the question's. A row is int8 values under one scale (its largest
//! magnitude is 127), the question has 14 bits, and the dot product of the integers is exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use candor_kernels::scan::{QUERY_MAX, dots};
use candor_kernels::team::Team;

use super::TextSet;
use super::rows::{BLOCK, Snapshot};

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
    let mut best: BinaryHeap<Reverse<Scored>> = BinaryHeap::with_capacity(limit + 1);
    let mut products = vec![0; BLOCK];
    for (n, block) in snapshot.blocks.iter().enumerate() {
        let products = &mut products[..block.scales.len()];
        dots(team, products, &block.values, &query);
        for (i, (dot, scale)) in products.iter().zip(&block.scales).enumerate() {
            let scored = Scored(*dot as f32 * scale * query_scale, n * BLOCK + i);
            let full = best.len() == limit;
            if full && best.peek().is_some_and(|Reverse(worst)| scored <= *worst) {
                continue;
            }
            if allowed.is_some_and(|texts| !texts.contains(block.rows[i].text)) {
                continue;
            }
            if full {
                best.pop();
            }
            best.push(Reverse(scored));
        }
    }
    let best = best.into_sorted_vec();
    best.into_iter()
        .map(|Reverse(Scored(score, row))| (row, score))
        .collect()
}
