//! The products of pairs of inputs, once for all instruction sets, and the scalar twin.

use std::ops::Range;

use super::ROWS;
use super::activations::Activations;
use super::weights::WholeRows;
use crate::gemm::pack::word;
use crate::gemm::tile::Tile;
use crate::shared::Shared;

/// Pairs of inputs whose products one sum of 32 bits holds.
const PAIRS: usize = 16;

/// What a task computes, and where its results go.
pub(super) struct Place<'a> {
    /// `[tokens, rows]`.
    pub(super) out: &'a Shared<'a, f32>,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) rows: usize,
    pub(super) tokens: Range<usize>,
    pub(super) groups: Range<usize>,
}

/// What the results of a group are finished with.
pub(super) struct End<L> {
    at: usize,
    count: usize,
    scale: L,
    bias: Option<L>,
}

impl Place<'_> {
    /// What the results of group `g` are finished with.
    #[inline(always)]
    pub(super) fn end<L: Tile>(&self, w: &WholeRows, g: usize) -> End<L> {
        let count = (self.rows - g * ROWS).min(ROWS);
        let bias = self.bias.map(|bias| &bias[g * ROWS..][..count]);
        End {
            at: g * ROWS,
            count,
            scale: L::load(w.scales(g)),
            bias: bias.map(|bias| match bias.as_array::<ROWS>() {
                Some(bias) => L::load(bias),
                None => L::load_tail(bias, 0.0),
            }),
        }
    }

    /// Asks for the lines of memory that results go to, so that none is waited for.
    #[inline(always)]
    fn ask<L: Tile>(&self, tokens: Range<usize>, g: usize) {
        for t in tokens {
            L::prefetch(self.out.at(t * self.rows + g * ROWS).cast());
        }
    }

    /// Stores dot * (w_scale * a_scale) + bias of token `t`.
    #[inline(always)]
    pub(super) fn put<L: Tile>(&self, end: &End<L>, t: usize, dot: L, a_scale: f32) {
        let mut v = dot.mul(end.scale.mul(L::splat(a_scale)));
        if let Some(bias) = end.bias {
            v = v.add(bias);
        }
        // SAFETY: each token and group is one task's own.
        let out = unsafe { self.out.slice(t * self.rows + end.at, end.count) };
        if let Some(out) = out.as_mut_array::<ROWS>() {
            v.store(out);
        } else {
            let mut row = [0.0; ROWS];
            v.store(&mut row);
            out.copy_from_slice(&row[..end.count]);
        }
    }
}

/// f32(2^16 high + low), rounded once: both parts are whole numbers below 2^24, so exact in f32.
#[inline(always)]
pub(crate) fn value<L: Tile>(high: L::Int, sum: L::Int) -> L {
    // Without the upper halves the wrapped sum is that of the lower ones: 126 of at most 2^16 - 1, which never wrap.
    let low = L::minus_upper(sum, high);
    L::float(high).fma(L::splat(65536.0), L::float(low))
}

/// A task's products, N tokens at a time: as many as the dots' and both parts' registers are there for. Where the last ones
/// are fewer, some are computed again.
#[inline(always)]
pub(super) fn part<L: Tile, const N: usize>(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    for g in place.groups.clone() {
        match place.tokens.len() {
            n if n >= N => tiles::<L, N>(acts, w, place, g),
            n if n >= 4 => tiles::<L, 4>(acts, w, place, g),
            _ => tiles::<L, 1>(acts, w, place, g),
        }
    }
}

/// The products of group `g` with all tokens, at least N.
#[inline(always)]
fn tiles<L: Tile, const N: usize>(acts: &Activations, w: &WholeRows, place: &Place<'_>, g: usize) {
    let end = place.end::<L>(w, g);
    for t in place.tokens.clone().step_by(N) {
        products::<L, N>(acts, w, place, t.min(place.tokens.end - N), (g, &end));
    }
}

/// N tokens from `t` by group `g`.
#[inline(always)]
fn products<L: Tile, const N: usize>(
    acts: &Activations,
    w: &WholeRows,
    place: &Place<'_>,
    t: usize,
    (g, end): (usize, &End<L>),
) {
    place.ask::<L>(t..t + N, g);
    let depth = acts.token(t).len();
    let mut a = [std::ptr::null(); N];
    for i in 0..N {
        assert!(acts.token(t + i).len() == depth, "same inputs");
        a[i] = acts.token(t + i).as_ptr();
    }
    assert!(w.group(g).len() == depth * ROWS * 2, "same inputs");
    // SAFETY: every token has `depth` inputs and the group a line for each two of them (asserted).
    let [high, sum] = unsafe { dots::<L, N>(a, w.group(g).as_ptr(), depth) };
    for i in 0..N {
        place.put(end, t + i, value::<L>(high[i], sum[i]), acts.scale(t + i));
    }
}

/// Dots of N rows with the rows of a group, in the two parts that `value` takes: the upper halves of the sums of each 32
/// products, added up, and these sums themselves, modulo 2^32.
pub(crate) type Parts<L, const N: usize> = [[<L as Tile>::Int; N]; 2];

/// Dots of N rows of `depth` integers with the 16 rows of a group, lines as of `Layout::Pairs`. What is beyond a multiple of 32
/// integers is left out.
///
/// # Safety
/// At each of `a` are `depth` integers, at `group` 16 times as many.
#[inline(always)]
pub(crate) unsafe fn dots<L: Tile, const N: usize>(
    mut a: [*const i16; N],
    mut group: *const u8,
    depth: usize,
) -> Parts<L, N> {
    let (mut high, mut sum) = ([L::bits(0); N], [L::bits(0); N]);
    for _ in 0..depth / 2 / PAIRS {
        let mut dots = [L::bits(0); N];
        // SAFETY: as promised: there are 16 more pairs.
        unsafe {
            four_pairs::<L, N, 0>(&mut dots, &a, group);
            four_pairs::<L, N, 1>(&mut dots, &a, group);
            four_pairs::<L, N, 2>(&mut dots, &a, group);
            four_pairs::<L, N, 3>(&mut dots, &a, group);
        }
        for i in 0..N {
            a[i] = a[i].wrapping_add(2 * PAIRS);
            high[i] = L::plus_upper(high[i], dots[i]);
            sum[i] = L::plus(sum[i], dots[i]);
        }
        group = group.wrapping_add(PAIRS * ROWS * 4);
    }
    [high, sum]
}

/// Adds the products of quad QUAD of 16 pairs. Each product reads its pair itself: instructions count where another program
/// shares the core.
///
/// # Safety
/// At each of `a` are 16 pairs, at `group` as many lines.
#[inline(always)]
unsafe fn four_pairs<L: Tile, const N: usize, const QUAD: usize>(
    dots: &mut [L::Int; N],
    a: &[*const i16; N],
    group: *const u8,
) {
    // SAFETY: as promised.
    unsafe {
        let w = L::line(group.add(4 * QUAD * ROWS * 4));
        for i in 0..N {
            dots[i] = L::dot_at::<QUAD, 0>(dots[i], w, a[i]);
        }
        let w = L::line(group.add((4 * QUAD + 1) * ROWS * 4));
        for i in 0..N {
            dots[i] = L::dot_at::<QUAD, 1>(dots[i], w, a[i]);
        }
        let w = L::line(group.add((4 * QUAD + 2) * ROWS * 4));
        for i in 0..N {
            dots[i] = L::dot_at::<QUAD, 2>(dots[i], w, a[i]);
        }
        let w = L::line(group.add((4 * QUAD + 3) * ROWS * 4));
        for i in 0..N {
            dots[i] = L::dot_at::<QUAD, 3>(dots[i], w, a[i]);
        }
    }
}

/// The scalar twin: it defines the bits.
pub(super) fn scalar(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    for g in place.groups.clone() {
        let lines = w.group(g).as_chunks::<2>().0.as_chunks::<{ 2 * ROWS }>().0;
        for t in place.tokens.clone() {
            let mut dots = [0i64; ROWS];
            for (line, a) in lines.iter().zip(acts.token(t).as_chunks::<2>().0) {
                for (r, dot) in dots.iter_mut().enumerate() {
                    let w = [0, 1].map(|parity| i16::from_ne_bytes(line[word(r, parity)]));
                    *dot += i64::from(w[0]) * i64::from(a[0]) + i64::from(w[1]) * i64::from(a[1]);
                }
            }
            for (r, dot) in dots.iter().enumerate().take(place.rows - g * ROWS) {
                let row = g * ROWS + r;
                let v = *dot as f32 * (w.scales(g)[r] * acts.scale(t));
                // SAFETY: each token and group is one task's own.
                let out = unsafe { place.out.slice(t * place.rows + row, 1) };
                out[0] = place.bias.map_or(v, |bias| v + bias[row]);
            }
        }
    }
}
