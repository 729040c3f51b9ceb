//! Weights as the kernels want them: groups of 16 output rows, side by side.
//!
//! Quantized: a group is a run of units (`Layout`), a unit a header of super-block scales and steps of 32 inputs. A
//! step's integers lie in planes of b bits (8, 4, 2 or 1). A plane is a run of 64-byte lines of 32 little-endian u16
//! words, one for each row and parity (`word`); the word of line u holds inputs `2 (u n + j) + parity` for j in 0..n,
//! n = 16 / b, from the lowest bits up. One shift and mask of a line thus gives a pair of inputs for 16 rows as 16-bit
//! integers, in just the order that the processor's products want. Scales follow the planes: `[16]` per scale group.
//!
//! Float: `[cols][16]` of the file's own type. Rows that are missing in the last group are zero.

use half::f16;

use super::buffer::Buffer;
use crate::KernelError;
use crate::formats::{self, Format, Layout, Parts, Planes, Quant, Scales, with_quant};
use crate::shared::Shared;
use crate::team::Team;

/// Rows per group.
pub(crate) const ROWS: usize = 16;

/// Which of a line's 32 words holds an input of row `r`: the even one of a pair (`parity` 0) or the odd one (1). Side by
/// side for `pmaddwd` and `vpdpwssd`, which add both products; on ARM the even ones of all rows come first, as `smlal`
/// multiplies several rows by one activation.
#[inline(always)]
pub(crate) const fn word(r: usize, parity: usize) -> usize {
    if cfg!(target_arch = "aarch64") {
        parity * ROWS + r
    } else {
        2 * r + parity
    }
}

/// The weights of a linear layer, repacked; owns its memory.
pub struct Weights {
    format: Format,
    rows: usize,
    cols: usize,
    group_bytes: usize,
    data: Buffer,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} [{}, {}])", self.format.name(), self.rows, self.cols)
    }
}

/// The planes of a step: bits and first byte.
pub(crate) const fn planes(planes: Planes) -> &'static [(usize, usize)] {
    match planes {
        Planes::B8 => &[(8, 0)],
        Planes::B4 => &[(4, 0)],
        Planes::B4B1 => &[(4, 0), (1, 256)],
        Planes::B4B2 => &[(4, 0), (2, 256)],
        Planes::B2 => &[(2, 0)],
        Planes::B2B1 => &[(2, 0), (1, 128)],
    }
}

impl Weights {
    /// Repacks `rows` x `cols` weights that lie row after row in `bytes`, as in a GGUF file.
    ///
    /// # Errors
    /// If `bytes` do not fit the shape, or there is no memory.
    pub fn pack(format: Format, bytes: &[u8], rows: usize, cols: usize, team: &Team) -> Result<Self, KernelError> {
        formats::check(format, bytes, rows, cols)?;
        let too_large = KernelError::Memory { bytes: usize::MAX };
        let group_bytes = with_quant!(
            format,
            Q => (cols / Q::BLOCK).checked_mul(Q::LAYOUT.unit_bytes()),
            _ => cols.checked_mul(ROWS * format.block_bytes())
        )
        .ok_or(too_large.clone())?;
        let size = rows.div_ceil(ROWS).checked_mul(group_bytes).ok_or(too_large)?;
        let mut data = Buffer::zeroed(size)?;
        let row_bytes = bytes.len().checked_div(rows).unwrap_or(0);
        if size == 0 {
            return Ok(Weights {
                format,
                rows,
                cols,
                group_bytes,
                data,
            });
        }
        let shared = Shared::new(data.bytes_mut());
        team.run(rows.div_ceil(ROWS), &|g| {
            // SAFETY: groups do not overlap, and each is one task's own.
            let group = unsafe { shared.slice(g * group_bytes, group_bytes) };
            let count = ROWS.min(rows - g * ROWS);
            let from = &bytes[g * ROWS * row_bytes..][..count * row_bytes];
            with_quant!(
                format,
                Q => pack_group::<Q>(group, from, row_bytes),
                _ => if format == Format::F32 { pack_floats::<4>(group, from, cols) } else { pack_floats::<2>(group, from, cols) }
            );
        });
        Ok(Weights {
            format,
            rows,
            cols,
            group_bytes,
            data,
        })
    }

    /// Packs f32 values, `[rows, cols]` row-major.
    ///
    /// # Errors
    /// If the length does not fit the shape, or there is no memory.
    pub fn pack_f32(values: &[f32], rows: usize, cols: usize) -> Result<Self, KernelError> {
        check_floats(values, rows, cols)?;
        let group_bytes = cols
            .checked_mul(ROWS * 4)
            .ok_or(KernelError::Memory { bytes: usize::MAX })?;
        let size = rows
            .div_ceil(ROWS)
            .checked_mul(group_bytes)
            .ok_or(KernelError::Memory { bytes: usize::MAX })?;
        let mut data = Buffer::zeroed(size)?;
        let groups = data.bytes_mut().chunks_exact_mut(group_bytes.max(1));
        for (group, rows) in groups.zip(values.chunks((cols * ROWS).max(1))) {
            for (r, row) in rows.chunks_exact(cols).enumerate() {
                for (line, v) in group.as_chunks_mut::<4>().0.chunks_exact_mut(ROWS).zip(row) {
                    line[r] = v.to_ne_bytes();
                }
            }
        }
        Ok(Weights {
            format: Format::F32,
            rows,
            cols,
            group_bytes,
            data,
        })
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

    /// Bytes of memory taken, which is what a decode step reads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.bytes().len()
    }

    /// The format they came in.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn groups(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    pub(crate) fn group(&self, g: usize) -> &[u8] {
        &self.data.bytes()[g * self.group_bytes..][..self.group_bytes]
    }

    /// Writes the values of row `r`, equal to what `dequantize` gives: for embedding look-ups.
    ///
    /// # Panics
    /// If `r` is not a row or `out` not `cols` long.
    pub fn row(&self, r: usize, out: &mut [f32]) {
        assert!(r < self.rows, "row {r} of {}", self.rows);
        assert_eq!(out.len(), self.cols, "out is [cols]");
        let group = self.group(r / ROWS);
        with_quant!(self.format, Q => unpack_row::<Q>(group, r % ROWS, out), _ => self.unpack_float(group, r % ROWS, out));
    }

    fn unpack_float(&self, group: &[u8], r: usize, out: &mut [f32]) {
        let size = self.format.block_bytes();
        for (y, line) in out.iter_mut().zip(group.chunks_exact(ROWS * size)) {
            *y = float_at(self.format, &line[r * size..]);
        }
    }
}

/// Whether there are as many values as the shape has.
pub(super) fn check_floats(values: &[f32], rows: usize, cols: usize) -> Result<(), KernelError> {
    if Some(values.len()) == rows.checked_mul(cols) {
        return Ok(());
    }
    Err(KernelError::Size {
        format: "F32",
        rows,
        cols,
        needs: rows.saturating_mul(cols).saturating_mul(4),
        found: values.len() * 4,
    })
}

/// Reads one float weight.
pub(crate) fn float_at(format: Format, bytes: &[u8]) -> f32 {
    match format {
        Format::F32 => f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Format::F16 => f16::from_ne_bytes([bytes[0], bytes[1]]).to_f32(),
        _ => half::bf16::from_ne_bytes([bytes[0], bytes[1]]).to_f32(),
    }
}

/// Interleaves up to 16 rows of `cols` weights of SIZE bytes, some columns at a time so that they stay in cache.
fn pack_floats<const SIZE: usize>(group: &mut [u8], rows: &[u8], cols: usize) {
    const COLUMNS: usize = 128;
    for from in (0..cols).step_by(COLUMNS) {
        let count = COLUMNS.min(cols - from);
        let lines = &mut group[from * ROWS * SIZE..][..count * ROWS * SIZE];
        for (r, row) in rows.chunks_exact(cols * SIZE).enumerate() {
            let row = row[from * SIZE..][..count * SIZE].as_chunks::<SIZE>().0;
            for (line, weight) in lines.as_chunks_mut::<SIZE>().0.chunks_exact_mut(ROWS).zip(row) {
                line[r] = *weight;
                if cfg!(target_endian = "big") {
                    line[r].reverse();
                }
            }
        }
    }
}

/// Where input `k` of a step lies in a plane of `bits`: byte offset of the word, and shift.
#[inline]
fn place(bits: usize, k: usize, r: usize) -> (usize, usize) {
    let n = 16 / bits;
    let (pair, parity) = (k / 2, k % 2);
    (pair / n * 64 + word(r, parity) * 2, pair % n * bits)
}

/// Repacks up to 16 rows of `row_bytes` each.
fn pack_group<Q: Quant>(group: &mut [u8], rows: &[u8], row_bytes: usize) {
    let layout = Q::LAYOUT;
    let mut parts = Parts::default();
    for (b, unit) in group.chunks_exact_mut(layout.unit_bytes()).enumerate() {
        for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
            Q::read(&row[b * Q::BYTES..][..Q::BYTES], &mut parts);
            let (header, steps) = unit.split_at_mut(layout.header());
            if !header.is_empty() {
                header[r * 2..][..2].copy_from_slice(&parts.d.to_le_bytes());
            }
            if header.len() == 64 {
                header[32 + r * 2..][..2].copy_from_slice(&parts.m.to_le_bytes());
            }
            for (s, step) in steps.chunks_exact_mut(layout.step_bytes()).enumerate() {
                let (packed, scales) = step.split_at_mut(layout.planes.bytes());
                pack_integers(layout.planes, packed, r, &parts.q[s * 32..][..32]);
                pack_scales(&layout, scales, r, s, &parts);
            }
        }
    }
}

/// Writes the integers of row `r` of a step to its planes.
#[inline(always)]
fn pack_integers(kind: Planes, packed: &mut [u8], r: usize, q: &[u8]) {
    let mut low = 0;
    for &(bits, base) in planes(kind) {
        let (n, mask) = (16 / bits, u16::MAX >> (16 - bits));
        for (line, q) in packed[base..]
            .as_chunks_mut::<64>()
            .0
            .iter_mut()
            .zip(q.chunks_exact(2 * n))
        {
            let mut words = [0; 2];
            for (j, pair) in q.as_chunks::<2>().0.iter().enumerate() {
                words[0] |= (u16::from(pair[0]) >> low & mask) << (j * bits);
                words[1] |= (u16::from(pair[1]) >> low & mask) << (j * bits);
            }
            line[2 * word(r, 0)..][..2].copy_from_slice(&words[0].to_le_bytes());
            line[2 * word(r, 1)..][..2].copy_from_slice(&words[1].to_le_bytes());
        }
        low += bits;
    }
}

/// Writes the scales of row `r` of step `s`.
#[inline(always)]
fn pack_scales(layout: &Layout, scales: &mut [u8], r: usize, s: usize, parts: &Parts) {
    match layout.scales {
        Scales::Half => scales[r * 2..][..2].copy_from_slice(&parts.d.to_le_bytes()),
        Scales::HalfMin => {
            scales[r * 2..][..2].copy_from_slice(&parts.d.to_le_bytes());
            scales[32 + r * 2..][..2].copy_from_slice(&parts.m.to_le_bytes());
        }
        Scales::Super => {
            for g in 0..layout.groups {
                scales[g * 16 + r] = parts.sc[s * layout.groups + g] as u8;
            }
        }
        Scales::SuperMin => {
            for g in 0..layout.groups {
                scales[g * 32 + r] = parts.sc[s * layout.groups + g] as u8;
                scales[g * 32 + 16 + r] = parts.mn[s * layout.groups + g] as u8;
            }
        }
    }
}

/// Stored integer of row `r`, input `k` of a step.
#[inline]
pub(crate) fn integer(layout: &Layout, step: &[u8], r: usize, k: usize) -> u8 {
    let (mut q, mut at_bit) = (0, 0);
    for &(bits, base) in planes(layout.planes) {
        let (at, shift) = place(bits, k, r);
        let word = u16::from_le_bytes([step[base + at], step[base + at + 1]]);
        q |= (word >> shift & (u16::MAX >> (16 - bits))) << at_bit;
        at_bit += bits;
    }
    q as u8
}

/// Scale and minimum of row `r`, scale group `g` of a step.
#[inline]
pub(crate) fn scales(layout: &Layout, header: &[u8], step: &[u8], r: usize, g: usize) -> (f32, f32) {
    let half = |bytes: &[u8], at: usize| formats_half(bytes, at + r * 2);
    let scales = &step[layout.planes.bytes()..];
    let (d, m, sc, mn) = match layout.scales {
        Scales::Half => (half(scales, 0), 0.0, 0, 0),
        Scales::HalfMin => (half(scales, 0), half(scales, 32), 0, 0),
        Scales::Super => (half(header, 0), 0.0, scales[g * 16 + r] as i8, 0),
        Scales::SuperMin => (
            half(header, 0),
            half(header, 32),
            scales[g * 32 + r] as i8,
            scales[g * 32 + 16 + r] as i8,
        ),
    };
    formats::scale_and_min(layout.scales, d, m, sc, mn)
}

fn formats_half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

fn unpack_row<Q: Quant>(group: &[u8], r: usize, out: &mut [f32]) {
    let layout = Q::LAYOUT;
    let per_group = 32 / layout.groups;
    for (unit, out) in group
        .chunks_exact(layout.unit_bytes())
        .zip(out.chunks_exact_mut(Q::BLOCK))
    {
        let (header, steps) = unit.split_at(layout.header());
        for (step, out) in steps.chunks_exact(layout.step_bytes()).zip(out.chunks_exact_mut(32)) {
            for g in 0..layout.groups {
                let (scale, min) = scales(&layout, header, step, r, g);
                for k in g * per_group..(g + 1) * per_group {
                    out[k] = formats::value(&layout, integer(&layout, step, r, k), scale, min);
                }
            }
        }
    }
}
