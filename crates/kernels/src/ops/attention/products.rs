//! The products of attention, for rows side by side: queries by the keys of a page, weights by its values. What is
//! narrower than f32 is widened on the way, or a page at a time where many rows read it.

use half::f16;

use super::PAGE_TOKENS;
use super::view::TILE;
use crate::lanes::Lanes;

/// Elements of a page: f32, f16, or whole numbers whose scale is somebody else's affair.
pub(super) trait Stored: Copy {
    /// Whether a load is more than a load, so that many rows are better off with a page widened once.
    const NARROW: bool = true;
    fn wide(self) -> f32;
    /// Loads 16 elements as f32.
    fn load<L: Lanes>(from: &[Self; 16]) -> L;
}

impl Stored for f32 {
    const NARROW: bool = false;
    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }
    #[inline(always)]
    fn load<L: Lanes>(from: &[f32; 16]) -> L {
        L::load(from)
    }
}

impl Stored for f16 {
    #[inline(always)]
    fn wide(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn load<L: Lanes>(from: &[f16; 16]) -> L {
        L::load_half(from)
    }
}

impl Stored for i8 {
    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn load<L: Lanes>(from: &[i8; 16]) -> L {
        L::load_bytes(from)
    }
}

#[inline(always)]
pub(super) fn widen_all<L: Lanes, T: Stored>(to: &mut [f32], from: &[T]) {
    for (to, from) in to.as_chunks_mut::<16>().0.iter_mut().zip(from.as_chunks::<16>().0) {
        T::load::<L>(from).store(to);
    }
}

/// Copies rows of `dim` to rows of `padded`.
pub(super) fn pad<T: Stored>(to: &mut [f32], padded: usize, from: &[T], dim: usize) {
    for (to, from) in to.chunks_exact_mut(padded).zip(from.chunks_exact(dim)) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from.wide());
    }
}

/// Dots of N queries of a tile with the 16 keys of each of PAGES pages, `[dim][16]`.
#[inline(always)]
pub(super) fn dots<L: Lanes, T: Stored, const PAGES: usize, const N: usize>(
    keys: [&[T]; PAGES],
    queries: &[[f32; TILE]],
) -> [[L; N]; PAGES] {
    let mut acc = [[L::splat(0.0); N]; PAGES];
    let mut lines = [keys[0].as_chunks::<16>().0; PAGES];
    for j in 0..PAGES {
        lines[j] = &keys[j].as_chunks::<16>().0[..queries.len()];
    }
    for (d, q) in queries.iter().enumerate() {
        for j in 0..PAGES {
            let key = T::load::<L>(&lines[j][d]);
            for i in 0..N {
                acc[j][i] = key.fma(L::splat(q[i]), acc[j][i]);
            }
        }
    }
    acc
}

/// acc += weights x values, for N rows over the slots of a page and `vectors` of 16 elements; `values` `[16][padded]`, `acc`
/// `[N][padded]`, weights `stride` apart.
#[inline(always)]
pub(super) fn weighted<L: Lanes, T: Stored, const N: usize>(
    acc: &mut [f32],
    values: &[T],
    (weights, stride): (&[f32], usize),
    slots: std::ops::Range<usize>,
    vectors: std::ops::Range<usize>,
) {
    let chunks = values.len() / PAGE_TOKENS / 16;
    let values = &values.as_chunks::<16>().0[..PAGE_TOKENS * chunks];
    let acc = &mut acc.as_chunks_mut::<16>().0[..N * chunks];
    let mut rows = [&[0.0; PAGE_TOKENS]; N];
    for i in 0..N {
        if let Some(row) = weights[i * stride..].first_chunk() {
            rows[i] = row;
        }
    }
    // Up to `chunks` at most, so that nothing is checked in the loops below.
    let (mut c, end) = (vectors.start, vectors.end.min(chunks));
    while c < end {
        if L::WIDE && c + 2 <= end {
            weighted_chunks::<L, T, 2, N>(acc, values, rows, (c, chunks), slots.clone());
            c += 2;
        } else {
            weighted_chunks::<L, T, 1, N>(acc, values, rows, (c, chunks), slots.clone());
            c += 1;
        }
    }
}

/// `weighted` of C vectors of 16 elements from `c` on.
#[inline(always)]
fn weighted_chunks<L: Lanes, T: Stored, const C: usize, const N: usize>(
    acc: &mut [[f32; 16]],
    values: &[[T; 16]],
    rows: [&[f32; PAGE_TOKENS]; N],
    (c, chunks): (usize, usize),
    slots: std::ops::Range<usize>,
) {
    let mut lanes = [[L::splat(0.0); N]; C];
    for j in 0..C {
        for i in 0..N {
            lanes[j][i] = L::load(&acc[i * chunks + c + j]);
        }
    }
    // A page that is seen whole has a loop of its own: its end is known, so that nothing is checked in it.
    let page = values.chunks_exact(chunks);
    if slots.len() == PAGE_TOKENS {
        for (p, line) in (0..PAGE_TOKENS).zip(page) {
            add_slot(&mut lanes, &line[c..c + C], rows, p);
        }
    } else {
        for (p, line) in (0..PAGE_TOKENS).zip(page).take(slots.end).skip(slots.start) {
            add_slot(&mut lanes, &line[c..c + C], rows, p);
        }
    }
    for j in 0..C {
        for i in 0..N {
            lanes[j][i].store(&mut acc[i * chunks + c + j]);
        }
    }
}

/// Adds slot `p` of C vectors of values to N rows.
#[inline(always)]
fn add_slot<L: Lanes, T: Stored, const C: usize, const N: usize>(
    lanes: &mut [[L; N]; C],
    values: &[[T; 16]],
    rows: [&[f32; PAGE_TOKENS]; N],
    p: usize,
) {
    for j in 0..C {
        let value = T::load::<L>(&values[j]);
        for i in 0..N {
            lanes[j][i] = value.fma(L::splat(rows[i][p]), lanes[j][i]);
        }
    }
}
