//! The products, once for all instruction sets: N tokens by a group of 16 rows.
//!
//! `fused` unpacks integers in registers and is for few tokens: memory is the limit. `panel` unpacks a stretch of inputs
//! to first-level cache once and runs many tokens over it, for G groups side by side: where there are registers enough, each
//! pair of activations is loaded once for all of them. Both follow the order that `gemm` states.

use super::activations::{Integers, Meta};
use super::tile::Tile;
use crate::formats::{Format, Layout, Planes, Quant, Scales};
use crate::gemm::pack::ROWS;

/// Steps of 32 inputs by 16 rows that are unpacked at a time: 16 KiB of integers.
const STRETCH: usize = 16;

/// An unpacked stretch; of G groups, each has its part of `STRETCH / G` steps.
#[repr(C, align(64))]
struct Panel {
    lines: [[u8; 64]; STRETCH * 16],
    scales: [[f32; ROWS]; STRETCH * 2],
    mins: [[f32; ROWS]; STRETCH * 2],
}

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
/// No closures and no iterator adaptors here and below: what is not surely inlined would lose the instruction set.
///
/// # Safety
/// A whole step of format Q lies at `step`.
#[inline(always)]
unsafe fn quad<L: Tile, Q: Quant, const QUAD: usize>(step: *const u8) -> [L::Int; 4] {
    let (at4, at8) = (4 * QUAD as i32, (QUAD % 2 * 8) as i32);
    // SAFETY: planes lie in the step, as `gemm::pack` lays them out.
    unsafe {
        match Q::LAYOUT.planes {
            Planes::B16 => [
                L::line(step.add(QUAD * 256)),
                L::line(step.add(QUAD * 256 + 64)),
                L::line(step.add(QUAD * 256 + 128)),
                L::line(step.add(QUAD * 256 + 192)),
            ],
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
unsafe fn scales<L: Tile, Q: Quant>(d: L, dmin: L, step: *const u8, g: usize) -> (L, L) {
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
unsafe fn header<L: Tile, Q: Quant>(unit: *const u8) -> (L, L) {
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

/// Where a token's integers and block data begin.
#[derive(Clone, Copy)]
struct Token {
    q: *const i16,
    meta: *const Meta,
}

impl Token {
    /// Input pair `at`, as the 32 bits that the products take.
    ///
    /// # Safety
    /// It exists.
    #[inline(always)]
    unsafe fn pair(&self, at: usize) -> i32 {
        // SAFETY: as promised.
        unsafe { self.q.add(2 * at).cast::<i32>().read_unaligned() }
    }
}

/// Dots start at minus offset times sum of activations.
#[inline(always)]
fn start<L: Tile, const N: usize>(layout: &Layout, tokens: &[Token; N], step: usize, g: usize) -> [L::Int; N] {
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

/// Adds the products of one pair of inputs.
///
/// # Safety
/// Input pair `at` exists in every token.
#[inline(always)]
unsafe fn multiply<L: Tile, const N: usize>(dots: &mut [L::Int; N], w: L::Int, tokens: &[Token; N], at: usize) {
    for t in 0..N {
        // SAFETY: as promised.
        dots[t] = L::dot(dots[t], w, L::bits(unsafe { tokens[t].pair(at) }));
    }
}

/// Adds the products of quad QUAD of block `step`.
///
/// # Safety
/// As for `quad` and `multiply`.
#[inline(always)]
unsafe fn quad_products<L: Tile, Q: Quant, const N: usize, const QUAD: usize>(
    dots: &mut [L::Int; N],
    packed: *const u8,
    tokens: &[Token; N],
    step: usize,
) {
    // SAFETY: as promised.
    unsafe {
        let w = quad::<L, Q, QUAD>(packed);
        let at = step * 16 + QUAD * 4;
        multiply::<L, N>(dots, w[0], tokens, at);
        multiply::<L, N>(dots, w[1], tokens, at + 1);
        multiply::<L, N>(dots, w[2], tokens, at + 2);
        multiply::<L, N>(dots, w[3], tokens, at + 3);
    }
}

/// acc = fma(dot, w_scale a_scale, acc), and the minimum's part.
///
/// # Safety
/// `step` is one of each token's blocks.
#[inline(always)]
unsafe fn finish<L: Tile, const N: usize>(
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
fn tokens<const N: usize>(acts: &Integers, first: usize, from_step: usize) -> [Token; N] {
    let mut tokens = [Token {
        q: std::ptr::null(),
        meta: std::ptr::null(),
    }; N];
    for (t, token) in tokens.iter_mut().enumerate() {
        let (q, meta) = acts.token(first + t);
        *token = Token {
            q: q[from_step * 32..].as_ptr(),
            meta: meta[from_step..].as_ptr(),
        };
    }
    tokens
}

#[inline(always)]
fn rows<L: Tile, const N: usize>(acc: [L; N]) -> [[f32; ROWS]; N] {
    let mut out = [[0.0; ROWS]; N];
    for t in 0..N {
        acc[t].store(&mut out[t]);
    }
    out
}

/// N tokens from `first` by one group, unpacking in registers.
#[inline(always)]
pub(super) fn fused<L: Tile, Q: Quant, const N: usize>(group: &[u8], acts: &Integers, first: usize) -> [[f32; 16]; N] {
    let layout = Q::LAYOUT;
    let tokens = tokens::<N>(acts, first, 0);
    assert_eq!(
        group.len() / layout.unit_bytes() * layout.steps() * 32,
        acts.token(first).0.len(),
        "same inputs"
    );
    let mut acc = [L::splat(0.0); N];
    for (u, unit) in group.chunks_exact(layout.unit_bytes()).enumerate() {
        // SAFETY: `unit` is a whole unit and holds `steps` whole steps; the tokens have as many blocks (asserted).
        unsafe {
            let (d, dmin) = header::<L, Q>(unit.as_ptr());
            for s in 0..layout.steps() {
                let step = unit.as_ptr().add(layout.header() + s * layout.step_bytes());
                let s = u * layout.steps() + s;
                let mut dots = start::<L, N>(&layout, &tokens, s, 0);
                quad_products::<L, Q, N, 0>(&mut dots, step, &tokens, s);
                quad_products::<L, Q, N, 1>(&mut dots, step, &tokens, s);
                if layout.groups == 2 {
                    finish(
                        &mut acc,
                        dots,
                        &layout,
                        &tokens,
                        (s, 0),
                        scales::<L, Q>(d, dmin, step, 0),
                    );
                    dots = start::<L, N>(&layout, &tokens, s, 1);
                }
                quad_products::<L, Q, N, 2>(&mut dots, step, &tokens, s);
                quad_products::<L, Q, N, 3>(&mut dots, step, &tokens, s);
                let g = layout.groups - 1;
                finish(
                    &mut acc,
                    dots,
                    &layout,
                    &tokens,
                    (s, g),
                    scales::<L, Q>(d, dmin, step, g),
                );
            }
        }
    }
    rows(acc)
}

/// All tokens from `first` by G groups, N at a time, unpacking stretch by stretch. `out` holds the results of each group's
/// tokens, as many for each.
#[inline(always)]
pub(super) fn panel<L: Tile, Q: Quant, const G: usize, const N: usize>(
    groups: [&[u8]; G],
    acts: &Integers,
    first: usize,
    out: &mut [&mut [[f32; 16]]; G],
) {
    let layout = Q::LAYOUT;
    let steps = groups[0].len() / layout.unit_bytes() * layout.steps();
    assert_eq!(steps * 32, acts.token(first).0.len(), "same inputs");
    let mut panel = Panel {
        lines: [[0; 64]; STRETCH * 16],
        scales: [[0.0; ROWS]; STRETCH * 2],
        mins: [[0.0; ROWS]; STRETCH * 2],
    };
    let tokens_of = out[0].len();
    for j in 0..G {
        assert!(
            out[j].len() == tokens_of && groups[j].len() == groups[0].len(),
            "like groups"
        );
        out[j].fill([0.0; 16]);
    }
    for from in (0..steps).step_by(STRETCH / G) {
        let count = (STRETCH / G).min(steps - from);
        for j in 0..G {
            unpack::<L, Q>(groups[j], (from, count), j * (STRETCH / G), &mut panel);
        }
        let mut t = 0;
        while t + N <= tokens_of {
            stretch::<L, Q, G, N>(&panel, count, &tokens(acts, first + t, from), out, t);
            t += N;
        }
        while t + 2 <= tokens_of {
            stretch::<L, Q, G, 2>(&panel, count, &tokens(acts, first + t, from), out, t);
            t += 2;
        }
        if t < tokens_of {
            stretch::<L, Q, G, 1>(&panel, count, &tokens(acts, first + t, from), out, t);
        }
    }
}

#[inline(always)]
fn put<L: Tile>(w: [L::Int; 4], lines: &mut [[u8; 64]]) {
    for (line, w) in lines.iter_mut().zip(w) {
        // SAFETY: a line is 64 bytes.
        unsafe { L::put(w, line.as_mut_ptr()) };
    }
}

/// Unpacks `count` steps of a group to the panel's steps from `to` on.
#[inline(always)]
fn unpack<L: Tile, Q: Quant>(group: &[u8], (from, count): (usize, usize), to: usize, panel: &mut Panel) {
    let layout = Q::LAYOUT;
    for s in 0..count {
        let (at, to) = (from + s, to + s);
        let unit = &group[at / layout.steps() * layout.unit_bytes()..][..layout.unit_bytes()];
        let lines = &mut panel.lines[to * 16..][..16];
        // SAFETY: `unit` is whole and step `at % steps` lies in it; `lines` has 16 lines.
        unsafe {
            let step = unit
                .as_ptr()
                .add(layout.header() + at % layout.steps() * layout.step_bytes());
            put::<L>(quad::<L, Q, 0>(step), &mut lines[..4]);
            put::<L>(quad::<L, Q, 1>(step), &mut lines[4..8]);
            put::<L>(quad::<L, Q, 2>(step), &mut lines[8..12]);
            put::<L>(quad::<L, Q, 3>(step), &mut lines[12..]);
            let (d, dmin) = header::<L, Q>(unit.as_ptr());
            for g in 0..layout.groups {
                let (scale, min) = scales::<L, Q>(d, dmin, step, g);
                scale.store(&mut panel.scales[to * layout.groups + g]);
                min.store(&mut panel.mins[to * layout.groups + g]);
            }
        }
    }
}

/// N tokens, whose results begin at `at` of each group's, by the unpacked steps of G groups.
#[inline(always)]
fn stretch<L: Tile, Q: Quant, const G: usize, const N: usize>(
    panel: &Panel,
    count: usize,
    tokens: &[Token; N],
    out: &mut [&mut [[f32; 16]]; G],
    at: usize,
) {
    let layout = Q::LAYOUT;
    let pairs = 16 / layout.groups;
    let mut acc = [[L::splat(0.0); N]; G];
    for j in 0..G {
        for t in 0..N {
            acc[j][t] = L::load(&out[j][at + t]);
        }
    }
    for s in 0..count {
        for g in 0..layout.groups {
            // SAFETY: block `s` of the stretch exists in tokens, and in each group's part of the panel.
            unsafe {
                let mut dots = [start::<L, N>(&layout, tokens, s, g); G];
                let lines = panel.lines.as_ptr().add(s * 16 + g * pairs).cast::<u8>();
                for p in 0..pairs {
                    let mut w = [L::bits(0); G];
                    for j in 0..G {
                        w[j] = L::line(lines.add((j * (STRETCH / G) * 16 + p) * 64));
                    }
                    for t in 0..N {
                        let pair = L::bits(tokens[t].pair(s * 16 + g * pairs + p));
                        for j in 0..G {
                            dots[j][t] = L::dot(dots[j][t], w[j], pair);
                        }
                    }
                }
                for j in 0..G {
                    let k = (j * (STRETCH / G) + s) * layout.groups + g;
                    let scale = L::load(&panel.scales[k]);
                    let min = if layout.mins() { L::load(&panel.mins[k]) } else { scale };
                    finish(&mut acc[j], dots[j], &layout, tokens, (s, g), (scale, min));
                }
            }
        }
    }
    for j in 0..G {
        for t in 0..N {
            acc[j][t].store(&mut out[j][at + t]);
        }
    }
}

/// N tokens by one group of float weights; `x` holds their rows of `cols`, one after another.
#[inline(always)]
pub(super) fn float<L: Tile, const N: usize>(format: Format, group: &[u8], x: &[f32], cols: usize) -> [[f32; 16]; N] {
    match format {
        Format::F32 => float_as::<L, N, 4>(false, group, x, cols),
        Format::F16 => float_as::<L, N, 2>(true, group, x, cols),
        _ => float_as::<L, N, 2>(false, group, x, cols),
    }
}

/// Weights of SIZE bytes, of 2 either f16 or bf16.
#[inline(always)]
fn float_as<L: Tile, const N: usize, const SIZE: usize>(
    half: bool,
    group: &[u8],
    x: &[f32],
    cols: usize,
) -> [[f32; 16]; N] {
    assert!(
        x.len() >= N * cols && group.len() == cols * ROWS * SIZE,
        "N rows of inputs, a line of weights for each"
    );
    let mut acc = [L::splat(0.0); N];
    for k in 0..cols {
        // SAFETY: line k holds ROWS weights of SIZE bytes, and each of the N rows holds `cols` inputs (asserted).
        unsafe {
            let line = group.as_ptr().add(k * ROWS * SIZE);
            let w = match (SIZE, half) {
                (4, _) => L::float32(line),
                (_, true) => L::halves(line),
                _ => L::brains(line),
            };
            for t in 0..N {
                acc[t] = w.fma(L::splat(*x.as_ptr().add(t * cols + k)), acc[t]);
            }
        }
    }
    rows(acc)
}
