//! Integers of 12 bits under one f16 scale per 32 weights. No file has this format: float weights become it where speed
//! counts and half of 1/2047 of a block's largest weight is near enough. Twelve bits are the most whose products with
//! 16-bit activations, 32 of them, surely fit 32 bits: 32 * 2048 * 32767 < 2^31.

use half::f16;

use super::layout::{Layout, Parts, Planes, Quant, Scales, half_at};

/// The largest magnitude.
const MOST: f32 = 2047.0;
/// What is added to make the stored integers positive.
const OFFSET: i32 = 2048;

pub(crate) struct I12;

impl Quant for I12 {
    const BLOCK: usize = 32;
    const BYTES: usize = 66;
    const LAYOUT: Layout = Layout {
        planes: Planes::B16,
        scales: Scales::Half,
        groups: 1,
        offset: OFFSET,
    };
    fn read(block: &[u8], parts: &mut Parts) {
        parts.d = half_at(block, 0);
        for (i, word) in block[2..66].as_chunks::<2>().0.iter().enumerate() {
            (parts.q[i], parts.high[i]) = (word[0], word[1] & 0x0f);
        }
    }
}

/// Whole blocks of weights in this format; `None` where one is not finite or too large for an f16 scale.
#[must_use]
pub fn to_i12(weights: &[f32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(weights.len() / 32 * I12::BYTES);
    for block in weights.as_chunks::<32>().0 {
        let largest = block.iter().fold(0f32, |most, w| most.max(w.abs()));
        let finite = block.iter().all(|w| w.is_finite());
        let mut scale = f16::from_f32(largest / MOST);
        if scale.to_f32() * MOST < largest {
            // Rounded down: the largest weight would not fit.
            scale = f16::from_bits(scale.to_bits() + 1);
        }
        if !finite || !scale.is_finite() {
            return None;
        }
        bytes.extend(scale.to_le_bytes());
        let inverse = if largest > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
        for w in block {
            let q = (w * inverse).round().clamp(-MOST, MOST) as i32 + OFFSET;
            bytes.extend((q as u16).to_le_bytes());
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::to_i12;
    use crate::formats::{Format, dequantize};

    #[test]
    fn a_weight_moves_by_half_a_step_at_most() {
        for size in [1e-7f32, 1e-3, 0.3, 1.0, 1e4] {
            let weights: Vec<f32> = (0..96).map(|i| ((i * 37 % 97) as f32 / 48.0 - 1.0) * size).collect();
            let mut back = [0.0; 96];
            dequantize(Format::I12, &to_i12(&weights).unwrap(), &mut back).unwrap();
            for (block, back) in weights.chunks(32).zip(back.chunks(32)) {
                let largest = block.iter().fold(0f32, |most, w| most.max(w.abs()));
                // The scale is rounded up to an f16: 11 bits, or 2^-24 where it is tiny.
                let step = largest / 2047.0 * (1.0 + 1.0 / 1024.0) + 6e-8;
                assert!(
                    block.iter().zip(back).all(|(a, b)| (a - b).abs() <= step * 0.501),
                    "{size}"
                );
            }
        }
        assert!(to_i12(&[f32::NAN; 32]).is_none() && to_i12(&[3e38; 32]).is_none());
        assert!(to_i12(&[0.0; 32]).unwrap()[..2] == [0, 0]);
    }
}
