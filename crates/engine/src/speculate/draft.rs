//! A draft model (Leviathan et al. 2023): a smaller model with the same tokens writes ahead, greedily, for all answers at
//! once. It has key/value pages of its own and catches up with what was chosen without it.

use std::collections::HashMap;
use std::sync::Arc;

use candor_kernels::team::Team;
use candor_model::kv::KvPages;
use candor_model::{Counts, Decoder, Error, PAGE_TOKENS, PageId, Segment, Step};

use super::{Ask, DRAFTED, Proposal, Proposer};
use crate::DraftModel;
use crate::pages::PagePool;
use crate::sampling::argmax;

/// A smaller model, and what it has read of each request.
pub(crate) struct Draft {
    decoder: Arc<dyn Decoder>,
    /// Time of its steps as a part of the larger model's.
    pub(crate) cost: f32,
    kv: KvPages,
    pool: PagePool,
    /// Tokens per step.
    chunk: usize,
    read: HashMap<u64, Read>,
}

/// What the draft model has read of a request.
#[derive(Default)]
struct Read {
    /// Tokens whose keys and values are in the pages.
    tokens: Vec<u32>,
    pages: Vec<PageId>,
}

/// A request in the making of a proposal.
struct Writing {
    ask: usize,
    read: Read,
    /// The request's tokens and those proposed so far.
    text: Vec<u32>,
    /// Its length when the proposal is complete.
    full: usize,
}

impl Draft {
    /// A draft model with `pages` pages, which computes `chunk` tokens a step.
    ///
    /// # Errors
    /// If the memory for the pages cannot be had.
    pub(crate) fn new(model: DraftModel, pages: usize, chunk: usize) -> Result<Self, Error> {
        let DraftModel { decoder, cost } = model;
        Ok(Self {
            cost,
            kv: decoder.new_kv(Counts::both(pages))?,
            pool: PagePool::new(pages),
            decoder,
            chunk,
            read: HashMap::new(),
        })
    }

    /// Gives back the pages of requests that are not among `asks`.
    fn forget_others(&mut self, asks: &[Ask<'_>]) {
        let pool = &mut self.pool;
        self.read.retain(|id, read| {
            let asked = asks.iter().any(|ask| ask.id == *id);
            if !asked {
                read.pages.drain(..).for_each(|page| pool.release(page));
            }
            asked
        });
    }

    /// What is to be written for an ask; `None` if nothing is wanted or the draft model cannot read it.
    fn begin(&mut self, index: usize, ask: &Ask<'_>) -> Option<Writing> {
        let full = (ask.tokens.len() + ask.most).min(self.decoder.context());
        if full <= ask.tokens.len() {
            return None;
        }
        let mut read = self.read.remove(&ask.id).unwrap_or_default();
        // Proposals that were not chosen are taken back; the last token is always computed, since its logits are wanted.
        let same = read.tokens.iter().zip(ask.tokens).take_while(|(a, b)| a == b).count();
        read.tokens.truncate(same.min(ask.tokens.len() - 1));
        // A prompt may hold tokens that only the larger model has.
        if ask.tokens[read.tokens.len()..]
            .iter()
            .any(|token| *token as usize >= self.decoder.vocab())
        {
            self.read.insert(ask.id, read);
            return None;
        }
        Some(Writing {
            ask: index,
            read,
            text: ask.tokens.to_vec(),
            full,
        })
    }

    /// One step for all; true while there is more to do. Who finds no pages or no place in the step stops where it is.
    fn step(&mut self, team: &Team, writing: &mut [Writing]) -> bool {
        let mut budget = self.chunk;
        let mut parts = Vec::new();
        for (index, one) in writing.iter_mut().enumerate() {
            let past = one.read.tokens.len();
            let len = if one.text.len() < one.full {
                (one.text.len() - past).min(budget)
            } else {
                0
            };
            if len == 0 || !grow(&mut self.pool, &mut one.read.pages, past + len) {
                one.full = one.text.len();
                continue;
            }
            budget -= len;
            one.read.tokens.extend_from_slice(&one.text[past..past + len]);
            parts.push((index, past, len));
        }
        if parts.is_empty() {
            return false;
        }
        let (mut tokens, mut segments, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for (index, past, len) in &parts {
            let one = &writing[*index];
            tokens.extend_from_slice(&one.read.tokens[*past..]);
            segments.push(Segment {
                past: *past,
                len: *len,
                pages: &one.read.pages,
            });
            if one.read.tokens.len() == one.text.len() {
                wanted.push(tokens.len() - 1);
            }
        }
        let step = Step {
            tokens: &tokens,
            segments: &segments,
            near: &segments,
            wanted: &wanted,
        };
        let logits = self.decoder.forward(team, &step, &mut self.kv);
        let mut rows = logits.chunks_exact(self.decoder.vocab());
        for (index, ..) in parts {
            let one = &mut writing[index];
            if one.read.tokens.len() < one.text.len() {
                one.full = one.text.len(); // it catches up over several steps of the larger model
                continue;
            }
            match rows.next().and_then(argmax) {
                Some(token) => one.text.push(token),
                None => one.full = one.text.len(),
            }
        }
        true
    }
}

impl Proposer for Draft {
    fn propose(&mut self, team: &Team, asks: &[Ask<'_>]) -> Vec<Proposal> {
        self.forget_others(asks);
        let begun = asks
            .iter()
            .enumerate()
            .filter_map(|(index, ask)| self.begin(index, ask));
        let mut writing: Vec<Writing> = begun.collect();
        while self.step(team, &mut writing) {}
        let mut proposals = vec![
            Proposal {
                tokens: Vec::new(),
                kind: DRAFTED
            };
            asks.len()
        ];
        for one in writing {
            let ask = &asks[one.ask];
            proposals[one.ask]
                .tokens
                .extend_from_slice(&one.text[ask.tokens.len()..]);
            self.read.insert(ask.id, one.read);
        }
        proposals
    }
}

/// Makes a page table long enough for `tokens` tokens.
fn grow(pool: &mut PagePool, pages: &mut Vec<PageId>, tokens: usize) -> bool {
    while pages.len() < tokens.div_ceil(PAGE_TOKENS) {
        let Some(page) = pool.take() else { return false };
        pages.push(page);
    }
    true
}
