//! Q5_K: Q4_K with a fifth bit. Block: `d: f16, dmin: f16`, `scales: [u8; 12]`, `high: [u8; 32]`, `q: [u8; 128]`;
//! bit `j` of `high[i]` is the fifth bit of weight `32 j + i`.

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at, set_half};
use super::q4_k::{four_bits, scales_and_mins, set_four_bits, set_scales_and_mins};

/// w = (d sc) q - dmin m.
pub(crate) struct Q5K;

impl Quant for Q5K {
    const BLOCK: usize = 256;
    const BYTES: usize = 176;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4B1,
        scales: Scales::SuperMin,
        groups: 1,
        offset: 0,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        parts.m = half_at(block, 2);
        scales_and_mins(parts, &block[4..16]);
        four_bits(&mut parts.q, &block[48..176]);
        for (run, q) in parts.q.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for (q, b) in q.iter_mut().zip(&block[16..48]) {
                *q |= (b >> run & 1) << 4;
            }
        }
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        set_half(block, 2, parts.m);
        set_scales_and_mins(&mut block[4..16], parts);
        block[16..48].fill(0);
        for (run, q) in parts.q.as_chunks::<32>().0.iter().enumerate() {
            for (b, q) in block[16..48].iter_mut().zip(q) {
                *b |= (q >> 4 & 1) << run;
            }
        }
        set_four_bits(&mut block[48..176], &parts.q);
    }
}
