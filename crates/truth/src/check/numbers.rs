//! Numbers in texts, compared by value.

use std::ops::Range;

use crate::words::is_cjk;

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

/// Whether a word in lower case is a number.
pub(super) fn is_number_word(word: &str) -> bool {
    NUMBER_WORDS.iter().any(|(name, _)| *name == word)
}

/// The numbers of a text as they are compared.
pub(crate) fn values(text: &str) -> Vec<String> {
    numbers(text).into_iter().map(|(_, number)| number).collect()
}

/// Numbers as they are compared: without separators of thousands and without zeros at the end; number words as digits.
pub(super) fn numbers(text: &str) -> Vec<(Range<usize>, String)> {
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

pub(super) fn word_end(text: &str, at: usize) -> usize {
    text[at..]
        .find(|c: char| !c.is_alphabetic())
        .map_or(text.len(), |length| at + length)
}
