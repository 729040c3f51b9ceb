//! Q3_K: 256 weights of 3 bits, a signed 6-bit scale per 16.
//!
//! Block: `high: [u8; 32]`, `q: [u8; 64]`, `scales: [u8; 12]`, `d: f16`. Low bits are as in Q2_K; bit `j` of `high[i]` is
//! the third bit of weight `32 j + i`. Scales: low nibbles of bytes 0..8 are scales 0..8 and their high nibbles scales
//! 8..16; the upper two bits of scale `s` are bits `2 (s / 4)` of byte `8 + s % 4`.

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at, set_half};
use super::q2_k::{set_two_bits, two_bits};

/// w = (d (sc - 32)) (q - 4).
pub(crate) struct Q3K;

impl Quant for Q3K {
    const BLOCK: usize = 256;
    const BYTES: usize = 110;
    const LAYOUT: Layout = Layout {
        planes: Planes::B2B1,
        scales: Scales::Super,
        groups: 2,
        offset: 4,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        two_bits(&mut parts.q, &block[32..96]);
        for (run, q) in parts.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for (q, b) in q.iter_mut().zip(&block[..32]) {
                *q |= (b >> run & 1) << 2;
            }
        }
        let scales = &block[96..108];
        for (s, sc) in parts.sc.iter_mut().enumerate() {
            let low = scales[s % 8] >> (4 * (s / 8)) & 15;
            let high = scales[8 + s % 4] >> (2 * (s / 4)) & 3;
            *sc = (low | high << 4) as i8 - 32;
        }
        parts.d = half_at(block, 108);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        block.fill(0);
        set_two_bits(&mut block[32..96], &parts.q);
        for (run, q) in parts.q.as_chunks::<32>().0.iter().enumerate() {
            for (b, q) in block[..32].iter_mut().zip(q) {
                *b |= (q >> 2 & 1) << run;
            }
        }
        let scales = &mut block[96..108];
        for (s, sc) in parts.sc.iter().enumerate() {
            let sc = (sc + 32) as u8;
            scales[s % 8] |= (sc & 15) << (4 * (s / 8));
            scales[8 + s % 4] |= (sc >> 4 & 3) << (2 * (s / 4));
        }
        set_half(block, 108, parts.d);
    }
}
