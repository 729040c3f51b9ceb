//! Running a model against the clock: random tokens in, logits out, nothing around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use candor_kernels::team::Team;
use candor_model::kv::KvPages;
use candor_model::{Decoder, PAGE_TOKENS, PageId, Segment, Step};

/// A model with room for one sequence.
pub(crate) struct Runner {
    decoder: Arc<dyn Decoder>,
    team: Team,
    kv: KvPages,
    pages: Vec<PageId>,
    batch: usize,
    random: u64,
}

impl Runner {
    /// Room for `longest` tokens; prompts are computed `batch` tokens at a time.
    pub(crate) fn new(decoder: Arc<dyn Decoder>, threads: usize, longest: usize, batch: usize) -> anyhow::Result<Self> {
        if longest > decoder.context() {
            bail!(
                "{longest} tokens are asked for and the model's context holds {}; take smaller -p, -n or -d",
                decoder.context()
            );
        }
        let count = longest.div_ceil(PAGE_TOKENS);
        let kv = decoder.new_kv(count)?;
        let pages = (0..PageId::try_from(count).context("too many tokens")?).collect();
        Ok(Self {
            decoder,
            team: Team::new(threads),
            kv,
            pages,
            batch,
            random: 1,
        })
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// Computes `tokens` that follow `past` others; returns the logits of the last one.
    fn step(&mut self, past: usize, tokens: &[u32]) -> Vec<f32> {
        let segments = [Segment {
            past,
            len: tokens.len(),
            pages: &self.pages,
        }];
        let step = Step {
            tokens,
            segments: &segments,
            wanted: &[tokens.len() - 1],
        };
        self.decoder.forward(&self.team, &step, &mut self.kv)
    }

    /// Tokens from Knuth's MMIX generator: what they say does not matter, only that no two runs differ.
    fn tokens(&mut self, count: usize) -> Vec<u32> {
        let vocab = self.decoder.vocab().max(1) as u64;
        let mut next = || {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((self.random >> 33) % vocab) as u32
        };
        (0..count).map(|_| next()).collect()
    }

    /// A bench checks its result before it times: the same tokens at once and one by one give the same bits.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let tokens = self.tokens(9);
        let at_once = self.step(0, &tokens);
        let mut one_by_one = Vec::new();
        for (past, token) in tokens.iter().enumerate() {
            one_by_one = self.step(past, &[*token]);
        }
        if at_once.iter().any(|logit| !logit.is_finite()) {
            bail!("the model computes numbers that are not finite; is the file sound?");
        }
        if at_once.iter().zip(&one_by_one).any(|(a, b)| a.to_bits() != b.to_bits()) {
            bail!(
                "the same tokens at once and one by one give different logits; please report this with the model's name"
            );
        }
        Ok(())
    }

    /// Puts `depth` tokens into the cache.
    pub(crate) fn fill(&mut self, depth: usize) {
        if depth > 0 {
            self.prefill(0, depth);
        }
    }

    /// Reads `count` tokens of prompt after `past` others.
    pub(crate) fn prefill(&mut self, past: usize, count: usize) {
        let tokens = self.tokens(count);
        let mut done = 0;
        for chunk in tokens.chunks(self.batch) {
            self.step(past + done, chunk);
            done += chunk.len();
        }
    }

    /// Writes `count` tokens, one after the other, after `past` others.
    pub(crate) fn decode(&mut self, past: usize, count: usize) {
        let tokens = self.tokens(count);
        for (index, token) in tokens.iter().enumerate() {
            self.step(past + index, &[*token]);
        }
    }
}

/// Samples of one test.
#[derive(Debug)]
pub(crate) struct Timing {
    samples: Vec<Duration>,
    tokens: usize,
}

impl Timing {
    pub(crate) fn new(samples: Vec<Duration>, tokens: usize) -> Self {
        Self { samples, tokens }
    }

    pub(crate) fn nanoseconds(&self) -> Vec<u64> {
        self.samples
            .iter()
            .map(|sample| u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX))
            .collect()
    }

    /// Tokens per second, sample by sample.
    pub(crate) fn rates(&self) -> Vec<f64> {
        self.samples
            .iter()
            .map(|sample| self.tokens as f64 / sample.as_secs_f64().max(1e-9))
            .collect()
    }

    /// Mean and standard deviation of tokens per second.
    pub(crate) fn rate(&self) -> (f64, f64) {
        mean_and_deviation(&self.rates())
    }

    pub(crate) fn mean_ns(&self) -> f64 {
        self.spread_ns().0
    }

    pub(crate) fn deviation_ns(&self) -> f64 {
        self.spread_ns().1
    }

    fn spread_ns(&self) -> (f64, f64) {
        let samples: Vec<f64> = self.samples.iter().map(|sample| sample.as_secs_f64() * 1e9).collect();
        mean_and_deviation(&samples)
    }
}

fn mean_and_deviation(samples: &[f64]) -> (f64, f64) {
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n.max(1.0);
    if samples.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

/// GB/s that the team reads from memory: decode reads every weight once per token, so this bounds it.
pub(crate) fn read_bandwidth(team: &Team) -> f64 {
    const WORDS: usize = 32 << 20; // 256 MiB: far more than any cache
    const PIECE: usize = 1 << 17;
    let memory = vec![1u64; WORDS];
    let sum = AtomicU64::new(0);
    let best = (0..4)
        .map(|_| {
            let start = Instant::now();
            team.run(WORDS / PIECE, &|piece| {
                let part: u64 = memory
                    .iter()
                    .skip(piece * PIECE)
                    .take(PIECE)
                    .copied()
                    .fold(0, u64::wrapping_add);
                sum.fetch_add(part, Ordering::Relaxed);
            });
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    std::hint::black_box(sum.into_inner());
    (WORDS * 8) as f64 / best / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_tokens_per_second() {
        let timing = Timing::new(vec![Duration::from_millis(500), Duration::from_millis(250)], 100);
        assert_eq!(timing.rate().0, 300.0);
        assert!((timing.rate().1 - 141.42).abs() < 0.01);
        assert_eq!(timing.mean_ns(), 375e6);
    }
}
