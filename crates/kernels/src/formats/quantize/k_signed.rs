//! K-quants without minima (Q3_K, Q6_K): 256 weights, 16 groups of 16 with a signed integer scale `sc` each, and one f16
//! for all: x ≈ (d sc) q.
//!
//! As in `k_min`: real scales for the groups, a d whose multiples come near to them, for each group the best of the
//! three multiples around its own, and d solved anew.

use half::f16;

use super::Fit;
use super::search::{importance, left, normal, round_into, scale, step};
use crate::formats::{Parts, Q3K, Q6K};

/// Most rounds of solving for d.
const ROUNDS: usize = 3;

/// The best multiple for each group, given d, and what they leave in all. `near` are real scales.
#[inline(always)]
fn choose(
    groups: &[([f32; 16], [f32; 16]); 16],
    near: &[f32; 16],
    d: f32,
    (least, most): (i32, i32),
    (low, high): (f32, f32),
) -> ([i8; 16], f32) {
    let per_d = if d == 0.0 { 0.0 } else { 1.0 / d };
    let (mut chosen, mut all) = ([0; 16], 0.0);
    for (g, ((x, w), s)) in groups.iter().zip(near).enumerate() {
        let v = ((s * per_d).round() as i32).clamp(least, most);
        let mut best = f32::INFINITY;
        for sc in (v - 1).max(least)..=(v + 1).min(most) {
            let left = left(x, w, d * sc as f32, 0.0, low, high);
            if left < best {
                best = left;
                chosen[g] = sc as i8;
            }
        }
        all += best;
    }
    (chosen, all)
}

/// Fits a block: scales in `scales`, integers in `range`.
#[inline(always)]
fn fit(x: &[f32], parts: &mut Parts, scales: (i32, i32), range: (f32, f32)) {
    let groups: [([f32; 16], [f32; 16]); 16] = std::array::from_fn(|g| {
        let mut group = [0.0; 16];
        group.copy_from_slice(&x[g * 16..][..16]);
        (group, importance(&group))
    });
    let near: [f32; 16] = std::array::from_fn(|g| scale(&groups[g].0, &groups[g].1, range.0, range.1));
    let counts: [f32; 16] = std::array::from_fn(|g| groups[g].1.iter().sum());
    let mut d = f16::from_f32(step(&near, &counts, scales.0 as f32, scales.1 as f32)).to_f32();
    let (mut sc, mut left) = choose(&groups, &near, d, scales, range);
    for _ in 0..ROUNDS {
        let (mut aa, mut xa) = (0.0, 0.0);
        for (g, (x, w)) in groups.iter().enumerate() {
            let k = f32::from(sc[g]);
            let [a, _, _, x, _] = normal(x, w, (d * k, 0.0), (k, 0.0), range);
            (aa, xa) = (aa + a, xa + x);
        }
        if aa <= 0.0 {
            break;
        }
        let new = f16::from_f32(xa / aa).to_f32();
        let (again, less) = choose(&groups, &near, new, scales, range);
        if less >= left {
            break;
        }
        (d, sc, left) = (new, again, less);
    }
    (parts.d, parts.sc) = (f16::from_f32(d), sc);
    for (g, (x, _)) in groups.iter().enumerate() {
        round_into(&mut parts.q[g * 16..][..16], x, d * f32::from(sc[g]), 0.0, range);
    }
}

impl Fit for Q3K {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        fit(x, parts, (-32, 31), (-4.0, 3.0));
    }
}

impl Fit for Q6K {
    #[inline(always)]
    fn fit(x: &[f32], parts: &mut Parts) {
        fit(x, parts, (-128, 127), (-32.0, 31.0));
    }
}
