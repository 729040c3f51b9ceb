#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::answer::AnswerParts;
use crate::near::most_held;
use crate::pages::PagePool;
use crate::sampling::Sampler;
use crate::toy::ToyLexicon;
use crate::{EngineError, Event, Sampling, Stop};

type Listener = tokio::sync::mpsc::UnboundedReceiver<Result<Event, EngineError>>;

fn sequence(id: u64, tokens: Vec<u32>) -> (Sequence, Listener) {
    let (events, listener) = tokio::sync::mpsc::unbounded_channel();
    let answer = Answer::new(AnswerParts {
        lexicon: Arc::new(ToyLexicon),
        sampler: Sampler::new(Sampling::default(), &tokens, &ToyLexicon),
        matcher: None,
        tools: None,
        stop: Stop::default(),
        logprobs: None,
        prompt_logprobs: None,
        events,
    });
    (Sequence::new(id, tokens, answer, None), listener)
}

/// What the steps wrote into the pages, guesses included: those of layers that see everything, and the others.
#[derive(Default)]
struct Memory {
    far: HashMap<(PageId, usize), u32>,
    near: HashMap<(PageId, usize), u32>,
}

/// Writes a share as the model would, and checks that it may.
fn write(memory: &mut Memory, scheduler: &Scheduler, share: Share) {
    let sequence = &scheduler.running[share.index];
    let text = sequence.tokens.iter().chain(&sequence.draft).copied();
    for (position, token) in text.enumerate().skip(sequence.computed).take(share.len) {
        let (page, slot) = (position / PAGE_TOKENS, position % PAGE_TOKENS);
        let far = sequence.pages[page];
        assert_eq!(
            scheduler.pools.far.holders(far),
            1,
            "a page that others read is written"
        );
        memory.far.insert((far, slot), token);
        if scheduler.pools.window.is_some() {
            let near = sequence.near.pages()[page];
            assert_eq!(
                scheduler.pools.near.holders(near),
                1,
                "a page that others read is written"
            );
            memory.near.insert((near, slot), token);
        }
    }
}

/// Every request reads what it wrote as far as it sees, and every page has as many holders as it should.
fn check(memory: &Memory, scheduler: &Scheduler) {
    let Scheduler {
        pools, running, tree, ..
    } = scheduler;
    for sequence in running {
        let first = pools
            .window
            .map_or(usize::MAX, |window| (sequence.computed + 1).saturating_sub(window));
        for (position, token) in sequence.tokens[..sequence.computed].iter().enumerate() {
            let (page, slot) = (position / PAGE_TOKENS, position % PAGE_TOKENS);
            assert_eq!(memory.far[&(sequence.pages[page], slot)], *token, "position {position}");
            if position >= first {
                assert_eq!(
                    memory.near[&(sequence.near.pages()[page], slot)],
                    *token,
                    "position {position}"
                );
            }
        }
    }
    let holders = |pool: &PagePool| -> usize {
        (0..pool.total())
            .map(|page| pool.holders(page as PageId) as usize)
            .sum()
    };
    let by_requests: usize = running.iter().map(|sequence| sequence.pages.len()).sum();
    assert_eq!(holders(&pools.far), by_requests + tree.len());
    let by_requests: usize = running.iter().map(|sequence| sequence.near.held().len()).sum();
    assert_eq!(holders(&pools.near), by_requests + tree.near_len());
}

proptest! {
    #[test]
    fn whatever_is_guessed_and_dropped_pages_hold_what_was_accepted_and_none_leaks(
        pages in 6usize..20,
        window in proptest::option::of(1usize..60),
        prefix_cache: bool,
        steps in proptest::collection::vec((0usize..6, 0usize..20, 0usize..20, any::<u32>()), 1..150),
    ) {
        let limits = StepLimits { max_batch: 4, chunk: 40, reported_chunk: 40 };
        // Room for two of them where that is less than what all can hold.
        let near = window.map_or(0, |window| (2 * most_held(window, limits.chunk)).min(pages));
        let limits = StepLimits { max_batch: if window.is_some() && near < pages { 2 } else { 4 }, ..limits };
        let mut scheduler = Scheduler::new(Counts { far: pages, near }, window, prefix_cache, limits);
        let (mut memory, mut listeners) = (Memory::default(), Vec::new());
        let most = (pages * PAGE_TOKENS).min(120);
        for (id, (what, guessed, right, seed)) in steps.into_iter().enumerate() {
            if what == 0 {
                let (sequence, listener) = sequence(id as u64, vec![seed % 2; 1 + seed as usize % 50]);
                listeners.push(listener);
                scheduler.waiting.push_back(sequence);
            }
            for (index, sequence) in scheduler.running.iter_mut().enumerate() {
                sequence.draft.clear();
                if sequence.pending() == 1 {
                    let room = guessed.min(most - sequence.tokens.len());
                    sequence.draft = (0..room).map(|at| (seed >> (at + index)) % 2).collect();
                }
            }
            let shares = scheduler.plan();
            for share in &shares {
                write(&mut memory, &scheduler, *share);
            }
            for share in &shares {
                let sequence = &mut scheduler.running[share.index];
                let draft = std::mem::take(&mut sequence.draft);
                let accepted = right.min(draft.len());
                if sequence.computed + share.len - draft.len() == sequence.tokens.len() {
                    sequence.tokens.extend_from_slice(&draft[..accepted]);
                    sequence.tokens.push(draft.get(accepted).map_or(seed % 2, |wrong| 1 - wrong));
                }
                scheduler.advance(*share, draft.len() - accepted);
            }
            check(&memory, &scheduler);
            for index in (0..scheduler.running.len()).rev() {
                if scheduler.running[index].tokens.len() >= most || what == 1 && index == 0 {
                    scheduler.remove(index);
                }
            }
            check(&memory, &scheduler);
        }
        while !scheduler.running.is_empty() {
            scheduler.remove(0);
        }
        prop_assert_eq!(scheduler.pools.far.free() + scheduler.tree.len(), pages);
        prop_assert_eq!(scheduler.pools.near.free() + scheduler.tree.near_len(), near);
    }
}

/// Words of its own for each prompt, so that none finds its pages in the tree.
fn prompt(id: u64, tokens: usize) -> (Sequence, Listener) {
    sequence(id, (0..tokens).map(|at| (id as usize * 31 + at) as u32 % 256).collect())
}

fn scheduler(prompts: &[usize]) -> (Scheduler, Vec<Listener>) {
    let limits = StepLimits {
        max_batch: 16,
        chunk: 256,
        reported_chunk: 64,
    };
    let mut scheduler = Scheduler::new(Counts::both(4000), None, true, limits);
    let each = prompts
        .iter()
        .enumerate()
        .map(|(id, tokens)| prompt(id as u64, *tokens));
    let (waiting, listeners): (Vec<_>, Vec<_>) = each.unzip();
    scheduler.waiting.extend(waiting);
    (scheduler, listeners)
}

/// Plans a step of `seconds`, computes it, and gives an answer's token to every request whose prompt is done.
fn step(scheduler: &mut Scheduler, seconds: f64) -> Vec<(u64, usize)> {
    let shares = scheduler.plan();
    scheduler.pace.took(scheduler.portions(&shares), seconds);
    let by_id = shares
        .iter()
        .map(|share| (scheduler.running[share.index].id, share.len));
    let by_id = by_id.collect();
    for share in shares {
        scheduler.advance(share, 0);
        let sequence = &mut scheduler.running[share.index];
        if sequence.pending() == 0 {
            sequence.tokens.push(65);
        }
    }
    by_id
}

#[test]
fn prompts_of_like_length_go_one_after_the_other() {
    let (mut scheduler, _listeners) = scheduler(&[700, 700, 300]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 256)]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 256)]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 188), (1, 68)]);
}

#[test]
fn a_long_prompt_leaves_half_of_a_step_to_short_ones_behind_it() {
    let (mut scheduler, mut listeners) = scheduler(&[8000]);
    assert_eq!(step(&mut scheduler, 0.1), [(0, 256)]);
    for (id, tokens) in [(1, 6000), (2, 30), (3, 30)] {
        let (short, listener) = prompt(id, tokens);
        scheduler.waiting.push_back(short);
        listeners.push(listener);
    }
    // A second long one leaves half of its half; what nobody takes goes to the oldest.
    assert_eq!(step(&mut scheduler, 0.1), [(0, 132), (1, 64), (2, 30), (3, 30)]);
    assert_eq!(
        step(&mut scheduler, 0.1),
        [(0, 254), (2, 1), (3, 1)],
        "then the oldest goes first again"
    );
}

#[test]
fn a_prompt_beyond_its_start_takes_half_of_the_time_beside_answers() {
    let (mut scheduler, _listeners) = scheduler(&[20, 8000]);
    let (mut of_prompt, mut of_answers, mut begun) = (0.0, 0.0, 0);
    let mut longest = 0f64;
    while scheduler.running.len() < 2 || scheduler.running[1].pending() > 1 {
        let before = scheduler.running.get(1).map_or(0, |sequence| sequence.computed);
        // A millisecond a token, four thousand tokens deep five of them; answers alone take 10 ms.
        let shares = scheduler.plan();
        let prompt: usize = shares
            .iter()
            .filter(|share| share.index == 1)
            .map(|share| share.len)
            .sum();
        let seconds = 0.01 + prompt as f64 * 1e-3 * (1.0 + before as f64 / 1000.0);
        scheduler.pace.took(scheduler.portions(&shares), seconds);
        for share in shares {
            scheduler.advance(share, 0);
            let sequence = &mut scheduler.running[share.index];
            if sequence.pending() == 0 {
                sequence.tokens.push(65);
            }
        }
        if before >= 2048 {
            longest = longest.max(seconds);
            of_prompt += seconds - 0.01;
            of_answers += 0.01;
        }
        begun += 1;
        assert!(begun < 10_000, "the prompt goes on");
    }
    assert!(longest < 0.25, "{longest}");
    assert!(
        (0.8..1.3).contains(&(of_prompt / of_answers)),
        "{of_prompt} {of_answers}"
    );
}
