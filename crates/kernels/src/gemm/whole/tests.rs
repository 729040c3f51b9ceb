//! Products of whole rows against f64 and against the scalar twin.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{WholeRows, run_on};
use crate::cpu::{self, Isa};
use crate::gemm::tests::Numbers;
use crate::gemm::{Bits, Quantized};
use crate::team::Team;

struct Case {
    rows: usize,
    cols: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Case {
    fn new(rows: usize, cols: usize, tokens: usize, seed: u64) -> Self {
        let mut n = Numbers(seed);
        let mut floats = |count: usize| (0..count).map(|_| n.float()).collect::<Vec<f32>>();
        let (x, w, bias) = (floats(tokens * cols), floats(rows * cols), floats(rows));
        let bias = seed.is_multiple_of(2).then_some(bias);
        Case { rows, cols, x, w, bias }
    }

    fn product(&self, isa: Isa, team: &Team, x: &[f32]) -> Vec<f32> {
        let w = WholeRows::new_on(isa, &self.w, self.rows, self.cols, team)
            .unwrap()
            .unwrap();
        let tokens = x.len() / self.cols;
        let mut out = vec![f32::NAN; tokens * self.rows];
        let x = Quantized::new(x, tokens, self.cols, Bits::default());
        run_on(isa, team, &mut out, &x, &w, self.bias.as_deref());
        out
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_path_returns_the_bits_of_the_scalar_twin_and_is_near_f64(
        rows in 1usize..70, cols in 1usize..300, tokens in 1usize..40, seed in 1u64..
    ) {
        let (team, case) = (Team::new(2), Case::new(rows, cols, tokens, seed));
        let twin = case.product(Isa::Scalar, &team, &case.x);
        for isa in cpu::available() {
            prop_assert_eq!(bits(&case.product(isa, &team, &case.x)), bits(&twin), "{:?}", isa);
        }
        let most = |row: &[f32]| f64::from(row.iter().fold(0f32, |a, v| a.max(v.abs())));
        for (t, x) in case.x.chunks_exact(cols).enumerate() {
            for (r, w) in case.w.chunks_exact(cols).enumerate() {
                let bias = case.bias.as_ref().map_or(0.0, |b| f64::from(b[r]));
                let want: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>() + bias;
                // Each factor moves by half a step, the largest of its row / 16382; f32 rounds the rest.
                let size = most(x) * most(w) * cols as f64;
                let bound = size * 2.02 / 16382.0 + want.abs() * 1e-6 + 1e-7;
                let got = f64::from(twin[t * rows + r]);
                prop_assert!((got - want).abs() <= bound, "{got} for {want}");
            }
        }
    }

    #[test]
    fn a_token_has_the_same_bits_alone_in_a_batch_and_on_any_number_of_threads(
        rows in 1usize..70, cols in 1usize..200, tokens in 2usize..200, seed in 1u64..
    ) {
        let case = Case::new(rows, cols, tokens, seed);
        let (one, three) = (Team::new(1), Team::new(3));
        let all = case.product(cpu::best(), &three, &case.x);
        prop_assert_eq!(bits(&all), bits(&case.product(cpu::best(), &one, &case.x)));
        for t in [0, tokens / 2, tokens - 1] {
            let alone = case.product(cpu::best(), &one, &case.x[t * cols..][..cols]);
            prop_assert_eq!(bits(&alone), bits(&all[t * rows..][..rows]), "token {}", t);
        }
    }
}

#[test]
fn the_largest_integers_over_the_most_inputs_do_not_overflow() {
    let team = Team::new(1);
    for (x, w) in [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)] {
        let case = Case {
            rows: 33,
            cols: super::MOST_INPUTS,
            x: vec![x; 2 * super::MOST_INPUTS],
            w: vec![w; 33 * super::MOST_INPUTS],
            bias: None,
        };
        for isa in cpu::available() {
            let out = case.product(isa, &team, &case.x);
            let want = x * w * super::MOST_INPUTS as f32;
            assert!(out.iter().all(|y| (y - want).abs() <= 1e-3), "{isa:?}: {out:?}");
        }
    }
}

#[test]
fn infinities_and_nan_stay_in_their_token_and_zeros_give_zero() {
    let team = Team::new(1);
    let mut case = Case::new(20, 100, 3, 5);
    for isa in cpu::available() {
        assert!(case.product(isa, &team, &[0.0; 100]).iter().all(|y| *y == 0.0));
        for bad in [f32::NAN, f32::INFINITY] {
            case.x[100 + 77] = bad;
            let out = case.product(isa, &team, &case.x);
            let finite: Vec<bool> = out.chunks(20).map(|row| row.iter().all(|y| y.is_finite())).collect();
            assert_eq!(finite, [true, false, true], "{isa:?}");
            assert!(out[20..40].iter().all(|y| !y.is_finite()));
        }
    }
}

#[test]
fn a_row_has_the_values_that_were_given_to_half_a_step() {
    let (team, case) = (Team::new(1), Case::new(21, 90, 1, 3));
    for isa in cpu::available() {
        let w = WholeRows::new_on(isa, &case.w, 21, 90, &team).unwrap().unwrap();
        for (r, want) in case.w.chunks_exact(90).enumerate() {
            let mut row = [0.0; 90];
            w.row(r, &mut row);
            let step = want.iter().fold(0f32, |a, v| a.max(v.abs())) / 8191.0;
            assert!(row.iter().zip(want).all(|(a, b)| (a - b).abs() <= step * 0.501));
        }
    }
}

#[test]
fn weights_that_cannot_be_integers_are_refused() {
    let team = Team::new(1);
    assert!(WholeRows::new(&[f32::NAN; 4], 2, 2, &team).unwrap().is_none());
    assert!(WholeRows::new(&[0.5; 8000], 2, 4000, &team).unwrap().is_some());
    assert!(WholeRows::new(&[0.5; 8200], 2, 4100, &team).unwrap().is_none());
    assert!(WholeRows::new(&[0.5; 3], 2, 2, &team).is_err());
}

#[test]
fn deep_rows_of_an_odd_number_of_groups_have_the_bits_of_the_scalar_twin() {
    let team = Team::new(2);
    for (rows, cols, tokens) in [(40, 773, 33), (80, 1536, 5), (200, 768, 40)] {
        let case = Case::new(rows, cols, tokens, 9);
        let twin = case.product(Isa::Scalar, &team, &case.x);
        for isa in cpu::available() {
            assert_eq!(
                bits(&case.product(isa, &team, &case.x)),
                bits(&twin),
                "{isa:?}, [{rows}, {cols}]"
            );
        }
    }
}
