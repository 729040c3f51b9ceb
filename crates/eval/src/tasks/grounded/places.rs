//! Where the right answer to a question stands: in the paragraph that it was asked of, and in every other that has the same
//! sentence (FairytaleQA's paragraphs are groups of sections, and a section may be in several).

use std::collections::HashMap;
use std::ops::Range;

use candor_truth::sentences;

use super::{Asked, Paragraph, Right};

/// Bytes of a sentence from which on it is hardly the same by chance.
const TELLING: usize = 16;

/// By number of paragraph, the bytes of the right answers there.
pub(super) struct Places(HashMap<usize, Vec<Range<usize>>>);

impl Places {
    /// `None` where the answer stands nowhere word for word: such a question cannot be judged.
    pub(super) fn new(paragraphs: &[Paragraph], gold: usize, asked: &Asked) -> Option<Self> {
        let context = &paragraphs[gold].context;
        let own = own_places(context, asked);
        if own.is_empty() {
            return None;
        }
        let mut all = HashMap::new();
        let told = sentences(context, &[]);
        for place in &own {
            let Some(sentence) = told
                .iter()
                .map(|sentence| sentence.range.clone())
                .find(|range| range.start <= place.start && place.end <= range.end)
                .filter(|range| range.len() >= TELLING)
            else {
                continue;
            };
            for (n, other) in paragraphs.iter().enumerate().filter(|(n, _)| *n != gold) {
                if let Some(at) = other.context.find(&context[sentence.clone()]) {
                    let moved = |end: usize| at + end - sentence.start;
                    let places: &mut Vec<_> = all.entry(n).or_default();
                    places.push(moved(place.start)..moved(place.end));
                }
            }
        }
        all.insert(gold, own);
        Some(Self(all))
    }

    /// Those of the paragraph that a source is named after; `None` where the answer does not stand in it.
    pub(super) fn of(&self, source: &str) -> Option<&[Range<usize>]> {
        self.0.get(&source.parse().ok()?).map(Vec::as_slice)
    }
}

/// Where the right answers stand in the bytes of their paragraph.
fn own_places(context: &str, asked: &Asked) -> Vec<Range<usize>> {
    let place = |right: &Right| {
        let first = usize::try_from(right.answer_start?).ok()?;
        let (start, _) = context.char_indices().nth(first)?;
        Some(start..start + right.text.len())
    };
    asked.answers.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraph(context: &str) -> Paragraph {
        Paragraph {
            title: "Tales".to_owned(),
            context: context.to_owned(),
            qas: Vec::new(),
        }
    }

    #[test]
    fn the_same_sentence_in_another_paragraph_is_right_too() {
        let told = "The king had a golden bird. It flew away at night.";
        let paragraphs = [
            paragraph(told),
            paragraph("Nobody slept. The king had a golden bird."),
            paragraph("The king had a silver bird."),
        ];
        let asked = Asked {
            question: "What did the king have?".to_owned(),
            answers: vec![Right {
                text: "a golden bird".to_owned(),
                answer_start: Some(13),
            }],
        };
        let places = Places::new(&paragraphs, 0, &asked);
        let words = |n: usize| {
            let [place] = places.as_ref()?.of(&n.to_string())? else {
                return None;
            };
            Some(&paragraphs[n].context[place.clone()])
        };
        assert_eq!(words(0), Some("a golden bird"));
        assert_eq!(words(1), Some("a golden bird"));
        assert_eq!(words(2), None);
    }

    #[test]
    fn a_question_whose_answer_stands_nowhere_cannot_be_judged() {
        let asked = Asked {
            question: "Why?".to_owned(),
            answers: vec![Right {
                text: "because".to_owned(),
                answer_start: None,
            }],
        };
        assert!(Places::new(&[paragraph("Once upon a time.")], 0, &asked).is_none());
    }
}
