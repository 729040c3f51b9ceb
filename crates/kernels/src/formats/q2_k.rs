//! Q2_K: 256 weights of 2 bits, a 4-bit scale and minimum per 16.
//!
//! Block: `scales: [u8; 16]` (low half scale, high half minimum), `q: [u8; 64]`, `d: f16, dmin: f16`. Each half of 128
//! weights has 32 bytes; bits 2j, 2j+1 of byte `i` are weight `32 j + i` of that half.

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at, set_half};

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

/// Packs the low two bits of 256 integers into 64 bytes.
pub(super) fn set_two_bits(packed: &mut [u8], q: &[u8; 256]) {
    packed.fill(0);
    for (run, q) in q.as_chunks::<32>().0.iter().enumerate() {
        let bytes = &mut packed[run / 4 * 32..][..32];
        for (b, q) in bytes.iter_mut().zip(q) {
            *b |= (q & 3) << (2 * (run % 4));
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
    fn write(parts: &Parts, block: &mut [u8]) {
        for (g, b) in block[..16].iter_mut().enumerate() {
            *b = parts.sc[g] as u8 & 15 | (parts.mn[g] as u8) << 4;
        }
        set_two_bits(&mut block[16..80], &parts.q);
        set_half(block, 80, parts.d);
        set_half(block, 82, parts.m);
    }
}
