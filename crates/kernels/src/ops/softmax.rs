//! Softmax: e^(x - max) / sum, max and sum in 16 lanes that fold 16 -> 8 -> 4 -> 2 -> 1.

use super::maths;
use crate::cpu::{Isa, isa};
use crate::lanes::{Lanes, dispatch};

/// The largest of `x`.
#[inline(always)]
pub(crate) fn largest<L: Lanes>(x: &[f32]) -> f32 {
    let (blocks, tail) = x.as_chunks::<16>();
    let mut max = L::splat(f32::NEG_INFINITY);
    for block in blocks {
        max = max.max(L::load(block));
    }
    if !tail.is_empty() {
        max = max.max(L::load_tail(tail, f32::NEG_INFINITY));
    }
    max.largest()
}

/// Turns `x` into e^(x - max); returns the sum of them.
#[inline(always)]
fn exponentials<L: Lanes>(x: &mut [f32], max: f32) -> f32 {
    let (blocks, tail) = x.as_chunks_mut::<16>();
    let (mut sum, max) = (L::splat(0.0), L::splat(max));
    for block in blocks {
        let e = maths::exp(L::load(block).sub(max));
        e.store(block);
        sum = sum.add(e);
    }
    if !tail.is_empty() {
        let e = maths::exp(L::load_tail(tail, f32::NEG_INFINITY).sub(max));
        let mut lanes = [0.0; 16];
        e.store(&mut lanes);
        tail.copy_from_slice(&lanes[..tail.len()]);
        sum = sum.add(e);
    }
    sum.sum()
}

/// Turns scores, of which there is at least one, into e^(x - max); returns the sum of them.
#[inline(always)]
pub(crate) fn unnormalized<L: Lanes>(x: &mut [f32]) -> f32 {
    let max = largest::<L>(x);
    exponentials::<L>(x, max)
}

#[inline(always)]
fn softmax_lanes<L: Lanes>(x: &mut [f32]) {
    let factor = L::splat(1.0 / unnormalized::<L>(x));
    let (blocks, tail) = x.as_chunks_mut::<16>();
    for block in blocks {
        L::load(block).mul(factor).store(block);
    }
    let mut lanes = [0.0; 16];
    L::load_tail(tail, 0.0).mul(factor).store(&mut lanes);
    tail.copy_from_slice(&lanes[..tail.len()]);
}

#[inline(always)]
fn log_sum_exp_lanes<L: Lanes>(x: &[f32]) -> f32 {
    let max = largest::<L>(x);
    let (blocks, tail) = x.as_chunks::<16>();
    let shift = L::splat(max);
    let mut sum = L::splat(0.0);
    for block in blocks {
        sum = sum.add(maths::exp(L::load(block).sub(shift)));
    }
    if !tail.is_empty() {
        sum = sum.add(maths::exp(L::load_tail(tail, f32::NEG_INFINITY).sub(shift)));
    }
    max + sum.sum().ln()
}

pub(crate) fn softmax_on(isa: Isa, x: &mut [f32]) {
    dispatch!(isa, softmax_lanes(x: &mut [f32]));
}

/// Softmax of one row, in its place.
pub fn softmax(row: &mut [f32]) {
    softmax_on(isa(), row);
}

/// ln of the sum of e^x over a row: `x[i] - log_sum_exp(x)` is the log-probability of i.
#[must_use]
pub fn log_sum_exp(row: &[f32]) -> f32 {
    let isa = isa();
    dispatch!(isa, log_sum_exp_lanes(row: &[f32]) -> f32)
}
