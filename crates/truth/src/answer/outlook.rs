//! What a question's chances are, whichever sentence is chosen: signals that tell how sure an answer can be and not which it
//! is. Questions of stories ("Why was the king sad?") name nothing, fit many passages alike and want an explanation; with
//! what tells them from questions of fact, one fit serves both kinds of text.

use super::wanted::explains;
use crate::Found;

/// The signals, in the order of a candidate's outlook.
pub const OUTLOOK: [&str; 5] = ["words ahead", "meaning ahead", "explains", "names nothing", "alone"];

/// The signals of each passage, the passage in which the chosen sentence would stand: how far its words (BM25, as a share of
/// the best passage's) and its meaning (cosine) are ahead of the other passages', NaN where there is no other; whether an
/// explanation is asked for; whether the question has no name and no number; whether the passage is the only one, as in a library
/// of one short document, where BM25 is small and there is nothing to be ahead of. None depends on how large a library is
/// beyond that, as BM25 itself does.
pub(crate) fn of_passages(question: &str, passages: &[Found]) -> Vec<[f64; 5]> {
    let words: Vec<Option<f64>> = passages
        .iter()
        .map(|one| Some(one.scores.words.map_or(0.0, f64::from)))
        .collect();
    let meaning: Vec<Option<f64>> = passages.iter().map(|one| one.scores.meaning.map(f64::from)).collect();
    let most = words.iter().flatten().copied().fold(1e-9, f64::max);
    let [explains, unnamed, alone] =
        [explains(question), !names(question), passages.len() == 1].map(|is| f64::from(u8::from(is)));
    (0..passages.len())
        .map(|n| [ahead(&words, n) / most, ahead(&meaning, n), explains, unnamed, alone])
        .collect()
}

/// How far value `n` is ahead of the greatest of the others.
fn ahead(values: &[Option<f64>], n: usize) -> f64 {
    let others = values.iter().enumerate().filter(|(k, _)| *k != n);
    let most = others.filter_map(|(_, value)| *value).reduce(f64::max);
    values[n].zip(most).map_or(f64::NAN, |(own, most)| own - most)
}

/// Whether a question has a number, or a word with a capital behind its first.
fn names(question: &str) -> bool {
    let words = question
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words
        .enumerate()
        .any(|(n, word)| word.starts_with(|c: char| c.is_numeric() || (n > 0 && c.is_uppercase())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_ahead_of_the_others_only_where_there_are_others() {
        let values = [Some(3.0), Some(1.0), None, Some(2.5)];
        assert_eq!(
            [ahead(&values, 0), ahead(&values, 1), ahead(&values, 3)],
            [0.5, -2.0, -0.5]
        );
        assert!(ahead(&values, 2).is_nan() && ahead(&values[..1], 0).is_nan());
    }

    #[test]
    fn a_question_names_something_by_a_capital_or_a_number() {
        assert!(names("Who built the Keller mill?") && names("What happened in 1874?"));
        assert!(!names("Who built the mill?") && !names("Why?"));
    }
}
