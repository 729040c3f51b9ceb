//! exp, tanh, erf and their kin over 16 lanes. Our own minimax polynomials (fitted by reweighted least squares on
//! Chebyshev nodes); the tests below hold them to f64 within the errors stated.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use crate::lanes::Lanes;

/// A polynomial, lowest coefficient first, by Horner's rule with fused steps.
#[inline(always)]
fn poly<L: Lanes, const N: usize>(x: L, coefficients: [f32; N]) -> L {
    let mut acc = L::splat(coefficients[N - 1]);
    for c in coefficients[..N - 1].iter().rev() {
        acc = acc.fma(x, L::splat(*c));
    }
    acc
}

/// e^x within 2 ulp; 0 below -86, infinity above 89, NaN for NaN. Denormals are not worth having: a processor takes a
/// hundred cycles for one, and every masked score would come to it.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r); times 2^n, rounded once.
#[inline(always)]
pub(crate) fn exp<L: Lanes>(x: L) -> L {
    let lowest = L::splat(-86.0);
    let given = x;
    let x = L::splat(89.0).min(lowest.max(x));
    let n = x.mul(L::splat(LOG2_E)).round();
    let r = n.fma(L::splat(-0.693_359_4), x); // ln 2 in two parts, the first of few bits
    let r = n.fma(L::splat(2.121_944_4e-4), r);
    let p = poly(r, [0.5, 0.166_665_18, 0.041_666_206, 0.008_368_908, 0.001_395_052_2]);
    let y = p.fma(r.mul(r), r).add(L::splat(1.0));
    given.less(lowest, L::splat(0.0), y.times_pow2(n))
}

/// tanh within 3 ulp: x + x^3 P(x^2) for |x| < 0.625, else 1 - 2 / (e^2|x| + 1).
#[inline(always)]
pub(crate) fn tanh<L: Lanes>(x: L) -> L {
    let z = x.mul(x);
    let p = poly(
        z,
        [-0.333_332_78, 0.133_313_28, -0.053_729_23, 0.020_602, -0.005_660_781],
    );
    let small = p.mul(z).fma(x, x);
    let (one, a) = (L::splat(1.0), x.abs());
    let large = one.sub(L::splat(2.0).div(exp(a.add(a)).add(one)));
    a.less(L::splat(0.625), small, large.sign_of(x))
}

/// erf within 3 ulp: x + x Q(x^2) for |x| < 1, else 1 - e^G(|x|), G fitted to ln erfc on 1..4.
#[inline(always)]
pub(crate) fn erf<L: Lanes>(x: L) -> L {
    let a = x.abs();
    let z = x.mul(x);
    let q = [
        0.128_379_17,
        -0.376_126_38,
        0.112_837_83,
        -0.026_865_445,
        0.005_221_075,
        -0.000_848_471_13,
        0.000_112_705_44,
        -9.680_137e-6,
    ];
    let small = poly(z, q).fma(x, x);
    let g = [
        0.000_188_040_23,
        -1.129_578_5,
        -0.633_219_9,
        -0.108_418_576,
        0.025_208_257,
        -0.004_204_562,
        0.000_441_336_36,
        -2.168_685e-5,
    ];
    // `min` with NaN on the right keeps NaN.
    let large = L::splat(1.0).sub(exp(poly(L::splat(4.0).min(a), g)));
    a.less(L::splat(1.0), small, large.sign_of(x))
}

/// x / (1 + e^-x).
#[inline(always)]
pub(crate) fn silu<L: Lanes>(x: L) -> L {
    x.div(exp(L::splat(0.0).sub(x)).add(L::splat(1.0)))
}

/// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.
#[inline(always)]
pub(crate) fn gelu_tanh<L: Lanes>(x: L) -> L {
    let inner = x.mul(x).fma(L::splat(0.044_715).mul(x), x).mul(L::splat(0.797_884_6));
    x.mul(L::splat(0.5)).mul(tanh(inner).add(L::splat(1.0)))
}

/// x (1 + erf(x / sqrt 2)) / 2.
#[inline(always)]
pub(crate) fn gelu_erf<L: Lanes>(x: L) -> L {
    x.mul(L::splat(0.5))
        .mul(erf(x.mul(L::splat(FRAC_1_SQRT_2))).add(L::splat(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{self, Isa};
    use crate::lanes::dispatch;

    fn all<L: Lanes>(x: &[f32; 16]) -> [[f32; 16]; 6] {
        let v = L::load(x);
        let mut out = [[0.0; 16]; 6];
        for (out, y) in out
            .iter_mut()
            .zip([exp(v), tanh(v), erf(v), silu(v), gelu_tanh(v), gelu_erf(v)])
        {
            y.store(out);
        }
        out
    }

    fn on(isa: Isa, x: &[f32; 16]) -> [[f32; 16]; 6] {
        dispatch!(isa, all(x: &[f32; 16]) -> [[f32; 16]; 6])
    }

    /// erf in f64: series for small arguments, continued fraction for large ones.
    fn erf64(x: f64) -> f64 {
        let a = x.abs();
        let y = if a < 2.5 {
            let (mut term, mut sum, mut n) = (a, a, 0.0);
            while term.abs() > 1e-18 * sum.abs() {
                n += 1.0;
                term *= -a * a / n;
                sum += term / (2.0 * n + 1.0);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        } else {
            let mut f = 0.0;
            for k in (1..60).rev() {
                f = f64::from(k) / 2.0 / (a + f);
            }
            1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / (a + f)
        };
        y.copysign(x)
    }

    fn ulps(got: f32, want: f64) -> f64 {
        let ulp = f64::from(f32::from_bits((want.abs() as f32).max(f32::MIN_POSITIVE).to_bits() + 1))
            - f64::from((want.abs() as f32).max(f32::MIN_POSITIVE));
        (f64::from(got) - want).abs() / ulp
    }

    #[test]
    fn every_version_is_near_f64_and_equal_to_the_scalar_twin() {
        let mut worst = [0.0f64; 3];
        let exp64 = |v: f64| if v < -86.0 { 0.0 } else { v.exp() };
        let mut x = -100.0f32;
        while x < 88.0 {
            let lanes: [f32; 16] =
                std::array::from_fn(|i| (x + i as f32 * 0.0007) * if i % 2 == 0 { 1.0 } else { 0.05 });
            let twin = on(Isa::Scalar, &lanes);
            for isa in cpu::available() {
                let got = on(isa, &lanes);
                for (got, twin) in got.iter().flatten().zip(twin.iter().flatten()) {
                    assert_eq!(got.to_bits(), twin.to_bits(), "{isa:?} near {x}");
                }
            }
            for (i, v) in lanes.iter().enumerate() {
                let v = f64::from(*v);
                for (w, (got, want)) in
                    worst
                        .iter_mut()
                        .zip([(twin[0][i], exp64(v)), (twin[1][i], v.tanh()), (twin[2][i], erf64(v))])
                {
                    *w = w.max(ulps(got, want));
                }
                let sigmoid = v / (1.0 + (-v).exp());
                let gelu = 0.5 * v * (1.0 + erf64(v / 2f64.sqrt()));
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v * v * v);
                let gelu_tanh = 0.5 * v * (1.0 + inner.tanh());
                for (got, want) in [(twin[3][i], sigmoid), (twin[4][i], gelu_tanh), (twin[5][i], gelu)] {
                    // 1 + tanh and 1 + erf cancel for negative x: the error is relative to x, not to the result.
                    assert!(
                        (f64::from(got) - want).abs() <= 6e-7 * v.abs().max(1e-30),
                        "{got} {want} at {v}"
                    );
                }
            }
            x += 0.0113;
        }
        assert!(worst[0] <= 2.0 && worst[1] <= 3.0 && worst[2] <= 3.0, "{worst:?}");
    }

    #[test]
    fn infinities_and_nan_come_out_as_they_should() {
        let mut x = [0.0; 16];
        x[..5].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e38, -1e38]);
        for isa in cpu::available() {
            let [exp, tanh, erf, ..] = on(isa, &x);
            assert_eq!(exp[..2], [f32::INFINITY, 0.0]);
            assert_eq!(exp[3..6], [f32::INFINITY, 0.0, 1.0]);
            assert_eq!(tanh[..2], [1.0, -1.0]);
            assert_eq!(erf[..2], [1.0, -1.0]);
            assert!(exp[2].is_nan() && tanh[2].is_nan() && erf[2].is_nan(), "{isa:?}");
        }
    }
}
