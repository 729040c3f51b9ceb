//! Many tokens by a group of 16 rows: a stretch of inputs is unpacked to first-level cache once and many tokens run over it.

use super::kernel::{Task, Token, ahead, finish, four_fit, start, tokens, widen};
use super::pack::ROWS;
use super::tile::Tile;
use super::unpack::{bytes, header, quad, scales};
use crate::formats::Quant;

/// Steps of 32 inputs by 16 rows that are unpacked at a time: 16 KiB of integers.
const STRETCH: usize = 16;

/// An unpacked stretch; of bytes, the first 8 of a step's 16 lines are used.
#[repr(C, align(64))]
struct Panel {
    lines: [[u8; 64]; STRETCH * 16],
    scales: [[f32; ROWS]; STRETCH * 2],
    mins: [[f32; ROWS]; STRETCH * 2],
}

/// A task's products, unpacking stretch by stretch; with BYTES those of bytes, which the activations then have.
#[inline(always)]
pub(super) fn panel<L: Tile, Q: Quant, const BYTES: bool>(task: &Task<'_>, out: &mut [[f32; ROWS]]) {
    let layout = Q::LAYOUT;
    assert_eq!(out.len(), task.count * task.groups.len(), "results are [count][groups]");
    assert!(!BYTES || task.acts.in_bytes(), "activations in bytes");
    let inputs = task.acts.token(task.first).0.len();
    let mut panel = Panel {
        lines: [[0; 64]; STRETCH * 16],
        scales: [[0.0; ROWS]; STRETCH * 2],
        mins: [[0.0; ROWS]; STRETCH * 2],
    };
    out.fill([0.0; ROWS]);
    for (j, g) in task.groups.clone().enumerate() {
        let group = task.w.group(g);
        let steps = group.len() / layout.unit_bytes() * layout.steps();
        assert_eq!(steps * 32, inputs, "same inputs");
        for from in (0..steps).step_by(STRETCH) {
            let count = STRETCH.min(steps - from);
            unpack::<L, Q, BYTES>(group, (from, count), &mut panel);
            let at = Place { task, j, from, count };
            let mut t = 0;
            while t < task.count {
                t += match task.count - t {
                    1 => stretch::<L, Q, 1, BYTES>(&panel, at, t, out),
                    2 | 3 => stretch::<L, Q, 2, BYTES>(&panel, at, t, out),
                    _ => stretch::<L, Q, 4, BYTES>(&panel, at, t, out),
                };
            }
        }
    }
}

/// What was unpacked: `count` steps from step `from` on, of group `j` of a task.
#[derive(Clone, Copy)]
struct Place<'a> {
    task: &'a Task<'a>,
    j: usize,
    from: usize,
    count: usize,
}

#[inline(always)]
fn put<L: Tile, const COUNT: usize>(w: [L::Int; COUNT], lines: &mut [[u8; 64]]) {
    for (line, w) in lines.iter_mut().zip(w) {
        // SAFETY: a line is 64 bytes.
        unsafe { L::put(w, line.as_mut_ptr()) };
    }
}

/// Unpacks `count` steps of a group from step `from` on.
#[inline(always)]
fn unpack<L: Tile, Q: Quant, const BYTES: bool>(group: &[u8], (from, count): (usize, usize), panel: &mut Panel) {
    let layout = Q::LAYOUT;
    for to in 0..count {
        let at = from + to;
        let unit = &group[at / layout.steps() * layout.unit_bytes()..][..layout.unit_bytes()];
        let lines = &mut panel.lines[to * 16..][..16];
        // SAFETY: `unit` is whole and step `at % steps` lies in it; `lines` has 16 lines.
        unsafe {
            let step = unit
                .as_ptr()
                .add(layout.header() + at % layout.steps() * layout.step_bytes());
            ahead::<L>(step, layout.step_bytes());
            if BYTES {
                put::<L, 2>(bytes::<L, Q, 0>(step), &mut lines[..2]);
                put::<L, 2>(bytes::<L, Q, 1>(step), &mut lines[2..4]);
                put::<L, 2>(bytes::<L, Q, 2>(step), &mut lines[4..6]);
                put::<L, 2>(bytes::<L, Q, 3>(step), &mut lines[6..8]);
            } else {
                put::<L, 4>(quad::<L, Q, 0>(step), &mut lines[..4]);
                put::<L, 4>(quad::<L, Q, 1>(step), &mut lines[4..8]);
                put::<L, 4>(quad::<L, Q, 2>(step), &mut lines[8..12]);
                put::<L, 4>(quad::<L, Q, 3>(step), &mut lines[12..]);
            }
            let (d, dmin) = header::<L, Q>(unit.as_ptr());
            for g in 0..layout.groups {
                let (scale, min) = scales::<L, Q>(d, dmin, step, g);
                scale.store(&mut panel.scales[to * layout.groups + g]);
                min.store(&mut panel.mins[to * layout.groups + g]);
            }
        }
    }
}

/// Adds the products of scale group `g` of an unpacked step, number `s` of the stretch.
///
/// # Safety
/// Block `s` of the stretch exists in the tokens.
#[inline(always)]
unsafe fn words<L: Tile, Q: Quant, const N: usize>(
    dots: &mut [L::Int; N],
    lines: &[[u8; 64]],
    tokens: &[Token; N],
    (s, g): (usize, usize),
) {
    let pairs = 16 / Q::LAYOUT.groups;
    for p in g * pairs..(g + 1) * pairs {
        // SAFETY: as promised; a line is 64 bytes.
        unsafe {
            let w = L::line(lines[p].as_ptr());
            for t in 0..N {
                dots[t] = L::dot(dots[t], w, L::bits(tokens[t].pair(s * 16 + p)));
            }
        }
    }
}

/// As `words`, of bytes.
///
/// # Safety
/// Block `s` of the stretch exists in the tokens, as bytes.
#[inline(always)]
unsafe fn fours<L: Tile, Q: Quant, const N: usize>(
    dots: &mut [L::Int; N],
    lines: &[[u8; 64]],
    tokens: &[Token; N],
    (s, g): (usize, usize),
) {
    let all = 8 / Q::LAYOUT.groups;
    let at_once = if four_fit(Q::LAYOUT.planes) { 4 } else { 2 };
    let mut first = g * all;
    while first < (g + 1) * all {
        let mut parts = [L::bits(0); N];
        for i in first..first + at_once {
            // SAFETY: as promised; a line is 64 bytes.
            unsafe {
                let w = L::line(lines[i].as_ptr());
                for t in 0..N {
                    parts[t] = L::fours(parts[t], w, L::bits(tokens[t].four(s * 8 + i)));
                }
            }
        }
        widen::<L, N>(dots, &mut parts);
        first += at_once;
    }
}

/// Adds what the unpacked steps give for N tokens from the task's token `t` on. Returns N.
#[inline(always)]
fn stretch<L: Tile, Q: Quant, const N: usize, const BYTES: bool>(
    panel: &Panel,
    place: Place<'_>,
    t: usize,
    out: &mut [[f32; ROWS]],
) -> usize {
    let layout = Q::LAYOUT;
    let task = place.task;
    let tokens = &tokens::<N>(task.acts, task.first + t, place.from);
    let across = task.groups.len();
    let out = &mut out[t * across + place.j..];
    let mut acc = [L::splat(0.0); N];
    for i in 0..N {
        acc[i] = L::load(&out[i * across]);
    }
    for s in 0..place.count {
        for g in 0..layout.groups {
            // SAFETY: block `s` of the stretch exists in the tokens and in the panel.
            unsafe {
                let mut dots = start::<L, N>(&layout, tokens, s, g);
                let lines = &panel.lines[s * 16..][..16];
                if BYTES {
                    fours::<L, Q, N>(&mut dots, lines, tokens, (s, g));
                } else {
                    words::<L, Q, N>(&mut dots, lines, tokens, (s, g));
                }
                let k = s * layout.groups + g;
                let scale = L::load(&panel.scales[k]);
                let min = if layout.mins() { L::load(&panel.mins[k]) } else { scale };
                finish(&mut acc, dots, &layout, tokens, (s, g), (scale, min));
            }
        }
    }
    for i in 0..N {
        acc[i].store(&mut out[i * across]);
    }
    N
}
