//! The formats with blocks of 32 weights: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. Byte `i` of the 4-bit part holds weight `i` in
//! its low half and weight `i + 16` in its high half; the fifth bits of Q5 are one little-endian u32.

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at, set_half};

/// `d: f16, q: [u8; 16]`; w = (q - 8) d.
pub(crate) struct Q4_0;
/// `d: f16, m: f16, q: [u8; 16]`; w = q d + m.
pub(crate) struct Q4_1;
/// `d: f16, high: u32, q: [u8; 16]`; w = (q - 16) d.
pub(crate) struct Q5_0;
/// `d: f16, m: f16, high: u32, q: [u8; 16]`; w = q d + m.
pub(crate) struct Q5_1;
/// `d: f16, q: [i8; 32]`; w = q d.
pub(crate) struct Q8_0;

fn nibbles(q: &mut [u8; 256], packed: &[u8]) {
    for (i, b) in packed.iter().take(16).enumerate() {
        q[i] = b & 15;
        q[i + 16] = b >> 4;
    }
}

fn fifth_bits(q: &mut [u8; 256], high: &[u8]) {
    for (i, q) in q.iter_mut().take(32).enumerate() {
        *q |= (high[i / 8] >> (i % 8) & 1) << 4;
    }
}

fn set_nibbles(packed: &mut [u8], q: &[u8; 256]) {
    for (i, b) in packed.iter_mut().take(16).enumerate() {
        *b = q[i] & 15 | (q[i + 16] & 15) << 4;
    }
}

fn set_fifth_bits(high: &mut [u8], q: &[u8; 256]) {
    high.fill(0);
    for (i, q) in q.iter().take(32).enumerate() {
        high[i / 8] |= (q >> 4) << (i % 8);
    }
}

impl Quant for Q4_0 {
    const BLOCK: usize = 32;
    const BYTES: usize = 18;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4,
        scales: Scales::Half,
        groups: 1,
        offset: 8,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        nibbles(&mut parts.q, &block[2..18]);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        set_nibbles(&mut block[2..18], &parts.q);
    }
}

impl Quant for Q4_1 {
    const BLOCK: usize = 32;
    const BYTES: usize = 20;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4,
        scales: Scales::HalfMin,
        groups: 1,
        offset: 0,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        parts.m = half_at(block, 2);
        nibbles(&mut parts.q, &block[4..20]);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        set_half(block, 2, parts.m);
        set_nibbles(&mut block[4..20], &parts.q);
    }
}

impl Quant for Q5_0 {
    const BLOCK: usize = 32;
    const BYTES: usize = 22;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4B1,
        scales: Scales::Half,
        groups: 1,
        offset: 16,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        nibbles(&mut parts.q, &block[6..22]);
        fifth_bits(&mut parts.q, &block[2..6]);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        set_fifth_bits(&mut block[2..6], &parts.q);
        set_nibbles(&mut block[6..22], &parts.q);
    }
}

impl Quant for Q5_1 {
    const BLOCK: usize = 32;
    const BYTES: usize = 24;
    const LAYOUT: Layout = Layout {
        planes: Planes::B4B1,
        scales: Scales::HalfMin,
        groups: 1,
        offset: 0,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        parts.m = half_at(block, 2);
        nibbles(&mut parts.q, &block[8..24]);
        fifth_bits(&mut parts.q, &block[4..8]);
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        set_half(block, 2, parts.m);
        set_fifth_bits(&mut block[4..8], &parts.q);
        set_nibbles(&mut block[8..24], &parts.q);
    }
}

impl Quant for Q8_0 {
    const BLOCK: usize = 32;
    const BYTES: usize = 34;
    const LAYOUT: Layout = Layout {
        planes: Planes::B8,
        scales: Scales::Half,
        groups: 1,
        offset: 128,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        for (q, b) in parts.q.iter_mut().zip(&block[2..34]) {
            *q = b ^ 0x80; // i8 + 128
        }
    }
    fn write(parts: &Parts, block: &mut [u8]) {
        set_half(block, 0, parts.d);
        for (b, q) in block[2..34].iter_mut().zip(&parts.q) {
            *b = q ^ 0x80;
        }
    }
}
