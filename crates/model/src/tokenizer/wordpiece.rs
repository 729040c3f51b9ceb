//! WordPiece (Schuster & Nakajima 2012) with BERT's clean-up before it: words at spaces and punctuation, each cut greedily
//! into the longest tokens; a word that cannot be cut is unknown.

use unicode_normalization::UnicodeNormalization;

use super::unicode::{class, lossy};
use super::vocab::Vocab;

/// Longer words are unknown, as in BERT's own tokenizer; this also bounds the work per word.
const MAX_WORD_CHARS: usize = 100;

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

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        let mut word = String::new();
        for c in lossy(text).chars() {
            if c == '\0' || c == char::REPLACEMENT_CHARACTER || is_control(c) {
                continue;
            }
            if class(c).space() {
                self.word(vocab, &mut word, out);
            } else if is_cjk(c) {
                self.word(vocab, &mut word, out);
                self.folded(vocab, c, &mut word, out);
                self.word(vocab, &mut word, out);
            } else {
                self.folded(vocab, c, &mut word, out);
            }
        }
        self.word(vocab, &mut word, out);
    }

    /// Appends a character without accents and case; punctuation is a word of its own.
    fn folded(&self, vocab: &Vocab, c: char, word: &mut String, out: &mut Vec<u32>) {
        let mut push = |c: char| {
            if c.is_ascii_punctuation() || class(c).punctuation() {
                self.word(vocab, word, out);
                word.push(c);
                self.word(vocab, word, out);
            } else {
                word.push(c);
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

    fn word(&self, vocab: &Vocab, word: &mut String, out: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        let start = out.len();
        if word.chars().count() > MAX_WORD_CHARS || !self.pieces(vocab, word, out) {
            out.truncate(start);
            out.extend(self.unknown);
        }
        word.clear();
    }

    /// Cuts a word; false if some part has no token.
    fn pieces(&self, vocab: &Vocab, word: &str, out: &mut Vec<u32>) -> bool {
        let mut rest = word;
        let mut candidate = String::new();
        while !rest.is_empty() {
            let prefix = if rest.len() == word.len() {
                self.first
            } else {
                self.later
            };
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
            out.push(found);
            rest = &rest[candidate.len() - prefix.len()..];
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
