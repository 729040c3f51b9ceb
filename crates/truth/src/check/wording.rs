//! How a claim is worded beside its evidence: what is denied or restricted on one side alone, which of its words the
//! evidence has the opposite of, and where in the claim the words stand that the evidence lacks. English, but for denials.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::words::words;

/// What a claim's wording tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wording {
    /// Whether the claim denies something, and whether the sentence of the evidence that shares most with it does.
    pub(crate) denies: [bool; 2],
    /// Whether the claim restricts ("only") where that sentence does not.
    pub(crate) restricts: bool,
    /// The share of the words after the first form of "to be" that the evidence lacks; 0 where there are none.
    pub(crate) predicate: f64,
    /// Whether the evidence lacks the claim's last word. What a sentence says of its subject stands at its end.
    pub(crate) last: bool,
    /// The share of the claim's words that the evidence has, the second counting twice, the third three times and so on.
    pub(crate) late: f64,
    /// Other words in the shortest stretch of the evidence that has all the claim's words that stand there at all.
    pub(crate) apart: usize,
}

const DENIALS: &str = "not no never none nobody nothing neither nor without cannot hardly barely rarely seldom unable \
                     incapable impossible refuse refuses refused fail fails failed failing lack lacks lacked lacking \
                     deny denies denied decline declines declined reject rejects rejected avoid avoids avoided prevent \
                     prevents prevented prohibited banned forbidden stopped excluded except absent unknown false \
                     falsely zero non";
/// Chinese characters that deny.
const DENYING: &[&str] = &["不", "没", "无", "非"];
const RESTRICTIONS: &str = "only exclusively solely just merely entirely always strictly purely";
/// Words that say little of what a claim says.
const EMPTY: &str = "the a an of in on at by for from with and or is was are were be been it its his her their he she they this \
                     that as to has have had which who also into than not no never only";
/// Words that begin with the same so many letters of their stems are one: a director directed.
const ROOT: usize = 5;
const TO_BE: &[&str] = &["is", "was", "are", "were"];

/// Words that exclude each other in most sentences: pairs of opposites.
const OPPOSITES: &str = "best worst, good bad, better worse, first last, before after, born died, won lost, win lose, \
                     winner loser, victory defeat, increase decrease, increased decreased, rose fell, rise fall, \
                     male female, man woman, men women, boy girl, actor actress, king queen, alive dead, living dead, \
                     highest lowest, higher lower, high low, more less, most least, many few, older younger, \
                     oldest youngest, old new, early late, earlier later, always never, all none, success failure, \
                     successful unsuccessful, succeeded failed, positive negative, large small, larger smaller, \
                     largest smallest, bigger smaller, biggest smallest, long short, longer shorter, longest shortest, \
                     single married, inside outside, begins ends, began ended, begin end, starts ends, started ended, \
                     start end, opened closed, open closed, accepted rejected, approved rejected, known unknown, \
                     fiction nonfiction, fictional real, able unable, possible impossible, legal illegal, \
                     solely several, alone together, right left, guilty innocent, public private, \
                     amateur professional, hot cold, warm cold, cheap expensive, fast slow, strong weak, rich poor, \
                     up down, above below, over under, major minor, majority minority, full empty, \
                     national international, domestic foreign, true false, urban rural, ancient modern, import export, \
                     buyer seller, friend enemy, attack defend, maximum minimum, active inactive, visible invisible";
/// Words of a kind of which a thing usually has one.
const KINDS: &[&str] = &[
    "january february march april may june july august september october november december",
    "monday tuesday wednesday thursday friday saturday sunday",
    "spring summer autumn winter",
    "north south east west northern southern eastern western",
    "africa asia europe america australia antarctica",
    "american british english french german italian spanish russian chinese japanese canadian australian indian irish scottish \
     welsh dutch swedish norwegian danish finnish polish greek turkish brazilian mexican korean austrian swiss belgian \
     portuguese egyptian israeli iranian",
    "red blue green yellow black white orange purple brown pink grey gray",
    "father mother son daughter brother sister uncle aunt husband wife cousin nephew niece grandfather grandmother",
];

/// Compares the wording of a claim with that of its evidence.
pub(crate) fn wording(claim: &str, evidence: &str) -> Wording {
    let claimed = stems(claim);
    let text = stems(evidence);
    let there: HashSet<&String> = text.iter().collect();
    let near = nearest_of(&claimed, evidence);
    let has: Vec<bool> = claimed.iter().map(|stem| there.contains(stem)).collect();
    let predicate = plain(claim)
        .find(|(_, word)| TO_BE.contains(&word.as_str()))
        .map_or_else(Vec::new, |(range, _)| stems(&claim[range.end..]));
    let lacking = predicate.iter().filter(|stem| !there.contains(*stem)).count();
    let weigh = |of: &dyn Fn(bool) -> bool| -> f64 {
        let places = has.iter().zip(1u32..).filter(|(has, _)| of(**has));
        places.map(|(_, place)| f64::from(place)).sum()
    };
    Wording {
        denies: [denies(claim), denies(near)],
        restricts: restricts(claim) && !restricts(evidence),
        predicate: lacking as f64 / predicate.len().max(1) as f64,
        last: has.last().is_some_and(|has| !has),
        apart: apart(&claimed, &text),
        late: if has.is_empty() {
            1.0
        } else {
            weigh(&|has| has) / weigh(&|_| true)
        },
    }
}

/// Words in lower case, as they stand, with their bytes.
pub(super) fn plain(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    text.split(move |c: char| !inner(c))
        .filter(|word| !word.is_empty())
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            (start..start + word.len(), word.to_lowercase().replace('’', "'"))
        })
}

/// The roots of words that say something, in order.
pub(super) fn stems(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (range, word) in plain(text) {
        if word.len() > 1 && !listed(EMPTY, &word) {
            words(&text[range], |stem| found.push(stem.chars().take(ROOT).collect()));
        }
    }
    found
}

/// Whether a list of words has this one.
fn listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|one| one == word)
}

/// The sentence of the evidence that shares most words with the claim.
pub(super) fn nearest<'a>(claim: &str, evidence: &'a str) -> &'a str {
    nearest_of(&stems(claim), evidence)
}

fn nearest_of<'a>(claimed: &[String], evidence: &'a str) -> &'a str {
    let shared = |sentence: &str| {
        let own: HashSet<String> = stems(sentence).into_iter().collect();
        own.iter().filter(|stem| claimed.contains(stem)).count()
    };
    let sentences = crate::sentences(evidence, &[]).into_iter().map(|one| one.range);
    let best = sentences.max_by(|a, b| {
        let [a_shares, b_shares] = [a, b].map(|range| shared(&evidence[range.clone()]));
        a_shares.cmp(&b_shares).then(b.start.cmp(&a.start))
    });
    best.map_or(evidence, |range| &evidence[range])
}

/// The length of the shortest stretch of `text` that has all words of `claimed` that stand in it, less their number.
fn apart(claimed: &[String], text: &[String]) -> usize {
    let claimed: HashSet<&String> = claimed.iter().collect();
    let found: HashSet<&String> = text.iter().filter(|word| claimed.contains(word)).collect();
    let mut counts: HashMap<&String, usize> = HashMap::new();
    let (mut first, mut shortest) = (0, text.len());
    for (at, word) in text.iter().enumerate().filter(|(_, word)| found.contains(word)) {
        *counts.entry(word).or_default() += 1;
        while counts.len() == found.len() {
            shortest = shortest.min(at + 1 - first);
            if let Some(count) = counts.get_mut(&text[first]) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&text[first]);
                }
            }
            first += 1;
        }
    }
    if found.is_empty() { 0 } else { shortest - found.len() }
}

fn denies(text: &str) -> bool {
    let denying = |word: &str| listed(DENIALS, word) || word.ends_with("n't");
    plain(text).any(|(_, word)| denying(&word))
        || text.to_lowercase().contains("yet to ")
        || DENYING.iter().any(|character| text.contains(character))
}

fn restricts(text: &str) -> bool {
    plain(text).any(|(_, word)| listed(RESTRICTIONS, &word))
}

/// The first word of the claim that the evidence lacks while it has the opposite, or another word of the kind.
pub(super) fn opposite(claim: &str, evidence: &str) -> Option<(Range<usize>, String)> {
    let claimed: HashSet<String> = plain(claim).map(|(_, word)| word).collect();
    let there: HashSet<String> = plain(evidence).map(|(_, word)| word).collect();
    plain(claim)
        .filter(|(_, word)| !there.contains(word))
        .find_map(|(range, word)| {
            let pairs = OPPOSITES.split(", ").filter_map(|pair| pair.split_once(' '));
            let opposites = pairs.filter_map(|(a, b)| match word.as_str() {
                word if word == a => Some(b),
                word if word == b => Some(a),
                _ => None,
            });
            let kinds = KINDS.iter().filter(|kind| listed(kind, &word));
            let mut others = opposites.chain(kinds.flat_map(|kind| kind.split_whitespace()));
            // What the claim has too is not in this word's place.
            let other = others.find(|other| there.contains(*other) && !claimed.contains(*other))?;
            Some((range, other.to_owned()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIDENCE: &str = "The lighthouse on the north cape was built in July 1874 by Anna Keller. It never burned down. \
                            Her oldest brother kept the lamp, which was the best of its time.";

    #[test]
    fn a_denial_or_restriction_on_one_side_is_seen() {
        let denies = |claim| wording(claim, EVIDENCE).denies;
        assert_eq!(denies("Anna Keller refused to build the lighthouse."), [true, false]);
        assert_eq!(denies("Anna Keller didn’t build the lighthouse."), [true, false]);
        assert_eq!(denies("Anna Keller has yet to build the lighthouse."), [true, false]);
        assert_eq!(denies("It burned down."), [false, true]);
        assert_eq!(denies("It did not burn down."), [true, true]);
        assert!(wording("It was built by Anna Keller only.", EVIDENCE).restricts);
        assert!(!wording("It was built by Anna Keller.", "She alone built it, and only she.").restricts);
    }

    #[test]
    fn a_word_in_the_place_of_its_opposite_is_named() {
        let opposite = |claim: &str| {
            let found = super::opposite(claim, EVIDENCE);
            found.map(|(range, other)| (claim[range].to_owned(), other))
        };
        let named = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(opposite("The lamp was the worst of its time."), named("worst", "best"));
        assert_eq!(opposite("It was built in August 1874."), named("August", "july"));
        assert_eq!(opposite("Her sister kept it."), named("sister", "brother"));
        assert_eq!(opposite("Her oldest brother kept the lamp."), None);
        // The evidence's opposite is in the claim as well.
        assert_eq!(opposite("It was the best and not the worst lamp."), None);
    }

    #[test]
    fn words_that_are_missing_late_count_more() {
        let of = |claim| wording(claim, EVIDENCE);
        let (early, late) = (
            of("The windmill was built by Anna Keller."),
            of("The lighthouse was built by Anna Miller."),
        );
        assert!(!early.last && late.last);
        assert!(early.late > late.late && late.late > 0.0);
        assert_eq!(
            (of("It was built.").predicate, of("It is a ship.").predicate),
            (0.0, 1.0)
        );
    }

    #[test]
    fn words_that_stand_far_apart_in_the_evidence_are_counted_between() {
        let of = |claim| wording(claim, EVIDENCE).apart;
        assert_eq!(of("A lighthouse was built on the north cape."), 0);
        // built July 1874 Anna Keller burned down oldest brother kept
        assert_eq!(of("The brother built it."), 7);
        assert_eq!((of("A ship sank."), of("Lamp.")), (0, 0));
    }

    #[test]
    fn any_text_is_taken() {
        for text in [
            "",
            "’",
            "is",
            "is is",
            "它不是灯塔。",
            "n't n’t",
            "İ was ß",
            &"no ".repeat(500),
        ] {
            wording(text, EVIDENCE);
            wording(EVIDENCE, text);
        }
        assert_eq!(wording("它不是灯塔。", "它是灯塔。").denies, [true, false]);
    }
}
