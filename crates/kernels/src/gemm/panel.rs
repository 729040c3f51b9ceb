//! Many tokens by G groups of 16 rows: a stretch of inputs is unpacked to first-level cache once and many tokens run over it.
//! Where there are registers enough, each pair of activations is loaded once for all groups.

use super::activations::Integers;
use super::kernel::{Token, ahead, finish, start, tokens};
use super::pack::ROWS;
use super::tile::Tile;
use super::unpack::{header, quad, scales};
use crate::formats::Quant;

/// Steps of 32 inputs by 16 rows that are unpacked at a time: 16 KiB of integers.
const STRETCH: usize = 16;

/// An unpacked stretch; of G groups, each has its part of `STRETCH / G` steps.
#[repr(C, align(64))]
struct Panel {
    lines: [[u8; 64]; STRETCH * 16],
    scales: [[f32; ROWS]; STRETCH * 2],
    mins: [[f32; ROWS]; STRETCH * 2],
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
            ahead::<L>(step, layout.step_bytes());
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
