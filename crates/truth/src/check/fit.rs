//! How signals become a verdict: a logistic fit of the signals of [`SIGNALS`]; and for each language model that was fitted, a
//! second one of the first one's log-odds and the model's own, which are so few that some hundreds of claims fit them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CLASH, SIGNALS};
use crate::answer::Logistic;

const SHIPPED: &str = include_str!("../../weights/checking.json");

/// How signals become a verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checking {
    /// What it was fitted on, for people.
    pub fitted_on: String,
    /// Names of the signals.
    pub features: Vec<String>,
    /// Whether the evidence bears the claim out.
    pub supported: Logistic,
    /// The most probable that a claim is supported whose evidence says otherwise by the rules: the share of those that were.
    pub clashing: f64,
    /// From which probability on a claim is supported.
    pub threshold: f64,
    /// How the verdict of a language model is mixed in, by the model's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Mix>,
}

/// How the verdict of one language model is mixed in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mix {
    /// What it was fitted on, for people.
    pub fitted_on: String,
    /// Whether the evidence bears the claim out, by the log-odds of the checker and of the model.
    pub supported: Logistic,
    /// From which probability on a claim is supported.
    pub threshold: f64,
}

impl Checking {
    /// The one that comes with the program.
    pub fn shipped() -> Self {
        Self::read(SHIPPED.as_bytes()).unwrap_or_else(|| Self {
            threshold: 0.5,
            ..Self::default()
        })
    }

    /// From its JSON; `None` where that is none, or was fitted on other signals.
    pub fn read(json: &[u8]) -> Option<Self> {
        let read: Self = serde_json::from_slice(json).ok()?;
        (read.features == SIGNALS).then_some(read)
    }

    /// Fits to pairs whose verdict is known.
    pub fn fit(rows: &[(Vec<f64>, bool)], fitted_on: &str) -> Self {
        let supported = Logistic::fit(rows, 1.0);
        let clashing = rows.iter().filter(|(x, _)| clashes(x)).map(|(_, right)| *right);
        Self {
            fitted_on: fitted_on.to_owned(),
            features: SIGNALS.map(String::from).to_vec(),
            clashing: share(clashing).unwrap_or(1.0),
            threshold: share(rows.iter().map(|(_, right)| *right)).unwrap_or(0.5),
            supported,
            models: BTreeMap::new(),
        }
    }
}

impl Checking {
    /// The probability that a claim with these signals is supported.
    pub fn probability(&self, signals: &[f64]) -> f64 {
        let p = self.supported.probability(signals);
        if clashes(signals) { p.min(self.clashing) } else { p }
    }

    /// Its log-odds.
    pub fn logit(&self, signals: &[f64]) -> f64 {
        let p = self.probability(signals).clamp(1e-9, 1.0 - 1e-9);
        (p / (1.0 - p)).ln()
    }
}

fn clashes(signals: &[f64]) -> bool {
    signals.get(CLASH).is_some_and(|clash| *clash > 0.0)
}

impl Mix {
    /// Fits to the log-odds of checker and model for claims whose verdict is known. The model gets no weight unless that makes
    /// them likelier by more than chance would (Bayesian information criterion: Schwarz 1978), and never a negative one, which
    /// would punish it for what it sees.
    pub fn fit(rows: &[([f64; 2], bool)], fitted_on: &str) -> Self {
        let rows: Vec<(Vec<f64>, bool)> = rows.iter().map(|(x, right)| (x.to_vec(), *right)).collect();
        let without: Vec<(Vec<f64>, bool)> = rows.iter().map(|(x, right)| (vec![x[0], 0.0], *right)).collect();
        let alone = Logistic::fit_rising(&without, 2, 1.0);
        let both = Logistic::fit_rising(&rows, 2, 1.0);
        let gain = 2.0 * (both.log_likelihood(&rows) - alone.log_likelihood(&without));
        let supported = if gain > (rows.len() as f64).ln() { both } else { alone };
        Self {
            fitted_on: fitted_on.to_owned(),
            threshold: share(rows.iter().map(|(_, right)| *right)).unwrap_or(0.5),
            supported,
        }
    }

    /// Whether the model's verdict counts at all.
    pub fn counts(&self) -> bool {
        self.supported.weights.get(1).is_some_and(|weight| *weight > 0.0)
    }

    /// The probability that a claim is supported, by the log-odds of checker and model.
    pub fn probability(&self, checker: f64, model: f64) -> f64 {
        self.supported.probability(&[checker, model])
    }
}

/// The share that is supported. As a threshold it has the best balanced accuracy where probabilities are calibrated; the
/// one that happens to be best on the claims of the fit is up to chance, and was worse by folds of dev claims.
fn share(rows: impl Iterator<Item = bool>) -> Option<f64> {
    let (supported, all) = rows.fold((0.0, 0.0), |(supported, all), right| {
        (supported + f64::from(u8::from(right)), all + 1.0)
    });
    (all > 0.0).then(|| supported / all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fit_tells_the_supported_apart() {
        let rows: Vec<_> = (0..40).map(|n| (vec![f64::from(n)], n >= 30)).collect();
        let fitted = Checking::fit(&rows, "test");
        assert!((fitted.threshold - 0.25).abs() < 1e-12);
        let supported = |n: i32| fitted.supported.probability(&[f64::from(n)]) >= fitted.threshold;
        assert!((0..24).all(|n| !supported(n)) && (31..40).all(supported));
    }

    /// Claims of which the checker sees something, and the model as much as `sees` says.
    fn rows(sees: f64) -> Vec<([f64; 2], bool)> {
        // splitmix64: what checker and model see wrongly has nothing to do with each other.
        let noise = |n: u32| {
            let mut x = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let row = |n: u32| {
            let right = if n.is_multiple_of(2) { 1.0 } else { -1.0 };
            (
                [right + 4.0 * noise(n), sees * right + 4.0 * noise(n + 9000)],
                right > 0.0,
            )
        };
        (0..400).map(row).collect()
    }

    #[test]
    fn a_model_counts_only_where_it_helps_and_never_against_what_it_says() {
        let weights = |sees: f64| Mix::fit(&rows(sees), "test").supported.weights;
        let (helps, blind, wrong) = (weights(1.0), weights(0.0), weights(-1.0));
        assert!(helps[1] > 0.5 && helps[0] > 0.5, "{helps:?}");
        assert!(blind[1] == 0.0 && blind[0] > 0.5, "{blind:?}");
        assert!(wrong[1] == 0.0 && wrong[0] > 0.5, "{wrong:?}");
        let mix = Mix::fit(&rows(-1.0), "test");
        assert_eq!(mix.probability(0.3, 9.0), mix.probability(0.3, -9.0));
        assert!(!mix.counts());
        let mix = Mix::fit(&rows(1.0), "test");
        assert!(mix.counts() && mix.probability(0.3, 2.0) > mix.probability(0.3, -2.0));
    }

    #[test]
    fn a_fit_of_other_signals_is_passed_over_and_one_with_models_comes_back_whole() {
        let mut checking = Checking::shipped();
        assert!(!checking.fitted_on.is_empty());
        checking.models.insert("a-model".into(), Mix::fit(&rows(1.0), "test"));
        let json = serde_json::to_vec(&checking).unwrap();
        assert_eq!(Checking::read(&json), Some(checking.clone()));
        checking.features.pop();
        assert_eq!(Checking::read(&serde_json::to_vec(&checking).unwrap()), None);
    }
}
