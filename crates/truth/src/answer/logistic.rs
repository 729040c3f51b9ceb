//! Logistic regression on a few standardised features: how single signals become a probability. Fitted by Newton's method
//! with an L2 penalty (Hastie, Tibshirani and Friedman 2009, section 4.4.1); exact and without randomness.

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
        let n = rows.first().map_or(0, |(x, _)| x.len());
        let count = rows.len().max(1) as f64;
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        let mean: Vec<f64> = (0..n)
            .map(|k| rows.iter().map(|(x, _)| finite(x[k])).sum::<f64>() / count)
            .collect();
        let scale: Vec<f64> = (0..n)
            .map(|k| (rows.iter().map(|(x, _)| (finite(x[k]) - mean[k]).powi(2)).sum::<f64>() / count).sqrt() + 1e-6)
            .collect();
        let mut model = Self {
            mean,
            scale,
            weights: vec![0.0; n],
            bias: 0.0,
        };
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
    fn what_can_be_told_apart_perfectly_stays_finite() {
        let rows: Vec<_> = (0..20).map(|i| (vec![f64::from(i)], i >= 10)).collect();
        let model = Logistic::fit(&rows, 1.0);
        assert!(model.weights[0].is_finite() && model.probability(&[19.0]) > 0.9 && model.probability(&[0.0]) < 0.1);
        assert!((Logistic::fit(&[], 1.0).probability(&[]) - 0.5).abs() < 1e-9);
    }
}
