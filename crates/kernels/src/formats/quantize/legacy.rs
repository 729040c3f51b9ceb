//! Blocks of 32 weights with scales of their own. Q8_0 takes the largest weight as 127, the rule by which everyone
//! writes it; with 8 bits there is nothing to search for. The others search (`search`). What an error counts was chosen by
//! perplexity (docs/log.md, 2026-11-27): the same at every weight, but for Q4_0, whose few levels without a minimum do
//! better by the large weights.

use half::f16;

use super::Fit;
use super::search::{importance, round_into, scale, scale_and_min};
use crate::formats::{Parts, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};

/// Every weight counts the same.
const EVEN: [f32; 32] = [1.0; 32];

/// x ≈ d q with q in `low..-low`; `counts` says what an error at each weight counts.
#[inline(always)]
fn symmetric(x: &[f32], parts: &mut Parts, low: f32, counts: impl Fn(&[f32; 32]) -> [f32; 32]) {
    let Some(x) = x.first_chunk::<32>() else { return };
    let range = (low, -low - 1.0);
    parts.d = f16::from_f32(scale(x, &counts(x), range.0, range.1));
    round_into(&mut parts.q[..32], x, parts.d.to_f32(), 0.0, range);
}

/// x ≈ d q + m with q in `0..=high`.
#[inline(always)]
fn with_min(x: &[f32], parts: &mut Parts, high: f32) {
    let Some(x) = x.first_chunk::<32>() else { return };
    let (scale, min) = scale_and_min(x, &EVEN, high, false);
    (parts.d, parts.m) = (f16::from_f32(scale), f16::from_f32(min));
    round_into(&mut parts.q[..32], x, parts.d.to_f32(), parts.m.to_f32(), (0.0, high));
}

impl Fit for Q4_0 {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        symmetric(x, parts, -8.0, importance);
    }
}

impl Fit for Q5_0 {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        symmetric(x, parts, -16.0, |_| EVEN);
    }
}

impl Fit for Q4_1 {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        with_min(x, parts, 15.0);
    }
}

impl Fit for Q5_1 {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        with_min(x, parts, 31.0);
    }
}

impl Fit for Q8_0 {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        let largest = x.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let d = largest / 127.0;
        let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
        parts.d = f16::from_f32(d);
        for (q, x) in parts.q.iter_mut().zip(x) {
            *q = ((x * inverse).round() as i32 + 128) as u8;
        }
    }
}
