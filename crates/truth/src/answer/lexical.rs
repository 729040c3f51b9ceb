//! Words that a question and sentences share, each weighted by how few of the sentences at hand have it: exact, and of the
//! same meaning for any collection. Ported from the features of `runs/truth`, which chose them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use candor_model::PairEncoder;

use crate::Found;
use crate::words::{is_cjk, words};

/// What a question shares with sentences and passages.
#[derive(Debug, Default)]
pub(crate) struct Lexical {
    /// The share of the question's weighted words that each sentence of each passage has.
    pub(crate) sentences: Vec<Vec<f64>>,
    /// The same of whole passages.
    pub(crate) passages: Vec<f64>,
    /// The question's words.
    asked: HashSet<String>,
    /// The question's words as they stand there.
    plain: HashSet<String>,
    /// In how many sentences a word stands, and how many there are.
    counts: HashMap<String, f64>,
    all: f64,
}

impl Lexical {
    pub(crate) fn new(reader: &PairEncoder, question: &str, passages: &[Found], places: &[Vec<Range<usize>>]) -> Self {
        let sets: Vec<Vec<HashSet<String>>> = passages
            .iter()
            .zip(places)
            .map(|(found, ranges)| {
                let text = found.quote.text();
                ranges
                    .iter()
                    .map(|range| stems(reader, &text[range.clone()]).into_iter().collect())
                    .collect()
            })
            .collect();
        let mut lexical = Self {
            asked: stems(reader, question).into_iter().collect(),
            plain: plain(question).collect(),
            all: sets.iter().map(Vec::len).sum::<usize>() as f64,
            ..Self::default()
        };
        for word in sets.iter().flatten().flatten() {
            *lexical.counts.entry(word.clone()).or_default() += 1.0;
        }
        let total: f64 = lexical.asked.iter().map(|word| lexical.weight(word)).sum::<f64>();
        let total = if total > 0.0 { total } else { 1.0 };
        let share = |set: &HashSet<String>| {
            lexical
                .asked
                .intersection(set)
                .map(|word| lexical.weight(word))
                .sum::<f64>()
                / total
        };
        let sentences = sets.iter().map(|of| of.iter().map(share).collect()).collect();
        let whole = |of: &Vec<HashSet<String>>| share(&of.iter().flatten().cloned().collect());
        let passages = sets.iter().map(whole).collect();
        Self {
            sentences,
            passages,
            ..lexical
        }
    }

    /// ln(1 + (N - n + 0.5) / (n + 0.5)) for a word in n of N sentences.
    pub(crate) fn weight(&self, word: &str) -> f64 {
        let n = self.counts.get(word).copied().unwrap_or_default();
        (1.0 + (self.all - n + 0.5) / (n + 0.5)).ln()
    }

    /// The share of the words of a short answer that stand in the question: one that repeats the question is none.
    pub(crate) fn repeats(&self, reader: &PairEncoder, short: &str) -> f64 {
        let words = stems(reader, short);
        let same = words.iter().filter(|word| self.asked.contains(*word)).count();
        same as f64 / words.len().max(1) as f64
    }

    /// As `repeats`, by the words as they stand.
    pub(crate) fn repeats_plain(&self, short: &str) -> f64 {
        let words: Vec<String> = plain(short).collect();
        let same = words.iter().filter(|word| self.plain.contains(*word)).count();
        same as f64 / words.len().max(1) as f64
    }
}

fn plain(text: &str) -> impl Iterator<Item = String> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase)
}

/// Stems of words that tell something; Chinese words as jieba cuts them.
fn stems(reader: &PairEncoder, text: &str) -> Vec<String> {
    let latin = text
        .split(|c: char| !c.is_alphanumeric() || is_cjk(c))
        .filter(|word| !word.is_empty());
    let mut all: Vec<String> = latin.filter_map(|word| reader.stem(&word.to_lowercase())).collect();
    if text.chars().any(is_cjk) {
        words(text, |word| {
            if word.chars().any(is_cjk) && word.chars().count() > 1 {
                all.push(word.to_owned());
            }
        });
    }
    all
}
