//! Exact rules between a claim and its evidence: numbers, dates, names and wording. What they find is a reason that a
//! person can follow, and a signal beside the checker's.

use std::collections::HashSet;
use std::ops::Range;

use super::wording::{Wording, wording};
use crate::words::{is_cjk, words};

/// What the rules see.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Signs {
    /// Numbers of the claim that the evidence does not have, as bytes of the claim.
    pub(crate) numbers: Vec<Range<usize>>,
    /// How many numbers the claim has.
    pub(crate) all_numbers: usize,
    /// Names of the claim that the evidence does not have.
    pub(crate) names: Vec<Range<usize>>,
    /// How many names the claim has.
    pub(crate) all_names: usize,
    /// Whether one of both denies something and the other does not, where they share most words.
    pub(crate) negated: bool,
    /// How the claim is worded beside the evidence.
    pub(crate) wording: Wording,
    /// The share of the claim's words that stand in the evidence.
    pub(crate) overlap: f64,
}

const NUMBER_WORDS: &[(&str, &str)] = &[
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
    ("hundred", "100"),
    ("thousand", "1000"),
    ("million", "1000000"),
    ("billion", "1000000000"),
    ("first", "1"),
    ("second", "2"),
    ("third", "3"),
    ("once", "1"),
    ("twice", "2"),
    ("一", "1"),
    ("二", "2"),
    ("两", "2"),
    ("三", "3"),
    ("四", "4"),
    ("五", "5"),
    ("六", "6"),
    ("七", "7"),
    ("八", "8"),
    ("九", "9"),
    ("十", "10"),
];

/// Compares a claim with evidence.
pub(crate) fn signs(claim: &str, evidence: &str) -> Signs {
    let there: HashSet<String> = numbers(evidence).into_iter().map(|(_, number)| number).collect();
    let claimed = numbers(claim);
    let all_numbers = claimed.len();
    // "one" says little: it is often no number at all.
    let missing = claimed.into_iter().filter(|(range, number)| {
        !there.contains(number)
            && !matches!(
                claim[range.clone()].to_lowercase().as_str(),
                "one" | "first" | "second" | "once" | "一"
            )
    });
    let numbers = missing.map(|(range, _)| range).collect();
    let lower = evidence.to_lowercase();
    let named = names(claim);
    let all_names = named.len();
    let names = named
        .into_iter()
        .filter(|range| !lower.contains(&claim[range.clone()].to_lowercase()))
        .collect();
    let overlap = overlap(claim, evidence);
    let wording = wording(claim, evidence);
    Signs {
        numbers,
        all_numbers,
        names,
        all_names,
        negated: overlap > 0.6 && wording.denies[0] != wording.denies[1],
        wording,
        overlap,
    }
}

/// The numbers of a text as they are compared.
pub(crate) fn values(text: &str) -> Vec<String> {
    numbers(text).into_iter().map(|(_, number)| number).collect()
}

/// Numbers as they are compared: without separators of thousands and without zeros at the end; number words as digits.
fn numbers(text: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        if bytes[at].is_ascii_digit() {
            let start = at;
            while at < text.len()
                && (bytes[at].is_ascii_digit()
                    || (matches!(bytes[at], b',' | b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)))
            {
                at += 1;
            }
            let mut number: String = text[start..at].chars().filter(|c| *c != ',').collect();
            if number.contains('.') {
                number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
            }
            let number = number.trim_start_matches('0');
            found.push((
                start..at,
                if number.is_empty() {
                    "0".into()
                } else {
                    number.to_owned()
                },
            ));
            continue;
        }
        let Some(c) = text[at..].chars().next() else { break };
        let end = if is_cjk(c) {
            at + c.len_utf8()
        } else {
            word_end(text, at)
        };
        let word = text[at..end].to_lowercase();
        if let Some((_, number)) = NUMBER_WORDS.iter().find(|(name, _)| *name == word) {
            found.push((at..end, (*number).to_owned()));
        }
        at = end.max(at + c.len_utf8());
    }
    found
}

fn word_end(text: &str, at: usize) -> usize {
    text[at..]
        .find(|c: char| !c.is_alphabetic())
        .map_or(text.len(), |length| at + length)
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
