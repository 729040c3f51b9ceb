//! F32, F16 and BF16, little-endian as in the file.

use half::{bf16, f16};

use super::Format;

/// Widens to f32, exactly.
///
/// # Panics
/// On a quantized format.
pub(crate) fn widen(format: Format, bytes: &[u8], out: &mut [f32]) {
    match format {
        Format::F32 => {
            let (values, _) = bytes.as_chunks::<4>();
            out.iter_mut()
                .zip(values)
                .for_each(|(y, b)| *y = f32::from_le_bytes(*b));
        }
        Format::F16 => {
            let (values, _) = bytes.as_chunks::<2>();
            out.iter_mut()
                .zip(values)
                .for_each(|(y, b)| *y = f16::from_le_bytes(*b).to_f32());
        }
        Format::BF16 => {
            let (values, _) = bytes.as_chunks::<2>();
            out.iter_mut()
                .zip(values)
                .for_each(|(y, b)| *y = bf16::from_le_bytes(*b).to_f32());
        }
        _ => panic!("{} is not a float format", format.name()),
    }
}
