//! Q4_K: 256 weights of 4 bits, a 6-bit scale and minimum per 32.
//!
//! Block: `d: f16, dmin: f16`, `scales: [u8; 12]`, `q: [u8; 128]`. Each run of 64 weights has 32 bytes: low halves are its
//! first 32 weights, high halves the others.

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at, set_half};

/// w = (d sc) q - dmin m.
pub(crate) struct Q4K;

/// Eight 6-bit scales and minima in 12 bytes. Scale `s < 4` is the low 6 bits of byte `s`, minimum `s` those of byte
/// `4 + s`; for `s >= 4` byte `4 + s` holds the low nibbles of both, and the upper bits are left over in bytes `s - 4`, `s`.
pub(super) fn scales_and_mins(parts: &mut Parts, b: &[u8]) {
    for s in 0..4 {
        parts.sc[s] = (b[s] & 63) as i8;
        parts.mn[s] = (b[s + 4] & 63) as i8;
        parts.sc[s + 4] = (b[s + 8] & 15 | b[s] >> 6 << 4) as i8;
        parts.mn[s + 4] = (b[s + 8] >> 4 | b[s + 4] >> 6 << 4) as i8;
    }
}

/// Spreads 128 bytes of 4-bit integers.
pub(super) fn four_bits(q: &mut [u8; 256], packed: &[u8]) {
    for (run, q) in q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let bytes = &packed[run / 2 * 32..][..32];
        for (q, b) in q.iter_mut().zip(bytes) {
            *q = b >> (4 * (run % 2)) & 15;
        }
    }
}

/// Packs eight 6-bit scales and minima into 12 bytes, as `scales_and_mins` reads them.
pub(super) fn set_scales_and_mins(b: &mut [u8], parts: &Parts) {
    for s in 0..4 {
        let [sc, mn, sc4, mn4] = [parts.sc[s], parts.mn[s], parts.sc[s + 4], parts.mn[s + 4]].map(|v| v as u8 & 63);
        b[s] = sc | sc4 >> 4 << 6;
        b[s + 4] = mn | mn4 >> 4 << 6;
        b[s + 8] = sc4 & 15 | mn4 << 4;
    }
}

/// Packs the low four bits of 256 integers into 128 bytes.
pub(super) fn set_four_bits(packed: &mut [u8], q: &[u8; 256]) {
    for (pair, bytes) in packed.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = q[pair * 64 + i] & 15 | q[pair * 64 + 32 + i] << 4;
        }
    }
}

impl Quant for Q4K {
    const BLOCK: usize = 256;
    const BYTES: usize = 144;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4,
        scales: Scales::SuperMin,
        groups: 1,
        offset: 0,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        parts.m = half_at(block, 2);
        scales_and_mins(parts, &block[4..16]);
        four_bits(&mut parts.q, &block[16..144]);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        set_half(block, 2, parts.m);
        set_scales_and_mins(&mut block[4..16], parts);
        set_four_bits(&mut block[16..144], &parts.q);
    }
}
