//! From logits to a token.
//!
//! Order: bias, repetition, presence and frequency penalties, DRY, the constraint's mask; greedy choice where the
//! temperature is 0; else temperature, top-k, typical (Meister et al. 2022), top-p (Holtzman et al. 2019), min-p (Nguyen
//! et al. 2024), and one draw. Probabilities are f64 and every sum runs in a fixed order, so equal logits and an equal
//! seed give the same token, whatever else runs.

mod check;
mod dry;
mod logprob;

use std::collections::{HashMap, HashSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use toktrie::SimpleVob;

pub(crate) use check::{MAX_LOGPROBS, check, invalid};
pub(crate) use logprob::{Logprobs, describe};

use crate::Sampling;
use crate::lexicon::Lexicon;

/// One request's sampler: its settings, its random numbers, what it has counted.
#[derive(Debug)]
pub(crate) struct Sampler {
    settings: Sampling,
    random: ChaCha8Rng,
    /// How often the answer used each token.
    used: HashMap<u32, u32>,
    /// Tokens of prompt and answer, for the repetition penalty.
    seen: HashSet<u32>,
    /// Tokens that end a DRY match.
    breakers: HashSet<u32>,
}

/// A candidate: token and probability (not normalised).
type Candidate = (u32, f64);

impl Sampler {
    /// A sampler for checked settings.
    pub(crate) fn new(settings: Sampling, prompt: &[u32], lexicon: &dyn Lexicon) -> Self {
        let seed = settings.seed.unwrap_or_else(rand::random);
        let seen = if settings.repetition_penalty == 1.0 {
            HashSet::new()
        } else {
            prompt.iter().copied().collect()
        };
        let breakers = if settings.dry.multiplier > 0.0 {
            dry::breakers(&settings.dry, lexicon)
        } else {
            HashSet::new()
        };
        Self {
            settings,
            random: ChaCha8Rng::seed_from_u64(seed),
            used: HashMap::new(),
            seen,
            breakers,
        }
    }

    /// Chooses a token. `history` is prompt and answer so far; `mask` allows tokens. `None` where nothing is allowed or
    /// no logit is a number.
    pub(crate) fn sample(&mut self, logits: &mut [f32], history: &[u32], mask: Option<&SimpleVob>) -> Option<u32> {
        self.adjust(logits, history);
        if let Some(mask) = mask {
            forbid(logits, mask);
        }
        let best = argmax(logits)?;
        let token = if self.settings.temperature == 0.0 {
            best
        } else {
            self.draw(logits, logits[best as usize])
        };
        *self.used.entry(token).or_default() += 1;
        if self.settings.repetition_penalty != 1.0 {
            self.seen.insert(token);
        }
        Some(token)
    }

    fn adjust(&self, logits: &mut [f32], history: &[u32]) {
        let settings = &self.settings;
        for (id, bias) in &settings.logit_bias {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit += bias;
            }
        }
        for id in &self.seen {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit = if *logit > 0.0 {
                    *logit / settings.repetition_penalty
                } else {
                    *logit * settings.repetition_penalty
                };
            }
        }
        if settings.presence_penalty != 0.0 || settings.frequency_penalty != 0.0 {
            for (id, count) in &self.used {
                logits[*id as usize] -= settings.presence_penalty + settings.frequency_penalty * *count as f32;
            }
        }
        if settings.dry.multiplier > 0.0 {
            dry::penalize(logits, history, &settings.dry, &self.breakers);
        }
    }

    /// One draw. `best` is the largest logit.
    fn draw(&mut self, logits: &[f32], best: f32) -> u32 {
        let scale = 1.0 / f64::from(self.settings.temperature);
        let weight = |logit: f32| ((f64::from(logit) - f64::from(best)) * scale).exp();
        let candidates = logits
            .iter()
            .enumerate()
            .filter(|(_, logit)| **logit > f32::NEG_INFINITY);
        let mut candidates: Vec<Candidate> = candidates.map(|(id, logit)| (id as u32, weight(*logit))).collect();
        let settings = &self.settings;
        if settings.top_k > 0 && (settings.top_k as usize) < candidates.len() {
            let k = settings.top_k as usize;
            candidates.select_nth_unstable_by(k - 1, by_weight);
            candidates.truncate(k);
            candidates.sort_unstable_by(by_weight);
        }
        if settings.typical_p < 1.0 {
            typical(&mut candidates, f64::from(settings.typical_p));
        }
        if settings.top_p < 1.0 {
            top_p(&mut candidates, f64::from(settings.top_p));
        }
        if settings.min_p > 0.0 {
            let largest = candidates.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
            candidates.retain(|(_, weight)| *weight >= f64::from(settings.min_p) * largest);
        }
        // 53 random bits, by hand: the same in every version of every library.
        let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = uniform * candidates.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut last = 0;
        for (id, weight) in candidates {
            if weight > 0.0 {
                last = id;
                left -= weight;
                if left < 0.0 {
                    break;
                }
            }
        }
        last
    }
}

/// Takes out what `mask` does not allow, and what lies beyond it. Most words of 32 tokens are all allowed or all forbidden.
fn forbid(logits: &mut [f32], mask: &SimpleVob) {
    let (within, beyond) = logits.split_at_mut(mask.len().min(logits.len()));
    beyond.fill(f32::NEG_INFINITY);
    for (logits, &allowed) in within.chunks_mut(32).zip(mask.as_slice()) {
        match allowed {
            u32::MAX => {}
            0 => logits.fill(f32::NEG_INFINITY),
            _ => {
                let forbidden = logits.iter_mut().enumerate().filter(|(bit, _)| allowed >> bit & 1 == 0);
                forbidden.for_each(|(_, logit)| *logit = f32::NEG_INFINITY);
            }
        }
    }
}

/// The largest logit's token, the lowest id where several are equal.
pub(crate) fn argmax(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > best.map_or(f32::NEG_INFINITY, |(_, value)| value) {
            best = Some((id as u32, *logit));
        }
    }
    best.map(|(id, _)| id)
}

/// Larger weight first, then lower id: a total order, so that ties never depend on chance.
fn by_weight(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The smallest set of most probable tokens that holds `p` of the probability.
fn top_p(candidates: &mut Vec<Candidate>, p: f64) {
    let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
    // Tokens far below the average cannot be in the set; leaving them out saves most of the sort. Together they weigh
    // less than the part that top-p leaves out.
    let floor = (1.0 - p) * total / candidates.len() as f64;
    let heavy: Vec<Candidate> = candidates
        .iter()
        .filter(|(_, weight)| *weight >= floor)
        .copied()
        .collect();
    if !heavy.is_empty() {
        *candidates = heavy;
    }
    candidates.sort_unstable_by(by_weight);
    keep_mass(candidates, p * total);
}

/// The tokens whose surprise is nearest to the entropy, until they hold `p` of the probability.
fn typical(candidates: &mut Vec<Candidate>, p: f64) {
    let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
    let surprise = |weight: f64| -(weight / total).ln();
    let entropy: f64 = candidates
        .iter()
        .filter(|(_, w)| *w > 0.0)
        .map(|(_, w)| w / total * surprise(*w))
        .sum();
    candidates.sort_unstable_by(|a, b| {
        let distance = |weight: f64| (surprise(weight) - entropy).abs();
        distance(a.1).total_cmp(&distance(b.1)).then(by_weight(a, b))
    });
    keep_mass(candidates, p * total);
}

/// Keeps candidates from the front until they weigh `mass`; always one.
fn keep_mass(candidates: &mut Vec<Candidate>, mass: f64) {
    let mut sum = 0.0;
    let keep = candidates.iter().position(|(_, weight)| {
        sum += weight;
        sum >= mass
    });
    candidates.truncate(keep.map_or(candidates.len(), |last| last + 1).max(1));
}

#[cfg(test)]
mod tests;
