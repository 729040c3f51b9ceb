//! Products against f64 and against their scalar twins, for every format and every path of this processor.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use half::f16;
use proptest::prelude::*;

use super::pack::{integer, scales};
use super::{Bits, Quantized, Weights, run};
use crate::cpu::{self, Isa};
use crate::formats::{Format, Quant, dequantize, with_quant};
use crate::team::Team;

/// A small generator of numbers (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    /// In -1 .. 1, with magnitudes of many sizes.
    pub(crate) fn float(&mut self) -> f32 {
        let v = (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        if self.next().is_multiple_of(8) {
            v * v * v * 0.01
        } else {
            v
        }
    }
}

/// Random rows of a format: every integer and multiplier may come, f16 scales are finite.
pub(crate) fn random_rows(format: Format, rows: usize, cols: usize, n: &mut Numbers) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..rows * format.row_bytes(cols).unwrap())
        .map(|_| (n.next() >> 20) as u8)
        .collect();
    let halves: &[usize] = match format {
        Format::F32 => {
            bytes
                .as_chunks_mut::<4>()
                .0
                .iter_mut()
                .for_each(|b| *b = n.float().to_le_bytes());
            &[]
        }
        Format::F16 => &[0],
        Format::BF16 => {
            bytes
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .for_each(|b| *b = half::bf16::from_f32(n.float()).to_le_bytes());
            &[]
        }
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
    };
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        for &at in halves {
            block[at..at + 2].copy_from_slice(&f16::from_f32(n.float() * 0.1).to_le_bytes());
        }
    }
    bytes
}

fn product(isa: Isa, team: &Team, x: &[f32], w: &Weights) -> Vec<f32> {
    rounded_product(Bits::Sixteen, isa, team, x, w)
}

fn rounded_product(rounded: Bits, isa: Isa, team: &Team, x: &[f32], w: &Weights) -> Vec<f32> {
    let tokens = x.len() / w.cols();
    let mut out = vec![f32::NAN; tokens * w.rows()];
    run::run_on(
        isa,
        team,
        &Quantized::new(x, tokens, w.cols(), rounded),
        &mut [(&mut out, w)],
    );
    out
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// Largest sum of magnitudes that enters an output: sum of (|scale (q - offset)| + |min|) |x|.
fn magnitude(w: &Weights, r: usize, x: &[f32]) -> f64 {
    fn of<Q: Quant>(group: &[u8], r: usize, x: &[f32]) -> f64 {
        let layout = Q::LAYOUT;
        let mut sum = 0.0;
        for (unit, x) in group.chunks_exact(layout.unit_bytes()).zip(x.chunks_exact(Q::BLOCK)) {
            let (header, steps) = unit.split_at(layout.header());
            for (step, x) in steps.chunks_exact(layout.step_bytes()).zip(x.chunks_exact(32)) {
                for (k, x) in x.iter().enumerate() {
                    let (scale, min) = scales(&layout, header, step, r, k * layout.groups / 32);
                    let q = f64::from(i32::from(integer(&layout, step, r, k)) - layout.offset);
                    sum += ((q * f64::from(scale)).abs() + f64::from(min).abs()) * f64::from(x.abs());
                }
            }
        }
        sum
    }
    let mut row = vec![0.0; w.cols()];
    w.row(r, &mut row);
    let float = || row.iter().zip(x).map(|(w, x)| f64::from((w * x).abs())).sum();
    with_quant!(w.format(), Q => of::<Q>(w.group(r / 16), r % 16, x), _ => float())
}

/// The error that an output may have. Rounding an activation loses at most half a step of its block, amax / 65534 or
/// amax / 254 (the two roundings of the scale add 2^-22 of the value). Each addition and each scale product rounds by 2^-24 of at
/// most the sum of magnitudes; there are `adds` additions, and up to 4 roundings on the way into each.
fn bound(rounded: Bits, w: &Weights, r: usize, x: &[f32]) -> f64 {
    let mut row = vec![0.0; w.cols()];
    w.row(r, &mut row);
    let size = magnitude(w, r, x);
    if w.format().is_float() {
        return size * (x.len() as f64 + 2.0) * 2f64.powi(-24);
    }
    let quantizing: f64 = row
        .chunks_exact(32)
        .zip(x.chunks_exact(32))
        .map(|(w, x)| {
            let amax = x.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            f64::from(amax) / (2.0 * f64::from(rounded.most())) * w.iter().map(|w| f64::from(w.abs())).sum::<f64>()
        })
        .sum();
    let adds = x.len() as f64 / 32.0 * 4.0;
    quantizing + size * ((adds + 4.0) * 2f64.powi(-24) + 2f64.powi(-22))
}

fn formats() -> impl Strategy<Value = Format> {
    proptest::sample::select(Format::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_path_returns_the_bits_of_the_scalar_twin_and_is_near_f64(
        format in formats(), rows in 1usize..40, blocks in 1usize..5, tokens in 1usize..40, seed in 1u64..
    ) {
        let mut n = Numbers(seed);
        let cols = blocks * if format.is_float() { 13 } else { format.block_len() };
        let bytes = random_rows(format, rows, cols, &mut n);
        let team = Team::new(2);
        let w = Weights::pack(format, &bytes, rows, cols, &team).unwrap();
        let x: Vec<f32> = (0..tokens * cols).map(|_| n.float() * 3.0).collect();
        for rounded in [Bits::Sixteen, Bits::Eight] {
            let twin = rounded_product(rounded, Isa::Scalar, &team, &x, &w);
            for isa in cpu::available() {
                let product = rounded_product(rounded, isa, &team, &x, &w);
                prop_assert_eq!(bits(&product), bits(&twin), "{:?} {:?}", isa, rounded);
            }
            let mut row = vec![0.0; cols];
            for r in 0..rows {
                w.row(r, &mut row);
                for t in 0..tokens.min(3) {
                    let x = &x[t * cols..][..cols];
                    let want: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    let (error, bound) = ((f64::from(twin[t * rows + r]) - want).abs(), bound(rounded, &w, r, x));
                    prop_assert!(error <= bound, "{} row {r}: error {error} above {bound}", format.name());
                }
            }
        }
    }

    #[test]
    fn a_token_has_the_same_bits_alone_in_a_batch_and_on_any_number_of_threads(
        format in formats(), rows in 1usize..70, blocks in 1usize..4, tokens in 2usize..150, seed in 1u64..
    ) {
        let mut n = Numbers(seed);
        let cols = blocks * if format.is_float() { 17 } else { format.block_len() };
        let bytes = random_rows(format, rows, cols, &mut n);
        let (one, three) = (Team::new(1), Team::new(3));
        let w = Weights::pack(format, &bytes, rows, cols, &one).unwrap();
        let x: Vec<f32> = (0..tokens * cols).map(|_| n.float()).collect();
        for rounded in [Bits::Sixteen, Bits::Eight] {
            let all = rounded_product(rounded, cpu::best(), &three, &x, &w);
            prop_assert_eq!(bits(&all), bits(&rounded_product(rounded, cpu::best(), &one, &x, &w)));
            for t in [0, tokens / 2, tokens - 1] {
                let alone = rounded_product(rounded, cpu::best(), &one, &x[t * cols..][..cols], &w);
                prop_assert_eq!(bits(&alone), bits(&all[t * rows..][..rows]), "token {}", t);
            }
        }
    }

    #[test]
    fn a_packed_row_has_the_values_of_the_file(format in formats(), rows in 1usize..36, seed in 1u64..) {
        let mut n = Numbers(seed);
        let cols = 2 * format.block_len() * if format.is_float() { 7 } else { 1 };
        let bytes = random_rows(format, rows, cols, &mut n);
        let w = Weights::pack(format, &bytes, rows, cols, &Team::new(2)).unwrap();
        let row_bytes = format.row_bytes(cols).unwrap();
        let (mut got, mut want) = (vec![0.0; cols], vec![0.0; cols]);
        for r in 0..rows {
            w.row(r, &mut got);
            dequantize(format, &bytes[r * row_bytes..][..row_bytes], &mut want).unwrap();
            prop_assert_eq!(bits(&got), bits(&want));
        }
    }
}

#[test]
fn the_largest_integers_do_not_overflow() {
    let team = Team::new(1);
    for format in Format::ALL.into_iter().filter(|f| !f.is_float()) {
        let cols = 256;
        let mut n = Numbers(7);
        let mut bytes = vec![0xff; format.row_bytes(cols).unwrap()];
        let scales = random_rows(format, 1, cols, &mut n);
        for (i, b) in bytes.iter_mut().enumerate() {
            // Scales from valid blocks: only fields that random_rows set may not be 0xff.
            if f16::from_le_bytes([*b, 0xff]).is_nan() && is_half(format, i % format.block_bytes()) {
                *b = scales[i];
            }
        }
        for sign in [1.0, -1.0] {
            let x = vec![sign; cols];
            let w = Weights::pack(format, &bytes, 1, cols, &team).unwrap();
            let mut row = vec![0.0; cols];
            w.row(0, &mut row);
            let want = row.iter().map(|w| f64::from(*w)).sum::<f64>() * f64::from(sign);
            for rounded in [Bits::Sixteen, Bits::Eight] {
                let twin = rounded_product(rounded, Isa::Scalar, &team, &x, &w);
                for isa in cpu::available() {
                    let product = rounded_product(rounded, isa, &team, &x, &w);
                    assert_eq!(bits(&product), bits(&twin), "{format:?} {isa:?} {rounded:?}");
                }
                assert!(
                    (f64::from(twin[0]) - want).abs() <= bound(rounded, &w, 0, &x),
                    "{format:?} {rounded:?}: {} for {want}",
                    twin[0]
                );
            }
        }
    }
}

/// Whether byte `at` of a block belongs to an f16.
fn is_half(format: Format, at: usize) -> bool {
    match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => at < 2,
        Format::Q2K => at >= 80,
        Format::Q3K => at >= 108,
        Format::Q6K => at >= 208,
        _ => at < 4,
    }
}

#[test]
fn infinities_and_nan_stay_visible_and_zeros_give_zero() {
    let team = Team::new(1);
    for format in Format::ALL {
        let mut n = Numbers(11);
        let bytes = random_rows(format, 5, 256, &mut n);
        let w = Weights::pack(format, &bytes, 5, 256, &team).unwrap();
        for isa in cpu::available() {
            assert!(
                product(isa, &team, &[0.0; 256], &w).iter().all(|y| *y == 0.0),
                "{format:?}"
            );
            for bad in [f32::NAN, f32::INFINITY] {
                let mut x = vec![0.5; 256];
                x[77] = bad;
                assert!(
                    product(isa, &team, &x, &w).iter().all(|y| !y.is_finite()),
                    "{format:?} {bad}"
                );
            }
        }
    }
}

#[test]
fn packed_floats_multiply_as_f32_weights_do() {
    let team = Team::new(2);
    let mut n = Numbers(3);
    let values: Vec<f32> = (0..37 * 29).map(|_| n.float()).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let x: Vec<f32> = (0..5 * 29).map(|_| n.float()).collect();
    let a = Weights::pack_f32(&values, 37, 29).unwrap();
    let b = Weights::pack(Format::F32, &bytes, 37, 29, &team).unwrap();
    assert_eq!(
        bits(&product(cpu::best(), &team, &x, &a)),
        bits(&product(cpu::best(), &team, &x, &b))
    );
}

#[test]
fn wrong_sizes_are_errors_that_say_so() {
    let team = Team::new(1);
    let error = Weights::pack(Format::Q4K, &[0; 100], 1, 256, &team)
        .unwrap_err()
        .to_string();
    assert!(error.contains("144") && error.contains("100"), "{error}");
    let error = Weights::pack(Format::Q4K, &[0; 144], 1, 250, &team)
        .unwrap_err()
        .to_string();
    assert!(error.contains("blocks of 256"), "{error}");
    assert!(Weights::pack(Format::F32, &[], usize::MAX, usize::MAX, &team).is_err());
    assert!(Weights::pack_f32(&[0.0], usize::MAX, 2).is_err());
    assert!(dequantize(Format::Q8_0, &[0; 33], &mut [0.0; 32]).is_err());
}

#[test]
fn no_tokens_and_no_rows_are_fine() {
    let team = Team::new(2);
    let w = Weights::pack(Format::F32, &[], 0, 8, &team).unwrap();
    assert!(product(cpu::best(), &team, &[0.0; 16], &w).is_empty());
    let w = Weights::pack_f32(&[1.0; 16], 2, 8).unwrap();
    assert!(product(cpu::best(), &team, &[], &w).is_empty());
}

#[test]
fn layers_at_once_give_what_each_gives_alone() {
    let (mut n, cols) = (Numbers(11), 256);
    let shapes = [
        (Format::Q4K, 100),
        (Format::Q6K, 16),
        (Format::Q8_0, 0),
        (Format::Q4_1, 333),
    ];
    let layers = shapes.map(|(format, rows)| {
        let bytes = random_rows(format, rows, cols, &mut n);
        Weights::pack(format, &bytes, rows, cols, &Team::new(1)).unwrap()
    });
    for isa in cpu::available() {
        for (threads, tokens) in [(1, 1), (2, 1), (3, 5), (2, 7), (2, 40)] {
            let team = Team::new(threads);
            let x: Vec<f32> = (0..tokens * cols).map(|_| n.float()).collect();
            let mut outs: Vec<Vec<f32>> = layers.iter().map(|w| vec![f32::NAN; tokens * w.rows()]).collect();
            let mut at_once: Vec<(&mut [f32], &Weights)> =
                outs.iter_mut().map(Vec::as_mut_slice).zip(&layers).collect();
            run::run_on(
                isa,
                &team,
                &Quantized::new(&x, tokens, cols, Bits::default()),
                &mut at_once,
            );
            for (out, w) in outs.iter().zip(&layers) {
                assert_eq!(bits(out), bits(&product(isa, &team, &x, w)), "{isa:?}, {tokens} tokens");
            }
        }
    }
}
