//! Attention in integers against f64 and against the scalar twin.

use proptest::prelude::*;

use super::{Heads, attend_whole_on};
use crate::cpu::{self, Isa};
use crate::gemm::tests::Numbers;
use crate::team::Team;

struct Case {
    heads: Heads,
    lengths: Vec<usize>,
    qkv: [Vec<f32>; 3],
}

impl Case {
    fn new(count: usize, dim: usize, lengths: Vec<usize>, seed: u64) -> Self {
        let mut n = Numbers(seed);
        let tokens: usize = lengths.iter().sum();
        let qkv = std::array::from_fn(|_| (0..tokens * count * dim).map(|_| n.float()).collect());
        let scale = 1.0 / (dim as f32).sqrt();
        Case {
            heads: Heads { count, dim, scale },
            lengths,
            qkv,
        }
    }

    fn attend(&self, isa: Isa, team: &Team) -> Vec<f32> {
        let mut out = vec![f32::NAN; self.qkv[0].len()];
        let qkv = self.qkv.each_ref().map(Vec::as_slice);
        attend_whole_on(isa, team, &mut out, qkv, &self.lengths, &self.heads);
        out
    }

    /// Head `h` of token `t` of the sequence that begins at `start`, in f64.
    fn reference(&self, start: usize, len: usize, t: usize, h: usize) -> Vec<f64> {
        let Heads { count, dim, scale } = self.heads;
        let row = |which: usize, p: usize| &self.qkv[which][((start + p) * count + h) * dim..][..dim];
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let scores: Vec<f64> = (0..len).map(|p| dot(row(0, t), row(1, p)) * f64::from(scale)).collect();
        let max = scores.iter().fold(f64::MIN, |a, b| a.max(*b));
        let e: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f64 = e.iter().sum();
        let weighted = |d: usize| (0..len).map(|p| e[p] * f64::from(row(2, p)[d])).sum::<f64>() / sum;
        (0..dim).map(weighted).collect()
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_path_and_team_gives_the_bits_of_the_scalar_twin_and_is_near_f64(
        count in 1usize..4, dim in 1usize..80, lengths in proptest::collection::vec(0usize..90, 1..4), seed in 1u64..
    ) {
        let case = Case::new(count, dim, lengths, seed);
        let twin = case.attend(Isa::Scalar, &Team::new(1));
        for isa in cpu::available() {
            prop_assert_eq!(bits(&case.attend(isa, &Team::new(2))), bits(&twin), "{:?}", isa);
        }
        let mut start = 0;
        for &len in case.lengths.iter().filter(|len| **len > 0) {
            let (t, h) = (len / 2, count - 1);
            let got = &twin[((start + t) * count + h) * dim..][..dim];
            for (got, want) in got.iter().zip(case.reference(start, len, t, h)) {
                // Products of numbers below 1: a score errs by the roundings of both sides, 2^-14 sqrt(80) at most, and
                // weights by half a step of the largest.
                prop_assert!((f64::from(*got) - want).abs() < 2e-3, "{got} {want}");
            }
            start += len;
        }
    }

    #[test]
    fn a_sequence_has_the_same_bits_alone_and_beside_others(
        lengths in proptest::collection::vec(1usize..60, 2..5), seed in 1u64..
    ) {
        let case = Case::new(2, 32, lengths, seed);
        let all = case.attend(cpu::best(), &Team::new(3));
        let mut start = 0;
        for &len in &case.lengths {
            let part = start * 64..(start + len) * 64;
            let qkv = case.qkv.each_ref().map(|x| x[part.clone()].to_vec());
            let alone = Case { heads: case.heads, lengths: vec![len], qkv }.attend(cpu::best(), &Team::new(1));
            prop_assert_eq!(bits(&alone), bits(&all[part]));
            start += len;
        }
    }
}

#[test]
fn scores_as_large_as_they_get_and_rows_of_zeros_are_no_trouble() {
    let mut case = Case::new(1, 32, vec![70], 7);
    case.qkv[0].iter_mut().for_each(|v| *v = 40.0);
    case.qkv[1].iter_mut().for_each(|v| *v *= 40.0);
    case.qkv[1][32..64].fill(0.0);
    case.qkv[2].chunks_exact_mut(32).for_each(|row| row[5] = 0.0);
    let twin = case.attend(Isa::Scalar, &Team::new(1));
    assert!(twin.iter().all(|v| v.is_finite()));
    assert!(twin.chunks_exact(32).all(|row| row[5] == 0.0));
    for isa in cpu::available() {
        assert_eq!(bits(&case.attend(isa, &Team::new(1))), bits(&twin), "{isa:?}");
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_sequence() {
    for which in 0..3 {
        let mut case = Case::new(1, 16, vec![20, 20], 9);
        case.qkv[which][16 * 3 + 2] = f32::INFINITY;
        for isa in cpu::available() {
            let out = case.attend(isa, &Team::new(1));
            assert!(out[16 * 3..16 * 4].iter().any(|v| v.is_nan()), "{which} {isa:?}");
            assert!(out[16 * 20..].iter().all(|v| v.is_finite()), "{which} {isa:?}");
        }
    }
}
