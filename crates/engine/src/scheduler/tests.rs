#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::answer::AnswerParts;
use crate::sampling::Sampler;
use crate::toy::ToyLexicon;
use crate::{Sampling, Stop};

fn sequence(id: u64, tokens: Vec<u32>) -> (Sequence, tokio::sync::mpsc::UnboundedReceiver<impl Sized>) {
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

/// What the steps wrote into the pages, guesses included.
type Memory = HashMap<(PageId, usize), u32>;

/// Writes a share as the model would, and checks that it may.
fn write(memory: &mut Memory, scheduler: &Scheduler, share: Share) {
    let sequence = &scheduler.running[share.index];
    let text = sequence.tokens.iter().chain(&sequence.draft).copied();
    for (position, token) in text.enumerate().skip(sequence.computed).take(share.len) {
        let page = sequence.pages[position / PAGE_TOKENS];
        assert_eq!(scheduler.pool.holders(page), 1, "a page that others read is written");
        memory.insert((page, position % PAGE_TOKENS), token);
    }
}

/// Every request reads what it wrote, and every page has as many holders as it should.
fn check(memory: &Memory, scheduler: &Scheduler) {
    for sequence in &scheduler.running {
        for (position, token) in sequence.tokens[..sequence.computed].iter().enumerate() {
            let page = sequence.pages[position / PAGE_TOKENS];
            assert_eq!(memory[&(page, position % PAGE_TOKENS)], *token, "position {position}");
        }
    }
    let pool = &scheduler.pool;
    let held = scheduler.running.iter().flat_map(|sequence| &sequence.pages);
    let by_requests = held.clone().count();
    let holders: usize = (0..pool.total())
        .map(|page| pool.holders(page as PageId) as usize)
        .sum();
    assert_eq!(holders, by_requests + scheduler.tree.len());
}

proptest! {
    #[test]
    fn whatever_is_guessed_and_dropped_pages_hold_what_was_accepted_and_none_leaks(
        pages in 6usize..20,
        prefix_cache: bool,
        steps in proptest::collection::vec((0usize..6, 0usize..20, 0usize..20, any::<u32>()), 1..150),
    ) {
        let limits = StepLimits { max_batch: 4, chunk: 40, reported_chunk: 40 };
        let mut scheduler = Scheduler::new(pages, prefix_cache, limits);
        let (mut memory, mut listeners) = (Memory::new(), Vec::new());
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
        prop_assert_eq!(scheduler.pool.free() + scheduler.tree.len(), pages);
    }
}
