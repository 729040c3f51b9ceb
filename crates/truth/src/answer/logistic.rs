//! Logistic regression on a few standardised features: how single signals become a probability. Fitted by Newton's method
//! with an L2 penalty (Hastie, Tibshirani and Friedman 2009, section 4.4.1); exact and without randomness. `choice` fits
//! which of several rows is right (the conditional logit: McFadden 1974), where only their differences count.

use serde::{Deserialize, Serialize};

/// Rounds of Newton's method; it converges in under ten on anything sane.
const ROUNDS: usize = 40;

/// A fitted model. An empty one says 0.5 to everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// Subtracted from each feature.
    pub mean: Vec<f64>,
    /// What each feature is divided by after that.
    pub scale: Vec<f64>,
    /// One weight per standardised feature.
    pub weights: Vec<f64>,
    /// Added at the end.
    pub bias: f64,
}

impl Logistic {
    /// Fits to `rows`, each with whether it was right. `penalty` is half the sum of squared weights' factor.
    pub fn fit(rows: &[(Vec<f64>, bool)], penalty: f64) -> Self {
        let mut model = Self::unfitted(rows.iter().map(|(x, _)| x));
        let n = model.weights.len();
        let z: Vec<Vec<f64>> = rows.iter().map(|(x, _)| model.standardised(x)).collect();
        for _ in 0..ROUNDS {
            // The last row and column belong to the bias, which is not penalised.
            let mut gradient = vec![0.0; n + 1];
            let mut hessian = vec![vec![0.0; n + 1]; n + 1];
            for (z, (_, right)) in z.iter().zip(rows) {
                let p = sigmoid(model.logit_of(z));
                let (miss, w) = (p - f64::from(u8::from(*right)), (p * (1.0 - p)).max(1e-9));
                let at = |k: usize| if k < n { z[k] } else { 1.0 };
                for i in 0..=n {
                    gradient[i] += miss * at(i);
                    for j in 0..=i {
                        hessian[i][j] += w * at(i) * at(j);
                    }
                }
            }
            for k in 0..n {
                gradient[k] += penalty * model.weights[k];
                hessian[k][k] += penalty;
            }
            hessian[n][n] += 1e-9;
            let step = solve(hessian, gradient);
            model.weights.iter_mut().zip(&step).for_each(|(w, s)| *w -= s);
            model.bias -= step[n];
            if step.iter().all(|s| s.abs() < 1e-9) {
                break;
            }
        }
        model
    }

    /// As `fit`, where the first `rising` features never make a row less probable: one that a fit gives a negative weight is
    /// fitted anew without it.
    pub fn fit_rising(rows: &[(Vec<f64>, bool)], rising: usize, penalty: f64) -> Self {
        let mut rows = rows.to_vec();
        loop {
            let fitted = Self::fit(&rows, penalty);
            let falling = fitted.weights.iter().take(rising).position(|weight| *weight < 0.0);
            let Some(falling) = falling else { return fitted };
            // A feature that is the same everywhere gets no weight.
            rows.iter_mut().for_each(|(x, _)| x[falling] = 0.0);
        }
    }

    /// Fits to groups of rows of which some are right: the softmax over a group should lie on those. Groups without a right
    /// row say nothing. Logits compare rows of one group; they are no probabilities.
    pub fn choice(groups: &[Vec<(Vec<f64>, bool)>], penalty: f64) -> Self {
        let groups: Vec<_> = groups
            .iter()
            .filter(|group| group.iter().any(|(_, right)| *right))
            .collect();
        let mut model = Self::unfitted(groups.iter().flat_map(|group| group.iter().map(|(x, _)| x)));
        let n = model.weights.len();
        let standardised = |group: &&Vec<(Vec<f64>, bool)>| -> Vec<(Vec<f64>, f64)> {
            let right = group.iter().filter(|(_, right)| *right).count() as f64;
            group
                .iter()
                .map(|(x, is)| (model.standardised(x), f64::from(u8::from(*is)) / right))
                .collect()
        };
        let z: Vec<Vec<(Vec<f64>, f64)>> = groups.iter().map(standardised).collect();
        let mut loss = model.choice_loss(&z, penalty);
        for _ in 0..ROUNDS {
            let mut gradient = vec![0.0; n];
            let mut hessian = vec![vec![0.0; n]; n];
            for group in &z {
                let shares = model.shares(group);
                let mut mean = vec![0.0; n];
                for ((z, wanted), p) in group.iter().zip(&shares) {
                    for i in 0..n {
                        mean[i] += p * z[i];
                        gradient[i] += (p - wanted) * z[i];
                        for j in 0..=i {
                            hessian[i][j] += p * z[i] * z[j];
                        }
                    }
                }
                for i in 0..n {
                    for j in 0..=i {
                        hessian[i][j] -= mean[i] * mean[j];
                    }
                }
            }
            for k in 0..n {
                gradient[k] += penalty * model.weights[k];
                hessian[k][k] += penalty;
            }
            let step = solve(hessian, gradient);
            // A whole step can go too far where a few groups decide: it is halved until it leads down.
            let before = model.weights.clone();
            let mut length = 1.0;
            let next = loop {
                for ((weight, old), step) in model.weights.iter_mut().zip(&before).zip(&step) {
                    *weight = old - length * step;
                }
                let next = model.choice_loss(&z, penalty);
                if next <= loss || length < 1e-6 {
                    break next;
                }
                length /= 2.0;
            };
            let gained = loss - next;
            loss = next;
            if gained.abs() < 1e-9 * loss.abs().max(1.0) {
                break;
            }
        }
        model
    }

    /// The softmax over a group.
    fn shares(&self, group: &[(Vec<f64>, f64)]) -> Vec<f64> {
        let logits: Vec<f64> = group.iter().map(|(z, _)| self.logit_of(z)).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
        logits.iter().map(|logit| (logit - most).exp() / total).collect()
    }

    /// What `choice` makes small: the negative log-likelihood with the penalty.
    fn choice_loss(&self, groups: &[Vec<(Vec<f64>, f64)>], penalty: f64) -> f64 {
        let of = |group: &Vec<(Vec<f64>, f64)>| -> f64 {
            let shares = self.shares(group);
            group
                .iter()
                .zip(shares)
                .filter(|((_, wanted), _)| *wanted > 0.0)
                .map(|((_, wanted), p)| -wanted * p.max(1e-300).ln())
                .sum()
        };
        groups.iter().map(of).sum::<f64>()
            + penalty / 2.0 * self.weights.iter().map(|weight| weight * weight).sum::<f64>()
    }

    /// The same on a scale that is `slope` times as steep and begins at `shift`.
    #[must_use]
    pub fn rescaled(&self, slope: f64, shift: f64) -> Self {
        Self {
            weights: self.weights.iter().map(|weight| weight * slope).collect(),
            bias: self.bias * slope + shift,
            ..self.clone()
        }
    }

    /// Means and scales of the rows, and weights of zero.
    fn unfitted<'a>(rows: impl Iterator<Item = &'a Vec<f64>> + Clone) -> Self {
        let n = rows.clone().next().map_or(0, Vec::len);
        let count = rows.clone().count().max(1) as f64;
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        let mean: Vec<f64> = (0..n)
            .map(|k| rows.clone().map(|x| finite(x[k])).sum::<f64>() / count)
            .collect();
        let spread = |k: usize| (rows.clone().map(|x| (finite(x[k]) - mean[k]).powi(2)).sum::<f64>() / count).sqrt();
        Self {
            scale: (0..n).map(|k| spread(k) + 1e-6).collect(),
            weights: vec![0.0; n],
            bias: 0.0,
            mean,
        }
    }

    /// The sum of the log-probabilities of what `rows` turned out to be.
    pub fn log_likelihood(&self, rows: &[(Vec<f64>, bool)]) -> f64 {
        let of = |(x, right): &(Vec<f64>, bool)| {
            let logit = self.logit(x);
            -(if *right { -logit } else { logit }).exp().ln_1p()
        };
        rows.iter().map(of).sum()
    }

    /// The logit of a row; a feature that is not a number counts as its mean.
    pub fn logit(&self, row: &[f64]) -> f64 {
        self.logit_of(&self.standardised(row))
    }

    /// The probability of a row.
    pub fn probability(&self, row: &[f64]) -> f64 {
        sigmoid(self.logit(row))
    }

    fn standardised(&self, row: &[f64]) -> Vec<f64> {
        let one = |(x, (mean, scale)): (&f64, (&f64, &f64))| if x.is_finite() { (x - mean) / scale } else { 0.0 };
        row.iter().zip(self.mean.iter().zip(&self.scale)).map(one).collect()
    }

    fn logit_of(&self, z: &[f64]) -> f64 {
        self.bias + z.iter().zip(&self.weights).map(|(z, w)| z * w).sum::<f64>()
    }
}

/// 1 / (1 + exp(-x)).
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Solves the symmetric positive system whose lower triangle is given (Cholesky).
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            a[i][j] = if i == j { sum.max(1e-12).sqrt() } else { sum / a[j][j] };
        }
    }
    for i in 0..n {
        b[i] = (b[i] - (0..i).map(|k| a[i][k] * b[k]).sum::<f64>()) / a[i][i];
    }
    for i in (0..n).rev() {
        b[i] = (b[i] - (i + 1..n).map(|k| a[k][i] * b[k]).sum::<f64>()) / a[i][i];
    }
    b
}

/// A probability to six decimals, as answers tell it: so short, it is read back from JSON as the same number,
/// and what is kept agrees with what was sent to the bit.
pub(crate) fn six_decimals(p: f64) -> f64 {
    (p * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_probability_is_read_back_from_json_as_it_was_written() {
        for n in -2000..2000 {
            let p = six_decimals(sigmoid(f64::from(n) * 0.0073));
            let back: f64 = serde_json::from_str(&serde_json::to_string(&p).unwrap()).unwrap();
            assert_eq!(p.to_bits(), back.to_bits(), "{p}");
        }
    }

    #[test]
    fn the_fit_finds_the_probabilities_that_made_the_data() {
        let mut rows = Vec::new();
        for i in 0..4000u32 {
            let x = f64::from(i % 40) / 10.0 - 2.0;
            let noise = f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24);
            rows.push((vec![x, 3.0], noise < sigmoid(1.5 * x - 0.5)));
        }
        let model = Logistic::fit(&rows, 1e-3);
        for x in [-1.5, -0.3, 0.4, 1.2] {
            let (got, wanted) = (model.probability(&[x, 3.0]), sigmoid(1.5 * x - 0.5));
            assert!((got - wanted).abs() < 0.04, "{x}: {got} for {wanted}");
        }
        assert!((model.probability(&[f64::NAN, 3.0]) - model.probability(&[model.mean[0], 3.0])).abs() < 1e-12);
    }

    #[test]
    fn a_choice_is_learnt_from_differences_within_groups() {
        // In each group the row with the greatest first feature is right; its level differs from group to group.
        let group = |g: u32| -> Vec<(Vec<f64>, bool)> {
            (0..4)
                .map(|k| (vec![f64::from(g * 10 + k), f64::from((g * 7 + k * 3) % 5)], k == 3))
                .collect()
        };
        let groups: Vec<_> = (0..50).map(group).collect();
        let model = Logistic::choice(&groups, 0.1);
        for group in &groups {
            let best = (0..4).max_by(|a, b| model.logit(&group[*a].0).total_cmp(&model.logit(&group[*b].0)));
            assert_eq!(best, Some(3));
        }
        assert_eq!(Logistic::choice(&[vec![(vec![1.0], false)]], 1.0).weights.len(), 0);
        let twice = model.rescaled(2.0, 1.0);
        assert!((twice.logit(&[3.0, 1.0]) - 2.0 * model.logit(&[3.0, 1.0]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_can_be_told_apart_perfectly_stays_finite() {
        let rows: Vec<_> = (0..20).map(|i| (vec![f64::from(i)], i >= 10)).collect();
        let model = Logistic::fit(&rows, 1.0);
        assert!(model.weights[0].is_finite() && model.probability(&[19.0]) > 0.9 && model.probability(&[0.0]) < 0.1);
        assert!((Logistic::fit(&[], 1.0).probability(&[]) - 0.5).abs() < 1e-9);
    }
}
