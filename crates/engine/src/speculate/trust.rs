//! How far a request's proposals are trusted: for each kind an exponential average of how often its tokens came.

use super::{KINDS, MOST, Proposal};

/// Weight of the newest token in the average.
const NEWEST: f32 = 0.125;
/// A draft model that is not asked for lack of trust gains this much of the way back each step: its guesses cost, so they
/// cannot be compared on the side.
const FORGIVING: f32 = 0.01;
/// What is believed before anything is known.
const FIRST: [f32; KINDS] = {
    let mut first = [0.5; KINDS];
    first[0] = 0.2; // two tokens are found again by chance
    first[super::DRAFTED] = 0.7;
    first
};

/// What is expected of each kind of proposal, and the proposals whose tokens have not come yet.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// The probability that a proposal's next token comes, when those before it did.
    right: [f32; KINDS],
    /// Proposals of the last step, with the number of tokens there were before.
    open: Vec<(usize, Proposal)>,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            right: FIRST,
            open: Vec::new(),
        }
    }
}

impl Trust {
    /// How many tokens of a proposal are tried: those whose probability, all before them included, is above `worth`.
    pub(crate) fn reach(&self, kind: usize, worth: f32) -> usize {
        let mut probability = self.right[kind];
        let mut reach = 0;
        while reach < MOST && probability > worth {
            probability *= self.right[kind];
            reach += 1;
        }
        reach
    }

    /// Remembers a proposal made after `known` tokens, to compare it with what comes.
    pub(crate) fn expect(&mut self, known: usize, proposal: Proposal) {
        if !proposal.tokens.is_empty() {
            self.open.push((known, proposal));
        }
    }

    /// Compares the last proposals with what came: each token that came counts as right, the first other one as wrong.
    pub(crate) fn learn(&mut self, tokens: &[u32]) {
        let mut drafted = false;
        for (known, proposal) in self.open.drain(..) {
            drafted |= proposal.kind == super::DRAFTED;
            for (came, proposed) in tokens.iter().skip(known).zip(&proposal.tokens) {
                let right = came == proposed;
                let average = &mut self.right[proposal.kind];
                *average += NEWEST * (f32::from(u8::from(right)) - *average);
                if !right {
                    break;
                }
            }
        }
        if !drafted {
            let average = &mut self.right[super::DRAFTED];
            *average += FORGIVING * (FIRST[super::DRAFTED] - *average).max(0.0);
        }
    }
}
