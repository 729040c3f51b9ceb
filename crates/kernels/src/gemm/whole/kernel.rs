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
    fn ask<L: Tile>(&self, tokens: Range<usize>, groups: Range<usize>) {
        for t in tokens {
            for g in groups.clone() {
                L::prefetch(self.out.at(t * self.rows + g * ROWS).cast());
            }
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

/// A task's products, N tokens at a time by G groups, which take each pair of activations once for all: as many as the
/// dots' and both parts' registers are there for.
#[inline(always)]
pub(super) fn part<L: Tile, const G: usize, const N: usize>(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    let mut g = place.groups.start;
    while g < place.groups.end {
        let all = g + G <= place.groups.end;
        let mut t = place.tokens.start;
        while t < place.tokens.end {
            t += match (all, place.tokens.end - t >= N) {
                (true, true) => products::<L, G, N>(acts, w, place, t, g),
                (true, false) => products::<L, G, 1>(acts, w, place, t, g),
                (false, true) => products::<L, 1, N>(acts, w, place, t, g),
                (false, false) => products::<L, 1, 1>(acts, w, place, t, g),
            };
        }
        g += if all { G } else { 1 };
    }
}

/// N tokens from `t` by G groups from `g`. Returns N.
#[inline(always)]
fn products<L: Tile, const G: usize, const N: usize>(
    acts: &Activations,
    w: &WholeRows,
    place: &Place<'_>,
    t: usize,
    g: usize,
) -> usize {
    place.ask::<L>(t..t + N, g..g + G);
    let depth = acts.token(t).len();
    let mut a = [std::ptr::null::<i32>(); N];
    for i in 0..N {
        assert!(acts.token(t + i).len() == depth, "same inputs");
        a[i] = acts.token(t + i).as_ptr().cast();
    }
    let mut lines = [std::ptr::null::<u8>(); G];
    for j in 0..G {
        assert!(w.group(g + j).len() == depth * ROWS * 2, "same inputs");
        lines[j] = w.group(g + j).as_ptr();
    }
    // SAFETY: every token has `depth` inputs and every group a line for each two of them (asserted).
    let [high, sum] = unsafe { dots::<L, G, N>(a, lines, depth) };
    for j in 0..G {
        let end = place.end::<L>(w, g + j);
        for i in 0..N {
            place.put(&end, t + i, value::<L>(high[j][i], sum[j][i]), acts.scale(t + i));
        }
    }
    N
}

/// Dots of N rows with the rows of G groups, in the two parts that `value` takes: the upper halves of the sums of each 32
/// products, added up, and these sums themselves, modulo 2^32.
pub(crate) type Parts<L, const G: usize, const N: usize> = [[[<L as Tile>::Int; N]; G]; 2];

/// Dots of N rows of `depth` integers with the 16 rows of each of G groups, lines as of `Layout::Pairs`. What is beyond a multiple of 32 integers is left out.
///
/// # Safety
/// At each of `a` are `depth` integers, at each of `groups` 16 times as many.
#[inline(always)]
pub(crate) unsafe fn dots<L: Tile, const G: usize, const N: usize>(
    a: [*const i32; N],
    groups: [*const u8; G],
    depth: usize,
) -> Parts<L, G, N> {
    let (mut high, mut sum) = ([[L::bits(0); N]; G], [[L::bits(0); N]; G]);
    for block in 0..depth / 2 / PAIRS {
        let mut dots = [[L::bits(0); N]; G];
        for pair in block * PAIRS..(block + 1) * PAIRS {
            // SAFETY: as promised.
            unsafe {
                let mut w = [L::bits(0); G];
                for j in 0..G {
                    w[j] = L::line(groups[j].add(pair * ROWS * 4));
                }
                for i in 0..N {
                    let a = L::bits(a[i].add(pair).read_unaligned());
                    for j in 0..G {
                        dots[j][i] = L::dot(dots[j][i], w[j], a);
                    }
                }
            }
        }
        for j in 0..G {
            for i in 0..N {
                high[j][i] = L::plus_upper(high[j][i], dots[j][i]);
                sum[j][i] = L::plus(sum[j][i], dots[j][i]);
            }
        }
    }
    [high, sum]
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
