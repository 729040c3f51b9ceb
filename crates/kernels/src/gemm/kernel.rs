//! The products, once for all instruction sets: N tokens by a group of 16 rows.
//!
//! `in_registers` unpacks integers in registers: for few tokens, where memory is the limit, and where 32 registers hold
//! eight tokens for any number. `gemm::panel` is for many tokens elsewhere, and takes its steps from here. Both follow the
//! order that `gemm` states.
//!
//! No closures and no iterator adaptors in kernels: what is not surely inlined would lose the instruction set.

use std::ops::Range;

use super::activations::{ByteBlock, Integers, Meta};
use super::pack::{ROWS, Weights};
use super::tile::Tile;
use super::unpack::{bytes, header, quad, scales};
use crate::formats::{Layout, Planes, Quant};
use crate::lanes::ask;

/// How far ahead weights are asked for. 1, 2, 4 and 8 KiB gave 22, 28, 31 and 31 GB/s (docs/log.md).
const AHEAD: usize = 4096;

/// Where a token's integers and block data begin.
#[derive(Clone, Copy)]
pub(super) struct Token {
    q: *const i16,
    /// Only where products are of bytes.
    bytes: *const ByteBlock,
    meta: *const Meta,
}

impl Token {
    /// Bytes `4 at` and on, as the 32 bits that the products take.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    pub(super) unsafe fn four(&self, at: usize) -> i32 {
        // SAFETY: as promised.
        unsafe { self.bytes.cast::<i32>().add(at).read_unaligned() }
    }

    /// Input pair `at`, as the 32 bits that the products take.
    ///
    /// # Safety
    /// It exists.
    #[inline(always)]
    pub(super) unsafe fn pair(&self, at: usize) -> i32 {
        // SAFETY: as promised.
        unsafe { self.q.add(2 * at).cast::<i32>().read_unaligned() }
    }
}

/// Dots start at minus offset times sum of activations.
#[inline(always)]
pub(super) fn start<L: Tile, const N: usize>(
    layout: &Layout,
    tokens: &[Token; N],
    step: usize,
    g: usize,
) -> [L::Int; N] {
    let mut dots = [L::bits(0); N];
    if layout.offset != 0 {
        let which = if layout.groups == 1 { 0 } else { 1 + g };
        for t in 0..N {
            // SAFETY: `step` is one of the token's blocks.
            dots[t] = L::bits(unsafe { -layout.offset * (*tokens[t].meta.add(step)).sum[which] });
        }
    }
    dots
}

/// Adds the products of pair I of quad QUAD of block `step`.
///
/// # Safety
/// The block exists in every token.
#[inline(always)]
unsafe fn multiply<L: Tile, const N: usize, const QUAD: usize, const I: usize>(
    dots: &mut [L::Int; N],
    w: L::Int,
    tokens: &[Token; N],
    step: usize,
) {
    for t in 0..N {
        // SAFETY: as promised.
        dots[t] = unsafe { L::dot_at::<QUAD, I>(dots[t], w, tokens[t].q.add(step * 32)) };
    }
}

/// Adds the products of half I of quad QUAD of block `step`, of bytes.
///
/// # Safety
/// The block exists in every token, as bytes.
#[inline(always)]
unsafe fn multiply_bytes<L: Tile, const N: usize, const QUAD: usize, const I: usize>(
    dots: &mut [L::Int; N],
    w: L::Int,
    tokens: &[Token; N],
    step: usize,
) {
    for t in 0..N {
        // SAFETY: as promised.
        dots[t] = unsafe { L::fours_at::<QUAD, I>(dots[t], w, tokens[t].bytes.add(step).cast()) };
    }
}

/// Adds the products of quad QUAD of block `step`.
///
/// # Safety
/// As for `quad` and `multiply`; with BYTES, `bytes` and `multiply_bytes`.
#[inline(always)]
unsafe fn quad_products<L: Tile, Q: Quant, const N: usize, const QUAD: usize, const BYTES: bool>(
    dots: &mut [L::Int; N],
    packed: *const u8,
    tokens: &[Token; N],
    step: usize,
) {
    // SAFETY: as promised.
    unsafe {
        if BYTES {
            let w = bytes::<L, Q, QUAD>(packed);
            multiply_bytes::<L, N, QUAD, 0>(dots, w[0], tokens, step);
            multiply_bytes::<L, N, QUAD, 1>(dots, w[1], tokens, step);
            return;
        }
        let w = quad::<L, Q, QUAD>(packed);
        multiply::<L, N, QUAD, 0>(dots, w[0], tokens, step);
        multiply::<L, N, QUAD, 1>(dots, w[1], tokens, step);
        multiply::<L, N, QUAD, 2>(dots, w[2], tokens, step);
        multiply::<L, N, QUAD, 3>(dots, w[3], tokens, step);
    }
}

/// Whether sums of 16 bits hold what four times `Tile::fours` gives, twice four products of a byte of up to 127: of 5 bits
/// 8 * 31 * 127 = 31496. Of 6 bits they hold half as many.
pub(super) const fn four_fit(planes: Planes) -> bool {
    !matches!(planes, Planes::B4B2 | Planes::B8)
}

/// Whether this path multiplies bytes of a format: sums of 16 bits do not hold 4 * 255 * 127.
pub(super) const fn has_bytes<L: Tile>(planes: Planes) -> bool {
    !(L::PARTS && matches!(planes, Planes::B8))
}

/// Adds sums of 16 bits to dots; they begin anew.
#[inline(always)]
pub(super) fn widen<L: Tile, const N: usize>(dots: &mut [L::Int; N], parts: &mut [L::Int; N]) {
    for t in 0..N {
        dots[t] = L::widen(dots[t], parts[t]);
        parts[t] = L::bits(0);
    }
}

/// Adds the products of two quads. Of few tokens in chains of their own, as far as registers go: a product waits for the
/// one before it, and a step of 16 in a row takes longer than the unit has work.
///
/// # Safety
/// As for `quad_products`.
#[inline(always)]
unsafe fn two_quads<L: Tile, Q: Quant, const N: usize, const FIRST: usize, const SECOND: usize, const BYTES: bool>(
    dots: &mut [L::Int; N],
    packed: *const u8,
    tokens: &[Token; N],
    step: usize,
) {
    // SAFETY: as promised.
    unsafe {
        if BYTES && L::PARTS {
            let mut parts = [L::bits(0); N];
            quad_products::<L, Q, N, FIRST, true>(&mut parts, packed, tokens, step);
            if !four_fit(Q::LAYOUT.planes) {
                widen::<L, N>(dots, &mut parts);
            }
            quad_products::<L, Q, N, SECOND, true>(&mut parts, packed, tokens, step);
            widen::<L, N>(dots, &mut parts);
            return;
        }
        quad_products::<L, Q, N, FIRST, BYTES>(dots, packed, tokens, step);
        if N > if L::WIDE { 4 } else { 2 } {
            quad_products::<L, Q, N, SECOND, BYTES>(dots, packed, tokens, step);
            return;
        }
        let mut more = [L::bits(0); N];
        quad_products::<L, Q, N, SECOND, BYTES>(&mut more, packed, tokens, step);
        for t in 0..N {
            dots[t] = L::plus(dots[t], more[t]);
        }
    }
}

/// Asks for the memory that a stream of weights reaches after `AHEAD` more bytes. The processor does so by itself, but not far
/// enough: a core then reads half of what the third-level cache gives.
#[inline(always)]
pub(super) fn ahead<L: Tile>(at: *const u8, bytes: usize) {
    ask::<L>(at.wrapping_add(AHEAD), bytes);
}

/// acc = fma(dot, w_scale a_scale, acc), and the minimum's part.
///
/// # Safety
/// `step` is one of each token's blocks.
#[inline(always)]
pub(super) unsafe fn finish<L: Tile, const N: usize>(
    acc: &mut [L; N],
    dots: [L::Int; N],
    layout: &Layout,
    tokens: &[Token; N],
    (step, g): (usize, usize),
    (scale, min): (L, L),
) {
    for t in 0..N {
        // SAFETY: as promised.
        let meta = unsafe { &*tokens[t].meta.add(step) };
        acc[t] = L::float(dots[t]).fma(scale.mul(L::splat(meta.scale)), acc[t]);
        if layout.mins() {
            let which = if layout.groups == 1 { 0 } else { 1 + g };
            acc[t] = min.fma(L::splat(meta.scaled[which]), acc[t]);
        }
    }
}

#[inline(always)]
pub(super) fn tokens<const N: usize>(acts: &Integers, first: usize, from_step: usize) -> [Token; N] {
    let mut tokens = [Token {
        q: std::ptr::null(),
        bytes: std::ptr::null(),
        meta: std::ptr::null(),
    }; N];
    for (t, token) in tokens.iter_mut().enumerate() {
        let (q, meta) = acts.token(first + t);
        *token = Token {
            q: q[from_step * 32..].as_ptr(),
            bytes: acts.bytes(first + t).as_ptr().wrapping_add(from_step),
            meta: meta[from_step..].as_ptr(),
        };
    }
    tokens
}

/// Groups of a layer by tokens from `first` on. Results are `[count][groups]`.
pub(super) struct Task<'a> {
    pub(super) w: &'a Weights,
    pub(super) groups: Range<usize>,
    pub(super) acts: &'a Integers,
    pub(super) first: usize,
    pub(super) count: usize,
}

/// A task's products, unpacking in registers, up to eight tokens at a time; with BYTES those of bytes, which the activations
/// then have.
#[inline(always)]
pub(super) fn in_registers<L: Tile, Q: Quant, const BYTES: bool>(task: &Task<'_>, out: &mut [[f32; ROWS]]) {
    assert_eq!(out.len(), task.count * task.groups.len(), "results are [count][groups]");
    assert!(!BYTES || task.acts.in_bytes(), "activations in bytes");
    let mut t = 0;
    while t < task.count {
        t += match task.count - t {
            1 => fused::<L, Q, 1, BYTES>(task, t, out),
            2 => fused::<L, Q, 2, BYTES>(task, t, out),
            3 => fused::<L, Q, 3, BYTES>(task, t, out),
            n if n >= 8 && L::WIDE => fused::<L, Q, 8, BYTES>(task, t, out),
            _ => fused::<L, Q, 4, BYTES>(task, t, out),
        };
    }
}

/// N tokens of a task from its token `t` on by all its groups. Returns N.
#[inline(always)]
fn fused<L: Tile, Q: Quant, const N: usize, const BYTES: bool>(
    task: &Task<'_>,
    t: usize,
    out: &mut [[f32; ROWS]],
) -> usize {
    let layout = Q::LAYOUT;
    let tokens = tokens::<N>(task.acts, task.first + t, 0);
    let inputs = task.acts.token(task.first).0.len();
    let across = task.groups.len();
    for (j, g) in task.groups.clone().enumerate() {
        let group = task.w.group(g);
        assert_eq!(
            group.len() / layout.unit_bytes() * layout.steps() * 32,
            inputs,
            "same inputs"
        );
        let mut acc = [L::splat(0.0); N];
        for (u, unit) in group.chunks_exact(layout.unit_bytes()).enumerate() {
            // SAFETY: `unit` is a whole unit and holds `steps` whole steps; the tokens have as many blocks (asserted).
            unsafe { unit_products::<L, Q, N, BYTES>(&mut acc, unit.as_ptr(), u * layout.steps(), &tokens) };
        }
        for i in 0..N {
            acc[i].store(&mut out[(t + i) * across + j]);
        }
    }
    N
}

/// Adds the products of a unit whose first step is `from`.
///
/// # Safety
/// A whole unit lies at `unit`, and the tokens have blocks for its steps.
#[inline(always)]
unsafe fn unit_products<L: Tile, Q: Quant, const N: usize, const BYTES: bool>(
    acc: &mut [L; N],
    unit: *const u8,
    from: usize,
    tokens: &[Token; N],
) {
    let layout = Q::LAYOUT;
    let last = layout.groups - 1;
    // SAFETY: as promised.
    unsafe {
        let (d, dmin) = header::<L, Q>(unit);
        for s in 0..layout.steps() {
            let step = unit.add(layout.header() + s * layout.step_bytes());
            ahead::<L>(step, layout.step_bytes());
            let s = from + s;
            let mut dots = start::<L, N>(&layout, tokens, s, 0);
            two_quads::<L, Q, N, 0, 1, BYTES>(&mut dots, step, tokens, s);
            if layout.groups == 2 {
                finish(acc, dots, &layout, tokens, (s, 0), scales::<L, Q>(d, dmin, step, 0));
                dots = start::<L, N>(&layout, tokens, s, 1);
            }
            two_quads::<L, Q, N, 2, 3, BYTES>(&mut dots, step, tokens, s);
            finish(
                acc,
                dots,
                &layout,
                tokens,
                (s, last),
                scales::<L, Q>(d, dmin, step, last),
            );
        }
    }
}
