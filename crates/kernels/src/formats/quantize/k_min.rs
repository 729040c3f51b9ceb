//! K-quants with minima (Q2_K, Q4_K, Q5_K): 256 weights, groups of 16 or 32 with an integer scale `sc` and minimum `mn`
//! each, and two f16 for all: x ≈ (d sc) q − (dmin mn).
//!
//! First every group gets the real scale and minimum that suit it best; then d and dmin are chosen so that their
//! multiples come near to those; then each group takes the best of the nine pairs of multiples around its own, judged by
//! what they leave of the weights; at last d and dmin are solved anew for the integers so found, and kept if that helps.

use half::f16;

use super::Fit;
use super::search::{importance, left, normal, round_into, scale_and_min, step};
use crate::formats::{Parts, Q2K, Q4K, Q5K};

/// Most rounds of solving for d and dmin.
const ROUNDS: usize = 3;

/// A block's groups with what each weight counts.
type Groups<const N: usize, const G: usize> = [([f32; N], [f32; N]); G];

/// Groups' integers and what they leave in all.
struct Chosen<const G: usize> {
    sc: [i8; G],
    mn: [i8; G],
    left: f32,
}

/// The best integers for each group, given d and dmin. `near` are real scales and (positive) minima.
#[inline(always)]
fn choose<const N: usize, const G: usize>(
    groups: &Groups<N, G>,
    near: &[(f32, f32); G],
    (d, dmin): (f32, f32),
    most: i32,
    high: f32,
) -> Chosen<G> {
    let inverse = |d: f32| if d == 0.0 { 0.0 } else { 1.0 / d };
    let (per_d, per_dmin) = (inverse(d), inverse(dmin));
    let mut chosen = Chosen {
        sc: [0; G],
        mn: [0; G],
        left: 0.0,
    };
    for (g, ((x, w), (s, m))) in groups.iter().zip(near).enumerate() {
        let around = |v: f32| {
            let v = (v.round() as i32).clamp(0, most);
            (v - 1).max(0)..=(v + 1).min(most)
        };
        let mut best = f32::INFINITY;
        for sc in around(s * per_d) {
            for mn in around(m * per_dmin) {
                let left = left(x, w, d * sc as f32, -(dmin * mn as f32), 0.0, high);
                if left < best {
                    best = left;
                    (chosen.sc[g], chosen.mn[g]) = (sc as i8, mn as i8);
                }
            }
        }
        chosen.left += best;
    }
    chosen
}

/// Fits a block of G groups of N weights: `sc` and `mn` in `0..=most`, integers in `0..=high`.
#[inline(always)]
fn fit<const N: usize, const G: usize>(x: &[f32], parts: &mut Parts, most: i32, high: f32) {
    let groups: Groups<N, G> = std::array::from_fn(|g| {
        let mut group = [0.0; N];
        group.copy_from_slice(&x[g * N..][..N]);
        (group, importance(&group))
    });
    let near: [(f32, f32); G] = std::array::from_fn(|g| {
        let (s, m) = scale_and_min(&groups[g].0, &groups[g].1, high, true);
        (s, -m)
    });
    let counts: [f32; G] = std::array::from_fn(|g| groups[g].1.iter().sum());
    let half = |v: f32| f16::from_f32(v).to_f32();
    let mut d = half(step(&near.map(|(s, _)| s), &counts, 0.0, most as f32));
    let mut dmin = half(step(&near.map(|(_, m)| m), &counts, 0.0, most as f32));
    let mut chosen = choose(&groups, &near, (d, dmin), most, high);
    for _ in 0..ROUNDS {
        let mut sums = [0.0; 5];
        for (g, (x, w)) in groups.iter().enumerate() {
            let (sc, mn) = (f32::from(chosen.sc[g]), f32::from(chosen.mn[g]));
            let group = normal(x, w, (d * sc, -(dmin * mn)), (sc, -mn), (0.0, high));
            sums.iter_mut().zip(group).for_each(|(sum, v)| *sum += v);
        }
        let [aa, ab, bb, xa, xb] = sums;
        let determinant = aa * bb - ab * ab;
        let (new_d, new_dmin) = if determinant > 1e-6 * aa * bb {
            ((xa * bb - xb * ab) / determinant, (xb * aa - xa * ab) / determinant)
        } else if aa > 0.0 {
            ((xa - dmin * ab) / aa, dmin)
        } else {
            break;
        };
        if new_d <= 0.0 || new_dmin < 0.0 {
            break;
        }
        let pair = (half(new_d), half(new_dmin));
        let again = choose(&groups, &near, pair, most, high);
        if again.left >= chosen.left {
            break;
        }
        (d, dmin) = pair;
        chosen = again;
    }
    (parts.d, parts.m) = (f16::from_f32(d), f16::from_f32(dmin));
    for (g, (x, _)) in groups.iter().enumerate() {
        (parts.sc[g], parts.mn[g]) = (chosen.sc[g], chosen.mn[g]);
        let (s, m) = (d * f32::from(chosen.sc[g]), -(dmin * f32::from(chosen.mn[g])));
        round_into(&mut parts.q[g * N..][..N], x, s, m, (0.0, high));
    }
}

impl Fit for Q2K {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        fit::<16, 16>(x, parts, 15, 3.0);
    }
}

impl Fit for Q4K {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        fit::<32, 8>(x, parts, 63, 15.0);
    }
}

impl Fit for Q5K {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        fit::<32, 8>(x, parts, 63, 31.0);
    }
}
