//! Exact rules between a claim and its evidence: numbers, dates, units, names and wording. What they find is a reason that a
//! person can follow, and a signal beside the checker's.

use std::collections::HashSet;
use std::ops::Range;

use super::numbers::{numbers, word_end};
use super::place::{Exchange, exchanged};
use super::units;
use super::wording::{Wording, nearest, opposite, wording};
use crate::words::{is_cjk, words};

/// What the rules see.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Signs {
    /// Numbers of the claim that the evidence does not have, as bytes of the claim.
    pub(crate) numbers: Vec<Range<usize>>,
    /// A word or number of the claim, as its bytes, and the opposite or other number that the evidence has in its place.
    pub(crate) exchanged: Option<Exchange>,
    /// A name of the claim, and another that the evidence has in its place.
    pub(crate) renamed: Option<Exchange>,
    /// How many numbers the claim has.
    pub(crate) all_numbers: usize,
    /// Names of the claim that the evidence does not have.
    pub(crate) names: Vec<Range<usize>>,
    /// How many names the claim has.
    pub(crate) all_names: usize,
    /// Whether one of both denies something and the other does not, where they share most words.
    pub(crate) negated: bool,
    /// Whether the sentence that shares most with the claim says otherwise.
    pub(crate) clash: bool,
    /// How the claim is worded beside the evidence.
    pub(crate) wording: Wording,
    /// The share of the claim's words that stand in the evidence.
    pub(crate) overlap: f64,
}

/// A sentence that has this share of the claim's words speaks of the same.
const CLOSE: f64 = 0.6;

/// Compares a claim with evidence.
pub(crate) fn signs(claim: &str, evidence: &str) -> Signs {
    let all_numbers = numbers(claim).len();
    let missing = missing_numbers(claim, evidence);
    let lower = evidence.to_lowercase();
    let named = names(claim);
    let all_names = named.len();
    let absent = |range: &Range<usize>, name: &str, text: &str| !text.contains(&name[range.clone()].to_lowercase());
    let names: Vec<Range<usize>> = named.into_iter().filter(|range| absent(range, claim, &lower)).collect();
    let lower = claim.to_lowercase();
    let others = self::names(evidence)
        .into_iter()
        .filter(|range| absent(range, evidence, &lower));
    let overlap = overlap(claim, evidence);
    let wording = wording(claim, evidence);
    Signs {
        exchanged: exchange(claim, &missing, evidence),
        renamed: exchanged(claim, &names, evidence, others),
        numbers: missing,
        all_numbers,
        names,
        all_names,
        negated: overlap > CLOSE && wording.denies[0] != wording.denies[1],
        clash: clash(claim, nearest(claim, evidence)),
        wording,
        overlap,
    }
}

/// Numbers of the claim that the evidence does not have, in no unit either.
fn missing_numbers(claim: &str, evidence: &str) -> Vec<Range<usize>> {
    let there: HashSet<String> = numbers(evidence).into_iter().map(|(_, number)| number).collect();
    // "one" says little: it is often no number at all.
    let says_little = |text: &str| matches!(text.to_lowercase().as_str(), "one" | "first" | "second" | "once" | "一");
    let missing = numbers(claim).into_iter().filter(|(range, number)| {
        !there.contains(number) && !units::converted(claim, range, evidence) && !says_little(&claim[range.clone()])
    });
    missing.map(|(range, _)| range).collect()
}

/// A number, unit or word of the claim in whose place the evidence has another.
fn exchange(claim: &str, missing: &[Range<usize>], evidence: &str) -> Option<Exchange> {
    let others = numbers(evidence).into_iter().map(|(range, _)| range);
    exchanged(claim, missing, evidence, others)
        .or_else(|| units::exchanged(claim, evidence))
        .or_else(|| opposite(claim, evidence))
}

/// Whether a sentence that speaks of the same says otherwise: with another number, unit or opposite, or by denying what
/// the claim says, or the other way round.
fn clash(claim: &str, sentence: &str) -> bool {
    if overlap(claim, sentence) < CLOSE {
        return false;
    }
    let wording = wording(claim, sentence);
    let says_it = wording.predicate == 0.0 && !wording.last;
    wording.denies[0] != wording.denies[1] && says_it
        || exchange(claim, &missing_numbers(claim, sentence), sentence).is_some()
}

/// Runs of capitalised words, without the first word of the claim where it is an ordinary one.
fn names(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut first = true;
    while at < text.len() {
        let Some(c) = text[at..].chars().next() else { break };
        if !c.is_alphabetic() {
            at += c.len_utf8();
            continue;
        }
        let end = word_end(text, at).max(at + c.len_utf8());
        let word = &text[at..end];
        let name = c.is_uppercase() && word.chars().count() > 1 && !(first && ordinary(word));
        if name {
            found.push(at..end);
        }
        first = false;
        at = end;
    }
    found
}

/// Words that begin a sentence and are no names.
fn ordinary(word: &str) -> bool {
    const ORDINARY: &[&str] = &[
        "the",
        "a",
        "an",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "after",
        "before",
        "when",
        "while",
        "if",
        "although",
        "however",
        "there",
        "this",
        "that",
        "these",
        "those",
        "it",
        "he",
        "she",
        "they",
        "we",
        "you",
        "his",
        "her",
        "its",
        "their",
        "some",
        "many",
        "most",
        "all",
        "no",
        "one",
        "as",
        "during",
        "since",
        "because",
        "according",
        "every",
        "each",
        "both",
        "several",
        "other",
        "more",
        "only",
        "also",
        "people",
        "about",
    ];
    ORDINARY.contains(&word.to_lowercase().as_str())
}

/// The share of the claim's words that stand in the evidence.
pub(crate) fn overlap(claim: &str, evidence: &str) -> f64 {
    let mut there = HashSet::new();
    words(evidence, |word| {
        there.insert(word.to_owned());
    });
    let (mut all, mut same) = (0.0, 0.0);
    words(claim, |word| {
        if word.len() > 3 || word.chars().any(|c| is_cjk(c) || c.is_ascii_digit()) {
            all += 1.0;
            same += f64::from(u8::from(there.contains(word)));
        }
    });
    if all > 0.0 { same / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIDENCE: &str =
        "The lighthouse on the north cape was built by Anna Keller in 1874. It cost 12,500 crowns and has seven rooms.";

    fn missing(claim: &str) -> (Vec<&str>, Vec<&str>, bool) {
        let signs = signs(claim, EVIDENCE);
        let texts = |ranges: &[Range<usize>]| ranges.iter().map(|range| &claim[range.clone()]).collect::<Vec<_>>();
        (texts(&signs.numbers), texts(&signs.names), signs.negated)
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert_eq!(missing("It cost 12500.0 crowns.").0, Vec::<&str>::new());
        assert_eq!(missing("It has 7 rooms and was built in 1894.").0, ["1894"]);
        assert_eq!(missing("It has nine rooms.").0, ["nine"]);
    }

    #[test]
    fn names_must_stand_in_the_evidence() {
        assert_eq!(missing("The lighthouse was built by Otto Keller.").1, ["Otto"]);
        assert!(missing("However, Anna Keller built it.").1.is_empty());
    }

    #[test]
    fn a_negation_on_one_side_alone_is_seen() {
        assert!(missing("The lighthouse on the north cape was not built by Anna Keller.").2);
        assert!(!missing("The lighthouse on the north cape was built by Anna Keller.").2);
        assert!(!missing("Nothing else is known.").2);
    }

    #[test]
    fn any_text_is_taken() {
        for text in [
            "",
            "٣٤ — ½ 3.. ,,",
            "一百二十",
            "İstanbul’da n’t",
            "9".repeat(400).as_str(),
        ] {
            signs(text, EVIDENCE);
            signs(EVIDENCE, text);
        }
    }
}
