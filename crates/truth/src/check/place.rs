//! Numbers and names that stand in each other's place: beside the same word, one in the claim and one in its evidence.

use std::ops::Range;

use super::wording::{plain, stems};

/// How much text around a place is looked at, in bytes.
const AROUND: usize = 80;
/// Words before a number that let another one bear it out.
const COMPARING: &str =
    "over more least less fewer most about around nearly almost approximately roughly some up under above below";

/// A part of the claim, as its bytes, and what the evidence has in its place.
pub(crate) type Exchange = (Range<usize>, String);

/// The first of the claim's `missing` parts beside whose neighbour the evidence has one of its `others`.
pub(super) fn exchanged(
    claim: &str,
    missing: &[Range<usize>],
    evidence: &str,
    others: impl Iterator<Item = Range<usize>>,
) -> Option<Exchange> {
    if missing.is_empty() {
        return None;
    }
    let others: Vec<_> = others.map(|range| (neighbours(evidence, &range), range)).collect();
    missing
        .iter()
        .filter(|range| !compares(claim, range))
        .find_map(|range| {
            let own = neighbours(claim, range);
            let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
            let (_, other) = others
                .iter()
                .find(|(near, _)| same(&near[0], &own[0]) || same(&near[1], &own[1]))?;
            Some((range.clone(), evidence[other.clone()].to_owned()))
        })
}

/// The roots of the words before and after a place.
fn neighbours(text: &str, place: &Range<usize>) -> [Option<String>; 2] {
    let (before, after) = around(text, place);
    [stems(before).pop(), stems(after).into_iter().next()]
}

/// Whether the claim says "more than" or the like of a number.
fn compares(claim: &str, place: &Range<usize>) -> bool {
    let (before, _) = around(claim, place);
    let words: Vec<String> = plain(before).map(|(_, word)| word).collect();
    let number = claim[place.clone()].contains(|c: char| c.is_ascii_digit());
    number
        && words
            .iter()
            .rev()
            .take(2)
            .any(|word| COMPARING.split_whitespace().any(|one| one == word))
}

fn around<'a>(text: &'a str, place: &Range<usize>) -> (&'a str, &'a str) {
    let start = text.ceil_char_boundary(place.start.saturating_sub(AROUND));
    let end = text.floor_char_boundary((place.end + AROUND).min(text.len()));
    (&text[start..place.start], &text[place.end..end])
}

#[cfg(test)]
mod tests {
    use super::super::rules::signs;

    #[test]
    fn a_number_or_name_in_the_place_of_another_is_named() {
        const EVIDENCE: &str = "The mill was built by Anna Keller in 1874. It has seven rooms, was sold for 12,500 crowns and burned in 1901.";
        let of = |claim: &str| {
            let signs = signs(claim, EVIDENCE);
            let text =
                |exchange: Option<super::Exchange>| exchange.map(|(range, other)| (claim[range].to_owned(), other));
            (text(signs.exchanged), text(signs.renamed))
        };
        let named = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(of("It has nineteen rooms.").0, named("nineteen", "seven"));
        assert_eq!(of("It was built by Anna Keller in 1894.").0, named("1894", "1874"));
        assert_eq!(of("It was sold for more than 10,000 crowns.").0, None);
        assert_eq!(of("Its tower is 40 metres high.").0, None);
        assert_eq!(of("Anna Keller built it in 1874."), (None, None));
        assert_eq!(
            of("The mill was built by Otto Brandt in 1874.").1,
            named("Otto", "Anna")
        );
        assert_eq!(of("Otto Brandt likes it.").1, None);
    }
}
