//! Which passages an answer's sentences can be found in. A sentence is cited where it shares most of its words with a
//! passage that the model was shown, or some of them with one that it names (`[2]`); a number alone proves nothing. This
//! says where to look, not that the sentence is right. An answer from sources (`candor`) brings its citations with it.

use std::collections::HashSet;
use std::ops::Range;

use candor_truth::{sentences, words};
use candor_wire::candor::CandorCitation;
use candor_wire::responses::Annotation;

use crate::vector_stores::search::Hit;

/// The share of a sentence's words that a passage must have, and how many they must be.
const ALONE: (f64, usize) = (0.6, 3);
/// The same for a passage that the sentence names.
const NAMED: (f64, usize) = (0.3, 2);

/// Marks at the ends of sentences, in order.
pub(super) fn of(text: &str, shown: &[Hit]) -> Vec<Annotation> {
    let passages: Vec<HashSet<String>> = shown.iter().map(|hit| content(hit.found.quote.text())).collect();
    let characters = |end: usize| text[..end].chars().count() as u64;
    let mark = |(sentence, passage): (Range<usize>, usize)| {
        let found = &shown.get(passage)?.found;
        let range = found.quote.range();
        Some(match &found.source.url {
            Some(url) => Annotation::UrlCitation {
                start_index: characters(sentence.start),
                end_index: characters(sentence.end),
                title: found.source.title.as_ref().unwrap_or(&found.source.name).clone(),
                url: url.clone(),
            },
            None => Annotation::FileCitation {
                index: characters(sentence.end),
                file_id: found.source.id.clone(),
                filename: found.source.name.clone(),
                start: range.start as u64,
                end: range.end as u64,
            },
        })
    };
    cited(text, &passages).into_iter().filter_map(mark).collect()
}

/// The mark of a quote that bears out these characters of an answer.
pub(super) fn quoted(place: &Range<usize>, citation: &CandorCitation) -> Annotation {
    match &citation.url {
        Some(url) => Annotation::UrlCitation {
            start_index: place.start as u64,
            end_index: place.end as u64,
            title: citation.filename.clone(),
            url: url.clone(),
        },
        None => Annotation::FileCitation {
            index: place.end as u64,
            file_id: citation.file_id.clone(),
            filename: citation.filename.clone(),
            start: citation.start as u64,
            end: citation.end as u64,
        },
    }
}

/// Sentences, by their bytes, each with a passage.
fn cited(text: &str, passages: &[HashSet<String>]) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut before: HashSet<String> = HashSet::new();
    for sentence in sentences(text, &[]) {
        let said = &text[sentence.range.clone()];
        let own = content(said);
        let named = numbers(said);
        // `It was so. [1]`: a number behind a sentence belongs to it.
        let (asked, alone) = match own.is_empty() && !named.is_empty() {
            true => (&before, false),
            false => (&own, true),
        };
        let share = |n: usize| -> Option<f64> {
            let shared = asked.iter().filter(|word| passages[n].contains(*word)).count();
            let (least, most_few) = if named.contains(&n) { NAMED } else { ALONE };
            let share = shared as f64 / asked.len().max(1) as f64;
            (share >= least && shared >= most_few && (alone || named.contains(&n))).then_some(share)
        };
        let all: Vec<(usize, f64)> = (0..passages.len()).filter_map(|n| Some((n, share(n)?))).collect();
        let of_named = all.iter().filter(|(n, _)| named.contains(n)).map(|(n, _)| *n);
        let mut chosen: Vec<usize> = of_named.collect();
        if chosen.is_empty()
            && let Some((best, _)) = all.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        {
            chosen.push(*best);
        }
        found.extend(chosen.into_iter().map(|n| (sentence.range.clone(), n)));
        if !own.is_empty() {
            before = own;
        }
    }
    found
}

/// Words that say something: not the shortest, which every text has. Numbers and Chinese words count.
fn content(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    words(text, |word| {
        let short = word.len() < 4 && word.bytes().all(|b| b.is_ascii_alphabetic());
        if !short {
            found.insert(word.to_owned());
        }
    });
    // `[1]` names a passage; it is no word.
    for n in numbers(text) {
        found.remove(&(n + 1).to_string());
    }
    found
}

/// Passages named as `[1]` or `[1, 3]`, from 0.
fn numbers(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for part in text.split('[').skip(1) {
        let Some((inner, _)) = part.split_once(']') else {
            continue;
        };
        for number in inner.split(',') {
            if let Some(n) = number.trim().parse::<usize>().ok().and_then(|n| n.checked_sub(1)) {
                found.push(n);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn passages() -> Vec<HashSet<String>> {
        [
            "The lighthouse of Alexandria was built in the third century and stood over a hundred metres high.",
            "Heat pumps move heat from a cold place to a warm place and need electricity to do so.",
        ]
        .map(content)
        .to_vec()
    }

    #[test]
    fn a_sentence_is_cited_where_its_words_stand() {
        let text = "The lighthouse of Alexandria stood over a hundred metres high. I like cheese very much indeed.";
        assert_eq!(cited(text, &passages()), [(0..62, 0)]);
    }

    #[test]
    fn a_number_alone_proves_nothing() {
        assert_eq!(cited("Cheese ripens slowly in caves [2].", &passages()), []);
        assert_eq!(cited("Cheese ripens slowly in caves. [2]", &passages()), []);
        assert_eq!(cited("Nothing here [9] [0] [x] []", &passages()), []);
    }

    #[test]
    fn a_named_passage_needs_fewer_words() {
        let text = "Heat pumps, broadly speaking, shift warmth between places [2].";
        assert_eq!(cited(text, &passages()), [(0..text.len(), 1)]);
        let behind = "Heat pumps, broadly speaking, shift warmth between places. [2]";
        assert_eq!(cited(behind, &passages()).last().unwrap().0.end, behind.len());
    }
}
