//! Products of float weights: `acc = fma(w, x, acc)`, input after input.
//!
//! Many tokens run over a group N at a time. Their inputs are set out side by side before, so that the N products of an input
//! take theirs from one place: N rows are N addresses, more than there are registers for.

use std::cell::Cell;

use super::activations::grow;
use super::kernel::ahead;
use super::pack::ROWS;
use super::tile::Tile;
use crate::formats::Format;
use crate::shared::Shared;
use crate::team::Team;

thread_local! {
    /// What the last layer's inputs lay in.
    static SPARE: Cell<Vec<f32>> = Cell::default();
}

/// Inputs of tokens, `width` tokens side by side: `[blocks][cols][width]`, the last block filled up with zeros.
#[derive(Debug)]
pub(super) struct SideBySide {
    width: usize,
    cols: usize,
    room: Vec<f32>,
}

impl Drop for SideBySide {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.room));
    }
}

impl SideBySide {
    /// Sets out `x`, `[tokens, cols]` row-major.
    pub(super) fn new(x: &[f32], cols: usize, width: usize, team: &Team) -> Self {
        let block = cols * width;
        let blocks = x.len().div_ceil(block);
        let mut room = SPARE.take();
        grow(&mut room, blocks * block, 0.0);
        let out = Shared::new(&mut room);
        team.run(blocks, &|b| {
            let rows = &x[b * block..x.len().min((b + 1) * block)];
            // SAFETY: each block is one task's own.
            set_out(rows, cols, width, unsafe { out.slice(b * block, block) });
        });
        SideBySide { width, cols, room }
    }

    /// The block that begins with token `t`, a multiple of the width.
    pub(super) fn block(&self, t: usize) -> &[f32] {
        let len = self.cols * self.width;
        &self.room[t / self.width * len..][..len]
    }
}

/// Writes rows of `cols` inputs as columns; some inputs at a time, so that what is written stays near.
fn set_out(rows: &[f32], cols: usize, width: usize, out: &mut [f32]) {
    const INPUTS: usize = 16;
    if rows.len() < out.len() {
        out.fill(0.0);
    }
    for from in (0..cols).step_by(INPUTS) {
        let out = &mut out[from * width..];
        for (t, row) in rows.chunks_exact(cols).enumerate() {
            for (column, x) in out.chunks_exact_mut(width).zip(row[from..].iter().take(INPUTS)) {
                column[t] = *x;
            }
        }
    }
}

/// N tokens by G groups of weights side by side. With SIDE, `x` is `[cols][N]`; without it their rows of `cols`, one after another.
/// A row's products are summed one after another, whatever stands beside it; several groups are for few tokens, whose products
/// would wait for each other.
#[inline(always)]
pub(super) fn float<L: Tile, const G: usize, const N: usize, const SIDE: bool>(
    format: Format,
    groups: [&[u8]; G],
    x: &[f32],
    cols: usize,
) -> [[[f32; ROWS]; N]; G] {
    match format {
        Format::F32 => float_as::<L, G, N, SIDE, 4>(false, groups, x, cols),
        Format::F16 => float_as::<L, G, N, SIDE, 2>(true, groups, x, cols),
        _ => float_as::<L, G, N, SIDE, 2>(false, groups, x, cols),
    }
}

/// Weights of SIZE bytes, of 2 either f16 or bf16.
#[inline(always)]
fn float_as<L: Tile, const G: usize, const N: usize, const SIDE: bool, const SIZE: usize>(
    half: bool,
    groups: [&[u8]; G],
    x: &[f32],
    cols: usize,
) -> [[[f32; ROWS]; N]; G] {
    let mut lines = [std::ptr::null(); G];
    for j in 0..G {
        assert!(
            x.len() >= N * cols && groups[j].len() == cols * ROWS * SIZE,
            "N times as many inputs as a group has lines of weights"
        );
        lines[j] = groups[j].as_ptr();
    }
    let mut acc = [[L::splat(0.0); N]; G];
    for k in 0..cols {
        for j in 0..G {
            // SAFETY: line k holds ROWS weights of SIZE bytes, and there are N times `cols` inputs (asserted).
            unsafe {
                let line = lines[j].add(k * ROWS * SIZE);
                ahead::<L>(line, ROWS * SIZE);
                let w = match (SIZE, half) {
                    (4, _) => L::float32(line),
                    (_, true) => L::halves(line),
                    _ => L::brains(line),
                };
                for t in 0..N {
                    let at = if SIDE { k * N + t } else { t * cols + k };
                    acc[j][t] = w.fma(L::splat(*x.as_ptr().add(at)), acc[j][t]);
                }
            }
        }
    }
    let mut out = [[[0.0; ROWS]; N]; G];
    for j in 0..G {
        for t in 0..N {
            acc[j][t].store(&mut out[j][t]);
        }
    }
    out
}
