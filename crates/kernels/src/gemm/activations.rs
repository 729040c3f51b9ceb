//! Activations as integers of 16 bits, or of 8 where that was asked for: one f32 scale per 32 inputs of a row.
//!
//! With a the largest magnitude of a block and m = 32767 or 127: scale = a / m, q = x * (m / a) rounded to the nearest, ties to even.
//! A block whose largest magnitude is below 1e-30 counts as zero; one that holds an infinity or NaN gets the scale NaN,
//! so that a broken input stays visible in every output of its row. Sums per 16 and 32 serve offsets and minima.

use std::cell::Cell;
use std::sync::OnceLock;

use super::float::SideBySide;
use crate::cpu::Isa;
use crate::lanes::{Lanes, dispatch};
use crate::shared::Shared;
use crate::team::Team;

/// How finely activations are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bits {
    /// To 16 bits: as good as exact beside what quantized weights have lost.
    #[default]
    Sixteen,
    /// To 8 bits, as other engines do: faster and less exact.
    Eight,
}

impl Bits {
    /// The largest integer.
    pub(super) const fn most(self) -> f32 {
        match self {
            Bits::Sixteen => 32767.0,
            Bits::Eight => 127.0,
        }
    }
}

/// What a block of 32 needs besides its integers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Meta {
    pub(crate) scale: f32,
    /// Sum of all 32, and of each 16.
    pub(crate) sum: [i32; 3],
    /// `scale * sum`, of each of these.
    pub(crate) scaled: [f32; 3],
    _pad: u32,
}

impl Meta {
    const ZERO: Meta = Meta {
        scale: 0.0,
        sum: [0; 3],
        scaled: [0.0; 3],
        _pad: 0,
    };
}

/// A block's integers as bytes, in the order in which `unpack::bytes` gives weights: of eight inputs 0, 4, 1, 5, 2, 6, 3, 7.
pub(super) type ByteBlock = [i8; 32];

/// Room for integers and scales; may be larger than what is in it.
#[derive(Debug, Default)]
struct Room {
    q: Vec<i16>,
    bytes: Vec<ByteBlock>,
    meta: Vec<Meta>,
}

thread_local! {
    /// What the last layer's activations lay in. Asking for memory and clearing it took some 3% of a prompt.
    static SPARE: Cell<Room> = Cell::default();
}

/// Makes room for `len` elements; those that are there stay as they are.
pub(super) fn grow<T: Clone>(room: &mut Vec<T>, len: usize, zero: T) {
    if room.len() < len {
        room.resize(len, zero);
    }
}

/// Integers and scales of all tokens.
#[derive(Debug)]
pub(crate) struct Integers {
    cols: usize,
    room: Room,
    /// Whether the integers are there once more as bytes.
    in_bytes: bool,
}

impl Drop for Integers {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.room));
    }
}

impl Integers {
    pub(crate) fn token(&self, t: usize) -> (&[i16], &[Meta]) {
        let steps = self.cols / 32;
        let Room { q, meta, .. } = &self.room;
        (&q[t * self.cols..][..self.cols], &meta[t * steps..][..steps])
    }

    /// Whether there are bytes.
    pub(super) fn in_bytes(&self) -> bool {
        self.in_bytes
    }

    /// The bytes of a token, where there are any.
    pub(super) fn bytes(&self, t: usize) -> &[ByteBlock] {
        let steps = self.cols / 32;
        if self.in_bytes {
            &self.room.bytes[t * steps..][..steps]
        } else {
            &[]
        }
    }
}

/// Activations `[tokens, cols]`, prepared at the first use by a quantized layer and shared by all that follow.
#[derive(Debug)]
pub struct Quantized<'a> {
    x: &'a [f32],
    tokens: usize,
    cols: usize,
    bits: Bits,
    integers: OnceLock<Integers>,
    #[cfg(target_arch = "x86_64")]
    tiles: OnceLock<super::amx::Tiles>,
    whole: OnceLock<super::whole::Activations>,
    side_by_side: OnceLock<SideBySide>,
}

impl<'a> Quantized<'a> {
    /// Wraps `x`, `[tokens, cols]` row-major, to be rounded to `bits`.
    ///
    /// # Panics
    /// If the length does not fit the shape.
    #[must_use]
    pub fn new(x: &'a [f32], tokens: usize, cols: usize, bits: Bits) -> Self {
        assert_eq!(x.len(), tokens * cols, "x is [tokens, cols]");
        Quantized {
            x,
            tokens,
            cols,
            bits,
            integers: OnceLock::new(),
            #[cfg(target_arch = "x86_64")]
            tiles: OnceLock::new(),
            whole: OnceLock::new(),
            side_by_side: OnceLock::new(),
        }
    }

    /// Rows.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Inputs per row.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows from token `t` on.
    pub(crate) fn floats_from(&self, t: usize) -> &[f32] {
        &self.x[t * self.cols..]
    }

    /// The inputs as they are, `width` tokens side by side.
    pub(super) fn side_by_side(&self, width: usize, team: &Team) -> &SideBySide {
        self.side_by_side
            .get_or_init(|| SideBySide::new(self.x, self.cols, width, team))
    }

    /// Integers of whole rows.
    pub(super) fn whole(&self, isa: Isa, layout: super::whole::Layout, team: &Team) -> &super::whole::Activations {
        self.whole
            .get_or_init(|| super::whole::Activations::new(isa, layout, self.x, self.cols, team))
    }

    /// The same integers as the matrix unit takes them.
    ///
    /// # Safety
    /// The processor is an `Isa::Amx`.
    #[cfg(target_arch = "x86_64")]
    pub(super) unsafe fn tiles(&self, team: &Team) -> &super::amx::Tiles {
        assert!(self.cols.is_multiple_of(32), "quantized weights have whole blocks");
        // SAFETY: as promised.
        self.tiles
            .get_or_init(|| unsafe { super::amx::Tiles::new(self.x, self.cols, self.bits, team) })
    }

    pub(crate) fn integers_on(&self, isa: Isa, team: &Team) -> &Integers {
        assert!(self.cols.is_multiple_of(32), "quantized weights have whole blocks");
        self.integers.get_or_init(|| {
            let steps = self.cols / 32;
            let in_bytes = self.bits == Bits::Eight && multiplies_bytes(isa);
            let mut room = SPARE.take();
            grow(&mut room.q, self.x.len(), 0);
            grow(&mut room.bytes, if in_bytes { self.tokens * steps } else { 0 }, [0; 32]);
            grow(&mut room.meta, self.tokens * steps, Meta::ZERO);
            let (q_out, bytes_out) = (Shared::new(&mut room.q), Shared::new(&mut room.bytes));
            let meta_out = Shared::new(&mut room.meta);
            let per_task = (4096 / self.cols.max(1)).max(1);
            team.run(self.tokens.div_ceil(per_task), &|task| {
                let first = task * per_task;
                let n = per_task.min(self.tokens - first);
                // SAFETY: each token's part is one task's own.
                let (q, bytes, meta) = unsafe {
                    (
                        q_out.slice(first * self.cols, n * self.cols),
                        if in_bytes {
                            bytes_out.slice(first * steps, n * steps)
                        } else {
                            &mut []
                        },
                        meta_out.slice(first * steps, n * steps),
                    )
                };
                blocks_on(isa, &self.floats_from(first)[..n * self.cols], q, meta, self.bits);
                narrow_on(isa, q, bytes);
            });
            Integers {
                cols: self.cols,
                room,
                in_bytes,
            }
        })
    }
}

/// Whether a path has products of bytes; the scalar one and NEON multiply words, with the same results.
fn multiplies_bytes(isa: Isa) -> bool {
    matches!(isa, Isa::Avx2 | Isa::Avx512 | Isa::Amx)
}

fn blocks_on(isa: Isa, x: &[f32], q: &mut [i16], meta: &mut [Meta], bits: Bits) {
    dispatch!(isa, blocks(x: &[f32], q: &mut [i16], meta: &mut [Meta], bits: Bits));
}

fn narrow_on(isa: Isa, q: &[i16], out: &mut [ByteBlock]) {
    dispatch!(isa, narrow(q: &[i16], out: &mut [ByteBlock]));
}

/// Integers that fit a byte, as bytes.
#[inline(always)]
fn narrow<L: Lanes>(q: &[i16], out: &mut [ByteBlock]) {
    for (q, out) in q.as_chunks::<32>().0.iter().zip(out) {
        for (q, out) in q.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
            // The low bytes of four words, and those of the other four between them.
            for i in 0..4 {
                out[2 * i] = q[i] as i8;
                out[2 * i + 1] = q[i + 4] as i8;
            }
        }
    }
}

#[inline(always)]
fn blocks<L: Lanes>(x: &[f32], q: &mut [i16], meta: &mut [Meta], bits: Bits) {
    let (x, q) = (x.as_chunks::<32>().0, q.as_chunks_mut::<32>().0);
    for ((x, q), meta) in x.chunks(16).zip(q.chunks_mut(16)).zip(meta.chunks_mut(16)) {
        let mut largest = [0.0; 16];
        for (largest, x) in largest.iter_mut().zip(x) {
            *largest = magnitude::<L>(x);
        }
        let (scales, inverses) = scales::<L>(&largest, bits);
        for (i, ((x, q), meta)) in x.iter().zip(q).zip(meta).enumerate() {
            *meta = block::<L>(x, q, scales[i], inverses[i]);
        }
    }
}

/// The largest magnitude of a block; infinity and NaN are above all numbers.
#[inline(always)]
pub(super) fn magnitude<L: Lanes>(x: &[f32; 32]) -> f32 {
    let (halves, _) = x.as_chunks::<16>();
    L::load(&halves[0]).magnitude(L::load(&halves[1]))
}

/// The scales of 16 blocks by their largest magnitudes, and what their values are multiplied by.
#[inline(always)]
pub(super) fn scales<L: Lanes>(largest: &[f32; 16], bits: Bits) -> ([f32; 16], [f32; 16]) {
    let (largest, most, zero) = (L::load(largest), L::splat(bits.most()), L::splat(0.0));
    let (least, infinity) = (L::splat(1e-30), L::splat(f32::INFINITY));
    let (mut scales, mut inverses) = ([0.0; 16], [0.0; 16]);
    let finite = largest.less(infinity, largest.div(most), L::splat(f32::NAN));
    largest.less(least, zero, finite).store(&mut scales);
    let finite = largest.less(infinity, most.div(largest), zero);
    largest.less(least, zero, finite).store(&mut inverses);
    (scales, inverses)
}

/// Rounds one block.
#[inline(always)]
fn block<L: Lanes>(x: &[f32; 32], q: &mut [i16; 32], scale: f32, inverse: f32) -> Meta {
    if scale.is_nan() {
        q.fill(0);
        return Meta {
            scale,
            scaled: [scale; 3],
            ..Meta::ZERO
        };
    }
    let mut sums = [0; 2];
    for (g, (x, q)) in x.as_chunks::<16>().0.iter().zip(q.as_chunks_mut::<16>().0).enumerate() {
        // |x| <= the largest, so the product rounds to 32767 at most, or to 127.
        sums[g] = L::load(x).mul(L::splat(inverse)).round().integers(q);
    }
    let sum = [sums[0] + sums[1], sums[0], sums[1]];
    Meta {
        scale,
        sum,
        scaled: sum.map(|s| scale * s as f32),
        _pad: 0,
    }
}
