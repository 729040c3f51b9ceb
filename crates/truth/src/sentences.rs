//! Sentences of a text as byte ranges, by the Unicode rules (UAX 29, by icu_segmenter), with what those rules leave open
//! decided here: where a paragraph ends, which line breaks are only a page's width, and that "Dr." ends no sentence.

use std::ops::Range;

use icu_segmenter::SentenceSegmenter;
use icu_segmenter::options::SentenceBreakInvariantOptions;

/// Abbreviations after which the sentence always goes on.
const GO_ON: &[&str] = &[
    "dr", "mr", "mrs", "ms", "prof", "st", "fr", "gen", "col", "lt", "sgt", "capt", "cmdr", "adm", "rev", "hon", "gov",
    "sen", "rep", "pres", "messrs", "mt", "e.g", "i.e", "eg", "ie", "vs", "cf", "viz", "approx", "ca", "fig", "figs",
    "eq", "eqs", "sec", "ch", "ref", "refs", "vol", "ed", "eds", "ex", "al", "resp", "incl", "esp", "dept", "univ",
];
/// Abbreviations that a number follows, and then the sentence goes on.
const BEFORE_NUMBER: &[&str] = &[
    "no", "nos", "p", "pp", "art", "par", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov",
    "dec", "c", "b", "d", "op", "v",
];
/// Abbreviations that may end a sentence: it goes on unless a word follows that often begins one.
const MAY_END: &[&str] = &[
    "u.s", "u.k", "u.n", "u.s.a", "e.u", "d.c", "l.a", "n.y", "inc", "ltd", "co", "corp", "jr", "sr", "bros", "ph.d",
    "m.d", "b.a", "m.a", "b.sc", "m.sc", "a.m", "p.m", "a.d", "b.c", "etc", "est",
];
/// Words that often begin a sentence.
const STARTERS: &[&str] = &[
    "the",
    "a",
    "an",
    "it",
    "its",
    "he",
    "she",
    "his",
    "her",
    "they",
    "their",
    "we",
    "our",
    "you",
    "your",
    "i",
    "this",
    "that",
    "these",
    "those",
    "there",
    "in",
    "on",
    "at",
    "by",
    "for",
    "from",
    "with",
    "as",
    "after",
    "before",
    "since",
    "when",
    "while",
    "if",
    "although",
    "though",
    "because",
    "however",
    "but",
    "and",
    "so",
    "then",
    "thus",
    "therefore",
    "also",
    "some",
    "many",
    "most",
    "all",
    "no",
    "not",
    "one",
    "what",
    "who",
    "why",
    "how",
    "where",
    "during",
    "under",
    "over",
    "to",
    "such",
    "each",
    "both",
    "another",
    "other",
    "despite",
    "meanwhile",
    "today",
    "now",
    "here",
];
/// A line that is at least this long and does not end a sentence was broken at the page's width.
const WRAPPED: usize = 45;

/// A sentence, or a heading, a cell, a line of code: what stands on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its bytes in the text, without white space around them.
    pub range: Range<usize>,
    /// Whether it is the first of its paragraph.
    pub opens_paragraph: bool,
}

/// The sentences of a text. No sentence crosses an offset of `cuts` (ascending): where headings begin and end.
pub fn sentences(text: &str, cuts: &[usize]) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut cuts = cuts
        .iter()
        .copied()
        .filter(|cut| text.is_char_boundary(*cut))
        .peekable();
    for paragraph in paragraphs(text) {
        let mut from = paragraph.start;
        while from < paragraph.end {
            while cuts.next_if(|cut| *cut <= from).is_some() {}
            let to = cuts
                .peek()
                .copied()
                .filter(|cut| *cut < paragraph.end)
                .unwrap_or(paragraph.end);
            let before = found.len();
            in_paragraph(text, from..to, &mut found);
            if let Some(first) = found.get_mut(before) {
                first.opens_paragraph = true;
            }
            from = to;
        }
    }
    found
}

/// Stretches between blank lines.
fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        let start = rest;
        if start >= bytes.len() {
            return None;
        }
        let mut at = start;
        loop {
            let Some(line) = bytes[at..].iter().position(|b| *b == b'\n') else {
                rest = bytes.len();
                return Some(start..rest);
            };
            at += line + 1;
            let mut next = at;
            while next < bytes.len() && bytes[next].is_ascii_whitespace() {
                next += 1;
                if bytes[next - 1] == b'\n' {
                    rest = next;
                    return Some(start..at);
                }
            }
        }
    })
}

/// Lines that only the page's width parted are one; each such stretch is cut into sentences.
fn in_paragraph(text: &str, range: Range<usize>, found: &mut Vec<Sentence>) {
    let part = &text[range.clone()];
    let mut joined: Option<String> = None;
    let mut start = 0;
    for (at, _) in part.match_indices('\n') {
        let (line, next) = (&part[line_start(part, at)..at], &part[at + 1..]);
        if line.trim().len() >= WRAPPED && !is_row(line) && !opens_item(next) {
            // A space for the line break: as many bytes, and no end of a sentence.
            joined
                .get_or_insert_with(|| part.to_owned())
                .replace_range(at..=at, " ");
        } else {
            stretch(joined.as_deref().unwrap_or(part), start..at, range.start, found);
            start = at + 1;
        }
    }
    stretch(joined.as_deref().unwrap_or(part), start..part.len(), range.start, found);
}

fn line_start(part: &str, end: usize) -> usize {
    part[..end].rfind('\n').map_or(0, |at| at + 1)
}

/// A row of a table.
fn is_row(line: &str) -> bool {
    line.contains(" | ") || line.contains('\t')
}

/// Whether a line begins an item of a list, or a row.
fn opens_item(line: &str) -> bool {
    let line = line.lines().next().unwrap_or_default();
    let words = line.trim_start();
    let digits = words.trim_start_matches(|c: char| c.is_ascii_digit());
    words.starts_with(['-', '*', '•', '·', '|', '>', '#', '+'])
        || (digits.len() < words.len() && (digits.starts_with(". ") || digits.starts_with(") ")))
        || is_row(line)
}

fn stretch(part: &str, range: Range<usize>, offset: usize, found: &mut Vec<Sentence>) {
    let text = &part[range.clone()];
    let mut push = |from: usize, to: usize| {
        let words = text[from..to].trim();
        if !words.is_empty() {
            let start = offset + range.start + from + (text[from..to].len() - text[from..to].trim_start().len());
            found.push(Sentence {
                range: start..start + words.len(),
                opens_paragraph: false,
            });
        }
    };
    let segmenter = SentenceSegmenter::new(SentenceBreakInvariantOptions::default());
    let mut from = 0;
    for at in segmenter.segment_str(text).skip(1) {
        if at < text.len() && goes_on(&text[from..at], &text[at..]) {
            continue;
        }
        push(from, at);
        from = at;
    }
    if from < text.len() {
        push(from, text.len());
    }
}

/// Whether `before` and `after` are parted in the middle of an address, as by the `?` of `https://a.example/?q=1`.
fn in_address(before: &str, after: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    (word.contains("://") || word.starts_with("www.")) && after.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether the mark at the end of `before` ends no sentence: an abbreviation's full stop, a part of an address, or one
/// before a bracket that opens (a picture in Markdown, `![name](address)`), which the Unicode rules take for one that closes.
fn goes_on(before: &str, after: &str) -> bool {
    if in_address(before, after) || before.ends_with(['[', '(', '{']) {
        return true;
    }
    let Some(before) = before.trim_end().strip_suffix('.') else {
        return false;
    };
    let word = before
        .rsplit(|c: char| !(c.is_alphanumeric() || c == '.' || c == '\''))
        .next()
        .unwrap_or_default();
    if word.is_empty() {
        return false;
    }
    let lower = word.to_lowercase();
    let next: String = after
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '\'')
        .collect();
    let number = next.starts_with(|c: char| c.is_ascii_digit());
    let starter = || STARTERS.contains(&next.to_lowercase().as_str());
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    if GO_ON.contains(&lower.as_str()) {
        return true;
    }
    if BEFORE_NUMBER.contains(&lower.as_str()) && number {
        return true;
    }
    // "J. Smith", "U.S. Army"; but "vitamin C. The" and "in the U.S. It".
    (initial || MAY_END.contains(&lower.as_str())) && !next.is_empty() && !starter() && !number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text, &[])
            .iter()
            .map(|one| &text[one.range.clone()])
            .collect()
    }

    #[test]
    fn abbreviations_end_no_sentence_where_that_can_be_told() {
        assert_eq!(
            split("Dr. Smith met J. R. R. Tolkien. They spoke, e.g. of Mt. Doom, cf. Fig. 3. Then he left."),
            [
                "Dr. Smith met J. R. R. Tolkien.",
                "They spoke, e.g. of Mt. Doom, cf. Fig. 3.",
                "Then he left."
            ]
        );
        assert_eq!(
            split("The U.S. Army came from the U.S. It stayed. See No. 5 at 3.5 p.m. Monday. He said no. 5 came."),
            [
                "The U.S. Army came from the U.S.",
                "It stayed.",
                "See No. 5 at 3.5 p.m. Monday.",
                "He said no. 5 came."
            ]
        );
        assert_eq!(
            split("See ![map](https://a.example/find?q=mill!x) and www.b.example?page=2 for more. Is it open? Yes."),
            [
                "See ![map](https://a.example/find?q=mill!x) and www.b.example?page=2 for more.",
                "Is it open?",
                "Yes."
            ]
        );
        assert_eq!(
            split("Take vitamin C. The dose is small."),
            ["Take vitamin C.", "The dose is small."]
        );
    }

    #[test]
    fn chinese_sentences_end_at_their_own_marks() {
        assert_eq!(
            split("他说：“你好。”然后走了。真的吗？是的！圆周率是3.14。"),
            ["他说：“你好。”", "然后走了。", "真的吗？", "是的！", "圆周率是3.14。"]
        );
    }

    #[test]
    fn a_line_broken_at_the_pages_width_goes_on_and_items_stand_alone() {
        let wrapped = "The first line of this paragraph is as long as a page\nis wide and goes on here. Second one.\n\nTitle\nBody";
        assert_eq!(
            split(wrapped),
            [
                "The first line of this paragraph is as long as a page\nis wide and goes on here.",
                "Second one.",
                "Title",
                "Body"
            ]
        );
        let list = "These are the things that we shall need for the long journey:\n- bread, which keeps for many days when it is dry\n- wine";
        assert_eq!(split(list).len(), 3);
    }

    #[test]
    fn paragraphs_open_and_cuts_part() {
        let text = "Heading body goes on. More.\n\nNext.";
        let found = sentences(text, &[0, 7]);
        let opens: Vec<_> = found
            .iter()
            .map(|one| (&text[one.range.clone()], one.opens_paragraph))
            .collect();
        assert_eq!(
            opens,
            [
                ("Heading", true),
                ("body goes on.", true),
                ("More.", false),
                ("Next.", true)
            ]
        );
    }

    proptest! {
        #[test]
        fn sentences_hold_every_letter_once_and_in_order(text in "[a-zA-Z0-9 .!?\n|。字é\t-]{0,300}", cut in 0usize..300) {
            let found = sentences(&text, &[cut]);
            let mut at = 0;
            for one in &found {
                prop_assert!(one.range.start >= at && one.range.end > one.range.start);
                prop_assert!(text[at..one.range.start].trim().is_empty());
                at = one.range.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
