//! RMSNorm (Zhang & Sennrich 2019, arXiv:1910.07467): y = x / sqrt(mean(x^2) + eps) * w, and LayerNorm (Ba et al. 2016,
//! arXiv:1607.06450): y = (x - mean) / sqrt(mean((x - mean)^2) + eps) * w + b, row by row.
//!
//! Sums run in 16 lanes: lane `l` takes `x[l]`, `x[l + 16]`, ..., squares by fused multiply-add; lanes fold 16 -> 8 -> 4 -> 2 -> 1.

use super::activation::in_parts;
use crate::cpu::{Isa, isa};
use crate::lanes::{Lanes, dispatch};
use crate::shared::Shared;
use crate::team::Team;

/// Sum of (x - shift)^2.
#[inline(always)]
fn squares<L: Lanes>(x: &[f32], shift: f32) -> f32 {
    let (blocks, tail) = x.as_chunks::<16>();
    let (mut acc, shift_lanes) = (L::splat(0.0), L::splat(shift));
    for block in blocks {
        let d = L::load(block).sub(shift_lanes);
        acc = d.fma(d, acc);
    }
    if !tail.is_empty() {
        let d = L::load_tail(tail, shift).sub(shift_lanes);
        acc = d.fma(d, acc);
    }
    acc.sum()
}

#[inline(always)]
fn sum<L: Lanes>(x: &[f32]) -> f32 {
    let (blocks, tail) = x.as_chunks::<16>();
    let mut acc = L::splat(0.0);
    for block in blocks {
        acc = acc.add(L::load(block));
    }
    if !tail.is_empty() {
        acc = acc.add(L::load_tail(tail, 0.0));
    }
    acc.sum()
}

/// (x - shift) * factor * w, plus b where there is one.
#[inline(always)]
fn one<L: Lanes>(x: L, shift: f32, factor: f32, w: L, b: Option<L>) -> L {
    let y = x.sub(L::splat(shift)).mul(L::splat(factor));
    match b {
        Some(b) => y.fma(w, b),
        None => y.mul(w),
    }
}

/// `one` over a row.
#[inline(always)]
fn apply<L: Lanes>(y: &mut [f32], x: &[f32], shift: f32, factor: f32, w: &[f32], b: Option<&[f32]>) {
    let (whole, tail) = y.as_chunks_mut::<16>();
    let (xs, x_tail) = x.as_chunks::<16>();
    let (ws, w_tail) = w.as_chunks::<16>();
    let biases = b.map(|b| b.as_chunks::<16>());
    for (i, y) in whole.iter_mut().enumerate() {
        let b = biases.map(|(b, _)| L::load(&b[i]));
        one(L::load(&xs[i]), shift, factor, L::load(&ws[i]), b).store(y);
    }
    if !tail.is_empty() {
        let b = biases.map(|(_, b)| L::load_tail(b, 0.0));
        let mut lanes = [0.0; 16];
        one(L::load_tail(x_tail, 0.0), shift, factor, L::load_tail(w_tail, 0.0), b).store(&mut lanes);
        tail.copy_from_slice(&lanes[..tail.len()]);
    }
}

#[inline(always)]
fn rms<L: Lanes>(y: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
    for (y, x) in y.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
        let factor = 1.0 / (squares::<L>(x, 0.0) / w.len() as f32 + eps).sqrt();
        apply::<L>(y, x, 0.0, factor, w, None);
    }
}

#[inline(always)]
fn layer<L: Lanes>(y: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32) {
    for (y, x) in y.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
        let mean = sum::<L>(x) / w.len() as f32;
        let factor = 1.0 / (squares::<L>(x, mean) / w.len() as f32 + eps).sqrt();
        apply::<L>(y, x, mean, factor, w, Some(b));
    }
}

pub(crate) fn rms_on(isa: Isa, y: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
    dispatch!(isa, rms(y: &mut [f32], x: &[f32], w: &[f32], eps: f32));
}

pub(crate) fn layer_on(isa: Isa, y: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32) {
    dispatch!(isa, layer(y: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32));
}

/// RMSNorm of each row of `x` into `y`. Shapes: `x`, `y` `[rows, dim]`, `w` `[dim]`.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn rms_norm(team: &Team, y: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
    assert!(
        !w.is_empty() && x.len() == y.len() && x.len().is_multiple_of(w.len()),
        "x and y are [rows, dim]"
    );
    let y = Shared::new(y);
    in_parts(team, x.len() / w.len(), w.len(), &|part| {
        let (from, len) = (part.start * w.len(), part.len() * w.len());
        // SAFETY: parts do not overlap.
        rms_on(isa(), unsafe { y.slice(from, len) }, &x[from..][..len], w, eps);
    });
}

/// RMSNorm of each row of `x`, `[rows, dim]`, in its place: for the heads of queries and keys.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn rms_norm_in_place(team: &Team, x: &mut [f32], w: &[f32], eps: f32) {
    assert!(!w.is_empty() && x.len().is_multiple_of(w.len()), "x is [rows, dim]");
    let rows = x.len() / w.len();
    let x = Shared::new(x);
    in_parts(team, rows, w.len(), &|part| {
        let mut row = vec![0.0; w.len()];
        // SAFETY: parts do not overlap.
        let x = unsafe { x.slice(part.start * w.len(), part.len() * w.len()) };
        for x in x.chunks_exact_mut(w.len()) {
            row.copy_from_slice(x);
            rms_on(isa(), x, &row, w, eps);
        }
    });
}

/// LayerNorm of each row of `x` into `y`. Shapes: `x`, `y` `[rows, dim]`, `w`, `b` `[dim]`.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn layer_norm(team: &Team, y: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32) {
    assert!(!w.is_empty() && w.len() == b.len(), "w and b are [dim]");
    assert!(
        x.len() == y.len() && x.len().is_multiple_of(w.len()),
        "x and y are [rows, dim]"
    );
    let y = Shared::new(y);
    in_parts(team, x.len() / w.len(), w.len(), &|part| {
        let (from, len) = (part.start * w.len(), part.len() * w.len());
        // SAFETY: parts do not overlap.
        layer_on(isa(), unsafe { y.slice(from, len) }, &x[from..][..len], w, b, eps);
    });
}
