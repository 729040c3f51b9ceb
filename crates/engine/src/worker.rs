//! The engine's own thread: takes requests, runs steps, hands out tokens. It alone holds the key/value memory. Without
//! requests it sleeps on its channel, and now and then gives back what was freed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use candor_kernels::memory;
use candor_kernels::team::Team;
use candor_model::kv::KvPages;
use candor_model::{Decoder, Segment, Step};
use metrics::{counter, gauge, histogram};

use crate::scheduler::{Scheduler, Sequence, Share};
use crate::speculate::Speculator;
use crate::verify::{Outcome, verify, wanted_positions};
use crate::{EngineError, FinishReason, metric};

/// After this many failed steps in a row the model is taken out of service.
const FAILURES: u32 = 3;

/// How long the engine sleeps before it gives freed memory back: requests that are refused leave some too, and never come
/// here.
const NAP: Duration = Duration::from_secs(10);

/// What the outside sees of the engine's thread.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The model failed again and again, or the thread ended.
    pub(crate) broken: AtomicBool,
    /// Pages that requests still held when the engine last went to sleep: none, unless there is a leak.
    pub(crate) pages: AtomicU64,
    /// Steps since the start.
    pub(crate) steps: AtomicU64,
    /// Guessed tokens that steps computed, since the start.
    pub(crate) proposed: AtomicU64,
    /// Of those, the ones that were chosen.
    pub(crate) accepted: AtomicU64,
}

/// The engine's state on its thread.
pub(crate) struct Worker {
    pub(crate) model: String,
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) team: Arc<Team>,
    pub(crate) kv: KvPages,
    pub(crate) scheduler: Scheduler,
    pub(crate) speculator: Speculator,
    /// Longest prompt and answer together.
    pub(crate) context: usize,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) failures: u32,
    pub(crate) preemptions: u64,
}

impl Worker {
    /// Runs until every sender is gone and every request has ended.
    pub(crate) fn run(mut self, requests: &Receiver<Sequence>) {
        let pulse = Arc::clone(&self.pulse);
        // A counter that is there from the beginning shows its first increase.
        for name in [metric::PREEMPTIONS, metric::PROPOSED_TOKENS, metric::ACCEPTED_TOKENS] {
            counter!(name, "model" => self.model.clone()).increment(0);
        }
        let result = catch_unwind(AssertUnwindSafe(|| while self.turn(requests) {}));
        pulse.broken.store(true, Ordering::Release);
        if result.is_err() {
            tracing::error!("the engine's thread failed; its model is out of service until it is loaded again");
        }
    }

    /// Takes what has come, runs one step. False when there is no more to do, ever.
    fn turn(&mut self, requests: &Receiver<Sequence>) -> bool {
        if self.scheduler.is_idle() {
            self.report();
            match next_of(requests) {
                Some(sequence) => self.arrive(sequence),
                None => return false,
            }
        }
        while let Ok(sequence) = requests.try_recv() {
            self.arrive(sequence);
        }
        self.scheduler.drop_abandoned();
        self.guess();
        let shares = self.scheduler.plan();
        if shares.is_empty() {
            self.refuse_stuck();
        } else {
            self.step(&shares);
        }
        self.report();
        true
    }

    fn arrive(&mut self, sequence: Sequence) {
        if self.failures >= FAILURES {
            sequence.answer.fail(out_of_service(&self.model));
        } else {
            self.scheduler.waiting.push_back(sequence);
        }
    }

    /// Nothing can run although requests wait: only a bug or too few pages lead here. No hang.
    fn refuse_stuck(&mut self) {
        if let Some(sequence) = self.scheduler.waiting.pop_front() {
            let message = format!(
                "the request needs more key/value memory than there is ({} pages); give the model more memory or send less",
                self.scheduler.pools.far.total()
            );
            sequence.answer.fail(EngineError::Memory { message });
        }
    }

    /// Guesses how answers go on. An engine whose guesses fail does without them.
    fn guess(&mut self) {
        let Self {
            speculator,
            team,
            scheduler,
            context,
            ..
        } = self;
        let guessing = AssertUnwindSafe(|| speculator.propose(team, &mut scheduler.running, *context));
        if catch_unwind(guessing).is_err() {
            tracing::error!(model = %self.model, "guessing ahead panicked and is switched off; this is a bug in Candor, please report it");
            self.speculator = Speculator::default();
            self.scheduler
                .running
                .iter_mut()
                .for_each(|sequence| sequence.draft.clear());
        }
    }

    fn step(&mut self, shares: &[Share]) {
        let (begin, portions) = (Instant::now(), self.scheduler.portions(shares));
        let running = &self.scheduler.running;
        let mut tokens = Vec::new();
        let mut wanted = Vec::new();
        let mut segments = Vec::new();
        let mut near = Vec::new();
        for share in shares {
            let sequence = &running[share.index];
            let (past, first) = (sequence.computed, tokens.len());
            tokens.extend(sequence.tokens[past..].iter().chain(&sequence.draft).take(share.len));
            let segment = |pages| Segment {
                past,
                len: share.len,
                pages,
            };
            segments.push(segment(&sequence.pages));
            near.push(segment(sequence.near.pages()));
            wanted.extend(wanted_positions(sequence, share.len).map(|position| first + position - past));
        }
        let step = Step {
            tokens: &tokens,
            segments: &segments,
            near: &near,
            wanted: &wanted,
        };
        let (decoder, team, kv, context) = (&self.decoder, &self.team, &mut self.kv, self.context);
        let logits = catch_unwind(AssertUnwindSafe(|| decoder.forward(team, &step, kv)));
        let running = &mut self.scheduler.running;
        let result = logits.and_then(|mut logits| {
            catch_unwind(AssertUnwindSafe(|| {
                verify(team, &mut logits, decoder.vocab(), running, shares, context)
            }))
        });
        self.pulse.steps.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(outcomes) => {
                self.failures = 0;
                self.scheduler.pace.took(portions, begin.elapsed().as_secs_f64());
                for (share, outcome) in shares.iter().zip(&outcomes) {
                    self.scheduler.advance(*share, outcome.proposed - outcome.accepted);
                }
                self.deliver(outcomes);
            }
            Err(_) => self.fail(),
        }
    }

    fn deliver(&mut self, outcomes: Vec<Outcome>) {
        let mut over = Vec::new();
        for outcome in outcomes {
            let sequence = &self.scheduler.running[outcome.index];
            let end = match outcome.end {
                None if sequence.computed == sequence.tokens.len() => Some(Ok(FinishReason::Length)),
                end => end,
            };
            over.extend(end.map(|end| (outcome.index, end)));
            self.count(outcome.index, outcome.chosen, outcome.proposed, outcome.accepted);
        }
        for (index, end) in over.into_iter().rev() {
            let mut sequence = self.scheduler.remove(index);
            let label = match end {
                Ok(FinishReason::Stop) => "stop",
                Ok(FinishReason::Length) => "length",
                Ok(FinishReason::ToolCalls) => "tool_calls",
                Err(_) => "error",
            };
            counter!(metric::REQUESTS, "model" => self.model.clone(), "reason" => label).increment(1);
            match end {
                Ok(reason) => sequence
                    .answer
                    .finish(reason, sequence.prompt, sequence.cached.unwrap_or(0)),
                Err(error) => sequence.answer.fail(error),
            }
        }
    }

    /// Counts what a step brought a request. Tokens that were guessed come together, without a gap between them.
    fn count(&mut self, index: usize, chosen: usize, proposed: usize, accepted: usize) {
        let sequence = &mut self.scheduler.running[index];
        for _ in 0..chosen {
            let now = Instant::now();
            match sequence.last.replace(now) {
                None => {
                    let cached = sequence.cached.unwrap_or(0) as u64;
                    counter!(metric::PROMPT_TOKENS, "model" => self.model.clone()).increment(sequence.prompt as u64);
                    counter!(metric::CACHED_TOKENS, "model" => self.model.clone()).increment(cached);
                    histogram!(metric::FIRST_TOKEN, "model" => self.model.clone()).record(now - sequence.arrived);
                }
                Some(last) => histogram!(metric::INTER_TOKEN, "model" => self.model.clone()).record(now - last),
            }
        }
        let (proposed, accepted) = (proposed as u64, accepted as u64);
        self.pulse.proposed.fetch_add(proposed, Ordering::Relaxed);
        self.pulse.accepted.fetch_add(accepted, Ordering::Relaxed);
        for (name, tokens) in [
            (metric::GENERATED_TOKENS, chosen as u64),
            (metric::PROPOSED_TOKENS, proposed),
            (metric::ACCEPTED_TOKENS, accepted),
        ] {
            counter!(name, "model" => self.model.clone()).increment(tokens);
        }
    }

    /// A step panicked: its requests fail, the cache is thrown away, the engine goes on.
    fn fail(&mut self) {
        self.failures += 1;
        tracing::error!(model = %self.model, "a step of the model panicked; its requests were ended with an error");
        let message =
            "the model failed while it worked on this request; this is a bug in Candor, please report it".to_string();
        for sequence in self.scheduler.fail_running() {
            counter!(metric::REQUESTS, "model" => self.model.clone(), "reason" => "error").increment(1);
            sequence.answer.fail(EngineError::Internal {
                message: message.clone(),
            });
        }
        if self.failures >= FAILURES {
            self.pulse.broken.store(true, Ordering::Release);
            for sequence in std::mem::take(&mut self.scheduler.waiting) {
                sequence.answer.fail(out_of_service(&self.model));
            }
        }
    }

    fn report(&mut self) {
        let Scheduler { pools, tree, .. } = &self.scheduler;
        let [used, used_near] = [&pools.far, &pools.near].map(|pool| pool.total() - pool.free());
        if self.scheduler.is_idle() {
            let leaked = used + used_near - tree.evictable(pools) - tree.evictable_near(pools);
            self.pulse.pages.store(leaked as u64, Ordering::Release);
            gauge!(metric::PAGES_LEAKED, "model" => self.model.clone()).set(leaked as f64);
        }
        gauge!(metric::QUEUE, "model" => self.model.clone()).set(self.scheduler.waiting.len() as f64);
        gauge!(metric::BATCH, "model" => self.model.clone()).set(self.scheduler.running.len() as f64);
        gauge!(metric::PAGES_USED, "model" => self.model.clone()).set(used as f64);
        let page = self.kv.shape().page_bytes();
        let bytes = used * page.far + used_near * page.near;
        gauge!(metric::KV_BYTES, "model" => self.model.clone()).set(bytes as f64);
        gauge!(metric::PAGES_TOTAL, "model" => self.model.clone()).set(pools.far.total() as f64);
        let preempted = self.scheduler.preemptions - self.preemptions;
        if preempted > 0 {
            self.preemptions += preempted;
            counter!(metric::PREEMPTIONS, "model" => self.model.clone()).increment(preempted);
        }
    }
}

/// Sleeps until a request comes; none when no more can.
fn next_of(requests: &Receiver<Sequence>) -> Option<Sequence> {
    loop {
        match requests.recv_timeout(NAP) {
            Ok(sequence) => return Some(sequence),
            Err(RecvTimeoutError::Timeout) => memory::give_back(),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Why a model that failed takes no requests.
pub(crate) fn out_of_service(model: &str) -> EngineError {
    let message = format!(
        "the model `{model}` failed {FAILURES} times in a row and is out of service; load it again or restart Candor"
    );
    EngineError::Unavailable { message }
}
