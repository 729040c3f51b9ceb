//! What a load showed: rates, and how long people waited, as a table and in the key names of `vllm bench serve`.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::load::{Outcome, Record};

/// The percentiles of tables and files.
const PERCENTILES: [u32; 4] = [50, 90, 95, 99];

/// Samples of one kind, in milliseconds, sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    fn new(durations: impl Iterator<Item = Duration>) -> Self {
        let mut ms: Vec<f64> = durations.map(|duration| duration.as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        Self(ms)
    }

    /// Sorted, in milliseconds.
    pub(crate) fn sorted(&self) -> &[f64] {
        &self.0
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// Of the samples, not of what they were drawn from, as NumPy has it.
    fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|ms| (ms - mean).powi(2)).sum();
        (squares / self.0.len().max(1) as f64).sqrt()
    }

    /// Between the two nearest samples in proportion, as NumPy has it; 0 where there are none.
    pub(crate) fn percentile(&self, p: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else {
            return 0.0;
        };
        let at = p.clamp(0.0, 100.0) / 100.0 * last as f64;
        let (below, above) = (self.0[at.floor() as usize], self.0[at.ceil() as usize]);
        below + (above - below) * at.fract()
    }

    fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }
}

/// Figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) first_error: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: Option<u64>,
    /// Answers whose tokens were counted by events, since the server sent no usage.
    pub(crate) uncounted: usize,
    pub(crate) most_at_once: usize,
    /// Time to the first token.
    pub(crate) ttft: Samples,
    /// Time per output token after the first.
    pub(crate) tpot: Samples,
    /// Every gap between two events of a stream.
    pub(crate) itl: Samples,
    /// From the request to the end of its answer.
    pub(crate) e2el: Samples,
}

impl Figures {
    pub(crate) fn new(outcome: &Outcome) -> Self {
        let answers = || outcome.records.iter().filter_map(|record| record.answer.as_ref().ok());
        let errors = outcome.records.iter().filter_map(|record| record.answer.as_ref().err());
        let usage = || answers().filter_map(|answer| answer.usage);
        let cached = || usage().filter_map(|usage| usage.prompt_tokens_details?.cached_tokens);
        let per_token = answers().filter_map(|answer| {
            let (first, more) = (
                answer.events.first()?,
                answer.tokens().checked_sub(1).filter(|more| *more > 0)?,
            );
            Some((answer.end.checked_sub(*first)?).div_f64(more as f64))
        });
        let gaps = answers().flat_map(|answer| answer.events.windows(2).map(|pair| pair[1].saturating_sub(pair[0])));
        Self {
            completed: answers().count(),
            failed: errors.clone().count(),
            first_error: errors.clone().next().cloned(),
            seconds: outcome.duration.as_secs_f64().max(1e-9),
            input: usage().map(|usage| usage.prompt_tokens).sum(),
            output: answers().map(super::client::Answer::tokens).sum(),
            cached: cached().next().map(|_| cached().sum()),
            uncounted: answers().filter(|answer| answer.usage.is_none()).count(),
            most_at_once: most_at_once(&outcome.records),
            ttft: Samples::new(answers().filter_map(|answer| answer.events.first().copied())),
            tpot: Samples::new(per_token),
            itl: Samples::new(gaps),
            e2el: Samples::new(answers().map(|answer| answer.end)),
        }
    }

    fn kinds(&self) -> [(&'static str, &'static str, &Samples); 4] {
        [
            ("time to first token", "ttft", &self.ttft),
            ("gap between tokens", "itl", &self.itl),
            ("time per output token", "tpot", &self.tpot),
            ("whole answer", "e2el", &self.e2el),
        ]
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let rate = |count: u64| count as f64 / self.seconds;
        let mut text = format!(
            "requests        {} answered, {} failed, {} at once at most\n",
            self.completed, self.failed, self.most_at_once
        );
        if let Some(error) = &self.first_error {
            let _ = writeln!(text, "first failure   {error}");
        }
        let _ = writeln!(text, "duration        {:.2} s", self.seconds);
        let _ = writeln!(text, "requests/s      {:.2}", rate(self.completed as u64));
        let cached = self
            .cached
            .map_or(String::new(), |cached| format!(", {cached} of them from a cache"));
        let _ = writeln!(
            text,
            "input tokens    {} ({:.1}/s){cached}",
            self.input,
            rate(self.input)
        );
        let counted = match self.uncounted {
            0 => String::new(),
            some => format!("; events were counted in {some} answers without usage"),
        };
        let _ = writeln!(
            text,
            "output tokens   {} ({:.1}/s){counted}",
            self.output,
            rate(self.output)
        );
        let _ = writeln!(text, "longest gap     {:.1} ms\n", self.itl.max());
        let mut head = vec!["mean".to_owned()];
        head.extend(PERCENTILES.iter().map(|p| format!("p{p}")));
        head.push("max".to_owned());
        let _ = write!(text, "| {:22} |", "milliseconds");
        head.iter().for_each(|name| text.push_str(&format!(" {name:>9} |")));
        let _ = write!(text, "\n| {:-<22} |", "");
        head.iter().for_each(|_| text.push_str(" --------: |"));
        for (name, _, samples) in self.kinds() {
            let _ = write!(text, "\n| {name:22} |");
            let percentiles = PERCENTILES.iter().map(|p| samples.percentile(f64::from(*p)));
            for ms in std::iter::once(samples.mean())
                .chain(percentiles)
                .chain([samples.max()])
            {
                let _ = write!(text, " {ms:>9.2} |");
            }
        }
        text.push('\n');
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let rate = |count: u64| count as f64 / self.seconds;
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("duration", json!(self.seconds));
        put("completed", json!(self.completed));
        put("failed", json!(self.failed));
        put("total_input_tokens", json!(self.input));
        put("total_output_tokens", json!(self.output));
        put("request_throughput", json!(rate(self.completed as u64)));
        put("input_throughput", json!(rate(self.input)));
        put("output_throughput", json!(rate(self.output)));
        put("total_token_throughput", json!(rate(self.input + self.output)));
        put("max_concurrent_requests", json!(self.most_at_once));
        put("cached_input_tokens", json!(self.cached));
        put("answers_without_usage", json!(self.uncounted));
        put("first_error", json!(self.first_error));
        put("longest_gap_ms", json!(self.itl.max()));
        for (_, kind, samples) in self.kinds() {
            put(&format!("mean_{kind}_ms"), json!(samples.mean()));
            put(&format!("median_{kind}_ms"), json!(samples.percentile(50.0)));
            put(&format!("std_{kind}_ms"), json!(samples.deviation()));
            for p in PERCENTILES {
                put(&format!("p{p}_{kind}_ms"), json!(samples.percentile(f64::from(p))));
            }
            put(&format!("max_{kind}_ms"), json!(samples.max()));
        }
        fields
    }
}

/// Each request, in the lists that `vllm bench serve --save-detailed` writes: seconds, 0 where there is no answer.
pub(crate) fn details(records: &[Record]) -> Map<String, Value> {
    let of = |f: &dyn Fn(&Record) -> Value| Value::from(records.iter().map(f).collect::<Vec<_>>());
    let answer = |record: &Record| record.answer.clone().unwrap_or_default();
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("start_times", of(&|r| json!(r.sent.as_secs_f64())));
    put(
        "input_lens",
        of(&|r| json!(answer(r).usage.unwrap_or_default().prompt_tokens)),
    );
    put("output_lens", of(&|r| json!(answer(r).tokens())));
    put(
        "ttfts",
        of(&|r| json!(answer(r).events.first().map_or(0.0, Duration::as_secs_f64))),
    );
    put(
        "itls",
        of(&|r| {
            let events = answer(r).events;
            json!(
                events
                    .windows(2)
                    .map(|pair| (pair[1] - pair[0]).as_secs_f64())
                    .collect::<Vec<_>>()
            )
        }),
    );
    put("e2els", of(&|r| json!(answer(r).end.as_secs_f64())));
    put(
        "errors",
        of(&|r| json!(r.answer.as_ref().err().cloned().unwrap_or_default())),
    );
    fields
}

/// How many requests were under way at once.
fn most_at_once(records: &[Record]) -> usize {
    let mut changes: Vec<(Duration, i64)> = records.iter().flat_map(|r| [(r.sent, 1), (r.ended, -1)]).collect();
    changes.sort_by_key(|(at, change)| (*at, *change)); // who leaves makes room for who comes
    let (mut now, mut most) = (0i64, 0i64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or_default()
}

#[cfg(test)]
#[path = "report_tests.rs"]
pub(crate) mod tests;
