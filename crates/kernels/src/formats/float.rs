//! F32, F16 and BF16, little-endian as in the file.

use half::{bf16, f16};

use super::Format;

/// Narrows from f32, to the nearest value, ties to even; what is too large becomes infinite.
///
/// # Panics
/// On a quantized format.
pub(crate) fn narrow(format: Format, values: &[f32], bytes: &mut [u8]) {
    match format {
        Format::F32 => {
            let (out, _) = bytes.as_chunks_mut::<4>();
            out.iter_mut().zip(values).for_each(|(b, v)| *b = v.to_le_bytes());
        }
        Format::F16 => {
            let (out, _) = bytes.as_chunks_mut::<2>();
            out.iter_mut()
                .zip(values)
                .for_each(|(b, v)| *b = f16::from_f32(*v).to_le_bytes());
        }
        Format::BF16 => {
            let (out, _) = bytes.as_chunks_mut::<2>();
            out.iter_mut()
                .zip(values)
                .for_each(|(b, v)| *b = bf16::from_f32(*v).to_le_bytes());
        }
        _ => panic!("{} is not a float format", format.name()),
    }
}

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
