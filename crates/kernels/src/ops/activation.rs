//! Elementwise maps over rows, 16 lanes at a time.

use std::ops::Range;

use super::maths;
use crate::cpu::{Isa, isa};
use crate::lanes::{Lanes, dispatch};
use crate::shared::Shared;
use crate::team::Team;

/// y = f(y), 16 at a time. A macro: a closure that is not inlined would lose the instruction set.
macro_rules! map {
    ($L:ident, $y:ident, $v:ident => $f:expr) => {{
        let (blocks, tail) = $y.as_chunks_mut::<16>();
        for block in blocks {
            let $v = $L::load(block);
            $f.store(block);
        }
        if !tail.is_empty() {
            let mut lanes = [0.0; 16];
            let $v = $L::load_tail(tail, 0.0);
            $f.store(&mut lanes);
            tail.copy_from_slice(&lanes[..tail.len()]);
        }
    }};
}

/// y = f(y, x), likewise.
macro_rules! zip {
    ($L:ident, $y:ident, $x:ident, $a:ident, $b:ident => $f:expr) => {{
        assert_eq!($y.len(), $x.len(), "both sides have one length");
        let (blocks, tail) = $y.as_chunks_mut::<16>();
        let (others, rest) = $x.as_chunks::<16>();
        for (block, other) in blocks.iter_mut().zip(others) {
            let ($a, $b) = ($L::load(block), $L::load(other));
            $f.store(block);
        }
        if !tail.is_empty() {
            let mut lanes = [0.0; 16];
            let ($a, $b) = ($L::load_tail(tail, 0.0), $L::load_tail(rest, 0.0));
            $f.store(&mut lanes);
            tail.copy_from_slice(&lanes[..tail.len()]);
        }
    }};
}

/// The maps by name: one function per instruction set, so that a caller pays one branch per row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Map {
    Exp,
    Tanh,
    Silu,
    GeluTanh,
    GeluErf,
    Relu,
    Scale(f32),
    Softcap(f32),
}

#[inline(always)]
fn maps<L: Lanes>(which: Map, y: &mut [f32]) {
    match which {
        Map::Exp => map!(L, y, v => maths::exp(v)),
        Map::Tanh => map!(L, y, v => maths::tanh(v)),
        Map::Silu => map!(L, y, v => maths::silu(v)),
        Map::GeluTanh => map!(L, y, v => maths::gelu_tanh(v)),
        Map::GeluErf => map!(L, y, v => maths::gelu_erf(v)),
        Map::Relu => map!(L, y, v => L::splat(0.0).max(v)),
        Map::Scale(s) => map!(L, y, v => v.mul(L::splat(s))),
        Map::Softcap(cap) => map!(L, y, v => maths::tanh(v.div(L::splat(cap))).mul(L::splat(cap))),
    }
}

pub(crate) fn map_on(isa: Isa, which: Map, y: &mut [f32]) {
    dispatch!(isa, maps(which: Map, y: &mut [f32]));
}

/// Maps of two rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Zip {
    Add,
    Mul,
    SiluMul,
    GeluTanhMul,
    GeluErfMul,
}

#[inline(always)]
fn zips<L: Lanes>(which: Zip, y: &mut [f32], x: &[f32]) {
    match which {
        Zip::Add => zip!(L, y, x, a, b => a.add(b)),
        Zip::Mul => zip!(L, y, x, a, b => a.mul(b)),
        Zip::SiluMul => zip!(L, y, x, a, b => maths::silu(a).mul(b)),
        Zip::GeluTanhMul => zip!(L, y, x, a, b => maths::gelu_tanh(a).mul(b)),
        Zip::GeluErfMul => zip!(L, y, x, a, b => maths::gelu_erf(a).mul(b)),
    }
}

pub(crate) fn zip_on(isa: Isa, which: Zip, y: &mut [f32], x: &[f32]) {
    dispatch!(isa, zips(which: Zip, y: &mut [f32], x: &[f32]));
}

/// Elements that a thread takes at least, where each is read and written once: below, handing out the work costs more than
/// it saves.
const SHARE: usize = 1 << 13;
/// What an element of a map with a polynomial in it takes, in those.
const CURVE: usize = 8;

/// Calls `f` for ranges that together are `0..rows`, one for each thread where there is work enough.
pub(super) fn in_parts(team: &Team, rows: usize, width: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
    let parts = (rows * width / SHARE).clamp(1, team.threads()).min(rows.max(1));
    team.run(parts, &|i| f(rows * i / parts..rows * (i + 1) / parts));
}

/// Elements that are mapped without a seam: whole vectors, so that the last one alone may have a tail.
const LANES: usize = 16;

fn map(team: &Team, which: Map, y: &mut [f32]) {
    let len = y.len();
    let shared = Shared::new(y);
    let cost = if matches!(which, Map::Relu | Map::Scale(_)) {
        1
    } else {
        CURVE
    };
    in_parts(team, len.div_ceil(LANES), cost * LANES, &|part| {
        let from = part.start * LANES;
        // SAFETY: parts do not overlap.
        let y = unsafe { shared.slice(from, (part.end * LANES).min(len) - from) };
        map_on(isa(), which, y);
    });
}

fn zip(team: &Team, which: Zip, y: &mut [f32], x: &[f32]) {
    assert_eq!(y.len(), x.len(), "both sides have one length");
    let shared = Shared::new(y);
    let cost = if matches!(which, Zip::Add | Zip::Mul) { 1 } else { CURVE };
    in_parts(team, x.len().div_ceil(LANES), cost * LANES, &|part| {
        let (from, to) = (part.start * LANES, (part.end * LANES).min(x.len()));
        // SAFETY: parts do not overlap.
        zip_on(isa(), which, unsafe { shared.slice(from, to - from) }, &x[from..to]);
    });
}

/// y = e^y.
pub fn exp(team: &Team, y: &mut [f32]) {
    map(team, Map::Exp, y);
}
/// y = tanh y.
pub fn tanh(team: &Team, y: &mut [f32]) {
    map(team, Map::Tanh, y);
}
/// y = y / (1 + e^-y).
pub fn silu(team: &Team, y: &mut [f32]) {
    map(team, Map::Silu, y);
}
/// GELU by tanh.
pub fn gelu_tanh(team: &Team, y: &mut [f32]) {
    map(team, Map::GeluTanh, y);
}
/// GELU by erf.
pub fn gelu_erf(team: &Team, y: &mut [f32]) {
    map(team, Map::GeluErf, y);
}
/// y = max(y, 0).
pub fn relu(team: &Team, y: &mut [f32]) {
    map(team, Map::Relu, y);
}
/// y = s y.
pub fn scale(team: &Team, y: &mut [f32], s: f32) {
    map(team, Map::Scale(s), y);
}
/// y = cap tanh(y / cap).
pub fn softcap(team: &Team, y: &mut [f32], cap: f32) {
    map(team, Map::Softcap(cap), y);
}
/// y = y + x.
pub fn add(team: &Team, y: &mut [f32], x: &[f32]) {
    zip(team, Zip::Add, y, x);
}
/// y = y x.
pub fn mul(team: &Team, y: &mut [f32], x: &[f32]) {
    zip(team, Zip::Mul, y, x);
}
/// gate = silu(gate) up.
pub fn silu_mul(team: &Team, gate: &mut [f32], up: &[f32]) {
    zip(team, Zip::SiluMul, gate, up);
}
/// gate = gelu_tanh(gate) up.
pub fn gelu_tanh_mul(team: &Team, gate: &mut [f32], up: &[f32]) {
    zip(team, Zip::GeluTanhMul, gate, up);
}
/// gate = gelu_erf(gate) up.
pub fn gelu_erf_mul(team: &Team, gate: &mut [f32], up: &[f32]) {
    zip(team, Zip::GeluErfMul, gate, up);
}
/// Adds `x`, `[dim]`, to every row of `y`, `[rows, dim]`.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn add_to_rows(team: &Team, y: &mut [f32], x: &[f32]) {
    assert!(!x.is_empty() && y.len().is_multiple_of(x.len()), "y is [rows, dim]");
    let rows = y.len() / x.len();
    let shared = Shared::new(y);
    in_parts(team, rows, x.len(), &|part| {
        // SAFETY: parts do not overlap.
        let y = unsafe { shared.slice(part.start * x.len(), part.len() * x.len()) };
        y.chunks_exact_mut(x.len())
            .for_each(|row| zip_on(isa(), Zip::Add, row, x));
    });
}
