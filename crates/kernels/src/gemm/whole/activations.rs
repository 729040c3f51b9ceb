//! Activations as integers of 14 bits, laid out as the weights ask.

use super::STEP;
use super::weights::{Layout, whole_row_on};
use crate::cpu::Isa;
use crate::shared::Shared;
use crate::team::Team;

/// Tokens that are rounded together.
const TILE: usize = 16;

/// Integers and scales of all tokens.
#[derive(Debug)]
pub(in crate::gemm) struct Activations {
    /// Inputs, in whole steps.
    depth: usize,
    scales: Vec<f32>,
    integers: Integers,
}

#[derive(Debug)]
enum Integers {
    /// `[tokens, depth]`.
    Pairs(Vec<i16>),
    /// Of each 16 tokens, step by step.
    #[cfg(target_arch = "x86_64")]
    Bytes(Vec<super::amx::Block>),
}

impl Activations {
    /// Rounds `x`, `[tokens, cols]`.
    pub(in crate::gemm) fn new(isa: Isa, layout: Layout, x: &[f32], cols: usize, team: &Team) -> Self {
        let (tokens, depth) = (x.len() / cols, cols.next_multiple_of(STEP));
        let mut scales = vec![0.0; tokens];
        let shared_scales = Shared::new(&mut scales);
        let part = |i: usize| &x[i * TILE * cols..][..(x.len() - i * TILE * cols).min(TILE * cols)];
        let tiles = tokens.div_ceil(TILE);
        let integers = match layout {
            Layout::Pairs => {
                let mut q = vec![0; tokens * depth];
                let shared = Shared::new(&mut q);
                team.run(tiles, &|i| {
                    let rows = part(i).chunks_exact(cols);
                    // SAFETY: each tile is one task's own.
                    let (q, scales) = unsafe {
                        (
                            shared.slice(i * TILE * depth, rows.len() * depth),
                            shared_scales.slice(i * TILE, rows.len()),
                        )
                    };
                    for ((row, q), scale) in rows.zip(q.chunks_exact_mut(depth)).zip(scales) {
                        *scale = whole_row_on(isa, row, q);
                    }
                });
                Integers::Pairs(q)
            }
            #[cfg(target_arch = "x86_64")]
            Layout::Bytes => {
                let count = tiles * (depth / STEP);
                let mut blocks = Vec::with_capacity(count);
                let free = Shared::new(&mut blocks.spare_capacity_mut()[..count]);
                team.run(tiles, &|i| {
                    let x = part(i);
                    // SAFETY: each tile is one task's own; weights lie so only where the processor has the matrix unit.
                    unsafe {
                        let scales = shared_scales.slice(i * TILE, x.len() / cols);
                        super::amx::round(x, (cols, cols), free.slice(i * depth / STEP, depth / STEP), scales);
                    }
                });
                // SAFETY: `round` wrote each of them.
                unsafe { blocks.set_len(count) };
                Integers::Bytes(blocks)
            }
        };
        Activations {
            depth,
            scales,
            integers,
        }
    }

    pub(super) fn scale(&self, t: usize) -> f32 {
        self.scales[t]
    }

    /// The integers of token `t`, in whole steps.
    ///
    /// # Panics
    /// If they lie otherwise.
    pub(super) fn token(&self, t: usize) -> &[i16] {
        match &self.integers {
            Integers::Pairs(q) => &q[t * self.depth..][..self.depth],
            #[cfg(target_arch = "x86_64")]
            Integers::Bytes(_) => unreachable!("laid out for the matrix unit"),
        }
    }

    /// The blocks of the 16 tokens from `t` on.
    ///
    /// # Panics
    /// If they lie otherwise.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn tile(&self, t: usize) -> &[super::amx::Block] {
        match &self.integers {
            Integers::Bytes(blocks) => &blocks[t / TILE * (self.depth / STEP)..][..self.depth / STEP],
            Integers::Pairs(_) => unreachable!("laid out in pairs"),
        }
    }
}
