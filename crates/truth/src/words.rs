//! Words as the index knows them: Latin and other words in lower case without accents, English ones as stems; Chinese as
//! jieba cuts it for search, so that a long word is found by its parts. Queries go through the same function as passages.

use std::borrow::Cow;
use std::io::BufReader;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use frostem::{Algorithm, Stemmer};
use jieba_rs::Jieba;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Bytes of a word; what is longer is no word.
const LONGEST: usize = 80;

/// Whether a character belongs to a script that is written without spaces.
pub(crate) fn is_cjk(c: char) -> bool {
    is_han(c) || matches!(c, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ac00}'..='\u{d7af}')
}

/// Whether most of a text is in such a script, a letter of it counted as six tenths of a word: what tells a question in
/// Chinese, also one that names things in Latin letters.
pub(crate) fn mostly_cjk(text: &str) -> bool {
    let parts = text.split(|c: char| !c.is_alphabetic() || is_cjk(c));
    let words = parts.filter(|word| !word.is_empty()).count();
    6 * text.chars().filter(|c| is_cjk(*c)).count() > 10 * words
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// jieba's dictionary; `data/README.md` says how it was made. Ours rather than the crate's own feature, which would bring
/// a C library just to unpack it.
const DICTIONARY: &[u8] = include_bytes!("../data/chinese_words.txt.gz");

/// The segmenter, with its dictionary read when the first Chinese text comes.
fn jieba() -> &'static Jieba {
    static JIEBA: OnceLock<Jieba> = OnceLock::new();
    JIEBA.get_or_init(|| {
        let mut lines = BufReader::new(GzDecoder::new(DICTIONARY));
        // It is compiled in, and a test reads it. Without it, Chinese would be cut by character models alone.
        Jieba::with_dict(&mut lines).unwrap_or_else(|_| Jieba::empty())
    })
}

/// Calls `found` with every word of `text`, in order.
pub fn words(text: &str, mut found: impl FnMut(&str)) {
    let stemmer = Stemmer::new(Algorithm::English);
    let mut rest = text;
    while let Some(from) = rest.find(char::is_alphanumeric) {
        rest = &rest[from..];
        let kind = rest.chars().next().map(kind);
        let len = rest
            .char_indices()
            .find(|(_, c)| {
                !(c.is_alphanumeric() || is_combining_mark(*c))
                    || (!is_combining_mark(*c) && Some(self::kind(*c)) != kind)
            })
            .map_or(rest.len(), |(at, _)| at);
        let run = &rest[..len];
        rest = &rest[len..];
        match kind {
            Some(Kind::Han) => jieba()
                .cut_for_search(run, true)
                .iter()
                .for_each(|token| found(token.word)),
            Some(Kind::Syllables) => pairs(run, &mut found),
            _ => word(run, &stemmer, &mut found),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Han,
    Syllables,
    Letters,
}

fn kind(c: char) -> Kind {
    match c {
        c if is_han(c) => Kind::Han,
        c if is_cjk(c) => Kind::Syllables,
        _ => Kind::Letters,
    }
}

/// Kana and Hangul: overlapping pairs of characters, which need no dictionary.
fn pairs(run: &str, found: &mut impl FnMut(&str)) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    if starts.len() <= 3 {
        return found(run);
    }
    starts.windows(3).for_each(|pair| found(&run[pair[0]..pair[2]]));
}

fn word(run: &str, stemmer: &Stemmer, found: &mut impl FnMut(&str)) {
    if run.len() > LONGEST {
        return;
    }
    let lower: Cow<'_, str> = if run.is_ascii() {
        if run.bytes().any(|b| b.is_ascii_uppercase()) {
            run.to_ascii_lowercase().into()
        } else {
            run.into()
        }
    } else {
        // Compatibility forms: full-width letters and the like become plain ones, accents go.
        let plain: String = run.nfkd().filter(|c| !is_combining_mark(*c)).collect();
        plain.to_lowercase().into()
    };
    if lower.bytes().all(|b| b.is_ascii_lowercase()) {
        found(&stemmer.stem(&lower));
    } else {
        found(&lower);
    }
}

/// The same for tantivy.
#[derive(Clone, Default)]
pub(crate) struct Words {
    found: Vec<String>,
}

pub(crate) struct Stream<'a> {
    found: std::vec::Drain<'a, String>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.found.clear();
        words(text, |word| self.found.push(word.to_owned()));
        Stream {
            found: self.found.drain(..),
            token: Token::default(),
        }
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let Some(word) = self.found.next() else { return false };
        self.token.text = word;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        words(text, |word| all.push(word.to_owned()));
        all
    }

    #[test]
    fn a_word_is_found_in_every_form() {
        assert_eq!(all("Running"), all("runs"));
        assert_eq!(all("Beyoncé's CAFÉ"), all("beyonce s cafe"));
        assert_eq!(all("ＡＢＣ １２３"), all("abc 123"));
        assert_eq!(all("GPT4 b2b 3.14"), ["gpt4", "b2b", "3", "14"]);
    }

    #[test]
    fn chinese_is_cut_into_words_and_their_parts() {
        let found = all("北京大学在中国。iPhone手机");
        for word in ["北京", "大学", "北京大学", "中国", "手机"] {
            assert!(found.iter().any(|one| one == word), "{word} in {found:?}");
        }
        assert!(found.iter().any(|one| one.starts_with("iphon")), "{found:?}");
        assert_eq!(all("ありがとう"), ["あり", "りが", "がと", "とう"]);
    }
}
