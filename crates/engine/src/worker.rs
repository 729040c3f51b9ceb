//! The engine's own thread: takes requests, runs steps, hands out tokens. It alone holds the key/value memory. Without
//! requests it sleeps on its channel, and now and then gives back what was freed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use candor_kernels::memory;
use candor_kernels::team::Team;
use candor_model::kv::KvPages;
use candor_model::{Decoder, Segment, Step};
use metrics::{counter, gauge, histogram};

use crate::answer::Choice;
use crate::scheduler::{Scheduler, Sequence, Share};
use crate::{EngineError, FinishReason, TokenLogprob, metric};

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
}

/// The engine's state on its thread.
pub(crate) struct Worker {
    pub(crate) model: String,
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) team: Arc<Team>,
    pub(crate) kv: KvPages,
    pub(crate) scheduler: Scheduler,
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
        counter!(metric::PREEMPTIONS, "model" => self.model.clone()).increment(0);
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
                self.scheduler.pool.total()
            );
            sequence.answer.fail(EngineError::Memory { message });
        }
    }

    fn step(&mut self, shares: &[Share]) {
        let begin = Instant::now();
        let running = &self.scheduler.running;
        let mut tokens = Vec::new();
        let mut wanted = Vec::new();
        let mut segments = Vec::new();
        for share in shares {
            let sequence = &running[share.index];
            let (past, first) = (sequence.computed, tokens.len());
            tokens.extend_from_slice(&sequence.tokens[past..past + share.len]);
            segments.push(Segment {
                past,
                len: share.len,
                pages: &sequence.pages,
            });
            wanted.extend(wanted_positions(sequence, share.len).map(|position| first + position - past));
        }
        let step = Step {
            tokens: &tokens,
            segments: &segments,
            wanted: &wanted,
        };
        let (decoder, team, kv) = (&self.decoder, &self.team, &mut self.kv);
        let logits = catch_unwind(AssertUnwindSafe(|| decoder.forward(team, &step, kv)));
        let running = &mut self.scheduler.running;
        let result = logits.and_then(|mut logits| {
            catch_unwind(AssertUnwindSafe(|| {
                choose(team, decoder.vocab(), &mut logits, running_jobs(running, shares))
            }))
        });
        self.pulse.steps.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(outcomes) => {
                self.failures = 0;
                self.scheduler.took(shares, begin.elapsed().as_secs_f64());
                shares.iter().for_each(|share| self.scheduler.advance(*share));
                self.deliver(outcomes);
            }
            Err(_) => self.fail(),
        }
    }

    fn deliver(&mut self, outcomes: Vec<Outcome>) {
        let mut over = Vec::new();
        for Outcome { index, prompt, choice } in outcomes {
            let sequence = &mut self.scheduler.running[index];
            if !prompt.is_empty() {
                sequence.prompt_report.extend(prompt);
                if sequence.unreported() == 0 {
                    sequence.answer.send_prompt(sequence.prompt_report.clone());
                }
            }
            match choice {
                None if sequence.computed == sequence.tokens.len() => {
                    over.push((index, Ok(FinishReason::Length)));
                }
                None => {}
                Some(Err(error)) => over.push((index, Err(error))),
                Some(Ok(choice)) => {
                    let now = Instant::now();
                    match sequence.last.replace(now) {
                        None => {
                            let cached = sequence.cached.unwrap_or(0) as u64;
                            counter!(metric::PROMPT_TOKENS, "model" => self.model.clone())
                                .increment(sequence.prompt as u64);
                            counter!(metric::CACHED_TOKENS, "model" => self.model.clone()).increment(cached);
                            histogram!(metric::FIRST_TOKEN, "model" => self.model.clone())
                                .record(now - sequence.arrived);
                        }
                        Some(last) => histogram!(metric::INTER_TOKEN, "model" => self.model.clone()).record(now - last),
                    }
                    counter!(metric::GENERATED_TOKENS, "model" => self.model.clone()).increment(1);
                    let room = self.context - (sequence.tokens.len() + 1).min(self.context);
                    let (token, reason) = sequence.answer.accept(choice, room);
                    sequence.tokens.push(token);
                    over.extend(reason.map(|reason| (index, Ok(reason))));
                }
            }
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
        let pool = &self.scheduler.pool;
        let used = pool.total() - pool.free();
        if self.scheduler.is_idle() {
            let leaked = used - self.scheduler.tree.evictable(pool);
            self.pulse.pages.store(leaked as u64, Ordering::Release);
            gauge!(metric::PAGES_LEAKED, "model" => self.model.clone()).set(leaked as f64);
        }
        gauge!(metric::QUEUE, "model" => self.model.clone()).set(self.scheduler.waiting.len() as f64);
        gauge!(metric::BATCH, "model" => self.model.clone()).set(self.scheduler.running.len() as f64);
        gauge!(metric::PAGES_USED, "model" => self.model.clone()).set(used as f64);
        gauge!(metric::PAGES_TOTAL, "model" => self.model.clone()).set(pool.total() as f64);
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

/// Positions of a share whose logits are wanted: those that predict prompt tokens to report, and the last of all.
fn wanted_positions(sequence: &Sequence, len: usize) -> impl Iterator<Item = usize> + use<> {
    let (past, prompt, all) = (sequence.computed, sequence.prompt, sequence.tokens.len());
    let report_from = sequence.reported().map(|reported| reported.max(1) - 1);
    let last = sequence.answer.wants_tokens();
    (past..past + len).filter(move |position| {
        let reported = report_from.is_some_and(|from| *position >= from && position + 1 < prompt);
        reported || last && position + 1 == all
    })
}

/// What a step brought for one request.
struct Outcome {
    index: usize,
    prompt: Vec<TokenLogprob>,
    choice: Option<Result<Choice, EngineError>>,
}

/// A request with the rows of logits that are its own.
struct Job<'a> {
    index: usize,
    sequence: &'a mut Sequence,
    len: usize,
}

fn running_jobs<'a>(running: &'a mut [Sequence], shares: &[Share]) -> Vec<Job<'a>> {
    let mut shares = shares.iter().peekable();
    let each = running.iter_mut().enumerate();
    each.filter_map(|(index, sequence)| {
        let share = shares.next_if(|share| share.index == index)?;
        Some(Job {
            index,
            sequence,
            len: share.len,
        })
    })
    .collect()
}

/// Chooses every request's token, requests side by side on the team. Each uses its own logits and random numbers only.
fn choose(team: &Team, vocab: usize, logits: &mut [f32], jobs: Vec<Job<'_>>) -> Vec<Outcome> {
    let mut rows = logits.chunks_exact_mut(vocab);
    let work: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let wanted: Vec<usize> = wanted_positions(job.sequence, job.len).collect();
            let own: Vec<&mut [f32]> = rows.by_ref().take(wanted.len()).collect();
            Mutex::new((job, wanted, own, None))
        })
        .collect();
    team.run(work.len(), &|task| {
        let mut slot = work[task].lock().unwrap_or_else(PoisonError::into_inner);
        let (job, wanted, rows, outcome) = &mut *slot;
        *outcome = Some(outcome_of(job, wanted, rows));
    });
    work.into_iter()
        .filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner).3)
        .collect()
}

fn outcome_of(job: &mut Job<'_>, wanted: &[usize], rows: &mut [&mut [f32]]) -> Outcome {
    let sequence = &mut *job.sequence;
    let mut prompt = Vec::new();
    if sequence.reported() == Some(0) {
        prompt.push(sequence.answer.prompt_token(sequence.tokens[0], None));
    }
    let mut choice = None;
    for (position, row) in wanted.iter().zip(rows) {
        if position + 1 < sequence.prompt && sequence.unreported() > 0 {
            prompt.push(sequence.answer.prompt_token(sequence.tokens[position + 1], Some(row)));
        }
        if position + 1 == sequence.tokens.len() {
            choice = Some(sequence.answer.choose(row, &sequence.tokens));
        }
    }
    Outcome {
        index: job.index,
        prompt,
        choice,
    }
}
