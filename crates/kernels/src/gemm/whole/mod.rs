//! Products of whole rows as integers, for encoders: one scale per row of weights and one per token, none between.
//!
//! Weights and activations become integers of 14 bits: q = x * (8191 / a) to the nearest, ties to even, a the row's
//! largest magnitude. With nothing to scale on the way, sums of products stay integers to the end and are exact, whoever
//! adds them and in what order:
//!
//! ```text
//! dot = sum of q a               each 32 products fit i32: 32 * 8191^2 < 2^31
//! out = f32(dot) * (w_scale * a_scale), + bias where there is one
//! ```
//!
//! A row whose largest magnitude is below 1e-30 counts as zero; a token that holds an infinity or NaN gets the scale NaN.
//! Embeddings move by 3e-4 at most (an element of a vector of length 1, all-MiniLM-L6-v2).

mod activations;
#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
pub(crate) mod kernel;
#[cfg(test)]
mod tests;
pub(crate) mod weights;

pub(super) use activations::Activations;
pub(super) use weights::Layout;
pub use weights::WholeRows;

use super::Quantized;
use crate::cpu::{Isa, isa};
use crate::shared::Shared;
use crate::team::Team;
use kernel::{Place, scalar};

/// The largest magnitude of an integer.
pub(crate) const MOST: f32 = 8191.0;
/// Magnitudes below count as zero: their inverse would not be finite.
const LEAST: f32 = 1e-30;
/// Inputs that `f32(dot)` is exact in two parts for: see `kernel::value`.
pub(crate) const MOST_INPUTS: usize = 4032;
/// Inputs of a step; rows are filled up to whole steps with zeros.
pub(crate) const STEP: usize = 64;
/// Rows per group.
const ROWS: usize = super::pack::ROWS;
/// Tokens of a task: their activations stay in the second-level cache.
const TASK_TOKENS: usize = 128;

/// `out = x w^T + bias`. Shapes: `x` `[T, cols]`, `w` `[rows, cols]`, `bias` `[rows]`, `out` `[T, rows]`, row-major.
///
/// # Panics
/// If the lengths do not fit these shapes.
pub fn matmul_whole(team: &Team, out: &mut [f32], x: &Quantized<'_>, w: &WholeRows, bias: Option<&[f32]>) {
    run_on(isa(), team, out, x, w, bias);
}

fn run_on(isa: Isa, team: &Team, out: &mut [f32], x: &Quantized<'_>, w: &WholeRows, bias: Option<&[f32]>) {
    assert_eq!(x.cols(), w.cols(), "inputs of the activations and of the weights");
    assert_eq!(out.len(), x.tokens() * w.rows(), "out is [tokens, rows]");
    assert!(bias.is_none_or(|b| b.len() == w.rows()), "bias is [rows]");
    if out.is_empty() {
        return;
    }
    let acts = x.whole(isa, w.layout(), team);
    let out = Shared::new(out);
    let tasks = x.tokens().div_ceil(TASK_TOKENS);
    // Tasks that share tokens follow each other, so that these tokens' activations stay in cache.
    let per_task = (w.groups() / (team.threads() * 3)).clamp(2, 16);
    let across = w.groups().div_ceil(per_task);
    team.run(across * tasks, &|i| {
        let first = i / across * TASK_TOKENS;
        let place = Place {
            out: &out,
            bias,
            rows: w.rows(),
            tokens: first..(first + TASK_TOKENS).min(x.tokens()),
            groups: i % across * per_task..(i % across * per_task + per_task).min(w.groups()),
        };
        part_on(isa, acts, w, &place);
    });
}

fn part_on(isa: Isa, acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    match w.layout() {
        #[cfg(target_arch = "x86_64")]
        Layout::Bytes => {
            assert!(isa == Isa::Amx, "weights for the matrix unit");
            // SAFETY: `isa` says that the processor has the unit.
            unsafe { amx::part(acts, w, place) };
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa` says that the processor has these instructions.
        Layout::Pairs if isa >= Isa::Avx512 => unsafe { avx512(acts, w, place) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Layout::Pairs if isa == Isa::Avx2 => unsafe { avx2(acts, w, place) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: likewise.
        Layout::Pairs if isa == Isa::Neon => unsafe { neon(acts, w, place) },
        Layout::Pairs => scalar(acts, w, place),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn avx2(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    kernel::part::<crate::lanes::Avx2, 2>(acts, w, place);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn avx512(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    kernel::part::<crate::lanes::Avx512, 8>(acts, w, place);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon(acts: &Activations, w: &WholeRows, place: &Place<'_>) {
    kernel::part::<crate::lanes::Neon, 2>(acts, w, place);
}
