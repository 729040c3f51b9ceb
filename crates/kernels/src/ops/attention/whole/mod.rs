//! Attention of encoders on integers of whole rows (see `gemm::whole`), several times as fast as on f32.
//!
//! Every token sees every token of its sequence. Per (token, head), with integers of 14 bits:
//!
//! ```text
//! score[p] = f32(dot(q, k[p])) * (k_scale[p] * (q_scale * scale))    q and k[p]: a head's elements, a scale each
//! e[p] = exp(score[p] - max)                                         max and sum as in `attention`
//! out[d] = f32(dot(e, v[d])) * (v_scale[d] * (e_scale / sum))        e, and v[d] over all positions: a scale each
//! ```
//!
//! A dot is exact and rounded once, so nothing depends on what computes it.

#[cfg(target_arch = "x86_64")]
mod amx;
mod pairs;
#[cfg(test)]
mod tests;

use crate::cpu::{Isa, isa};
use crate::gemm::whole::MOST_INPUTS;
use crate::lanes::{Lanes, ask};
use crate::shared::Shared;
use crate::team::Team;

/// Tokens of a sequence at most: beyond, a dot would not be exact.
pub const MOST_TOKENS: usize = MOST_INPUTS;

/// Shape of an encoder's attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// How many there are; each has its own keys and values.
    pub count: usize,
    /// Elements per head.
    pub dim: usize,
    /// Factor of the scores, usually 1 / sqrt(dim).
    pub scale: f32,
}

/// Attention of sequences whose tokens all see each other. `lengths` are the sequences' tokens, `MOST_TOKENS` at most.
/// Shapes: `q`, `k`, `v`, `out` `[T, count * dim]`.
///
/// # Panics
/// If lengths do not fit these shapes, or a sequence is too long.
pub fn attend_whole(team: &Team, out: &mut [f32], qkv: [&[f32]; 3], lengths: &[usize], heads: &Heads) {
    attend_whole_on(isa(), team, out, qkv, lengths, heads);
}

fn attend_whole_on(isa: Isa, team: &Team, out: &mut [f32], qkv: [&[f32]; 3], lengths: &[usize], heads: &Heads) {
    let width = heads.count * heads.dim;
    let tokens: usize = lengths.iter().sum();
    assert!(
        qkv.iter().all(|x| x.len() == tokens * width) && out.len() == tokens * width,
        "q, k, v and out are [T, count * dim]"
    );
    assert!(
        heads.dim <= MOST_INPUTS && lengths.iter().all(|n| *n <= MOST_TOKENS),
        "heads and sequences of at most {MOST_INPUTS}"
    );
    if out.is_empty() {
        return;
    }
    let out = Shared::new(out);
    let mut row = 0;
    let mut sequences = Vec::with_capacity(lengths.len());
    for &len in lengths.iter().filter(|len| **len > 0) {
        sequences.push((row, len));
        row += len;
    }
    team.run(sequences.len() * heads.count, &|i| {
        let (row, len) = sequences[i / heads.count];
        let head = Head {
            out: &out,
            qkv,
            start: row * width + i % heads.count * heads.dim,
            width,
            len,
            dim: heads.dim,
            scale: heads.scale,
        };
        match isa {
            // SAFETY: `isa` says that the processor has the unit.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => unsafe { amx::attend(&head) },
            _ => pairs::attend_on(isa, &head),
        }
    });
}

/// A task: one head of one sequence.
struct Head<'a> {
    out: &'a Shared<'a, f32>,
    qkv: [&'a [f32]; 3],
    /// Where its first token begins.
    start: usize,
    /// From a token to the next.
    width: usize,
    /// Tokens.
    len: usize,
    dim: usize,
    scale: f32,
}

impl Head<'_> {
    fn row(&self, which: usize, token: usize) -> &[f32] {
        &self.qkv[which][self.start + token * self.width..][..self.dim]
    }

    /// Asks for the query (0), key (1) or value (2) of a token, if there is one.
    #[inline(always)]
    fn ask<L: Lanes>(&self, which: usize, token: usize) {
        if token < self.len {
            let row = self.row(which, token);
            ask::<L>(row.as_ptr().cast(), size_of_val(row));
        }
    }

    fn query(&self, token: usize) -> &[f32] {
        self.row(0, token)
    }

    fn key(&self, token: usize) -> &[f32] {
        self.row(1, token)
    }

    fn value(&self, token: usize) -> &[f32] {
        self.row(2, token)
    }

    /// Elements from `at` on of a token's result, up to 16.
    ///
    /// # Safety
    /// Nobody else uses this head's results.
    #[allow(clippy::mut_from_ref)] // as `Shared::slice`
    unsafe fn result(&self, token: usize, at: usize) -> &mut [f32] {
        let len = (self.dim - at).min(16);
        // SAFETY: as promised.
        unsafe { self.out.slice(self.start + token * self.width + at, len) }
    }
}
