//! Running a model against the clock: random tokens in, logits out, nothing around it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use candor_kernels::team::Team;
use candor_model::kv::KvPages;
use candor_model::{Counts, Decoder, PAGE_TOKENS, PageId, Segment, Step};

/// Tokens of the comparison before anything is timed.
const CHECKED: usize = 9;

/// How much memory for keys and values a runner needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Tokens of a stream.
    pub(crate) longest: usize,
    /// Streams that decode at once.
    pub(crate) streams: usize,
    /// First tokens that all streams have in common.
    pub(crate) shared: usize,
}

/// A model with room for some sequences.
pub(crate) struct Runner {
    decoder: Arc<dyn Decoder>,
    team: Team,
    kv: KvPages,
    /// The pages of each stream; those of whole pages of shared tokens are the same.
    streams: Vec<Vec<PageId>>,
    shared: usize,
    batch: usize,
    random: u64,
}

impl Runner {
    /// Prompts are computed `batch` tokens at a time.
    pub(crate) fn new(decoder: Arc<dyn Decoder>, threads: usize, room: Room, batch: usize) -> anyhow::Result<Self> {
        let longest = room.longest.max(room.shared.max(CHECKED) + 1);
        if longest > decoder.context() {
            bail!(
                "{longest} tokens are asked for and the model's context holds {}; take smaller -p, -n, -d or --shared-prefix",
                decoder.context()
            );
        }
        let streams = page_tables(longest, room.streams, room.shared).context("too many tokens")?;
        let count = streams.iter().flatten().max().map_or(0, |last| *last as usize + 1);
        Ok(Self {
            kv: decoder.new_kv(Counts::both(count))?,
            decoder,
            team: Team::new(threads),
            streams,
            shared: room.shared,
            batch,
            random: 1,
        })
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// Computes `tokens` of one stream that follow `past` others; returns the logits of the last one.
    fn step(&mut self, stream: usize, past: usize, tokens: &[u32]) -> Vec<f32> {
        let segments = [Segment {
            past,
            len: tokens.len(),
            pages: &self.streams[stream],
        }];
        let step = Step {
            tokens,
            segments: &segments,
            near: &segments,
            wanted: &[tokens.len() - 1],
        };
        self.decoder.forward(&self.team, &step, &mut self.kv)
    }

    /// Computes one token of each of the first streams, all after `past` others; returns the logits of each.
    ///
    /// # Panics
    /// If `past` lies in the shared tokens: the streams would write to the same places.
    fn step_together(&mut self, past: usize, tokens: &[u32]) -> Vec<f32> {
        assert!(past >= self.shared, "shared tokens are written once");
        let segments: Vec<Segment<'_>> = self.streams[..tokens.len()]
            .iter()
            .map(|pages| Segment { past, len: 1, pages })
            .collect();
        let wanted: Vec<usize> = (0..tokens.len()).collect();
        let step = Step {
            tokens,
            segments: &segments,
            near: &segments,
            wanted: &wanted,
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

    /// A bench checks its result before it times: the same tokens at once and one by one give the same bits, and so do
    /// streams alone and together.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let tokens = self.tokens(CHECKED);
        let at_once = self.step(0, 0, &tokens);
        let mut one_by_one = Vec::new();
        for (past, token) in tokens.iter().enumerate() {
            one_by_one = self.step(0, past, &[*token]);
        }
        if at_once.iter().any(|logit| !logit.is_finite()) {
            bail!("the model computes numbers that are not finite; is the file sound?");
        }
        if !same_bits(&at_once, &one_by_one) {
            bail!(
                "the same tokens at once and one by one give different logits; please report this with the model's name"
            );
        }
        let past = self.shared.max(CHECKED);
        self.fill(past);
        let next = self.tokens(self.streams.len());
        let mut alone = Vec::new();
        for (stream, token) in next.iter().enumerate() {
            alone.extend(self.step(stream, past, &[*token]));
        }
        if !same_bits(&alone, &self.step_together(past, &next)) {
            bail!("streams alone and together give different logits; please report this with the model's name");
        }
        Ok(())
    }

    /// Gives every stream the first `depth` tokens of the first one, in pages of its own where they are not shared.
    fn share(&mut self, depth: usize) {
        let (first, others) = self.streams.split_at(1);
        for stream in others {
            for (from, to) in first[0].iter().zip(stream).take(depth.div_ceil(PAGE_TOKENS)) {
                if from != to {
                    self.kv.copy_page(*from, *to);
                }
            }
        }
    }

    /// Puts `depth` tokens into the cache of every stream.
    pub(crate) fn fill(&mut self, depth: usize) {
        if depth > 0 {
            self.prefill(0, depth);
            self.share(depth);
        }
    }

    /// Reads `count` tokens of prompt after `past` others.
    pub(crate) fn prefill(&mut self, past: usize, count: usize) {
        let tokens = self.tokens(count);
        let mut done = 0;
        for chunk in tokens.chunks(self.batch) {
            self.step(0, past + done, chunk);
            done += chunk.len();
        }
    }

    /// Writes `count` tokens in each of the first `streams`, one after the other, after `past` others.
    pub(crate) fn decode(&mut self, past: usize, count: usize, streams: usize) {
        let tokens = self.tokens(count * streams);
        for (index, tokens) in tokens.chunks_exact(streams.max(1)).enumerate() {
            self.step_together(past + index, tokens);
        }
    }
}

/// Pages of `streams` sequences of `longest` tokens: whole pages of the first `shared` tokens are the same in all of them,
/// as a prefix cache would have it. `None` where they cannot be counted.
fn page_tables(longest: usize, streams: usize, shared: usize) -> Option<Vec<Vec<PageId>>> {
    let (each, common) = (longest.div_ceil(PAGE_TOKENS), shared / PAGE_TOKENS);
    let common = PageId::try_from(common.min(each)).ok()?;
    let own = PageId::try_from(each).ok()? - common;
    let mut next = common;
    (0..streams.max(1))
        .map(|_| {
            let first = next;
            next = next.checked_add(own)?;
            Some((0..common).chain(first..next).collect())
        })
        .collect()
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
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

    #[test]
    fn streams_share_whole_pages_of_their_prefix_and_no_others() {
        let page = PAGE_TOKENS;
        let apart = page_tables(2 * page + 1, 2, page - 1).unwrap_or_default();
        assert_eq!(apart, [[0, 1, 2], [3, 4, 5]]);
        let shared = page_tables(2 * page + 1, 3, 2 * page + 1).unwrap_or_default();
        assert_eq!(shared, [[0, 1, 2], [0, 1, 3], [0, 1, 4]]);
        assert!(page_tables(usize::MAX, 2, 0).is_none() && page_tables(1 << 40, 1 << 30, 0).is_none());
    }
}
