//! Keys and values of a step on the way to their pages.

use half::f16;

use super::{KvLayerMut, PAGE_TOKENS, Segment};
use crate::cpu::{Isa, isa};
use crate::lanes::{Lanes, dispatch};
use crate::ops::activation::in_parts;
use crate::shared::Shared;
use crate::team::Team;

/// Writes this step's keys and values, `[T, kv_heads * head_dim]`, to their pages.
///
/// # Panics
/// If lengths or page numbers do not fit, or two tokens would go to one place.
pub fn store(
    team: &Team,
    kv: KvLayerMut<'_>,
    segments: &[Segment<'_>],
    k: &[f32],
    v: &[f32],
    kv_heads: usize,
    head_dim: usize,
) {
    match kv {
        KvLayerMut::F16 { keys, values } => rows(team, keys, values, segments, (k, v), (kv_heads, head_dim), halves_on),
        KvLayerMut::F32 { keys, values } => {
            rows(
                team,
                keys,
                values,
                segments,
                (k, v),
                (kv_heads, head_dim),
                |_, to, from| to.copy_from_slice(from),
            );
        }
    }
}

fn halves_on(isa: Isa, to: &mut [f16], from: &[f32]) {
    dispatch!(isa, halves(to: &mut [f16], from: &[f32]));
}

#[inline(always)]
fn halves<L: Lanes>(to: &mut [f16], from: &[f32]) {
    let (whole, rest) = to.as_chunks_mut::<16>();
    let (blocks, tail) = from.as_chunks::<16>();
    for (to, from) in whole.iter_mut().zip(blocks) {
        L::load(from).store_half(to);
    }
    if !tail.is_empty() {
        let mut last = [f16::ZERO; 16];
        L::load_tail(tail, 0.0).store_half(&mut last);
        rest.copy_from_slice(&last[..tail.len()]);
    }
}

fn rows<T: Copy + Default + Send>(
    team: &Team,
    keys: &mut [T],
    values: &mut [T],
    segments: &[Segment<'_>],
    (k, v): (&[f32], &[f32]),
    (kv_heads, head_dim): (usize, usize),
    narrow: impl Fn(Isa, &mut [T], &[f32]) + Sync,
) {
    let width = kv_heads * head_dim;
    // Page and slot of each token.
    let places: Vec<(usize, usize)> = segments
        .iter()
        .flat_map(|s| (s.past..s.past + s.len).map(|p| (s.pages[p / PAGE_TOKENS] as usize, p % PAGE_TOKENS)))
        .collect();
    assert!(
        k.len() == places.len() * width && v.len() == k.len(),
        "k and v are [T, kv_heads * head_dim]"
    );
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert!(
        sorted.is_sorted_by(|a, b| a != b),
        "two tokens of a step go to one place"
    );
    let (keys, values) = (Shared::new(keys), Shared::new(values));
    in_parts(team, places.len(), width, &|part| {
        let mut row = vec![T::default(); width];
        for token in part {
            let (page, slot) = places[token];
            narrow(isa(), &mut row, &k[token * width..][..width]);
            for (i, x) in row.iter().enumerate() {
                // SAFETY: each token has a slot of its own, `[page][kv_head][head_dim][slot]`.
                let key = unsafe { keys.slice((page * width + i) * PAGE_TOKENS + slot, 1) };
                key[0] = *x;
            }
            narrow(isa(), &mut row, &v[token * width..][..width]);
            for (head, row) in row.chunks_exact(head_dim).enumerate() {
                let at = ((page * kv_heads + head) * PAGE_TOKENS + slot) * head_dim;
                // SAFETY: likewise, `[page][kv_head][slot][head_dim]`.
                unsafe { values.slice(at, head_dim) }.copy_from_slice(row);
            }
        }
    });
}
