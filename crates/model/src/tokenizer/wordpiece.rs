//! WordPiece (Schuster & Nakajima 2012) with BERT's clean-up before it: words at spaces and punctuation, each cut greedily
//! into the longest tokens; a word that cannot be cut is unknown.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::unicode::{class, lossy};
use super::vocab::Vocab;

/// Longer words are unknown, as in BERT's own tokenizer; this also bounds the work per word.
const MAX_WORD_CHARS: usize = 100;

/// A word as it is looked up, and which bytes of the text each of its bytes came from.
#[derive(Debug, Default)]
struct Word {
    text: String,
    from: Vec<(u32, u32)>,
}

impl Word {
    fn push(&mut self, c: char, from: (u32, u32)) {
        self.text.push(c);
        self.from.resize(self.text.len(), from);
    }
}

/// Where tokens go: ids, and the bytes of the text that each stands for.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) ids: Vec<u32>,
    pub(super) places: Vec<Range<usize>>,
}

/// How a vocabulary writes word beginnings and continuations.
#[derive(Debug)]
pub(super) struct WordPiece {
    first: &'static str,
    later: &'static str,
    unknown: Option<u32>,
    lowercase: bool,
}

impl WordPiece {
    /// For GGUF's spelling (`▁word`, `rest`) or BERT's own (`word`, `##rest`), whichever the vocabulary uses.
    pub(super) fn new(vocab: &Vocab, unknown: Option<u32>, lowercase: bool) -> Self {
        let continued = (0..vocab.len() as u32).any(|id| vocab.text(id).starts_with(b"##") && vocab.text(id).len() > 2);
        let (first, later) = if continued { ("", "##") } else { ("\u{2581}", "") };
        let unknown = unknown.or_else(|| vocab.id(b"[UNK]"));
        Self {
            first,
            later,
            unknown,
            lowercase,
        }
    }

    /// Appends the tokens of `text`; the places are in the text after its faulty bytes were replaced.
    pub(super) fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Found) {
        let mut word = Word::default();
        let text = lossy(text);
        for (at, c) in text.char_indices() {
            if c == '\0' || c == char::REPLACEMENT_CHARACTER || is_control(c) {
                continue;
            }
            let from = (at as u32, (at + c.len_utf8()) as u32);
            if class(c).space() {
                self.word(vocab, &mut word, out);
            } else if is_cjk(c) {
                self.word(vocab, &mut word, out);
                self.folded(vocab, c, from, &mut word, out);
                self.word(vocab, &mut word, out);
            } else {
                self.folded(vocab, c, from, &mut word, out);
            }
        }
        self.word(vocab, &mut word, out);
    }

    /// Appends a character without accents and case; punctuation is a word of its own.
    fn folded(&self, vocab: &Vocab, c: char, from: (u32, u32), word: &mut Word, out: &mut Found) {
        let mut push = |c: char| {
            if c.is_ascii_punctuation() || class(c).punctuation() {
                self.word(vocab, word, out);
                word.push(c, from);
                self.word(vocab, word, out);
            } else {
                word.push(c, from);
            }
        };
        if self.lowercase {
            std::iter::once(c)
                .nfd()
                .filter(|&c| !class(c).nonspacing_mark())
                .flat_map(char::to_lowercase)
                .for_each(&mut push);
        } else {
            push(c);
        }
    }

    fn word(&self, vocab: &Vocab, word: &mut Word, out: &mut Found) {
        let (Some(&(start, _)), Some(&(_, end))) = (word.from.first(), word.from.last()) else {
            return;
        };
        let before = out.ids.len();
        if word.text.chars().count() > MAX_WORD_CHARS || !self.pieces(vocab, word, out) {
            out.ids.truncate(before);
            out.places.truncate(before);
            if let Some(unknown) = self.unknown {
                out.ids.push(unknown);
                out.places.push(start as usize..end as usize);
            }
        }
        word.text.clear();
        word.from.clear();
    }

    /// Cuts a word; false if some part has no token.
    fn pieces(&self, vocab: &Vocab, word: &Word, out: &mut Found) -> bool {
        let mut rest = word.text.as_str();
        let mut candidate = String::new();
        while !rest.is_empty() {
            let done = word.text.len() - rest.len();
            let prefix = if done == 0 { self.first } else { self.later };
            candidate.clear();
            candidate.push_str(prefix);
            candidate.push_str(rest);
            let found = loop {
                if candidate.len() == prefix.len() {
                    return false;
                }
                if let Some(id) = vocab.id(candidate.as_bytes()) {
                    break id;
                }
                candidate.pop();
            };
            let taken = candidate.len() - prefix.len();
            out.ids.push(found);
            out.places
                .push(word.from[done].0 as usize..word.from[done + taken - 1].1 as usize);
            rest = &rest[taken..];
        }
        true
    }
}

/// Control and format characters, and what is not assigned, except the white space among them.
fn is_control(c: char) -> bool {
    static OTHER: std::sync::OnceLock<Option<regex_syntax::hir::ClassUnicode>> = std::sync::OnceLock::new();
    let other = OTHER.get_or_init(
        || match regex_syntax::parse(r"[\p{Cc}\p{Cf}\p{Co}]").ok()?.into_kind() {
            regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => Some(class),
            _ => None,
        },
    );
    let within = |class: &regex_syntax::hir::ClassUnicode| {
        class
            .ranges()
            .binary_search_by(|r| {
                if r.end() < c {
                    std::cmp::Ordering::Less
                } else if r.start() > c {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok()
    };
    !matches!(c, '\t' | '\n' | '\r') && !c.is_ascii_graphic() && c != ' ' && other.as_ref().is_some_and(within)
}

/// Chinese characters, each a word of its own.
fn is_cjk(c: char) -> bool {
    matches!(c as u32, 0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F | 0x2_B740..=0x2_B81F | 0x2_B920..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}
