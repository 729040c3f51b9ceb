//! Q6_K: 256 weights of 6 bits, an 8-bit scale per 16.
//!
//! Block: `low: [u8; 128]`, `high: [u8; 64]`, `scales: [i8; 16]`, `d: f16`. Each half of 128 weights has 64 bytes of low
//! nibbles (weights 0..64 in the low halves, 64..128 in the high ones) and 32 bytes whose bits 2j, 2j+1 belong to
//! weights 32 j ...

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at, set_half};

/// w = (d sc) (q - 32).
pub(crate) struct Q6K;

impl Quant for Q6K {
    const BLOCK: usize = 256;
    const BYTES: usize = 210;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4B2,
        scales: Scales::Super,
        groups: 2,
        offset: 32,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        for (run, q) in parts.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (half, j) = (run / 4, run % 4);
            let low = &block[half * 64 + j % 2 * 32..][..32];
            let high = &block[128 + half * 32..][..32];
            for (q, (low, high)) in q.iter_mut().zip(low.iter().zip(high)) {
                *q = (low >> (4 * (j / 2)) & 15) | (high >> (2 * j) & 3) << 4;
            }
        }
        for (sc, b) in parts.sc.iter_mut().zip(&block[192..208]) {
            *sc = *b as i8;
        }
        parts.d = half_at(block, 208);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        block.fill(0);
        for (run, q) in parts.q.as_chunks::<32>().0.iter().enumerate() {
            let (half, j) = (run / 4, run % 4);
            for (i, q) in q.iter().enumerate() {
                block[half * 64 + j % 2 * 32 + i] |= (q & 15) << (4 * (j / 2));
                block[128 + half * 32 + i] |= (q >> 4 & 3) << (2 * j);
            }
        }
        for (b, sc) in block[192..208].iter_mut().zip(&parts.sc) {
            *b = *sc as u8;
        }
        set_half(block, 208, parts.d);
    }
}
