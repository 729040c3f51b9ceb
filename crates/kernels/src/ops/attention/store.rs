//! Keys and values of a step on the way to their pages.

use half::f16;

use super::{BytesMut, KvLayerMut, PAGE_TOKENS, Segment};
use crate::cpu::{Isa, isa};
use crate::lanes::{Lanes, dispatch};
use crate::ops::activation::in_parts;
use crate::shared::Shared;
use crate::team::Team;

/// What an element of a key takes, in elements that are written one after another: it goes to a cache line of its own.
const SCATTERED: usize = 16;

/// Writes this step's keys and values, `[T, kv_heads * head_dim]`, to their pages.
///
/// As bytes, with a the largest magnitude of a head's key or value: scale = a / 127, n = x * (127 / a) rounded to the
/// nearest, ties to even. One whose a is below 1e-30 counts as zero; one that holds an infinity or NaN gets the scale NaN.
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
    store_on(isa(), team, kv, segments, (k, v), (kv_heads, head_dim));
}

pub(super) fn store_on(
    isa: Isa,
    team: &Team,
    kv: KvLayerMut<'_>,
    segments: &[Segment<'_>],
    x: (&[f32], &[f32]),
    shape: (usize, usize),
) {
    match kv {
        KvLayerMut::Q8 { keys, values } => {
            let (keys, values) = (Elements::bytes(keys), Elements::bytes(values));
            rows(team, keys, values, segments, x, shape, |to, scales, from| {
                bytes_on(isa, to, scales, from);
            });
        }
        KvLayerMut::F16 { keys, values } => {
            let (keys, values) = (Elements::floats(keys), Elements::floats(values));
            rows(team, keys, values, segments, x, shape, |to, _, from| {
                halves_on(isa, to, from)
            });
        }
        KvLayerMut::F32 { keys, values } => {
            let (keys, values) = (Elements::floats(keys), Elements::floats(values));
            rows(team, keys, values, segments, x, shape, |to, _, from| {
                to.copy_from_slice(from)
            });
        }
    }
}

/// All pages of a layer's keys or values, to write to; scales where they are whole numbers.
struct Elements<'a, T> {
    stored: Shared<'a, T>,
    scales: Option<Shared<'a, f32>>,
}

impl<'a, T> Elements<'a, T> {
    fn floats(all: &'a mut [T]) -> Self {
        Self {
            stored: Shared::new(all),
            scales: None,
        }
    }
}

impl<'a> Elements<'a, i8> {
    fn bytes(all: BytesMut<'a>) -> Self {
        Self {
            stored: Shared::new(all.numbers),
            scales: Some(Shared::new(all.scales)),
        }
    }
}

fn bytes_on(isa: Isa, to: &mut [i8], scales: &mut [f32], from: &[f32]) {
    dispatch!(isa, bytes(to: &mut [i8], scales: &mut [f32], from: &[f32]));
}

/// A token's heads, a scale each.
#[inline(always)]
fn bytes<L: Lanes>(to: &mut [i8], scales: &mut [f32], from: &[f32]) {
    let dim = from.len() / scales.len();
    let heads = to.chunks_exact_mut(dim).zip(from.chunks_exact(dim));
    for ((to, from), scale) in heads.zip(scales) {
        let largest = magnitude::<L>(from);
        let inverse = 127.0 / largest;
        if largest < 1e-30 || !largest.is_finite() {
            to.fill(0);
            *scale = if largest.is_finite() { 0.0 } else { f32::NAN };
            continue;
        }
        *scale = largest / 127.0;
        // |x| <= the largest, so the product rounds to 127 at most.
        let whole = |x: L| x.mul(L::splat(inverse)).round();
        let (whole_lanes, rest) = to.as_chunks_mut::<16>();
        let (blocks, tail) = from.as_chunks::<16>();
        for (to, from) in whole_lanes.iter_mut().zip(blocks) {
            whole(L::load(from)).store_bytes(to);
        }
        if !tail.is_empty() {
            let mut last = [0; 16];
            whole(L::load_tail(tail, 0.0)).store_bytes(&mut last);
            rest.copy_from_slice(&last[..tail.len()]);
        }
    }
}

/// The largest magnitude; infinity and NaN are above all numbers.
#[inline(always)]
fn magnitude<L: Lanes>(x: &[f32]) -> f32 {
    let (pairs, rest) = x.as_chunks::<32>();
    let pairs = pairs.iter().map(|pair| {
        let halves = pair.as_chunks::<16>().0;
        L::load(&halves[0]).magnitude(L::load(&halves[1]))
    });
    let rest = rest.chunks(16).map(|x| L::load_tail(x, 0.0).magnitude(L::splat(0.0)));
    // By the bits, as these are without a sign.
    f32::from_bits(pairs.chain(rest).map(f32::to_bits).max().unwrap_or(0))
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

/// `narrow` turns a token's row into what is stored, with a scale per head where there are scales.
fn rows<T: Copy + Default + Send>(
    team: &Team,
    keys: Elements<'_, T>,
    values: Elements<'_, T>,
    segments: &[Segment<'_>],
    (k, v): (&[f32], &[f32]),
    (kv_heads, head_dim): (usize, usize),
    narrow: impl Fn(&mut [T], &mut [f32], &[f32]) + Sync,
) {
    let width = kv_heads * head_dim;
    let pages = keys.stored.len() / (width * PAGE_TOKENS).max(1);
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
    in_parts(team, places.len(), width * SCATTERED, &|part| {
        let mut row = vec![T::default(); width];
        let mut scales = vec![0.0; kv_heads];
        let keep_scales = |of: &Elements<'_, T>, (page, slot): (usize, usize), scales: &[f32]| {
            let Some(all) = &of.scales else { return };
            for (head, scale) in scales.iter().enumerate() {
                // SAFETY: each token has a slot of its own, `[kv_head][page][slot]`.
                let to = unsafe { all.slice((head * pages + page) * PAGE_TOKENS + slot, 1) };
                to[0] = *scale;
            }
        };
        for token in part {
            let (page, slot) = places[token];
            narrow(&mut row, &mut scales, &k[token * width..][..width]);
            keep_scales(&keys, places[token], &scales);
            for (head, row) in row.chunks_exact(head_dim).enumerate() {
                for (i, x) in row.iter().enumerate() {
                    let at = ((head * pages + page) * head_dim + i) * PAGE_TOKENS + slot;
                    // SAFETY: likewise, `[kv_head][page][head_dim][slot]`.
                    let key = unsafe { keys.stored.slice(at, 1) };
                    key[0] = *x;
                }
            }
            narrow(&mut row, &mut scales, &v[token * width..][..width]);
            keep_scales(&values, places[token], &scales);
            for (head, row) in row.chunks_exact(head_dim).enumerate() {
                let at = ((head * pages + page) * PAGE_TOKENS + slot) * head_dim;
                // SAFETY: likewise, `[kv_head][page][slot][head_dim]`.
                unsafe { values.stored.slice(at, head_dim) }.copy_from_slice(row);
            }
        }
    });
}
