//! From weights to blocks: what `candor quantize` does to a tensor. Each format says how its scales are found (`Fit`);
//! how its bytes are laid out stands beside how they are read. This knows no model: which tensor gets which format is
//! decided elsewhere. Rows are shared over a `Team`, and the bytes do not depend on how many threads it has.

mod k_min;
mod k_signed;
mod legacy;
mod search;
#[cfg(test)]
mod tests;

use std::ops::AddAssign;

use super::{Format, Parts, Quant, check, dequantize, float, with_quant};
use crate::KernelError;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{self, Isa};
use crate::shared::Shared;
use crate::team::Team;

/// Weights of a task, about: enough to be worth handing out.
const TASK_WEIGHTS: usize = 1 << 14;
/// No quantized format reaches farther (Q6_K: 65504 · 128 · 32); below, squares of squares stay finite.
const LARGEST: f32 = 268_435_456.0;

/// How a format's scales and integers are found.
trait Fit: Quant {
    /// Takes `Q::BLOCK` finite weights, at most `LARGEST`, and fills the parts of their block.
    fn fit(x: &[f32], parts: &mut Parts);
}

/// Why weights cannot be quantized. Rows and columns count from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// The bytes or the row length do not fit.
    #[error(transparent)]
    Shape(#[from] KernelError),
    /// A weight is NaN or infinite.
    #[error("the weight in row {row}, column {col} is {value}, not a number to compute with")]
    NotFinite {
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        col: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A weight is larger than the format can hold.
    #[error("row {row} holds a weight as large as {value:e}, more than {format} can hold")]
    TooLarge {
        /// Row of the weight.
        row: usize,
        /// The row's largest absolute weight.
        value: f32,
        /// Name of the format.
        format: &'static str,
    },
}

impl QuantizeError {
    /// The same for weights that stand below `rows` others.
    #[must_use]
    pub fn below(mut self, rows: usize) -> Self {
        if let Self::NotFinite { row, .. } | Self::TooLarge { row, .. } = &mut self {
            *row += rows;
        }
        self
    }
}

/// What a conversion lost, in sums that add up over tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    /// Sum of squared differences between what went in and what comes out.
    pub squared_error: f64,
    /// Sum of squares of what went in.
    pub squared: f64,
    /// Weights that went in.
    pub weights: u64,
}

impl Loss {
    /// Root of the mean squared error, in units of the weights.
    #[must_use]
    pub fn rms(&self) -> f64 {
        (self.squared_error / (self.weights.max(1)) as f64).sqrt()
    }

    /// The same relative to the weights' own root mean square; 0 where all weights are zero.
    #[must_use]
    pub fn relative(&self) -> f64 {
        if self.squared > 0.0 {
            (self.squared_error / self.squared).sqrt()
        } else {
            0.0
        }
    }
}

impl AddAssign for Loss {
    fn add_assign(&mut self, other: Self) {
        self.squared_error += other.squared_error;
        self.squared += other.squared;
        self.weights += other.weights;
    }
}

/// Writes the rows that `bytes` hold in the format `from`, `cols` weights each, to `out` in the format `to`, and says what
/// that lost. The same format is copied to the byte, its values checked all the same.
///
/// # Errors
/// If the lengths do not fit, if a weight is not finite, or if one is too large for `to`.
pub fn convert(
    team: &Team,
    (from, bytes): (Format, &[u8]),
    (to, out): (Format, &mut [u8]),
    cols: usize,
) -> Result<Loss, QuantizeError> {
    let row_in = from.row_bytes(cols).filter(|row| *row > 0).unwrap_or(usize::MAX);
    let rows = bytes.len() / row_in;
    check(from, bytes, rows, cols)?;
    check(to, out, rows, cols)?;
    let row_out = out.len() / rows.max(1);
    let per_task = (TASK_WEIGHTS / cols.max(1)).max(1);
    let tasks = rows.div_ceil(per_task);
    let mut results: Vec<Result<Loss, QuantizeError>> = vec![Ok(Loss::default()); tasks];
    let (shared_out, shared_results) = (Shared::new(out), Shared::new(&mut results));
    team.run(tasks, &|task| {
        let first = task * per_task;
        let count = per_task.min(rows - first);
        // SAFETY: each task has rows and a result of its own.
        let (out, result) = unsafe {
            (
                shared_out.slice(first * row_out, count * row_out),
                shared_results.slice(task, 1),
            )
        };
        let mut rows = Rows {
            x: vec![0.0; cols],
            y: vec![0.0; cols],
            from,
            to,
        };
        let bytes = &bytes[first * row_in..][..count * row_in];
        let lines = bytes.chunks_exact(row_in).zip(out.chunks_exact_mut(row_out));
        result[0] = lines
            .enumerate()
            .try_fold(Loss::default(), |mut loss, (row, (bytes, out))| {
                loss += rows.convert(first + row, bytes, out)?;
                Ok(loss)
            });
    });
    results.into_iter().try_fold(Loss::default(), |mut all, loss| {
        all += loss?;
        Ok(all)
    })
}

/// What converting a row needs.
struct Rows {
    /// The row, `cols` weights.
    x: Vec<f32>,
    /// What comes out of it, as many.
    y: Vec<f32>,
    from: Format,
    to: Format,
}

impl Rows {
    fn convert(&mut self, row: usize, bytes: &[u8], out: &mut [u8]) -> Result<Loss, QuantizeError> {
        dequantize(self.from, bytes, &mut self.x)?;
        if let Some(col) = self.x.iter().position(|v| !v.is_finite()) {
            let value = self.x[col];
            return Err(QuantizeError::NotFinite { row, col, value });
        }
        let squared = self.x.iter().map(|v| f64::from(*v).powi(2)).sum();
        let weights = self.x.len() as u64;
        if self.from == self.to {
            out.copy_from_slice(bytes);
            return Ok(Loss {
                squared_error: 0.0,
                squared,
                weights,
            });
        }
        let largest = self.x.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        let too_large = || QuantizeError::TooLarge {
            row,
            value: largest,
            format: self.to.name(),
        };
        if !self.to.is_float() && largest > LARGEST {
            return Err(too_large());
        }
        encode(self.to, &self.x, out);
        dequantize(self.to, out, &mut self.y)?;
        if self.y.iter().any(|v| !v.is_finite()) {
            return Err(too_large());
        }
        let pairs = self.x.iter().zip(&self.y);
        let squared_error = pairs.map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
        Ok(Loss {
            squared_error,
            squared,
            weights,
        })
    }
}

/// Writes a row; lengths were checked.
fn encode(to: Format, x: &[f32], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if cpu::isa() >= Isa::Avx2 {
        // SAFETY: `isa()` answers these only on a CPU that reports AVX2.
        with_quant!(to, Q => unsafe { blocks_avx2::<Q>(x, out) }, _ => float::narrow(to, x, out));
        return;
    }
    with_quant!(to, Q => blocks::<Q>(x, out), _ => float::narrow(to, x, out));
}

/// The same code, for the compiler to use vectors of 8: nothing in it fuses or reorders, so the bits are the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn blocks_avx2<Q: Fit>(x: &[f32], out: &mut [u8]) {
    blocks::<Q>(x, out);
}

#[inline(always)]
fn blocks<Q: Fit>(x: &[f32], out: &mut [u8]) {
    let mut parts = Parts::default();
    for (x, block) in x.chunks_exact(Q::BLOCK).zip(out.chunks_exact_mut(Q::BYTES)) {
        Q::fit(x, &mut parts);
        Q::write(&parts, block);
    }
}
