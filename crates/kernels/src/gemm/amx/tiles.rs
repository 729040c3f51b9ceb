//! Activations as the matrix unit takes them.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::TOKENS;
use crate::gemm::activations::{Bits, magnitude, scales};
use crate::lanes::Avx512;
use crate::shared::Shared;
use crate::team::Team;

/// 32 inputs of 16 tokens.
#[repr(C, align(64))]
pub(super) struct Block {
    /// Per token, 32 high bytes and 32 low bytes. Of four inputs, the middle two change places: the order in which
    /// bytes of weights come out of `unpack`.
    pub(super) bytes: [[u8; 64]; TOKENS],
    pub(super) scale: [f32; TOKENS],
    /// `Meta::scaled` of each token.
    pub(super) scaled: [[f32; TOKENS]; 3],
}

/// Activations as the unit takes them: for each 16 tokens, their blocks one after another. Missing tokens are zero.
pub(in crate::gemm) struct Tiles {
    pub(super) steps: usize,
    pub(super) tokens: usize,
    blocks: Vec<Block>,
}

impl std::fmt::Debug for Tiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tiles({} blocks)", self.blocks.len())
    }
}

impl Tiles {
    /// Rounds `x`, `[tokens, cols]`, as `activations` says.
    ///
    /// # Safety
    /// The processor has AVX-512 with VBMI.
    pub(in crate::gemm) unsafe fn new(x: &[f32], cols: usize, bits: Bits, team: &Team) -> Self {
        let steps = cols / 32;
        let tiles = x.chunks(TOKENS * cols);
        let count = tiles.len();
        let mut blocks = Vec::with_capacity(count * steps);
        let free = Shared::new(&mut blocks.spare_capacity_mut()[..count * steps]);
        team.run(count, &|i| {
            let x = &x[i * TOKENS * cols..];
            // SAFETY: each tile's blocks are one task's own; the instructions are there, as promised.
            unsafe {
                round(
                    &x[..x.len().min(TOKENS * cols)],
                    cols,
                    bits,
                    free.slice(i * steps, steps),
                )
            };
        });
        // SAFETY: `round` wrote each of them.
        unsafe { blocks.set_len(count * steps) };
        Tiles {
            steps,
            tokens: x.len() / cols.max(1),
            blocks,
        }
    }

    pub(super) fn tile(&self, i: usize) -> &[Block] {
        &self.blocks[i * self.steps..][..self.steps]
    }
}

/// Where in a block's 32 words of two bytes the bytes of `Block::bytes` are.
const PLACES: [u8; 64] = {
    let mut places = [0; 64];
    let mut i = 0;
    while i < 32 {
        let input = i / 4 * 4 + [0, 2, 1, 3][i % 4];
        places[i] = 2 * input as u8 + 1;
        places[32 + i] = 2 * input as u8;
        i += 1;
    }
    places
};

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
fn round(x: &[f32], cols: usize, bits: Bits, out: &mut [MaybeUninit<Block>]) {
    // SAFETY: 64 bytes.
    let places = unsafe { _mm512_loadu_si512(PLACES.as_ptr().cast()) };
    for (s, out) in out.iter_mut().enumerate() {
        let mut largest = [0.0; TOKENS];
        for (largest, row) in largest.iter_mut().zip(x.chunks_exact(cols)) {
            *largest = magnitude::<Avx512>(&row.as_chunks::<32>().0[s]);
        }
        let (scale, inverses) = scales::<Avx512>(&largest, bits);
        let mut bytes = [[0; 64]; TOKENS];
        let mut sums = [[0; TOKENS]; 2];
        for (t, row) in x.chunks_exact(cols).enumerate() {
            let row = row.as_chunks::<32>().0[s].as_ptr();
            // SAFETY: 32 values of a row, and 64 bytes of a token.
            unsafe {
                // To the nearest, ties to even; what is not finite has a scale of NaN.
                let inverse = _mm512_set1_ps(inverses[t]);
                let low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(row), inverse));
                let high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(row.add(16)), inverse));
                sums[0][t] = _mm512_reduce_add_epi32(low);
                sums[1][t] = _mm512_reduce_add_epi32(high);
                let words = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(low));
                let words = _mm512_inserti64x4::<1>(words, _mm512_cvtepi32_epi16(high));
                _mm512_storeu_si512(bytes[t].as_mut_ptr().cast(), _mm512_permutexvar_epi8(places, words));
            }
        }
        let both = std::array::from_fn(|t| sums[0][t] + sums[1][t]);
        let scaled = [both, sums[0], sums[1]].map(|sums: [i32; TOKENS]| {
            let mut t = 0;
            sums.map(|sum| {
                t += 1;
                scale[t - 1] * sum as f32
            })
        });
        out.write(Block { bytes, scale, scaled });
    }
}
