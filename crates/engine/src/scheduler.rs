//! Which requests take part in the next step, and with how many tokens.
//!
//! Running answers come first, one token each and what is guessed ahead of it where pages allow; what `pace` leaves of the
//! step goes to prompts, in chunks. They go in order of arrival, but a prompt leaves half of what there is to those behind
//! it that are much shorter. When pages run out, cached pages that nobody uses are evicted, then the youngest request loses
//! its pages and goes back to the queue with the tokens it has; later it is computed again, and since results have the same
//! bits, its answer goes on as if nothing had happened. The oldest request is never held up by younger ones, so every step
//! makes progress.

use std::collections::VecDeque;
use std::time::Instant;

use candor_model::{Counts, PAGE_TOKENS, PageId};
use tokio::sync::OwnedSemaphorePermit;

use crate::TokenLogprob;
use crate::answer::Answer;
use crate::near::NearTable;
use crate::pace::{Pace, Portions, START};
use crate::pages::Pools;
use crate::prefix::{Found, NodeId, PrefixTree, ROOT};
use crate::speculate::Trust;

/// A prompt so many times as long as one behind it leaves it half of a step.
const MUCH_LONGER: usize = 4;

/// A request in the engine.
pub(crate) struct Sequence {
    /// In order of arrival.
    pub(crate) id: u64,
    /// Prompt and answer so far.
    pub(crate) tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub(crate) prompt: usize,
    /// How many have their keys and values in the pages.
    pub(crate) computed: usize,
    pub(crate) pages: Vec<PageId>,
    /// The pages of layers with a window; empty where the model has none.
    pub(crate) near: NearTable,
    /// The prefix tree's node of the last full page.
    node: NodeId,
    /// Prompt tokens that came from the prefix tree when the request started.
    pub(crate) cached: Option<usize>,
    pub(crate) answer: Answer,
    /// Guesses of what follows, computed with the last token.
    pub(crate) draft: Vec<u32>,
    /// How far guesses were right.
    pub(crate) trust: Trust,
    /// The prompt's log-probabilities so far, when asked for.
    pub(crate) prompt_report: Vec<TokenLogprob>,
    pub(crate) arrived: Instant,
    /// When the last token came.
    pub(crate) last: Option<Instant>,
    /// The place in the queue; given back when the request starts.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

impl Sequence {
    /// A request that has not begun.
    pub(crate) fn new(id: u64, tokens: Vec<u32>, answer: Answer, place: Option<OwnedSemaphorePermit>) -> Self {
        let prompt = tokens.len();
        Self {
            id,
            tokens,
            prompt,
            computed: 0,
            pages: Vec::new(),
            near: NearTable::default(),
            node: ROOT,
            cached: None,
            answer,
            draft: Vec::new(),
            trust: Trust::default(),
            prompt_report: Vec::new(),
            arrived: Instant::now(),
            last: None,
            place,
        }
    }

    /// Tokens that are still to be computed; one while the answer is written.
    pub(crate) fn pending(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// The most tokens that may be guessed: all of them and one more must have room in answer and context.
    pub(crate) fn room(&self, context: usize) -> usize {
        let left = context.saturating_sub(self.tokens.len()).min(self.answer.left());
        left.saturating_sub(1)
    }

    /// Tokens of the prompt that were computed for it, not found.
    fn begun(&self) -> usize {
        self.computed - self.cached.unwrap_or(0).min(self.computed)
    }

    /// Prompt tokens that are still to be reported with log-probabilities.
    pub(crate) fn unreported(&self) -> usize {
        self.reported()
            .map_or(0, |reported| self.prompt.saturating_sub(reported))
    }

    /// Prompt tokens whose log-probabilities are not wanted or reported already; `None` where nobody asks for any.
    pub(crate) fn reported(&self) -> Option<usize> {
        Some(self.answer.wants_prompt()? + self.prompt_report.len())
    }

    /// How many tokens may come from the cache: the last one is always computed, since its logits are wanted, and so
    /// are those that predict prompt tokens still to be reported.
    fn reusable(&self) -> usize {
        let known = match self.reported() {
            Some(reported) if reported < self.prompt => reported,
            _ => self.tokens.len(),
        };
        known.saturating_sub(1)
    }
}

/// Limits of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepLimits {
    /// Requests at once.
    pub(crate) max_batch: usize,
    /// Tokens per step.
    pub(crate) chunk: usize,
    /// Tokens per step of a request whose prompt is reported (each needs a row of logits).
    pub(crate) reported_chunk: usize,
}

/// A request's part in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Which of the running requests.
    pub(crate) index: usize,
    /// How many of its tokens, guesses included.
    pub(crate) len: usize,
}

/// Requests, pages and the prefix tree.
pub(crate) struct Scheduler {
    /// Oldest first.
    pub(crate) waiting: VecDeque<Sequence>,
    /// Oldest first.
    pub(crate) running: Vec<Sequence>,
    pub(crate) pools: Pools,
    pub(crate) tree: PrefixTree,
    limits: StepLimits,
    pub(crate) pace: Pace,
    /// Requests that lost their pages, since the start.
    pub(crate) preemptions: u64,
}

impl Scheduler {
    /// An empty scheduler over `pages` pages, of which near layers see `window` tokens.
    pub(crate) fn new(pages: Counts, window: Option<usize>, prefix_cache: bool, limits: StepLimits) -> Self {
        Self {
            waiting: VecDeque::new(),
            running: Vec::new(),
            pools: Pools::new(pages, window),
            tree: PrefixTree::new(prefix_cache),
            limits,
            pace: Pace::new(limits.chunk),
            preemptions: 0,
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Forgets requests that nobody listens to, with their pages.
    pub(crate) fn drop_abandoned(&mut self) {
        self.waiting.retain(|sequence| !sequence.answer.abandoned());
        for index in (0..self.running.len()).rev() {
            if self.running[index].answer.abandoned() {
                self.remove(index);
            }
        }
    }

    /// Takes a request out and gives its pages back.
    pub(crate) fn remove(&mut self, index: usize) -> Sequence {
        let mut sequence = self.running.remove(index);
        self.release(&mut sequence);
        sequence
    }

    /// The next step; empty only if nothing can run.
    pub(crate) fn plan(&mut self) -> Vec<Share> {
        let mut shares = Vec::new();
        self.make_room_for_answers();
        for index in 0..self.running.len() {
            if self.running[index].pending() == 1 {
                self.fit_draft(index);
                let len = 1 + self.running[index].draft.len();
                shares.push(Share { index, len });
            }
        }
        let answers = shares.iter().map(|share| share.len).sum();
        let mut budget = self.pace.room(answers);
        for index in 0..self.running.len() {
            self.share_prompt(index, true, answers, &mut budget, &mut shares);
        }
        while budget > 0 && self.running.len() < self.limits.max_batch && self.admit() {
            // The oldest first: a request that was preempted comes back into its place, and shares move along.
            let index = self.sort_last(&mut shares);
            self.share_prompt(index, true, answers, &mut budget, &mut shares);
        }
        // What was left to others and not taken.
        for index in 0..self.running.len() {
            self.share_prompt(index, false, answers, &mut budget, &mut shares);
        }
        shares.sort_unstable_by_key(|share| share.index);
        shares
    }

    /// Records that a request's share was computed without the last `dropped` guesses, and makes full pages known to the
    /// prefix tree. Pages that only these guesses needed go back, and those of near layers that lie behind the window.
    pub(crate) fn advance(&mut self, share: Share, dropped: usize) {
        let (sequence, pools) = (&mut self.running[share.index], &mut self.pools);
        let before = sequence.computed / PAGE_TOKENS;
        sequence.computed += share.len - dropped;
        if dropped > 0 {
            let needs = sequence.tokens.len().div_ceil(PAGE_TOKENS).min(sequence.pages.len());
            sequence.pages.drain(needs..).for_each(|page| pools.far.release(page));
            sequence.near.truncate(needs, &mut pools.near);
        }
        for page in before..sequence.computed / PAGE_TOKENS {
            let key = &sequence.tokens.as_chunks::<PAGE_TOKENS>().0[page];
            let (far, near) = (&mut sequence.pages[page], sequence.near.get_mut(page));
            sequence.node = self.tree.insert(sequence.node, key, far, near, pools);
        }
        if let Some(window) = pools.window {
            sequence.near.leave_behind(sequence.computed, window, &mut pools.near);
        }
    }

    /// Empties everything after a failure: all running requests, and the prefix tree with them.
    pub(crate) fn fail_running(&mut self) -> Vec<Sequence> {
        let mut failed = std::mem::take(&mut self.running);
        failed.iter_mut().for_each(|sequence| self.release(sequence));
        self.tree.clear(&mut self.pools);
        failed
    }

    fn release(&mut self, sequence: &mut Sequence) {
        sequence.pages.drain(..).for_each(|page| self.pools.far.release(page));
        sequence.near.clear(&mut self.pools.near);
        sequence.computed = 0;
        sequence.node = ROOT;
        sequence.draft.clear();
    }

    /// Gives every answer a page for its next token; the youngest requests lose theirs if need be.
    fn make_room_for_answers(&mut self) {
        let mut index = 0;
        while index < self.running.len() {
            if self.running[index].pending() == 1 && !self.grow(index, 1) {
                self.preempt(self.running.len() - 1);
            } else {
                index += 1;
            }
        }
    }

    /// Shortens a request's guesses to what fits into its pages and those that can be had; nobody loses pages for guesses.
    fn fit_draft(&mut self, index: usize) {
        self.grow(index, 1 + self.running[index].draft.len());
        let sequence = &mut self.running[index];
        let pages = match self.pools.window {
            Some(_) => sequence.pages.len().min(sequence.near.pages().len()),
            None => sequence.pages.len(),
        };
        let room = pages * PAGE_TOKENS - sequence.tokens.len();
        sequence.draft.truncate(room);
    }

    fn preempt(&mut self, index: usize) {
        let sequence = self.remove(index);
        self.preemptions += 1;
        let at = self.waiting.partition_point(|other| other.id < sequence.id);
        self.waiting.insert(at, sequence);
    }

    /// Makes the page table long enough for `len` more tokens.
    fn grow(&mut self, index: usize, len: usize) -> bool {
        let sequence = &self.running[index];
        let needs = (sequence.computed + len).div_ceil(PAGE_TOKENS);
        while self.running[index].pages.len() < needs {
            let Some(page) = self.take() else { return false };
            self.running[index].pages.push(page);
        }
        while self.pools.window.is_some() && self.running[index].near.pages().len() < needs {
            let Some(page) = self.take_near() else { return false };
            self.running[index].near.push(page);
        }
        true
    }

    fn take(&mut self) -> Option<PageId> {
        loop {
            match self.pools.far.take() {
                Some(page) => return Some(page),
                None if self.tree.evict(&mut self.pools) => {}
                None => return None,
            }
        }
    }

    /// There is always one for a running request: `EngineOptions::pages` sees to it.
    fn take_near(&mut self) -> Option<PageId> {
        loop {
            match self.pools.near.take() {
                Some(page) => return Some(page),
                None if self.tree.evict_near(&mut self.pools) => {}
                None => return None,
            }
        }
    }

    /// Gives a prompt its part of what is left of a step, if it has no part or a smaller one; `leaving` half to others
    /// where there are much shorter ones behind it.
    fn share_prompt(
        &mut self,
        index: usize,
        leaving: bool,
        answers: usize,
        budget: &mut usize,
        shares: &mut Vec<Share>,
    ) {
        let sequence = &self.running[index];
        if sequence.pending() == 1 || sequence.begun() >= START && self.pace.owes(answers) {
            return;
        }
        let limit = if sequence.unreported() > 0 {
            self.limits.reported_chunk.max(1)
        } else {
            usize::MAX
        };
        let own = shares.iter().position(|share| share.index == index);
        let has = own.map_or(0, |at| shares[at].len);
        let part = if leaving && self.passes_shorter(index) {
            budget.div_ceil(2)
        } else {
            *budget
        };
        let len = sequence.pending().min(limit).saturating_sub(has).min(part);
        if len > 0 && self.grow(index, has + len) {
            *budget -= len;
            match own {
                Some(at) => shares[at].len += len,
                None => shares.push(Share { index, len }),
            }
        }
    }

    /// Whether a much shorter prompt waits behind a running one.
    fn passes_shorter(&self, index: usize) -> bool {
        let long = self.running[index].pending();
        let behind = self.running[index + 1..].iter().chain(&self.waiting);
        behind
            .map(Sequence::pending)
            .any(|pending| pending > 1 && pending.saturating_mul(MUCH_LONGER) <= long)
    }

    /// For whom the tokens of a step are, before it is computed.
    pub(crate) fn portions(&self, shares: &[Share]) -> Portions {
        let mut step = Portions::default();
        for share in shares {
            let sequence = &self.running[share.index];
            if sequence.pending() == 1 {
                step.answers += share.len;
            } else {
                step.prompts += share.len;
                step.beyond += if sequence.begun() >= START { share.len } else { 0 };
            }
        }
        step
    }

    /// Starts the oldest waiting request if its tokens so far fit into free and evictable pages. It takes those of near
    /// layers as it goes on.
    fn admit(&mut self) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        let found = self.tree.find(&next.tokens[..next.reusable()], &mut self.pools);
        let Found {
            node,
            pages: shared,
            mut near,
        } = found;
        let needs = (next.tokens.len() + 1).div_ceil(PAGE_TOKENS) - shared.len();
        let free = self.pools.far.free();
        let fits = needs <= free || needs <= free + self.tree.evictable(&self.pools);
        let mut fresh = Vec::new();
        while fits && fresh.len() < needs {
            match self.take() {
                Some(page) => fresh.push(page),
                None => break,
            }
        }
        if fresh.len() < needs {
            let far = fresh.into_iter().chain(shared);
            far.for_each(|page| self.pools.far.release(page));
            near.clear(&mut self.pools.near);
            return false;
        }
        let Some(mut sequence) = self.waiting.pop_front() else {
            return false;
        };
        sequence.node = node;
        sequence.computed = shared.len() * PAGE_TOKENS;
        sequence.cached.get_or_insert(sequence.computed);
        sequence.pages = shared;
        sequence.pages.extend(fresh);
        sequence.near = near;
        sequence.place = None;
        self.running.push(sequence);
        true
    }

    /// Moves the last running request to its place by age.
    fn sort_last(&mut self, shares: &mut [Share]) -> usize {
        let last = self.running.len() - 1;
        let at = self.running[..last].partition_point(|other| other.id < self.running[last].id);
        self.running[at..].rotate_right(1);
        shares
            .iter_mut()
            .filter(|share| share.index >= at)
            .for_each(|share| share.index += 1);
        at
    }
}

#[cfg(test)]
mod tests;
