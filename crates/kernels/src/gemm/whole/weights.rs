//! Weights as integers of 14 bits, laid out for the kernels of this machine.

use super::{LEAST, MOST, MOST_INPUTS, ROWS, STEP};
use crate::KernelError;
use crate::cpu::{Isa, isa};
use crate::gemm::buffer::Buffer;
use crate::gemm::pack::{check_floats, word};
use crate::lanes::{Lanes, dispatch};
use crate::shared::Shared;
use crate::team::Team;

/// How integers lie in memory, groups of 16 rows one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gemm) enum Layout {
    /// Of each pair of inputs a line of 32 i16, placed by `pack::word`.
    Pairs,
    /// For the matrix unit, in digits of 7 bits, q = 128 high + low with low in -64 ..= 63: of each step of 64 inputs the
    /// high digits, `[16][16 rows][4]` of i8, then the low ones. Four inputs from 4 j on lie at 4 (j mod 4) + j / 4, the
    /// order in which activations are packed.
    #[cfg(target_arch = "x86_64")]
    Bytes,
}

/// The digits of an integer.
#[cfg(target_arch = "x86_64")]
fn digits(q: i16) -> (i8, i8) {
    let high = (q + 64) >> 7;
    (high as i8, (q - 128 * high) as i8)
}

/// The weights of a linear layer as integers of 14 bits with a scale per row; owns its memory.
pub struct WholeRows {
    rows: usize,
    cols: usize,
    layout: Layout,
    /// One per row, zero where the last group has no row.
    scales: Vec<f32>,
    data: Buffer,
}

impl std::fmt::Debug for WholeRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WholeRows([{}, {}])", self.rows, self.cols)
    }
}

impl WholeRows {
    /// Rounds `values`, `[rows, cols]` row-major. `None` where one is not finite, or `cols` is beyond 4032.
    ///
    /// # Errors
    /// If the length does not fit the shape, or there is no memory.
    pub fn new(values: &[f32], rows: usize, cols: usize, team: &Team) -> Result<Option<Self>, KernelError> {
        Self::new_on(isa(), values, rows, cols, team)
    }

    pub(super) fn new_on(
        isa: Isa,
        values: &[f32],
        rows: usize,
        cols: usize,
        team: &Team,
    ) -> Result<Option<Self>, KernelError> {
        check_floats(values, rows, cols)?;
        if cols == 0 || cols > MOST_INPUTS || values.iter().any(|v| !v.is_finite()) {
            return Ok(None);
        }
        let layout = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Layout::Bytes,
            _ => Layout::Pairs,
        };
        let (groups, depth) = (rows.div_ceil(ROWS), cols.next_multiple_of(STEP));
        let mut data = Buffer::zeroed(groups * ROWS * depth * 2)?;
        let mut scales = vec![0.0; groups * ROWS];
        let (shared, shared_scales) = (Shared::new(data.bytes_mut()), Shared::new(&mut scales));
        team.run(groups, &|g| {
            // SAFETY: each group is one task's own.
            let (group, scales) = unsafe {
                (
                    shared.slice(g * ROWS * depth * 2, ROWS * depth * 2),
                    shared_scales.slice(g * ROWS, ROWS),
                )
            };
            let mut q = vec![0; depth];
            let rows = values[g * ROWS * cols..].chunks_exact(cols);
            for (r, (row, scale)) in rows.zip(scales).enumerate() {
                *scale = whole_row_on(isa, row, &mut q);
                q.iter().enumerate().for_each(|(k, q)| layout.put(group, r, k, *q));
            }
        });
        Ok(Some(WholeRows {
            rows,
            cols,
            layout,
            scales,
            data,
        }))
    }

    /// Outputs.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Writes the values of row `r`.
    ///
    /// # Panics
    /// If `r` is not a row or `out` not `cols` long.
    pub fn row(&self, r: usize, out: &mut [f32]) {
        assert!(r < self.rows, "row {r} of {}", self.rows);
        assert_eq!(out.len(), self.cols, "out is [cols]");
        let (group, scale) = (self.group(r / ROWS), self.scales(r / ROWS)[r % ROWS]);
        for (k, y) in out.iter_mut().enumerate() {
            *y = f32::from(self.layout.get(group, r % ROWS, k)) * scale;
        }
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn groups(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    /// The integers of group `g`.
    pub(super) fn group(&self, g: usize) -> &[u8] {
        let bytes = ROWS * self.cols.next_multiple_of(STEP) * 2;
        &self.data.bytes()[g * bytes..][..bytes]
    }

    /// The scales of group `g`.
    pub(super) fn scales(&self, g: usize) -> &[f32; ROWS] {
        &self.scales.as_chunks::<ROWS>().0[g]
    }
}

impl Layout {
    /// Where in a group the integer of row `r`, input `k` begins.
    fn at(self, r: usize, k: usize) -> usize {
        match self {
            Layout::Pairs => k / 2 * ROWS * 4 + word(r, k % 2) * 2,
            #[cfg(target_arch = "x86_64")]
            Layout::Bytes => {
                let four = k % STEP / 4;
                let four = four % 4 * 4 + four / 4;
                k / STEP * STEP * ROWS * 2 + (four * ROWS + r) * 4 + k % 4
            }
        }
    }

    fn put(self, group: &mut [u8], r: usize, k: usize, q: i16) {
        let at = self.at(r, k);
        match self {
            Layout::Pairs => group[at..][..2].copy_from_slice(&q.to_ne_bytes()),
            #[cfg(target_arch = "x86_64")]
            Layout::Bytes => {
                let (high, low) = digits(q);
                (group[at], group[at + STEP * ROWS]) = (high as u8, low as u8);
            }
        }
    }

    fn get(self, group: &[u8], r: usize, k: usize) -> i16 {
        let at = self.at(r, k);
        match self {
            Layout::Pairs => i16::from_ne_bytes([group[at], group[at + 1]]),
            #[cfg(target_arch = "x86_64")]
            Layout::Bytes => 128 * i16::from(group[at] as i8) + i16::from(group[at + STEP * ROWS] as i8),
        }
    }
}

/// Rounds a row; what `q` has beyond it stays. Returns the scale.
pub(super) fn whole_row_on(isa: Isa, x: &[f32], q: &mut [i16]) -> f32 {
    dispatch!(isa, whole_row(x: &[f32], q: &mut [i16]) -> f32)
}

/// The scale of a row, and what its values are multiplied by: zero where they are too small, NaN where one is not finite.
#[inline(always)]
pub(crate) fn scale_of(x: &[f32]) -> (f32, f32) {
    // As integers, magnitudes order like the numbers, with infinity and NaN above all others.
    scale_for(x.iter().fold(0, |a, v| a.max(v.to_bits() & 0x7fff_ffff)))
}

/// `scale_of` a row whose largest magnitude has these bits.
#[inline(always)]
pub(crate) fn scale_for(largest: u32) -> (f32, f32) {
    let most = f32::from_bits(largest);
    if largest >= 0x7f80_0000 {
        (f32::NAN, 0.0)
    } else if most < LEAST {
        (0.0, 0.0)
    } else {
        (most / MOST, MOST / most)
    }
}

/// Rounds a row; what `q` has beyond it stays. Returns the scale.
#[inline(always)]
pub(crate) fn whole_row<L: Lanes>(x: &[f32], q: &mut [i16]) -> f32 {
    round_row::<L>(x, scale_of(x), q)
}

/// `whole_row` of a row whose `scale_of` is known.
#[inline(always)]
pub(crate) fn round_row<L: Lanes>(x: &[f32], (scale, inverse): (f32, f32), q: &mut [i16]) -> f32 {
    if scale.is_nan() || scale == 0.0 {
        q[..x.len()].fill(0);
        return scale;
    }
    let (blocks, tail) = x.as_chunks::<16>();
    let (whole, rest) = q.as_chunks_mut::<16>();
    for (x, q) in blocks.iter().zip(whole.iter_mut()) {
        L::load(x).mul(L::splat(inverse)).round().integers(q);
    }
    if !tail.is_empty() {
        let mut last = [0; 16];
        L::load_tail(tail, 0.0)
            .mul(L::splat(inverse))
            .round()
            .integers(&mut last);
        let to = whole.get_mut(blocks.len()).map_or(rest, |last| &mut last[..]);
        to[..tail.len()].copy_from_slice(&last[..tail.len()]);
    }
    scale
}
