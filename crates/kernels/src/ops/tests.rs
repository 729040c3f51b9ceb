//! Norms, softmax and elementwise maps: every path has the scalar twin's bits, and is near f64.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::activation::{Map, Zip, map_on, zip_on};
use super::softmax as soft;
use super::{log_sum_exp, norm, rms_norm, rms_norm_in_place, softmax};
use crate::cpu::{self, Isa};
use crate::team::Team;

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

fn on(isa: Isa, x: &[f32], f: impl Fn(Isa, &mut [f32])) -> Vec<u32> {
    let mut y = x.to_vec();
    f(isa, &mut y);
    bits(&y)
}

proptest! {
    #[test]
    fn every_path_has_the_scalar_twins_bits(x in vec(-20f32..20.0, 1..90), s in 0.1f32..9.0) {
        let other: Vec<f32> = x.iter().rev().map(|v| v * s).collect();
        let maps = [
            Map::Exp, Map::Tanh, Map::Silu, Map::GeluTanh, Map::GeluErf, Map::Relu, Map::Scale(s), Map::Softcap(s),
        ];
        for isa in cpu::available() {
            let same = |f: &dyn Fn(Isa, &mut [f32])| on(isa, &x, f) == on(Isa::Scalar, &x, f);
            for map in maps {
                prop_assert!(same(&|isa, y| map_on(isa, map, y)), "{:?} {:?}", isa, map);
            }
            for zip in [Zip::Add, Zip::Mul, Zip::SiluMul, Zip::GeluTanhMul, Zip::GeluErfMul] {
                prop_assert!(same(&|isa, y| zip_on(isa, zip, y, &other)), "{:?} {:?}", isa, zip);
            }
            prop_assert!(same(&soft::softmax_on), "softmax {:?}", isa);
            prop_assert!(same(&|isa, y| norm::rms_on(isa, y, &x, &other, 1e-5)), "rms_norm {:?}", isa);
            prop_assert!(same(&|isa, y| norm::layer_on(isa, y, &x, &other, &x, 1e-5)), "layer_norm {:?}", isa);
        }
    }

    #[test]
    fn norms_are_near_f64(x in vec(-50f32..50.0, 1..300)) {
        let (n, eps) = (x.len() as f64, 1e-5);
        let w: Vec<f32> = (0..x.len()).map(|i| 0.5 + i as f32 / 100.0).collect();
        let wide = || x.iter().map(|v| f64::from(*v));
        let root = (wide().map(|v| v * v).sum::<f64>() / n + eps).sqrt();
        let mut y = vec![0.0; x.len()];
        rms_norm(&Team::new(2), &mut y, &x, &w, 1e-5);
        for (y, (x, w)) in y.iter().zip(wide().zip(&w)) {
            // n / 16 + 5 additions of squares round by 2^-24 each, halved by the root, and a few steps more.
            let want = x / root * f64::from(*w);
            prop_assert!((f64::from(*y) - want).abs() <= want.abs() * 3e-6 + 1e-7, "{y} {want}");
        }
        let mut in_place = x.clone();
        rms_norm_in_place(&Team::new(2), &mut in_place, &w, 1e-5);
        prop_assert_eq!(bits(&in_place), bits(&y));
        let mean = wide().sum::<f64>() / n;
        let spread = (wide().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n + eps).sqrt();
        super::layer_norm(&Team::new(2), &mut y, &x, &w, &w, 1e-5);
        for (y, (x, w)) in y.iter().zip(wide().zip(&w)) {
            let want = (x - mean) / spread * f64::from(*w) + f64::from(*w);
            // The mean errs by about 2^-24 * 50; divided by a spread that can be small.
            let bound = want.abs() * 4e-6 + 2e-5 / spread * f64::from(*w) + 1e-6;
            prop_assert!((f64::from(*y) - want).abs() <= bound, "{y} {want}");
        }
    }

    #[test]
    fn softmax_and_log_sum_exp_are_near_f64(x in vec(-30f32..30.0, 1..300)) {
        let max = x.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = x.iter().map(|v| f64::from(v - max).exp()).sum();
        let lse = log_sum_exp(&x);
        prop_assert!((f64::from(lse) - (f64::from(max) + sum.ln())).abs() < 1e-5);
        let mut y = x.clone();
        softmax(&mut y);
        for (y, x) in y.iter().zip(&x) {
            let want = f64::from(x - max).exp() / sum;
            prop_assert!((f64::from(*y) - want).abs() <= want * 5e-6 + 1e-30, "{y} {want}");
        }
    }
}

#[test]
fn threads_share_long_rows_and_change_nothing() {
    let (one, three) = (Team::new(1), Team::new(3));
    let x: Vec<f32> = (0..97 * 601).map(|i| (i * 37 % 1009) as f32 / 500.0 - 1.0).collect();
    let (w, b) = (&x[..601], &x[601..1202]);
    let same = |f: &dyn Fn(&Team, &mut [f32])| {
        let (mut a, mut b) = (x.clone(), x.clone());
        f(&one, &mut a);
        f(&three, &mut b);
        assert_eq!(bits(&a), bits(&b));
    };
    same(&|team, y| super::gelu_erf(team, y));
    same(&|team, y| super::silu_mul(team, y, &x));
    same(&|team, y| super::add_to_rows(team, y, w));
    same(&|team, y| rms_norm(team, y, &x, w, 1e-5));
    same(&|team, y| rms_norm_in_place(team, y, w, 1e-5));
    same(&|team, y| super::layer_norm(team, y, &x, w, b, 1e-5));
}
