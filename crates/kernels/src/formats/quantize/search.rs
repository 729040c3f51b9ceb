//! The scale (and minimum) of one group of weights: weighted least squares over candidate roundings.
//!
//! For integers q that are fixed, the scale s and minimum m that minimize Σ w (s q + m − x)² have a closed form. So a
//! candidate is a rounding: q = clamp(round(i · x)) for an inverse scale i near the one that lets the largest weight reach
//! the largest integer. Each candidate is scored by what its best s and m leave, and the winner is improved by turns
//! (round with the new scale, solve again) until that helps no more, as in Lloyd's algorithm (Lloyd 1982, "Least squares
//! quantization in PCM"). Sums run in 8 lanes, so the result does not depend on the machine.

/// Below this, a group counts as zeros: half an f16's smallest step could not hold its scale anyway.
pub(super) const NOTHING: f32 = 1e-20;
/// Most turns of rounding and solving.
const TURNS: usize = 4;
/// Added and taken away again, it leaves the nearest integer (ties to even) of anything below 2²².
const MAGIC: f32 = 12_582_912.0; // 1.5 · 2²³: from here to 2²⁴, f32 counts in steps of 1

/// The nearest integer in `low..=high`.
#[inline(always)]
pub(super) fn nearest(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    let x = if x < high { x } else { high };
    (x + MAGIC) - MAGIC
}

/// Adds up `terms` of K values for N elements, in 8 lanes.
#[inline(always)]
fn sums<const N: usize, const K: usize>(terms: impl Fn(usize) -> [f32; K]) -> [f32; K] {
    let mut lanes = [[0.0f32; 8]; K];
    for chunk in 0..N / 8 {
        for lane in 0..8 {
            let term = terms(chunk * 8 + lane);
            for k in 0..K {
                lanes[k][lane] += term[k];
            }
        }
    }
    lanes.map(|l| ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7])))
}

/// How much the error at each weight counts. Nobody has seen the activations here; that large weights matter more is the
/// usual stand-in for them, and `quiet` keeps small ones from counting nothing.
#[inline(always)]
pub(super) fn importance<const N: usize>(x: &[f32; N]) -> [f32; N] {
    let [squares] = sums::<N, 1>(|i| [x[i] * x[i]]);
    let quiet = (squares / N as f32).sqrt();
    std::array::from_fn(|i| quiet + x[i].abs())
}

/// The scale s for x ≈ s q with integers q in `low..=high`; 0 where all are zero. It may be negative: the range is wider
/// below than above, and the largest weight may need the wider side.
#[inline(always)]
pub(super) fn scale<const N: usize>(x: &[f32; N], w: &[f32; N], low: f32, high: f32) -> f32 {
    let extreme = x
        .iter()
        .copied()
        .fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if extreme.abs() < NOTHING {
        return 0.0;
    }
    // What is left is Σ w x² − (Σ w x q)² / Σ w q²: the larger the last term, the better.
    let score = |inverse: f32| {
        let [xq, qq] = sums::<N, 2>(|i| {
            let q = nearest(x[i] * inverse, low, high);
            [w[i] * x[i] * q, w[i] * q * q]
        });
        if qq > 0.0 { (xq * xq / qq, xq / qq) } else { (0.0, 0.0) }
    };
    let (mut best, mut scale) = (0.0, 0.0);
    for reach in [low, high] {
        for step in -8..=8i8 {
            let (gain, s) = score((reach + 0.125 * f32::from(step)) / extreme);
            if gain > best {
                (best, scale) = (gain, s);
            }
        }
    }
    for _ in 0..TURNS {
        let (gain, s) = score(1.0 / scale);
        if gain <= best {
            break;
        }
        (best, scale) = (gain, s);
    }
    scale
}

/// Scale s ≥ 0 and minimum m for x ≈ s q + m with integers q in `0..=high`; m is at most 0 where `below` is set.
#[inline(always)]
pub(super) fn scale_and_min<const N: usize>(x: &[f32; N], w: &[f32; N], high: f32, below: bool) -> (f32, f32) {
    let (mut lowest, mut highest) = (x[0], x[0]);
    for &v in x {
        lowest = lowest.min(v);
        highest = highest.max(v);
    }
    if below {
        lowest = lowest.min(0.0);
    }
    let range = highest - lowest;
    if range < NOTHING {
        return (0.0, lowest);
    }
    let [ww, wx, wxx] = sums::<N, 3>(|i| [w[i], w[i] * x[i], w[i] * x[i] * x[i]]);
    let score = |inverse: f32, min: f32| {
        let [q1, qq, xq] = sums::<N, 3>(|i| {
            let q = nearest((x[i] - min) * inverse, 0.0, high);
            let wq = w[i] * q;
            [wq, wq * q, wq * x[i]]
        });
        let determinant = ww * qq - q1 * q1;
        if qq <= 0.0 || determinant <= 0.0 {
            return (f32::INFINITY, 0.0, 0.0);
        }
        let mut s = (ww * xq - wx * q1) / determinant;
        let mut m = (wx - s * q1) / ww;
        if below && m > 0.0 {
            (s, m) = (xq / qq, 0.0);
        }
        let left = wxx + s * (s * qq + 2.0 * (m * q1 - xq)) + m * (m * ww - 2.0 * wx);
        (left, s, m)
    };
    let (mut best, mut scale, mut min) = (f32::INFINITY, range / high, lowest);
    // Few levels leave much to choose, many little.
    let step = if high < 8.0 { 0.0625 } else { 0.125 };
    for k in -8..=10i8 {
        let (left, s, m) = score((high + step * f32::from(k)) / range, lowest);
        if left < best && s > 0.0 {
            (best, scale, min) = (left, s, m);
        }
    }
    for _ in 0..TURNS {
        let (left, s, m) = score(1.0 / scale, min);
        if left >= best || s <= 0.0 {
            break;
        }
        (best, scale, min) = (left, s, m);
    }
    (scale, min)
}

/// The step d for which the multiples d k, with k in `low..=high`, come nearest to `values`; `counts` says how much each
/// one counts. This is how a block's f16 `d` is chosen for the scales of its groups.
#[inline(always)]
pub(super) fn step<const N: usize>(values: &[f32; N], counts: &[f32; N], low: f32, high: f32) -> f32 {
    let extreme = values
        .iter()
        .copied()
        .fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if extreme.abs() < NOTHING {
        return 0.0;
    }
    let left = |d: f32| {
        let inverse = 1.0 / d;
        let [left] = sums::<N, 1>(|g| {
            let off = d * nearest(values[g] * inverse, low, high) - values[g];
            [counts[g] * off * off]
        });
        left
    };
    let (mut best, mut found) = (f32::INFINITY, extreme / high);
    for reach in [low, high] {
        if reach == 0.0 {
            continue;
        }
        for k in -8..=8i8 {
            let d = extreme / (reach + 0.125 * f32::from(k));
            let left = left(d);
            if left < best {
                (best, found) = (left, d);
            }
        }
    }
    found
}

/// What x ≈ s q + m leaves: Σ w (s q + m − x)², with the best integers q in `low..=high`.
#[inline(always)]
pub(super) fn left<const N: usize>(x: &[f32; N], w: &[f32; N], s: f32, m: f32, low: f32, high: f32) -> f32 {
    let inverse = if s == 0.0 { 0.0 } else { 1.0 / s };
    let [left] = sums::<N, 1>(|i| {
        let off = s * nearest((x[i] - m) * inverse, low, high) + m - x[i];
        [w[i] * off * off]
    });
    left
}

/// The sums of the least squares of a whole block, over one group: (Σ w a², Σ w a b, Σ w b², Σ w x a, Σ w x b) with
/// a = k q for the integers q that `s` and `m` give, and b = `b` for all.
#[inline(always)]
pub(super) fn normal<const N: usize>(
    x: &[f32; N],
    w: &[f32; N],
    (s, m): (f32, f32),
    (k, b): (f32, f32),
    (low, high): (f32, f32),
) -> [f32; 5] {
    let inverse = if s == 0.0 { 0.0 } else { 1.0 / s };
    sums::<N, 5>(|i| {
        let a = k * nearest((x[i] - m) * inverse, low, high);
        [
            w[i] * a * a,
            w[i] * a * b,
            w[i] * b * b,
            w[i] * x[i] * a,
            w[i] * x[i] * b,
        ]
    })
}

/// Writes the integers of a group, shifted by `offset` to begin at 0.
#[inline(always)]
pub(super) fn round_into<const N: usize>(q: &mut [u8], x: &[f32; N], s: f32, m: f32, (low, high): (f32, f32)) {
    let inverse = if s == 0.0 { 0.0 } else { 1.0 / s };
    for (q, x) in q.iter_mut().zip(x) {
        *q = (nearest((x - m) * inverse, low, high) - low) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_on_a_grid_give_that_grid() {
        let x: [f32; 16] = std::array::from_fn(|i| (i as f32 - 8.0) * 0.03);
        assert!((scale(&x, &[1.0; 16], -8.0, 7.0) - 0.03).abs() < 1e-6);
        let x: [f32; 32] = std::array::from_fn(|i| (i % 16) as f32 * 0.5 - 3.0);
        let (s, m) = scale_and_min(&x, &[1.0; 32], 15.0, false);
        assert!((s - 0.5).abs() < 1e-5 && (m + 3.0).abs() < 1e-4, "{s} {m}");
    }

    #[test]
    fn the_side_with_more_room_takes_the_largest_weight() {
        let mut x = [0.0; 16];
        (x[0], x[1]) = (4.0, -3.0);
        assert_eq!(scale(&x, &[1.0; 16], -4.0, 3.0), -1.0);
    }

    #[test]
    fn zeros_have_the_scale_zero() {
        assert_eq!(scale(&[0.0; 16], &[0.0; 16], -8.0, 7.0), 0.0);
        assert_eq!(scale_and_min(&[0.0; 16], &[0.0; 16], 3.0, true), (0.0, 0.0));
        assert_eq!(step(&[0.0; 16], &[1.0; 16], 0.0, 15.0), 0.0);
    }

    #[test]
    fn rounding_goes_to_the_nearest_integer_in_the_range() {
        for (x, want) in [(2.4, 2.0), (2.6, 3.0), (-9.0, -8.0), (1e30, 7.0), (-2.5, -2.0)] {
            assert_eq!(nearest(x, -8.0, 7.0), want);
        }
    }
}
