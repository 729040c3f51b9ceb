//! Prompt lookup (Saxena 2023): what followed the last few tokens where they stood before will follow them again. Free of
//! charge, and right where an answer quotes, edits or lists.

use candor_kernels::team::Team;

use super::{Ask, Proposal, Proposer};

/// The fewest tokens that must be found again.
const SHORTEST: usize = 2;
/// More are not looked at.
const LONGEST: usize = 4;
/// A kind for each length: the longer the text that is found again, the surer that it goes on alike.
pub(super) const KINDS: usize = LONGEST - SHORTEST + 1;

/// Looks in the request's own prompt and answer.
pub(crate) struct Lookup;

impl Proposer for Lookup {
    fn propose(&mut self, _: &Team, asks: &[Ask<'_>]) -> Vec<Proposal> {
        asks.iter().map(|ask| proposal(ask.tokens, ask.most)).collect()
    }
}

fn proposal(tokens: &[u32], most: usize) -> Proposal {
    let Some((length, next)) = earlier(tokens) else {
        return Proposal::default();
    };
    // Text that repeats with a period shorter than the proposal is found just before its end: the proposal goes on with
    // what it has proposed itself.
    let period = tokens.len() - next;
    Proposal {
        tokens: (0..most).map(|at| tokens[next + at % period]).collect(),
        kind: length - SHORTEST,
    }
}

/// The latest of the longest earlier occurrences of the last tokens: its length, and the position after it.
fn earlier(tokens: &[u32]) -> Option<(usize, usize)> {
    let mut best = None;
    for next in (SHORTEST..tokens.len()).rev() {
        let (before, last) = (&tokens[..next], tokens);
        let pairs = before.iter().rev().zip(last.iter().rev());
        let length = pairs.take(LONGEST).take_while(|(a, b)| a == b).count();
        if length >= SHORTEST && best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, next));
            if length == LONGEST {
                break;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_match_wins_and_of_equal_ones_the_latest() {
        assert_eq!(earlier(&[1, 2, 3, 9, 2, 3, 8, 1, 2, 3]), Some((3, 3)));
        assert_eq!(earlier(&[2, 3, 9, 2, 3, 8, 2, 3]), Some((2, 5)));
        assert_eq!(earlier(&[1, 2, 3, 4, 5]), None);
        assert_eq!(earlier(&[5, 1, 2, 5]), None, "one token is no match");
    }

    #[test]
    fn a_proposal_goes_on_as_the_text_did_and_around_where_it_ends() {
        assert_eq!(proposal(&[1, 2, 3, 4, 1, 2], 3).tokens, [3, 4, 1]);
        assert_eq!(proposal(&[1, 2, 3, 4, 1, 2], 6).tokens, [3, 4, 1, 2, 3, 4]);
        assert_eq!(proposal(&[7, 7, 7], 4).tokens, [7, 7, 7, 7]);
        assert_eq!(proposal(&[1, 2, 3], 4), Proposal::default());
        assert_eq!(proposal(&[], 4), Proposal::default());
    }

    proptest! {
        #[test]
        fn what_is_found_stands_before_the_proposal(tokens in proptest::collection::vec(0u32..4, 0..60)) {
            if let Some((length, next)) = earlier(&tokens) {
                prop_assert!(next < tokens.len() && (SHORTEST..=LONGEST).contains(&length));
                prop_assert_eq!(&tokens[next - length..next], &tokens[tokens.len() - length..]);
            } else {
                let end = tokens.len().saturating_sub(SHORTEST);
                prop_assert!(tokens.len() < 3 || !tokens[..tokens.len() - 1].windows(SHORTEST).any(|w| w == &tokens[end..]));
            }
        }
    }
}
