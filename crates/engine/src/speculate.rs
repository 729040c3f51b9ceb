//! Speculative decoding (Leviathan et al. 2023, arXiv:2211.17192): cheap guesses of an answer's next tokens are computed
//! together with its last one, and those that the request's own sampler would have chosen are kept.
//!
//! A step reads all weights once, however many tokens are in it, so a few more cost less than steps of their own. Guesses
//! decide nothing: `verify` draws every token from the model's logits as it would without them, so an answer has the same
//! bits. This file only says which tokens are tried, and how many: as many as are expected to pay for themselves.

mod draft;
mod lookup;
mod trust;

use candor_kernels::team::Team;

pub(crate) use draft::Draft;
pub(crate) use lookup::Lookup;
pub(crate) use trust::Trust;

use crate::scheduler::Sequence;

/// Whether answers are guessed ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speculate {
    /// Every token takes a step of its own.
    Off,
    /// Guesses come from the request's own text, and from the draft model where there is one.
    #[default]
    Lookup,
}

/// The most tokens guessed at once: with the token before them they fill a tile of the matrix unit.
const MOST: usize = 15;
/// Reading all weights takes as long as multiplying them with about this many tokens. From the rows of one, four and eight
/// answers in docs/performance.md: 2.7 for SmolLM2 135M Q4_1, which the cache holds, and 9 for Gemma 3 270M.
const TOKENS_PER_READ: f32 = 3.0;

/// A request that a proposer may guess for.
pub(crate) struct Ask<'a> {
    /// Which request.
    pub(crate) id: u64,
    /// Its prompt and answer so far.
    pub(crate) tokens: &'a [u32],
    /// The most tokens that are wanted; 0 where none are, only that the proposer goes on knowing the request.
    pub(crate) most: usize,
}

/// A guess of what follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) tokens: Vec<u32>,
    /// Proposals of one kind, below `KINDS`, are trusted alike.
    pub(crate) kind: usize,
}

/// Kinds of proposals: the lookup's by how much text they rest on, and the draft model's.
const KINDS: usize = lookup::KINDS + 1;
/// The draft model's kind.
const DRAFTED: usize = lookup::KINDS;

/// Guesses how texts go on.
pub(crate) trait Proposer: Send {
    /// A proposal for each of `asks`, in their order, of at most `most` tokens; an empty one where nothing comes to mind.
    /// `asks` are all requests whose answers are being written: what is kept of others may be forgotten.
    fn propose(&mut self, team: &Team, asks: &[Ask<'_>]) -> Vec<Proposal>;
}

/// The proposers there are, and how many of their tokens are tried.
#[derive(Default)]
pub(crate) struct Speculator {
    pub(crate) lookup: Option<Lookup>,
    pub(crate) draft: Option<Draft>,
    /// Rows of logits that a step may have.
    pub(crate) rows: usize,
}

impl Speculator {
    /// Gives each running answer the tokens that are tried with its next one (`Sequence::draft`). `context` is the longest
    /// prompt and answer together.
    pub(crate) fn propose(&mut self, team: &Team, running: &mut [Sequence], context: usize) {
        if self.lookup.is_none() && self.draft.is_none() {
            return;
        }
        let mut answering: Vec<&mut Sequence> = running.iter_mut().filter(|s| s.pending() == 1).collect();
        let most = MOST.min((self.rows / answering.len().max(1)).saturating_sub(1));
        let worth = worth(answering.len());
        for sequence in &mut answering {
            sequence.draft.clear();
            sequence.trust.learn(&sequence.tokens);
        }
        if let Some(lookup) = &mut self.lookup {
            // Looking costs nothing, so even what is not tried is compared with what comes, and trust finds back.
            let room = |sequence: &Sequence| most.min(sequence.room(context));
            try_out(lookup, team, &mut answering, room, worth);
        }
        if let Some(draft) = &mut self.draft {
            // A guess of each answer takes a step of the draft model, `cost` of one that brings each answer a token.
            let worth = worth + draft.cost;
            let room = |sequence: &Sequence| {
                let free = if sequence.draft.is_empty() { most } else { 0 };
                free.min(sequence.room(context))
                    .min(sequence.trust.reach(DRAFTED, worth))
            };
            try_out(draft, team, &mut answering, room, worth);
        }
    }
}

/// How probable a guessed token must be to be worth its place in a step of `answers` answers.
///
/// With t for a token's arithmetic and r = `TOKENS_PER_READ` of them for reading the weights, a step takes (r + answers) t
/// and brings each answer a token, so a token is worth (r / answers + 1) t; a guess costs t.
fn worth(answers: usize) -> f32 {
    1.0 / (1.0 + TOKENS_PER_READ / answers.max(1) as f32)
}

fn try_out(
    proposer: &mut impl Proposer,
    team: &Team,
    answering: &mut [&mut Sequence],
    most: impl Fn(&Sequence) -> usize,
    worth: f32,
) {
    let ask = |sequence: &&mut Sequence| (sequence.id, most(sequence));
    let wanted: Vec<(u64, usize)> = answering.iter().map(ask).collect();
    let asks: Vec<Ask<'_>> = (answering.iter().zip(&wanted))
        .map(|(sequence, (id, most))| Ask {
            id: *id,
            tokens: &sequence.tokens,
            most: *most,
        })
        .collect();
    let proposals = proposer.propose(team, &asks);
    for (sequence, proposal) in answering.iter_mut().zip(proposals) {
        let reach = sequence.trust.reach(proposal.kind, worth).min(proposal.tokens.len());
        if reach > 0 {
            sequence.draft = proposal.tokens[..reach].to_vec();
        }
        sequence.trust.expect(sequence.tokens.len(), proposal);
    }
}

#[cfg(test)]
mod tests;
