//! Packed weights to integers in registers, as the kernels multiply them: shifts and masks of whole lines.

use super::tile::Tile;
use crate::formats::{Planes, Quant, Scales};

/// The same 16 bits 32 times.
#[inline(always)]
fn words<L: Tile>(v: i32) -> L::Int {
    L::bits(v | v << 16)
}

/// Bits `mask << from` of each word, moved to `mask << to`; `mask` is given moved.
#[inline(always)]
fn moved<L: Tile>(a: L::Int, from: i32, to: i32, mask: i32) -> L::Int {
    if from == to {
        L::and(a, words::<L>(mask))
    } else if from > to {
        L::and(L::right(a, from - to), words::<L>(mask))
    } else {
        L::and(L::left(a, to - from), words::<L>(mask))
    }
}

/// Four pairs of inputs (8 inputs), number QUAD of a step, as 16-bit integers.
///
/// # Safety
/// A whole step of format Q lies at `step`.
#[inline(always)]
pub(super) unsafe fn quad<L: Tile, Q: Quant, const QUAD: usize>(step: *const u8) -> [L::Int; 4] {
    let (at4, at8) = (4 * QUAD as i32, (QUAD % 2 * 8) as i32);
    // SAFETY: planes lie in the step, as `gemm::pack` lays them out.
    unsafe {
        match Q::LAYOUT.planes {
            Planes::B8 => {
                let (a, b) = (L::line(step.add(QUAD * 128)), L::line(step.add(QUAD * 128 + 64)));
                let m = words::<L>(255);
                [L::and(a, m), L::right(a, 8), L::and(b, m), L::right(b, 8)]
            }
            Planes::B4 => nibbles::<L>(L::line(step.add(QUAD * 64))),
            Planes::B4B1 => {
                let low = nibbles::<L>(L::line(step.add(QUAD * 64)));
                let a = L::line(step.add(256));
                [
                    L::or(low[0], moved::<L>(a, at4, 4, 16)),
                    L::or(low[1], moved::<L>(a, at4 + 1, 4, 16)),
                    L::or(low[2], moved::<L>(a, at4 + 2, 4, 16)),
                    L::or(low[3], moved::<L>(a, at4 + 3, 4, 16)),
                ]
            }
            Planes::B4B2 => {
                let low = nibbles::<L>(L::line(step.add(QUAD * 64)));
                let a = L::line(step.add(256 + QUAD / 2 * 64));
                [
                    L::or(low[0], moved::<L>(a, at8, 4, 48)),
                    L::or(low[1], moved::<L>(a, at8 + 2, 4, 48)),
                    L::or(low[2], moved::<L>(a, at8 + 4, 4, 48)),
                    L::or(low[3], moved::<L>(a, at8 + 6, 4, 48)),
                ]
            }
            Planes::B2 => twos::<L>(L::line(step.add(QUAD / 2 * 64)), at8),
            Planes::B2B1 => {
                let low = twos::<L>(L::line(step.add(QUAD / 2 * 64)), at8);
                let a = L::line(step.add(128));
                [
                    L::or(low[0], moved::<L>(a, at4, 2, 4)),
                    L::or(low[1], moved::<L>(a, at4 + 1, 2, 4)),
                    L::or(low[2], moved::<L>(a, at4 + 2, 2, 4)),
                    L::or(low[3], moved::<L>(a, at4 + 3, 2, 4)),
                ]
            }
        }
    }
}

/// The inputs of quad QUAD of a step as bytes: of each row inputs 0, 4, 1, 5 of eight, and 2, 6, 3, 7.
///
/// # Safety
/// A whole step of format Q lies at `step`.
#[inline(always)]
pub(super) unsafe fn bytes<L: Tile, Q: Quant, const QUAD: usize>(step: *const u8) -> [L::Int; 2] {
    // SAFETY: as promised.
    unsafe {
        if Q::LAYOUT.planes == Planes::B4 {
            // Nibbles lie in just this order.
            let (a, m) = (L::line(step.add(QUAD * 64)), words::<L>(0x0f0f));
            return [L::and(a, m), L::and(L::right(a, 4), m)];
        }
        let w = quad::<L, Q, QUAD>(step);
        [L::or(w[0], L::left(w[2], 8)), L::or(w[1], L::left(w[3], 8))]
    }
}

#[inline(always)]
fn nibbles<L: Tile>(a: L::Int) -> [L::Int; 4] {
    let m = words::<L>(15);
    [
        L::and(a, m),
        L::and(L::right(a, 4), m),
        L::and(L::right(a, 8), m),
        L::right(a, 12),
    ]
}

#[inline(always)]
fn twos<L: Tile>(a: L::Int, at: i32) -> [L::Int; 4] {
    [
        moved::<L>(a, at, 0, 3),
        moved::<L>(a, at + 2, 0, 3),
        moved::<L>(a, at + 4, 0, 3),
        moved::<L>(a, at + 6, 0, 3),
    ]
}

/// Scales and minima of scale group `g`.
///
/// # Safety
/// A whole step lies at `step`, the header of its unit is `super_scales`.
#[inline(always)]
pub(super) unsafe fn scales<L: Tile, Q: Quant>(d: L, dmin: L, step: *const u8, g: usize) -> (L, L) {
    let zero = L::splat(0.0);
    // SAFETY: scales follow the planes, as `gemm::pack` lays them out.
    unsafe {
        let at = step.add(Q::LAYOUT.planes.bytes());
        match Q::LAYOUT.scales {
            Scales::Half => (L::halves(at), zero),
            Scales::HalfMin => (L::halves(at), L::halves(at.add(32))),
            Scales::Super => (d.mul(L::bytes(at.add(16 * g))), zero),
            Scales::SuperMin => {
                let min = dmin.mul(L::bytes(at.add(32 * g + 16)));
                (d.mul(L::bytes(at.add(32 * g))), min.mul(L::splat(-1.0)))
            }
        }
    }
}

/// `d` and `dmin` of a unit.
///
/// # Safety
/// A whole unit lies at `unit`.
#[inline(always)]
pub(super) unsafe fn header<L: Tile, Q: Quant>(unit: *const u8) -> (L, L) {
    let zero = L::splat(0.0);
    // SAFETY: the header is the unit's first bytes.
    unsafe {
        match Q::LAYOUT.scales {
            Scales::Half | Scales::HalfMin => (zero, zero),
            Scales::Super => (L::halves(unit), zero),
            Scales::SuperMin => (L::halves(unit), L::halves(unit.add(32))),
        }
    }
}
