//! What a quantized format is to the kernels: unsigned integers of some bits, an offset, and scales.
//!
//! A weight is `(q - offset) * scale`, plus `min` where the format has minima. `scale` is the block's f16 `d`, or for
//! K-quants the f32 product `d * sc`; `min` is `m`, or `-(dmin * m)`. Products and sums are rounded one by one, as ggml
//! does, so that values are equal to the bit.

use half::f16;

/// How the integers of 32 inputs x 16 rows are packed: planes of 8, 4, 2 bits, 1 bit (see `gemm::pack`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planes {
    B8,
    B4,
    B4B1,
    B4B2,
    B2,
    B2B1,
}

impl Planes {
    /// Bytes of a step of 32 inputs x 16 rows.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Planes::B8 => 512,
            Planes::B4 => 256,
            Planes::B4B1 => 320,
            Planes::B4B2 => 384,
            Planes::B2 => 128,
            Planes::B2B1 => 192,
        }
    }
}

/// What scales a format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scales {
    /// f16 `d` per 32 inputs.
    Half,
    /// f16 `d` and `m` per 32 inputs.
    HalfMin,
    /// f16 `d` per 256 inputs, i8 `sc` per scale group.
    Super,
    /// f16 `d` and `dmin` per 256 inputs, `sc` and `m` per scale group.
    SuperMin,
}

/// The constants of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) planes: Planes,
    pub(crate) scales: Scales,
    /// Scale groups per step of 32 inputs: 1 or 2.
    pub(crate) groups: usize,
    /// What is subtracted from the stored integers.
    pub(crate) offset: i32,
}

impl Layout {
    /// Whether weights have a minimum.
    pub(crate) const fn mins(&self) -> bool {
        matches!(self.scales, Scales::HalfMin | Scales::SuperMin)
    }
    /// Bytes before the steps of a unit: 16 f16 of `d`, then of `dmin`.
    pub(crate) const fn header(&self) -> usize {
        match self.scales {
            Scales::Half | Scales::HalfMin => 0,
            Scales::Super => 32,
            Scales::SuperMin => 64,
        }
    }
    /// Steps of 32 inputs in a unit.
    pub(crate) const fn steps(&self) -> usize {
        match self.scales {
            Scales::Half | Scales::HalfMin => 1,
            Scales::Super | Scales::SuperMin => 8,
        }
    }
    /// Bytes of a step: planes, then scales.
    pub(crate) const fn step_bytes(&self) -> usize {
        self.planes.bytes()
            + match self.scales {
                Scales::Half => 32,
                Scales::HalfMin => 64,
                Scales::Super => 16 * self.groups,
                Scales::SuperMin => 32 * self.groups,
            }
    }
    /// Bytes of a unit: header and steps of 16 rows.
    pub(crate) const fn unit_bytes(&self) -> usize {
        self.header() + self.steps() * self.step_bytes()
    }
}

/// A block of the file, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// f16 `d`.
    pub(crate) d: f16,
    /// f16 `m` or `dmin`; 0 without minima.
    pub(crate) m: f16,
    /// Stored integers, in input order; the first `BLOCK` count.
    pub(crate) q: [u8; 256],
    /// Scale multipliers, one per scale group.
    pub(crate) sc: [i8; 16],
    /// Minimum multipliers, one per scale group.
    pub(crate) mn: [i8; 16],
}

impl Default for Parts {
    fn default() -> Self {
        Parts {
            d: f16::ZERO,
            m: f16::ZERO,
            q: [0; 256],
            sc: [0; 16],
            mn: [0; 16],
        }
    }
}

/// A quantized format.
pub(crate) trait Quant {
    /// Weights per block: 32 or 256.
    const BLOCK: usize;
    /// Bytes per block.
    const BYTES: usize;
    /// How the kernels keep it.
    const LAYOUT: Layout;
    /// Takes a block of `BYTES` bytes apart.
    fn read(block: &[u8], parts: &mut Parts);
    /// Puts a block of `BYTES` bytes together: the inverse of `read`. Integers must fit their bits.
    fn write(parts: &Parts, block: &mut [u8]);
}

/// Reads an f16 at byte `at`.
pub(crate) fn half_at(block: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([block[at], block[at + 1]])
}

/// Writes an f16 at byte `at`.
pub(crate) fn set_half(block: &mut [u8], at: usize, value: f16) {
    block[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// The scale and minimum of a scale group.
#[inline]
pub(crate) fn scale_and_min(scales: Scales, d: f32, m: f32, sc: i8, mn: i8) -> (f32, f32) {
    match scales {
        Scales::Half => (d, 0.0),
        Scales::HalfMin => (d, m),
        Scales::Super => (d * f32::from(sc), 0.0),
        Scales::SuperMin => (d * f32::from(sc), -(m * f32::from(mn))),
    }
}

/// The value of one weight.
#[inline]
pub(crate) fn value(layout: &Layout, q: u8, scale: f32, min: f32) -> f32 {
    let scaled = (i32::from(q) - layout.offset) as f32 * scale;
    if layout.mins() { scaled + min } else { scaled }
}

/// Dequantizes whole blocks.
pub(crate) fn dequantize<Q: Quant>(bytes: &[u8], out: &mut [f32]) {
    let layout = Q::LAYOUT;
    let per_group = 32 / layout.groups;
    let mut parts = Parts::default();
    for (block, out) in bytes.chunks_exact(Q::BYTES).zip(out.chunks_exact_mut(Q::BLOCK)) {
        Q::read(block, &mut parts);
        let (d, m) = (parts.d.to_f32(), parts.m.to_f32());
        for (g, out) in out.chunks_exact_mut(per_group).enumerate() {
            let (scale, min) = scale_and_min(layout.scales, d, m, parts.sc[g], parts.mn[g]);
            for (i, y) in out.iter_mut().enumerate() {
                *y = value(&layout, parts.q[g * per_group + i], scale, min);
            }
        }
    }
}
