//! Linear layers: `out[t][r] = sum over k of x[t][k] * w[r][k]`.
//!
//! Quantized weights: activations become integers of 16 (or 8) bits with one f32 scale per 32 (`activations`). Per output, step
//! after step of 32 inputs in order, and in a step scale group after scale group (one of 32 or two of 16):
//!
//! ```text
//! dot = sum of (q - offset) * a                       exact in i32: |dot| <= 32 * 255 * 32767 < 2^28
//! acc = fma(f32(dot), w_scale * a_scale, acc)
//! acc = fma(w_min, a_scale * f32(sum of a), acc)      formats with minima only
//! ```
//!
//! Float weights: `acc = fma(w, x, acc)` in input order. Both begin at zero. Every instruction set computes just this.

mod activations;
#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
mod buffer;
mod float;
mod kernel;
pub(crate) mod pack;
mod panel;
mod plan;
mod run;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tile;
mod unpack;
pub(crate) mod whole;

pub use activations::{Bits, Quantized};
pub use pack::Weights;
pub use whole::{WholeRows, matmul_whole};

use crate::cpu::{Isa, isa};
use crate::team::Team;

/// Tokens that layers which follow each other are best computed for at once: what passes between the layers then stays in the
/// second-level cache, and unpacking the weights once more costs less than that. The matrix unit wants more tokens for it.
#[must_use]
pub fn tokens_at_once(team: &Team) -> usize {
    team.threads() * if isa() == Isa::Amx { 256 } else { 64 }
}

/// `out = x w^T`. Shapes: `x` `[T, cols]`, `w` `[rows, cols]`, `out` `[T, rows]`, row-major; T follows from `x`.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn matmul(team: &Team, out: &mut [f32], x: &[f32], w: &Weights) {
    let tokens = x.len().checked_div(w.cols()).unwrap_or(0);
    matmul_quantized(team, out, &Quantized::new(x, tokens, w.cols(), Bits::default()), w);
}

/// `matmul` with activations prepared once for several weights.
///
/// # Panics
/// If the lengths do not fit the shapes.
pub fn matmul_quantized(team: &Team, out: &mut [f32], x: &Quantized<'_>, w: &Weights) {
    matmul_together(team, x, &mut [(out, w)]);
}

/// `matmul_quantized` of several weights at once, which is faster than one after another.
///
/// # Panics
/// If the lengths do not fit the shapes.
pub fn matmul_together(team: &Team, x: &Quantized<'_>, layers: &mut [(&mut [f32], &Weights)]) {
    run::run_on(isa(), team, x, layers);
}
