//! What is counted of one attempt: requests by outcome, time to the first token, tokens. A tally that is dropped
//! before its end counts as cancelled.

use std::time::Instant;

use metrics::{counter, gauge, histogram};

use crate::Usage;

pub(super) struct Tally {
    upstream: String,
    replica: String,
    model: String,
    began: Instant,
    started: bool,
    ended: bool,
}

impl Tally {
    pub(super) fn begin(upstream: &str, replica: &str, model: &str) -> Self {
        gauge!("candor_upstream_running", "upstream" => upstream.to_owned(), "replica" => replica.to_owned())
            .increment(1.0);
        Self {
            upstream: upstream.into(),
            replica: replica.into(),
            model: model.into(),
            began: Instant::now(),
            started: false,
            ended: false,
        }
    }

    /// Whether the first piece has come.
    pub(super) fn started(&self) -> bool {
        self.started
    }

    pub(super) fn first_token(&mut self) {
        self.started = true;
        histogram!("candor_upstream_first_token_seconds", "upstream" => self.upstream.clone(), "model" => self.model.clone())
            .record(self.began.elapsed().as_secs_f64());
    }

    pub(super) fn finish(&mut self, usage: &Usage) {
        for (kind, count) in [
            ("prompt", usage.prompt_tokens),
            ("cached", usage.cached_tokens),
            ("completion", usage.completion_tokens),
        ] {
            counter!("candor_upstream_tokens_total", "upstream" => self.upstream.clone(), "model" => self.model.clone(), "kind" => kind)
                .increment(count as u64);
        }
        self.end("finished");
    }

    pub(super) fn end(&mut self, outcome: &'static str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        gauge!("candor_upstream_running", "upstream" => self.upstream.clone(), "replica" => self.replica.clone())
            .decrement(1.0);
        counter!(
            "candor_upstream_requests_total",
            "upstream" => self.upstream.clone(),
            "replica" => self.replica.clone(),
            "model" => self.model.clone(),
            "outcome" => outcome
        )
        .increment(1);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.end("cancelled");
    }
}
