//! Puts a server under load: sends requests at their pace, and keeps when what came back.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::arrivals::Pace;
use super::client::{Answer, Client};
use super::trace::{Ask, Reading};

/// Tokens of answer where neither trace nor command line says how many.
pub(crate) const ANSWER: u32 = 128;

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) asks: Arc<Vec<Ask>>,
    pub(crate) reading: Reading,
    /// Tokens of every answer; the trace's own where this is none.
    pub(crate) output: Option<u32>,
}

impl Load {
    /// The same with other words, so that a run finds nothing of the one before in a server's prefix cache.
    pub(crate) fn again(&self, run: u64) -> Self {
        let mut load = self.clone();
        load.reading.seed = load.reading.seed.wrapping_add(run);
        load
    }

    fn output_of(&self, number: usize) -> u32 {
        let own = self.asks[number].output_tokens;
        self.output.or(own).unwrap_or(ANSWER).max(1)
    }
}

/// A request that ended.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its number in the load.
    pub(crate) number: usize,
    /// When it was sent, since the beginning.
    pub(crate) sent: Duration,
    /// When it ended, since the beginning.
    pub(crate) ended: Duration,
    /// The answer, or a sentence on why there is none.
    pub(crate) answer: Result<Answer, String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// By number.
    pub(crate) records: Vec<Record>,
    /// From the first request to the end of the last.
    pub(crate) duration: Duration,
    /// Whether it was stopped before all had ended.
    pub(crate) stopped: bool,
}

/// Sends all requests; `step` is told how many have begun and ended. Ends early when `stop` does, with what has ended.
pub(crate) async fn run(
    client: &Client,
    load: Arc<Load>,
    pace: Pace,
    stop: impl Future<Output = ()>,
    step: impl Fn(usize, usize),
) -> Outcome {
    let begin = Instant::now();
    let (mut outcome, mut running) = (Outcome::default(), JoinSet::new());
    let (mut next, all) = (0, load.asks.len());
    tokio::pin!(stop);
    loop {
        let due = match &pace {
            Pace::Clients(clients) if next < all && running.len() < *clients => Some(begin),
            Pace::At(times) if next < all => Some(begin + times[next]),
            _ => None,
        };
        if due.is_none() && running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut stop => {
                outcome.stopped = true;
                running.abort_all();
                break;
            }
            () = tokio::time::sleep_until(due.unwrap_or(begin)), if due.is_some() => {
                running.spawn(one(client.clone(), load.clone(), next, begin));
                next += 1;
            }
            Some(ended) = running.join_next() => outcome.records.extend(ended.ok()),
        }
        step(next, outcome.records.len());
    }
    outcome.duration = begin.elapsed();
    outcome.records.sort_by_key(|record| record.number);
    outcome
}

async fn one(client: Client, load: Arc<Load>, number: usize, begin: Instant) -> Record {
    let text = load.asks[number].text(number, &load.reading);
    let sent = begin.elapsed();
    let answer = client.ask(&text, load.output_of(number)).await;
    Record {
        number,
        sent,
        ended: begin.elapsed(),
        answer,
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
