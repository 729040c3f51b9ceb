//! Passages: what is indexed and found. A passage is a run of whole sentences of one section, 120 to 200 words long where
//! the text allows, as a byte range of the stored text. The same text and layout always give the same passages.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::sentences::sentences;

/// A passage ends at the next paragraph once it has so many words,
const ENOUGH: f32 = 120.0;
/// and before the sentence that would bring it above so many.
const MOST: f32 = 200.0;
/// Bytes of a passage, whatever is in it.
const MOST_BYTES: usize = 4096;
/// Words that a Chinese, Japanese or Korean character counts as.
const CHARACTER: f32 = 0.6;
/// Bytes between a heading and one that follows at once.
const GAP: usize = 4;
/// Bytes that count as a word where no white space comes.
const WORD_BYTES: usize = 16;

/// What lies over a text: pages and headings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The title, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Offsets where page n + 1 begins; empty where there are no pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<usize>,
    /// Headings in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<Heading>,
}

/// A heading: the bytes of its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// 1 is the highest.
    pub level: u8,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Layout {
    /// The page of a byte, from 1.
    pub fn page(&self, at: usize) -> Option<usize> {
        let page = self.pages.partition_point(|start| *start <= at);
        (!self.pages.is_empty()).then_some(page.max(1))
    }

    /// The headings above a byte, the highest first.
    pub fn path(&self, at: usize) -> Vec<Heading> {
        let (mut path, mut level) = (Vec::new(), u8::MAX);
        let mut before = self.headings.partition_point(|heading| heading.start <= at);
        // A passage that begins with headings belongs to the last of them.
        if before > 0 && self.headings[before - 1].start == at {
            let follows = |pair: &&[Heading]| pair[1].start.saturating_sub(pair[0].end) <= GAP;
            before += self.headings[before - 1..].windows(2).take_while(follows).count();
        }
        for heading in self.headings[..before].iter().rev() {
            if heading.level < level {
                level = heading.level;
                path.push(*heading);
            }
        }
        path.reverse();
        path
    }

    /// The words of the headings above a byte.
    pub fn headings_over<'t>(&self, text: &'t str, at: usize) -> Vec<&'t str> {
        let path = self.path(at);
        path.iter()
            .filter_map(|one| text.get(one.start..one.end).map(str::trim))
            .collect()
    }
}

/// The passages of a text.
pub fn passages(text: &str, layout: &Layout) -> Vec<Range<usize>> {
    let mut cuts: Vec<usize> = layout.headings.iter().flat_map(|one| [one.start, one.end]).collect();
    cuts.sort_unstable();
    let mut building = Building::default();
    let mut headings = layout.headings.iter().peekable();
    for sentence in sentences(text, &cuts) {
        while headings.next_if(|one| one.end <= sentence.range.start).is_some() {}
        let heading = headings.peek().is_some_and(|one| one.start <= sentence.range.start);
        for (n, part) in parts(text, sentence.range).enumerate() {
            let (words, opens) = (words(&text[part.clone()]), sentence.opens_paragraph && n == 0);
            building.add(part, words, opens, heading);
        }
    }
    building.close();
    building.done
}

#[derive(Default)]
struct Building {
    done: Vec<Range<usize>>,
    now: Option<Range<usize>>,
    words: f32,
    /// Whether the open passage has more than headings.
    body: bool,
}

impl Building {
    fn add(&mut self, part: Range<usize>, words: f32, opens_paragraph: bool, heading: bool) {
        if let Some(now) = &self.now {
            let full = self.words + words > MOST || part.end - now.start > MOST_BYTES;
            if full || (heading && self.body) || (opens_paragraph && self.words >= ENOUGH) {
                self.close();
            }
        }
        let now = self.now.get_or_insert(part.clone());
        now.end = part.end;
        self.words += words;
        self.body |= !heading;
    }

    fn close(&mut self) {
        self.done.extend(self.now.take());
        (self.words, self.body) = (0.0, false);
    }
}

/// A sentence, in pieces where it is longer than a passage may be: at white space if there is some.
fn parts(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut from = range.start;
    std::iter::from_fn(move || {
        let rest = &text[from..range.end];
        let skipped = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let start = from + skipped;
        let len = if rest.len() <= MOST_BYTES && words(rest) <= MOST {
            rest.len()
        } else {
            fitting(rest)
        };
        from = start + len;
        Some(start..start + rest[..len].trim_end().len())
    })
}

/// How much of a text fits into a passage.
fn fitting(text: &str) -> usize {
    let (mut count, mut run, mut space) = (0.0, 0, 0);
    for (at, c) in text.char_indices() {
        count += weight(c, &mut run);
        if count > MOST || at + c.len_utf8() > MOST_BYTES {
            return if space > 0 { space } else { at.max(c.len_utf8()) };
        }
        if c.is_whitespace() {
            space = at;
        }
    }
    text.len()
}

fn words(text: &str) -> f32 {
    let mut run = 0;
    text.chars().map(|c| weight(c, &mut run)).sum()
}

/// What a character adds to the count of words; `run` counts the bytes of the word so far.
fn weight(c: char, run: &mut usize) -> f32 {
    if crate::words::is_cjk(c) {
        *run = 0;
        return CHARACTER;
    }
    if c.is_whitespace() {
        *run = 0;
        return 0.0;
    }
    *run += c.len_utf8();
    if *run == c.len_utf8() || (*run).is_multiple_of(WORD_BYTES) {
        1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prose(sentences: usize) -> String {
        (0..sentences)
            .map(|n| format!("Sentence number {n} has just these eight words. "))
            .collect()
    }

    #[test]
    fn passages_are_whole_sentences_of_bounded_length() {
        let text = prose(100);
        let found = passages(&text, &Layout::default());
        assert_eq!(found.len(), 4);
        for one in &found {
            assert!(text[one.clone()].ends_with("words.") && text[one.clone()].starts_with("Sentence"));
            assert!((120.0..=200.0).contains(&words(&text[one.clone()])) || one.end == text.trim_end().len());
        }
    }

    #[test]
    fn a_section_begins_a_passage_and_its_headings_are_known() {
        let text = "Book\n\nIntro.\n\nChapter One\n\nSection A\n\nWords of A.\n\nChapter Two\n\nWords of two.";
        let at = |words: &str, level| {
            let start = text.find(words).unwrap_or(0);
            let end = start + words.len();
            Heading { level, start, end }
        };
        let layout = Layout {
            headings: vec![
                at("Book", 1),
                at("Chapter One", 2),
                at("Section A", 3),
                at("Chapter Two", 2),
            ],
            pages: vec![0, text.find("Chapter Two").unwrap_or(0)],
            ..Layout::default()
        };
        let found = passages(text, &layout);
        let texts: Vec<_> = found.iter().map(|one| &text[one.clone()]).collect();
        assert_eq!(
            texts,
            [
                "Book\n\nIntro.",
                "Chapter One\n\nSection A\n\nWords of A.",
                "Chapter Two\n\nWords of two."
            ]
        );
        let words = text.find("Words of A").unwrap_or(0);
        assert_eq!(layout.headings_over(text, words), ["Book", "Chapter One", "Section A"]);
        assert_eq!(layout.headings_over(text, text.len()), ["Book", "Chapter Two"]);
        assert_eq!(layout.headings_over(text, 0), ["Book"]);
        let chapter = text.find("Chapter One").unwrap_or(0);
        assert_eq!(
            layout.headings_over(text, chapter),
            ["Book", "Chapter One", "Section A"]
        );
        assert_eq!((layout.page(words), layout.page(text.len())), (Some(1), Some(2)));
        assert_eq!(Layout::default().page(0), None);
    }

    #[test]
    fn a_text_without_any_break_is_cut_all_the_same() {
        for text in ["x".repeat(1_000_000), "字".repeat(100_000), "a ".repeat(200_000)] {
            let found = passages(&text, &Layout::default());
            assert!(found.iter().all(|one| one.len() <= MOST_BYTES), "{:.5}", text);
            let covered: usize = found
                .iter()
                .map(|one| text[one.clone()].split_whitespace().map(str::len).sum::<usize>())
                .sum();
            assert_eq!(covered, text.split_whitespace().map(str::len).sum::<usize>());
        }
    }

    proptest! {
        #[test]
        fn passages_hold_every_letter_once_and_in_order(
            text in "([a-z]{1,9}[ .\n]|字。|\n\n){0,400}", cuts in proptest::collection::vec(0usize..3000, 0..8)
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
            cuts.sort_unstable();
            let headings = cuts.chunks_exact(2).map(|pair| Heading { level: 1, start: pair[0], end: pair[1] }).collect();
            let found = passages(&text, &Layout { headings, ..Layout::default() });
            let mut at = 0;
            for one in &found {
                prop_assert!(one.start >= at && one.end > one.start && one.len() <= MOST_BYTES);
                prop_assert!(text[at..one.start].trim().is_empty());
                at = one.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
