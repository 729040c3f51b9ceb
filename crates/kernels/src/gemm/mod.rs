//! Linear layers: `out[t][r] = sum over k of x[t][k] * w[r][k]`.
//!
//! Quantized weights: activations become 16-bit integers with one f32 scale per 32 (`activations`). Per output, step
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
mod buffer;
mod pack;
mod scalar;

pub use activations::Quantized;
pub use pack::Weights;

use crate::formats::with_quant;
use crate::shared::Shared;
use crate::team::Team;

/// `out = x w^T`. Shapes: `x` `[T, cols]`, `w` `[rows, cols]`, `out` `[T, rows]`, row-major; T follows from `x`.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn matmul(team: &Team, out: &mut [f32], x: &[f32], w: &Weights) {
    let tokens = x.len().checked_div(w.cols()).unwrap_or(0);
    matmul_quantized(team, out, &Quantized::new(x, tokens, w.cols(), team), w);
}

/// `matmul` with activations prepared once for several weights.
///
/// # Panics
/// If the lengths do not fit the shapes.
pub fn matmul_quantized(team: &Team, out: &mut [f32], x: &Quantized<'_>, w: &Weights) {
    assert_eq!(x.cols(), w.cols(), "inputs of the activations and of the weights");
    assert_eq!(out.len(), x.tokens() * w.rows(), "out is [tokens, rows]");
    let out = Shared::new(out);
    let store = |t: usize, g: usize, acc: &[f32; 16]| {
        let n = (w.rows() - g * 16).min(16);
        // SAFETY: each (token, group) is one task's own, and the groups of a token do not overlap.
        unsafe { out.slice(t * w.rows() + g * 16, n) }.copy_from_slice(&acc[..n]);
    };
    if w.format().is_float() {
        team.run(w.groups(), &|g| {
            for t in 0..x.tokens() {
                store(t, g, &scalar::float(w.format(), w.group(g), x.floats(t)));
            }
        });
        return;
    }
    let acts = x.integers(team);
    team.run(w.groups(), &|g| {
        for t in 0..x.tokens() {
            let (q, meta) = acts.token(t);
            store(t, g, &with_quant!(w.format(), Q => scalar::quantized::<Q>(w.group(g), q, meta), _ => [0.0; 16]));
        }
    });
}
