//! Q2_K: 256 weights of 2 bits, a 4-bit scale and minimum per 16.
//!
//! Block: `scales: [u8; 16]` (low half scale, high half minimum), `q: [u8; 64]`, `d: f16, dmin: f16`. Each half of 128
//! weights has 32 bytes; bits 2j, 2j+1 of byte `i` are weight `32 j + i` of that half.

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at};

/// w = (d sc) q - dmin m.
pub(crate) struct Q2K;

/// Spreads 64 bytes of 2-bit integers.
pub(super) fn two_bits(q: &mut [u8; 256], packed: &[u8]) {
    for (run, q) in q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let bytes = &packed[run / 4 * 32..][..32];
        for (q, b) in q.iter_mut().zip(bytes) {
            *q = b >> (2 * (run % 4)) & 3;
        }
    }
}

impl Quant for Q2K {
    const BLOCK: usize = 256;
    const BYTES: usize = 84;
    const LAYOUT: Layout = Layout {
        planes: Planes::B2,
        scales: Scales::SuperMin,
        groups: 2,
        offset: 0,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        for (g, b) in block[..16].iter().enumerate() {
            parts.sc[g] = (b & 15) as i8;
            parts.mn[g] = (b >> 4) as i8;
        }
        two_bits(&mut parts.q, &block[16..80]);
        parts.d = half_at(block, 80);
        parts.m = half_at(block, 82);
    }
}
