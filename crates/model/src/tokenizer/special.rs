//! Finds special tokens in text before anything else looks at it. Longer tokens win over shorter ones wherever they
//! stand, as in llama.cpp: all places of the longest tokens first, then those of the next length in what is left. There are some
//! sixty lengths in the largest vocabularies, so the cost is sixty linear passes, whatever the text holds.

use aho_corasick::{AhoCorasick, MatchKind};

use super::vocab::{TokenKind, Vocab};

/// A part of a text: bytes still to be tokenized, or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Text(&'t [u8]),
    Token(u32),
}

/// Special tokens by length, longest first.
#[derive(Debug)]
pub(super) struct Specials {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// Tokens of one length that are matched in all text.
    user: Option<(AhoCorasick, Vec<u32>)>,
    /// All tokens of this length, with those that only a caller who asks for them gets.
    all: Option<(AhoCorasick, Vec<u32>)>,
}

impl Specials {
    /// The special tokens of a vocabulary.
    pub(super) fn new(vocab: &Vocab) -> Self {
        let is_special = |id: &u32| {
            matches!(
                vocab.kind(*id),
                TokenKind::Control | TokenKind::UserDefined | TokenKind::Unknown
            )
        };
        let mut ids: Vec<u32> = (0..vocab.len() as u32)
            .filter(is_special)
            .filter(|&id| !vocab.text(id).is_empty())
            .collect();
        ids.sort_by_key(|&id| std::cmp::Reverse(vocab.text(id).len()));
        let group = |same: &[u32]| {
            let user: Vec<u32> = same
                .iter()
                .copied()
                .filter(|&id| vocab.kind(id) == TokenKind::UserDefined)
                .collect();
            Group {
                user: automaton(vocab, user),
                all: automaton(vocab, same.to_vec()),
            }
        };
        Self {
            groups: ids
                .chunk_by(|&a, &b| vocab.text(a).len() == vocab.text(b).len())
                .map(group)
                .collect(),
        }
    }

    /// Cuts `text` at special tokens: at all of them, or only at those that are part of ordinary text.
    pub(super) fn split<'t>(&self, text: &'t [u8], special: bool) -> Vec<Piece<'t>> {
        let mut pieces = if text.is_empty() {
            vec![]
        } else {
            vec![Piece::Text(text)]
        };
        for group in &self.groups {
            let Some((automaton, ids)) = (if special { &group.all } else { &group.user }) else {
                continue;
            };
            let occurs = |piece: &Piece<'_>| matches!(piece, Piece::Text(text) if automaton.is_match(*text));
            if !pieces.iter().any(occurs) {
                continue;
            }
            let mut next = Vec::with_capacity(pieces.len() + 2);
            for piece in pieces {
                let Piece::Text(text) = piece else {
                    next.push(piece);
                    continue;
                };
                let mut done = 0;
                for found in automaton.find_iter(text) {
                    if found.start() > done {
                        next.push(Piece::Text(&text[done..found.start()]));
                    }
                    next.push(Piece::Token(ids[found.pattern().as_usize()]));
                    done = found.end();
                }
                if done < text.len() {
                    next.push(Piece::Text(&text[done..]));
                }
            }
            pieces = next;
        }
        pieces
    }
}

fn automaton(vocab: &Vocab, ids: Vec<u32>) -> Option<(AhoCorasick, Vec<u32>)> {
    if ids.is_empty() {
        return None;
    }
    let built = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(ids.iter().map(|&id| vocab.text(id)));
    Some((built.ok()?, ids))
}
