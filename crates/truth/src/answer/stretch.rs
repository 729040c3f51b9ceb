//! How much is quoted with a sentence, so that it says something by itself: before one that begins with "It" the sentence
//! that names what, behind one that ends with a colon what it announces. Always one stretch of the passage, to the byte.

use std::ops::Range;

use super::candidates::refers_back;

/// Bytes of a stretch, beyond which nothing is added.
const MOST: usize = 800;
/// Sentences before the one that answers.
const BEFORE: usize = 2;
/// Items of a list.
const ITEMS: usize = 8;

/// The stretch that is quoted for sentence `n` of a passage's `sentences`.
pub(super) fn stretch(text: &str, sentences: &[Range<usize>], n: usize) -> Range<usize> {
    let Some(own) = sentences.get(n) else {
        return 0..0;
    };
    let mut range = own.clone();
    let of = |k: usize| sentences.get(k).map_or("", |place| &text[place.clone()]);
    let mut first = n;
    while first > 0 && n - first < BEFORE && (refers_back(of(first)) || points_back(of(first))) {
        let before = &sentences[first - 1];
        let apart = text[before.end..sentences[first].start].contains("\n\n");
        if apart || !ends(of(first - 1)) || own.end - before.start > MOST {
            break;
        }
        first -= 1;
        range.start = before.start;
    }
    let (mut last, mut items) = (n, 0);
    // A number that is cut from its item is a sentence by itself.
    while announces(of(last)) || (items > 0 && (bare(of(last)) || (item(of(last + 1)) && items < ITEMS))) {
        match sentences.get(last + 1) {
            Some(next) if next.end - range.start <= MOST => range.end = next.end,
            _ => break,
        }
        last += 1;
        items += usize::from(item(of(last)));
    }
    range
}

/// Whether it speaks of "these", wherever that stands in it: they were named before.
fn points_back(sentence: &str) -> bool {
    let mut words = sentence.split(|c: char| !c.is_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case("these"))
}

/// Whether a short answer only says that something follows.
pub(super) fn points_ahead(short: &str) -> bool {
    let mut words = short.split(|c: char| !c.is_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case("following"))
        || ["以下", "下列", "如下"].iter().any(|word| short.contains(word))
}

/// Whether it is a whole sentence, and no heading or cell.
fn ends(sentence: &str) -> bool {
    let end = sentence.trim_end_matches(['"', '\'', ')', ']', '”', '’', '」', '）']);
    end.ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

/// Whether something follows that it speaks of.
fn announces(sentence: &str) -> bool {
    sentence.trim_end().ends_with([':', '：'])
}

/// Whether it begins as an item of a list does: with a bullet, a number or a letter.
fn item(sentence: &str) -> bool {
    let mark = sentence.split_whitespace().next().unwrap_or_default();
    let number = mark.trim_start_matches('(').strip_suffix(['.', ')']);
    let counts = |count: &str| {
        (!count.is_empty() && count.len() <= 3 && count.bytes().all(|c| c.is_ascii_digit()))
            || (count.len() == 1 && count.bytes().all(|c| c.is_ascii_alphabetic()))
    };
    mark.starts_with(['•', '·', '◦', '▪', '‣'])
        || matches!(mark, "-" | "*" | "+" | "–" | "—")
        || number.is_some_and(counts)
}

/// Whether it is the mark of an item and nothing else.
fn bare(sentence: &str) -> bool {
    item(sentence) && !sentence.trim().contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentences;

    fn stretched(text: &str, sentence: &str) -> String {
        let all: Vec<_> = sentences(text, &[]).into_iter().map(|one| one.range).collect();
        let n = all.iter().position(|place| text[place.clone()].contains(sentence));
        text[stretch(text, &all, n.unwrap_or(usize::MAX))].to_owned()
    }

    #[test]
    fn a_sentence_that_refers_back_is_quoted_with_the_one_before_it() {
        let text = "The Keller mill stands on the river Ilse. It was built in 1721.\n\nIts wheel is made of oak.";
        assert_eq!(
            stretched(text, "built"),
            "The Keller mill stands on the river Ilse. It was built in 1721."
        );
        assert_eq!(
            stretched(text, "river"),
            "The Keller mill stands on the river Ilse.",
            "nothing is missing"
        );
        assert_eq!(
            stretched(text, "wheel"),
            "Its wheel is made of oak.",
            "another paragraph"
        );
        assert_eq!(
            stretched("The mill\nIt stands.", "stands"),
            "It stands.",
            "behind a heading"
        );
        assert_eq!(
            stretched("磨坊在河边。它建于1721年。", "1721"),
            "磨坊在河边。它建于1721年。"
        );
    }

    #[test]
    fn what_a_colon_announces_is_quoted_with_it() {
        let list =
            "You need the following papers:\n\n- a passport\n- two photographs\n- the form\n\nBring them on Monday.";
        assert_eq!(
            stretched(list, "following"),
            "You need the following papers:\n\n- a passport\n- two photographs\n- the form"
        );
        assert_eq!(stretched(list, "passport"), "- a passport");
        let one = "The rule is simple: wait. To build it, write:\n\n    make all\n\nThen run it.";
        assert_eq!(stretched(one, "To build"), "To build it, write:\n\n    make all");
        assert_eq!(
            stretched("Do this:\n1. Open the lid.\n2. Wait. Then go.\n", "Do this"),
            "Do this:\n1. Open the lid.\n2. Wait."
        );
        assert_eq!(stretched("It needs two things:", "needs"), "It needs two things:");
        assert_eq!(
            stretched("需要以下材料：\n\n1. 护照\n2. 照片", "材料"),
            "需要以下材料：\n\n1. 护照\n2. 照片"
        );
    }

    #[test]
    fn that_something_follows_is_no_short_answer() {
        assert!(points_ahead("the following papers") && points_ahead("以下材料"));
        assert!(!points_ahead("a passport") && !points_ahead("1874"));
    }

    #[test]
    fn a_stretch_stays_short() {
        let items: String = (0..40)
            .map(|n| format!("- item number {n} of a long list of things\n"))
            .collect();
        let text = format!("These are all:\n\n{items}");
        assert_eq!(
            stretched(&text, "These")
                .lines()
                .filter(|line| line.starts_with('-'))
                .count(),
            ITEMS
        );
        let long = format!("{}. It ends.", "word ".repeat(200));
        assert_eq!(stretched(&long, "It ends"), "It ends.");
    }
}
