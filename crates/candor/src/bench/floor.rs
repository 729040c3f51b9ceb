//! What a machine allows at most, so that a figure can be read without a rival beside it. A step reads every weight
//! once and multiplies it with every token; neither can be had faster than the machine reads memory of that size and
//! multiplies bytes in registers. Attention, norms and sampling are not counted: the floor is lower than any engine's.

use anyhow::Context as _;
use candor_kernels::probe::{self, Int8Peak};
use candor_kernels::team::Team;
use candor_model::Work;

/// What limits a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Weights come from memory.
    Memory,
    /// They are multiplied.
    Arithmetic,
}

impl Bound {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Arithmetic => "arithmetic",
        }
    }
}

/// The floor of one model on one machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) work: Work,
    /// Bytes per second, read of memory as large as the weights of a token.
    pub(crate) read_rate: f64,
    pub(crate) peak: Option<Int8Peak>,
}

impl Floor {
    /// Reads memory of the size of the model's weights.
    pub(crate) fn measure(team: &Team, work: Work, peak: Option<Int8Peak>) -> anyhow::Result<Self> {
        let bytes = usize::try_from(work.bytes).context("the weights are larger than any memory")?;
        let read_rate = probe::read_rate(team, bytes)?;
        Ok(Self { work, read_rate, peak })
    }

    /// Seconds of a step of `tokens`, of which `wanted` give logits, and what they go to.
    fn step(&self, tokens: usize, wanted: usize) -> (f64, Bound) {
        let memory = self.work.bytes as f64 / self.read_rate;
        let products =
            self.work.multiply_adds as f64 * tokens as f64 + self.work.head_multiply_adds as f64 * wanted as f64;
        let arithmetic = self.peak.map_or(0.0, |peak| products / peak.per_second);
        if arithmetic > memory {
            (arithmetic, Bound::Arithmetic)
        } else {
            (memory, Bound::Memory)
        }
    }

    /// Tokens per second of `streams` that decode at once, at most.
    pub(crate) fn decode(&self, streams: usize) -> (f64, Bound) {
        let (seconds, bound) = self.step(streams, streams);
        (streams as f64 / seconds.max(1e-12), bound)
    }

    /// Tokens per second of a prompt of `tokens` that is computed `batch` at a time, at most.
    pub(crate) fn prefill(&self, tokens: usize, batch: usize) -> (f64, Bound) {
        let batch = batch.clamp(1, tokens.max(1));
        let (mut seconds, bound) = self.step(batch, 1);
        seconds *= (tokens / batch) as f64;
        if !tokens.is_multiple_of(batch) {
            seconds += self.step(tokens % batch, 1).0;
        }
        (tokens as f64 / seconds.max(1e-12), bound)
    }

    /// What the floor of a model was reckoned from, for people.
    pub(crate) fn basis(&self) -> String {
        format!(
            "{:.1} MiB of weights are read for a token, at {:.1} GB/s of a buffer of that size; {:.1} M multiply-adds for a token, {:.1} M of them for its logits",
            self.work.bytes as f64 / f64::from(1 << 20),
            self.read_rate / 1e9,
            (self.work.multiply_adds + self.work.head_multiply_adds) as f64 / 1e6,
            self.work.head_multiply_adds as f64 / 1e6,
        )
    }
}

/// The peak, for a header.
pub(crate) fn peak_line(peak: Option<Int8Peak>) -> String {
    match peak {
        Some(peak) => format!(
            "at most {:.1} G int8 multiply-adds/s ({} in registers)",
            peak.per_second / 1e9,
            peak.instruction
        ),
        None => "no int8 unit on this path".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Floor = Floor {
        work: Work {
            bytes: 100_000_000,
            multiply_adds: 80_000_000,
            head_multiply_adds: 20_000_000,
        },
        read_rate: 10e9,
        peak: Some(Int8Peak {
            instruction: "x",
            per_second: 100e9,
        }),
    };

    #[test]
    fn few_streams_wait_for_memory_and_many_for_arithmetic() {
        assert_eq!(FLOOR.decode(1), (100.0, Bound::Memory));
        assert_eq!(FLOOR.decode(10), (1000.0, Bound::Memory));
        assert_eq!(FLOOR.decode(40), (1000.0, Bound::Arithmetic));
    }

    #[test]
    fn a_prompt_pays_for_the_logits_of_each_chunk_alone() {
        let (rate, bound) = FLOOR.prefill(100, 100);
        assert_eq!(bound, Bound::Arithmetic);
        assert!((rate - 100.0 / 0.0802).abs() < 1e-6);
        let (halves, _) = FLOOR.prefill(100, 50);
        assert!((halves - 100.0 / 0.0804).abs() < 1e-6);
        let (uneven, _) = FLOOR.prefill(101, 100); // the last token reads all weights by itself
        assert!((uneven - 101.0 / (0.0802 + 0.01)).abs() < 1e-6);
    }

    #[test]
    fn without_a_unit_memory_alone_is_the_floor() {
        let floor = Floor { peak: None, ..FLOOR };
        assert_eq!(floor.decode(40), (4000.0, Bound::Memory));
    }
}
