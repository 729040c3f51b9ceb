//! Sources that disagree: two sentences of different texts that say the same but for the number, the date or the name that
//! was asked for. Exact rules, and only where all of them agree: what is missed is one quote less, what is seen wrongly
//! would accuse a source.

use std::ops::Range;

use super::wanted::Wanted;
use crate::check::{numbers, rules};

/// The share of the words of each sentence, without its short answer, that must stand in the other.
const ALIKE: f64 = 0.6;

/// A sentence with its short answer, as bytes of the same text.
pub(crate) struct Said<'a> {
    pub(crate) text: &'a str,
    pub(crate) sentence: Range<usize>,
    pub(crate) short: Range<usize>,
}

impl Said<'_> {
    fn short(&self) -> &str {
        &self.text[self.short.clone()]
    }

    /// The sentence without its short answer.
    fn rest(&self) -> String {
        format!(
            "{} {}",
            &self.text[self.sentence.start..self.short.start],
            &self.text[self.short.end..self.sentence.end]
        )
    }
}

/// Whether both answer `question` and cannot both be right.
pub(crate) fn disagree(question: &str, one: &Said<'_>, other: &Said<'_>) -> bool {
    let wanted = Wanted::of(question);
    if wanted == Wanted::Open || wanted.fits(one.short()) < 0.0 || wanted.fits(other.short()) < 0.0 {
        return false;
    }
    let differ = match wanted {
        Wanted::Number | Wanted::Date => {
            let (a, b) = (numbers::values(one.short()), numbers::values(other.short()));
            !a.is_empty() && !b.is_empty() && a.iter().all(|value| !b.contains(value))
        }
        _ => rules::overlap(one.short(), other.short()) == 0.0 && rules::overlap(other.short(), one.short()) == 0.0,
    };
    let (a, b) = (one.rest(), other.rest());
    differ && rules::overlap(&a, &b) >= ALIKE && rules::overlap(&b, &a) >= ALIKE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<'a>(text: &'a str, short: &str) -> Said<'a> {
        let at = text.find(short).unwrap_or(0);
        Said {
            text,
            sentence: 0..text.len(),
            short: at..at + short.len(),
        }
    }

    #[test]
    fn the_same_sentence_with_another_number_disagrees() {
        let (a, b) = (
            "The bridge over the Aare was opened in 1932.",
            "The bridge over the river Aare was opened to traffic in 1934.",
        );
        let when = "When was the bridge over the Aare opened?";
        assert!(disagree(when, &said(a, "1932"), &said(b, "1934")));
        assert!(!disagree(when, &said(a, "1932"), &said(a, "1932")));
        assert!(!disagree(
            when,
            &said(a, "1932"),
            &said("The railway reached the town in 1934.", "1934")
        ));
        assert!(!disagree("What is a bridge?", &said(a, "1932"), &said(b, "1934")));
    }

    #[test]
    fn the_same_sentence_with_another_name_disagrees() {
        let (a, b) = (
            "The hall was painted by Anna Keller.",
            "The hall was painted by Otto Brandt.",
        );
        assert!(disagree(
            "Who painted the hall?",
            &said(a, "Anna Keller"),
            &said(b, "Otto Brandt")
        ));
        assert!(!disagree(
            "Who painted the hall?",
            &said(a, "Anna Keller"),
            &said("The hall was painted by A. Keller.", "A. Keller")
        ));
    }
}
