//! Weight formats of GGUF files. One file per quantized format says how a file's block is read and written; everything
//! else (dequantizing, repacking, kernels) is written once over `Quant`. How scales are found for weights that are not
//! quantized yet stands in `quantize`. Adding a format: a file with `read` and `write`, its `Fit`, a line in `Format` and
//! in `with_quant!`.

mod float;
mod layout;
mod legacy;
mod q2_k;
mod q3_k;
mod q4_k;
mod q5_k;
mod q6_k;
pub mod quantize;

pub(crate) use layout::{Layout, Parts, Planes, Quant, Scales, scale_and_min, value};
pub(crate) use legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
pub(crate) use q2_k::Q2K;
pub(crate) use q3_k::Q3K;
pub(crate) use q4_k::Q4K;
pub(crate) use q5_k::Q5K;
pub(crate) use q6_k::Q6K;

use crate::KernelError;

/// A weight format, named as in ggml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Format {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

/// Runs `$body` with `$quant` standing for the format's type; float formats run `$float`.
macro_rules! with_quant {
    ($format:expr, $quant:ident => $body:expr, _ => $float:expr) => {{
        use $crate::formats::{self, Format};
        match $format {
            Format::Q4_0 => {
                type $quant = formats::Q4_0;
                $body
            }
            Format::Q4_1 => {
                type $quant = formats::Q4_1;
                $body
            }
            Format::Q5_0 => {
                type $quant = formats::Q5_0;
                $body
            }
            Format::Q5_1 => {
                type $quant = formats::Q5_1;
                $body
            }
            Format::Q8_0 => {
                type $quant = formats::Q8_0;
                $body
            }
            Format::Q2K => {
                type $quant = formats::Q2K;
                $body
            }
            Format::Q3K => {
                type $quant = formats::Q3K;
                $body
            }
            Format::Q4K => {
                type $quant = formats::Q4K;
                $body
            }
            Format::Q5K => {
                type $quant = formats::Q5K;
                $body
            }
            Format::Q6K => {
                type $quant = formats::Q6K;
                $body
            }
            Format::F32 | Format::F16 | Format::BF16 => $float,
        }
    }};
}
pub(crate) use with_quant;

impl Format {
    /// Every format.
    pub const ALL: [Format; 13] = [
        Format::F32,
        Format::F16,
        Format::BF16,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q8_0,
        Format::Q2K,
        Format::Q3K,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
    ];

    /// Weights per block; a row holds whole blocks.
    #[must_use]
    pub fn block_len(self) -> usize {
        with_quant!(self, Q => Q::BLOCK, _ => 1)
    }

    /// Bytes per block.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        with_quant!(self, Q => Q::BYTES, _ => if self == Format::F32 { 4 } else { 2 })
    }

    /// Bytes of a row of `cols` weights; `None` where `cols` is not a whole number of blocks or the size overflows.
    #[must_use]
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        if !cols.is_multiple_of(self.block_len()) {
            return None;
        }
        (cols / self.block_len()).checked_mul(self.block_bytes())
    }

    /// ggml's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "F32",
            Format::F16 => "F16",
            Format::BF16 => "BF16",
            Format::Q4_0 => "Q4_0",
            Format::Q4_1 => "Q4_1",
            Format::Q5_0 => "Q5_0",
            Format::Q5_1 => "Q5_1",
            Format::Q8_0 => "Q8_0",
            Format::Q2K => "Q2_K",
            Format::Q3K => "Q3_K",
            Format::Q4K => "Q4_K",
            Format::Q5K => "Q5_K",
            Format::Q6K => "Q6_K",
        }
    }

    /// From ggml's number of the tensor type; `None` for types that are not supported.
    #[must_use]
    pub fn from_ggml(number: u32) -> Option<Self> {
        Some(match number {
            0 => Format::F32,
            1 => Format::F16,
            2 => Format::Q4_0,
            3 => Format::Q4_1,
            6 => Format::Q5_0,
            7 => Format::Q5_1,
            8 => Format::Q8_0,
            10 => Format::Q2K,
            11 => Format::Q3K,
            12 => Format::Q4K,
            13 => Format::Q5K,
            14 => Format::Q6K,
            30 => Format::BF16,
            _ => return None,
        })
    }

    /// ggml's number of the tensor type, the inverse of `from_ggml`.
    #[must_use]
    pub fn to_ggml(self) -> u32 {
        match self {
            Format::F32 => 0,
            Format::F16 => 1,
            Format::Q4_0 => 2,
            Format::Q4_1 => 3,
            Format::Q5_0 => 6,
            Format::Q5_1 => 7,
            Format::Q8_0 => 8,
            Format::Q2K => 10,
            Format::Q3K => 11,
            Format::Q4K => 12,
            Format::Q5K => 13,
            Format::Q6K => 14,
            Format::BF16 => 30,
        }
    }

    /// Whether the weights are plain floats.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Format::F32 | Format::F16 | Format::BF16)
    }
}

/// Writes the weights that `bytes` hold to `out`, equal to ggml's own dequantization.
///
/// # Errors
/// If `bytes` are not as many as `out.len()` weights take.
pub fn dequantize(format: Format, bytes: &[u8], out: &mut [f32]) -> Result<(), KernelError> {
    check(format, bytes, 1, out.len())?;
    with_quant!(format, Q => layout::dequantize::<Q>(bytes, out), _ => float::widen(format, bytes, out));
    Ok(())
}

/// Checks that `bytes` hold `rows` rows of `cols` weights.
pub(crate) fn check(format: Format, bytes: &[u8], rows: usize, cols: usize) -> Result<(), KernelError> {
    let row = format.row_bytes(cols).ok_or(KernelError::Shape {
        format: format.name(),
        block: format.block_len(),
        cols,
    })?;
    let needs = row.checked_mul(rows).ok_or(KernelError::Memory { bytes: usize::MAX })?;
    if needs != bytes.len() {
        return Err(KernelError::Size {
            format: format.name(),
            rows,
            cols,
            needs,
            found: bytes.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The fixtures of `fixtures/make_blocks.py`.
    const FIXTURES: [(Format, &[u8]); 11] = [
        (Format::Q4_0, include_bytes!("../../fixtures/q4_0.bin")),
        (Format::Q4_1, include_bytes!("../../fixtures/q4_1.bin")),
        (Format::Q5_0, include_bytes!("../../fixtures/q5_0.bin")),
        (Format::Q5_1, include_bytes!("../../fixtures/q5_1.bin")),
        (Format::Q8_0, include_bytes!("../../fixtures/q8_0.bin")),
        (Format::Q2K, include_bytes!("../../fixtures/q2_k.bin")),
        (Format::Q3K, include_bytes!("../../fixtures/q3_k.bin")),
        (Format::Q4K, include_bytes!("../../fixtures/q4_k.bin")),
        (Format::Q5K, include_bytes!("../../fixtures/q5_k.bin")),
        (Format::Q6K, include_bytes!("../../fixtures/q6_k.bin")),
        (Format::BF16, include_bytes!("../../fixtures/bf16.bin")),
    ];

    #[test]
    fn values_equal_those_of_the_gguf_package() {
        for (format, fixture) in FIXTURES {
            let (blocks, values) = fixture.split_at(format.row_bytes(512).unwrap());
            let mut got = [0.0; 512];
            dequantize(format, blocks, &mut got).unwrap();
            let want: Vec<f32> = values
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            assert_eq!(got[..], want, "{}", format.name());
        }
    }

    #[test]
    fn a_block_that_is_taken_apart_and_put_together_is_the_same_bytes() {
        fn again<Q: Quant>(block: &[u8]) -> Vec<u8> {
            let (mut parts, mut out) = (Parts::default(), vec![0xa5; block.len()]);
            for (block, out) in block.chunks(Q::BYTES).zip(out.chunks_mut(Q::BYTES)) {
                Q::read(block, &mut parts);
                Q::write(&parts, out);
            }
            out
        }
        for (format, fixture) in FIXTURES.into_iter().filter(|(format, _)| !format.is_float()) {
            let (blocks, _) = fixture.split_at(format.row_bytes(512).unwrap());
            let out = with_quant!(format, Q => again::<Q>(blocks), _ => unreachable!());
            assert_eq!(out, blocks, "{}", format.name());
        }
    }

    #[test]
    fn numbers_of_ggml_name_the_formats_and_nothing_else() {
        let known: Vec<Format> = (0..64).filter_map(Format::from_ggml).collect();
        assert_eq!(known.len(), Format::ALL.len());
        assert!(Format::ALL.iter().all(|f| known.contains(f)));
        assert!(Format::ALL.iter().all(|f| Format::from_ggml(f.to_ggml()) == Some(*f)));
        assert_eq!(Format::Q6K.row_bytes(512), Some(420));
        assert_eq!(Format::Q6K.row_bytes(500), None);
    }
}
