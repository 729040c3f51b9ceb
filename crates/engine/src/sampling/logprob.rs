//! Log-probabilities of the model's own distribution: log-softmax in f64 over the logits as they come.

use std::cmp::Ordering;

use crate::TokenLogprob;
use crate::lexicon::Lexicon;

/// A row of logits with its log-sum-exp.
pub(crate) struct Logprobs<'a> {
    logits: &'a [f32],
    log_sum: f64,
}

impl<'a> Logprobs<'a> {
    /// Sums in order of token id.
    pub(crate) fn new(logits: &'a [f32]) -> Self {
        let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum();
        Self {
            logits,
            log_sum: largest + sum.ln(),
        }
    }

    /// ln p of a token.
    pub(crate) fn of(&self, id: u32) -> f32 {
        self.logits
            .get(id as usize)
            .map_or(f32::NEG_INFINITY, |logit| (f64::from(*logit) - self.log_sum) as f32)
    }

    /// The `n` most probable tokens, best first, lower ids first among equals.
    pub(crate) fn top(&self, n: usize) -> Vec<u32> {
        let mut best: Vec<u32> = Vec::with_capacity(n + 1);
        for (id, logit) in self.logits.iter().enumerate() {
            let worst = best.last().map_or(f32::NEG_INFINITY, |id| self.logits[*id as usize]);
            if best.len() == n && logit.partial_cmp(&worst) != Some(Ordering::Greater) {
                continue;
            }
            let at = best.partition_point(|other| self.logits[*other as usize] >= *logit);
            best.insert(at, id as u32);
            best.truncate(n);
        }
        best
    }
}

/// A token as it is reported; `row` is the distribution it was drawn from (`None` for the first prompt token).
pub(crate) fn describe(id: u32, row: Option<&Logprobs<'_>>, top: usize, lexicon: &dyn Lexicon) -> TokenLogprob {
    let bytes = lexicon.bytes(id).to_vec();
    let alternatives = row.map(|row| {
        let best = row.top(top).into_iter();
        best.map(|other| (Some(other), lexicon.bytes(other).to_vec(), row.of(other)))
            .collect()
    });
    TokenLogprob {
        id: Some(id),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        bytes,
        logprob: row.map(|row| row.of(id)),
        top: alternatives.unwrap_or_default(),
    }
}
