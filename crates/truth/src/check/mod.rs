//! Claims against sources: each sentence is borne out, contradicted or neither, with the evidence and the words that it
//! does not bear out. A trained checker and exact rules look at the passages that are nearest; a logistic fit of both says
//! how probable it is that the claim is supported.

pub(crate) mod rules;

use std::ops::Range;
use std::sync::Arc;

use candor_model::PairEncoder;
use candor_model::pair::{Pair, States};
use candor_store::SourceFilter;
use serde::{Deserialize, Serialize};

use crate::answer::{Citation, Logistic};
use crate::encoders::Encoders;
use crate::error::blocking;
use crate::{Found, Library, Query, Stages, TruthError, sentences};

const SHIPPED: &str = include_str!("../../weights/checking.json");
/// Passages that a claim is compared with.
const PASSAGES: usize = 4;
/// A word is unsupported where the checker says so with more than this probability.
const UNSUPPORTED: f32 = 0.6;
/// Shorter sentences, such as headings, claim nothing.
const FEWEST_WORDS: usize = 3;

/// The signals of a claim with its evidence, in the order of [`Pairing::features`].
pub const SIGNALS: [&str; 9] = [
    "supported",
    "supported over contradicted",
    "worst word",
    "overlap",
    "overlap squared",
    "numbers missing",
    "names missing",
    "negated",
    "length",
];

/// What evidence says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It bears the claim out.
    Supported,
    /// It says otherwise.
    Contradicted,
    /// Neither.
    NotEnough,
}

/// A claim that was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The claim.
    pub text: String,
    /// Its bytes in the text that was checked.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What the sources say of it.
    pub verdict: Verdict,
    /// The probability that it is supported.
    pub supported: f64,
    /// Bytes of the claim that the evidence does not bear out.
    pub unsupported: Vec<Range<usize>>,
    /// Why, in words, where the rules know.
    pub reasons: Vec<String>,
    /// The passage that decides, if there is one.
    pub evidence: Option<Citation>,
}

/// How signals become a verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checking {
    /// What it was fitted on, for people.
    pub fitted_on: String,
    /// Names of the signals.
    pub features: Vec<String>,
    /// Whether the evidence bears the claim out.
    pub supported: Logistic,
    /// From which probability on a claim is supported.
    pub threshold: f64,
}

impl Checking {
    /// The one that comes with the program.
    pub fn shipped() -> Self {
        let shipped: Self = serde_json::from_str(SHIPPED).unwrap_or_default();
        if shipped.features == SIGNALS {
            shipped
        } else {
            Self {
                threshold: 0.5,
                ..Self::default()
            }
        }
    }

    /// Fits to pairs whose verdict is known; the threshold is the one with the best balanced accuracy on them.
    pub fn fit(rows: &[(Vec<f64>, bool)], fitted_on: &str) -> Self {
        let supported = Logistic::fit(rows, 1.0);
        let mut scored: Vec<(f64, bool)> = rows
            .iter()
            .map(|(x, right)| (supported.probability(x), *right))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let all = scored.iter().filter(|(_, right)| *right).count().max(1) as f64;
        let none = (scored.len() as f64 - all).max(1.0);
        let (mut right, mut wrong, mut best) = (0.0, 0.0, (f64::NEG_INFINITY, 0.5));
        for (p, supported) in &scored {
            if *supported {
                right += 1.0
            } else {
                wrong += 1.0
            }
            let balanced = right / all - wrong / none;
            if balanced > best.0 {
                best = (balanced, *p);
            }
        }
        Self {
            fitted_on: fitted_on.to_owned(),
            features: SIGNALS.map(String::from).to_vec(),
            supported,
            threshold: best.1,
        }
    }
}

/// A claim beside a piece of evidence.
#[derive(Debug, Clone)]
pub struct Pairing {
    /// Signals, by [`SIGNALS`].
    pub features: Vec<f64>,
    /// Log-probabilities of supported, contradicted and not enough.
    pub verdict: [f64; 3],
    /// Bytes of the claim that are not borne out.
    pub unsupported: Vec<Range<usize>>,
    pub(crate) signs: rules::Signs,
}

/// Compares claims with evidence, pair by pair.
///
/// # Errors
/// If the weights are damaged.
pub fn pairings(encoders: &Encoders, pairs: &[(&str, &str)]) -> Result<Vec<Pairing>, TruthError> {
    let checker = encoders.checker()?;
    let tokens: Vec<Pair> = pairs
        .iter()
        .map(|(claim, evidence)| checker.pair(claim, evidence))
        .collect();
    let states = checker.states(encoders.team(), &tokens);
    let each = pairs.iter().zip(tokens.iter().zip(&states));
    Ok(each
        .map(|((claim, evidence), (pair, states))| pairing(checker, claim, evidence, pair, states))
        .collect())
}

fn pairing(checker: &PairEncoder, claim: &str, evidence: &str, pair: &Pair, states: &States) -> Pairing {
    let joined = states.pair(pair);
    let logits = checker
        .head("verdict")
        .map(|head| head.apply(&joined))
        .unwrap_or_default();
    let logit = |k: usize| logits.get(k).copied().map_or(0.0, f64::from);
    let verdict = log_softmax([logit(0), logit(1), logit(2)]);
    let marks: Vec<f32> = match checker.head("unsupported") {
        Some(head) => (1..=pair.first.len())
            .map(|at| head.apply(states.token(at)).first().copied().unwrap_or(0.0))
            .collect(),
        None => Vec::new(),
    };
    let worst = marks.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let signs = rules::signs(claim, evidence);
    let mut unsupported: Vec<Range<usize>> = signs.numbers.iter().chain(&signs.names).cloned().collect();
    let said = |mark: f32| 1.0 / (1.0 + (-mark).exp()) > UNSUPPORTED;
    unsupported.extend(
        pair.first
            .iter()
            .zip(&marks)
            .filter(|(_, mark)| said(**mark))
            .map(|(place, _)| place.clone()),
    );
    let features = vec![
        verdict[0] - log_add(verdict[1], verdict[2]),
        verdict[0] - verdict[1],
        f64::from(if worst.is_finite() { worst } else { 0.0 }),
        signs.overlap,
        signs.overlap * signs.overlap,
        signs.numbers.len() as f64,
        signs.names.len() as f64 / signs.all_names.max(1) as f64,
        f64::from(u8::from(signs.negated)),
        (claim.len() as f64).ln(),
    ];
    Pairing {
        features,
        verdict,
        unsupported: joined_ranges(claim, unsupported),
        signs,
    }
}

/// Sorted, grown to whole words, and joined where only white space lies between.
fn joined_ranges(text: &str, mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for mut range in ranges {
        range.end += text[range.end..]
            .find(|c: char| !c.is_alphanumeric() || crate::words::is_cjk(c))
            .unwrap_or(text.len() - range.end);
        match joined.last_mut() {
            Some(last) if range.start <= last.end || text[last.end..range.start].trim().is_empty() => {
                last.end = last.end.max(range.end)
            }
            _ => joined.push(range),
        }
    }
    joined
}

fn log_add(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

fn log_softmax(logits: [f64; 3]) -> [f64; 3] {
    let total = log_add(log_add(logits[0], logits[1]), logits[2]);
    logits.map(|logit| logit - total)
}

/// Checks claims against a library.
#[derive(Clone)]
pub struct Checker {
    /// What is searched.
    pub library: Library,
    /// What reads.
    pub encoders: Arc<Encoders>,
    /// How signals become verdicts.
    pub checking: Arc<Checking>,
}

impl Checker {
    /// With the fit that comes with the program.
    pub fn new(library: Library, encoders: Arc<Encoders>) -> Self {
        Self {
            library,
            encoders,
            checking: Arc::new(Checking::shipped()),
        }
    }

    /// The sentences of a text that claim something, as bytes of it.
    pub fn claims(text: &str) -> Vec<Range<usize>> {
        let claims = |range: &Range<usize>| {
            let sentence = &text[range.clone()];
            let words = sentence.split_whitespace().count();
            let han = sentence.chars().filter(|c| crate::words::is_cjk(*c)).count();
            (words >= FEWEST_WORDS || han >= 2 * FEWEST_WORDS) && !sentence.trim_end().ends_with(['?', '？', ':', '：'])
        };
        sentences(text, &[])
            .into_iter()
            .map(|one| one.range)
            .filter(claims)
            .collect()
    }

    /// Checks one claim; `start` is where it stands in its text.
    ///
    /// # Errors
    /// If the library or the weights cannot be read, or the embedding model fails.
    pub async fn check(&self, claim: &str, start: usize, filter: &SourceFilter) -> Result<Checked, TruthError> {
        let query = Query {
            text: claim.to_owned(),
            limit: PASSAGES,
            filter: filter.clone(),
            stages: Stages::Fused,
        };
        let passages = self.library.search(&query).await?;
        let (encoders, checking, claim) = (Arc::clone(&self.encoders), Arc::clone(&self.checking), claim.to_owned());
        blocking(move || {
            let pairs: Vec<(&str, &str)> = passages
                .iter()
                .map(|found| (claim.as_str(), found.quote.text()))
                .collect();
            let pairings = pairings(&encoders, &pairs)?;
            judge(&checking, &claim, start, &passages, &pairings)
        })
        .await
    }
}

/// The passage that bears the claim out most decides; where none does, the one that contradicts it most.
fn judge(
    checking: &Checking,
    claim: &str,
    start: usize,
    passages: &[Found],
    pairings: &[Pairing],
) -> Result<Checked, TruthError> {
    let supported = |pairing: &Pairing| checking.supported.probability(&pairing.features);
    let against = |pairing: &Pairing| pairing.verdict[1] + if pairing.signs.negated { 1.0 } else { 0.0 };
    let most = |score: &dyn Fn(&Pairing) -> f64| {
        let order = |a: &usize, b: &usize| score(&pairings[*a]).total_cmp(&score(&pairings[*b])).then(b.cmp(a));
        (0..pairings.len()).max_by(order)
    };
    let mut checked = Checked {
        text: claim.to_owned(),
        start,
        end: start + claim.len(),
        verdict: Verdict::NotEnough,
        supported: 0.0,
        unsupported: Vec::new(),
        reasons: Vec::new(),
        evidence: None,
    };
    let Some(best) = most(&supported) else {
        checked.reasons.push("no source has any of its words".into());
        return Ok(checked);
    };
    checked.supported = supported(&pairings[best]);
    let mut decides = best;
    if checked.supported >= checking.threshold {
        checked.verdict = Verdict::Supported;
    } else if let Some(worst) = most(&against) {
        // What shares little with the claim is about something else, whatever the checker says of it.
        let about = pairings[worst].signs.overlap >= 0.5;
        if about && (pairings[worst].verdict[1] > pairings[worst].verdict[2] || pairings[worst].signs.negated) {
            checked.verdict = Verdict::Contradicted;
            decides = worst;
        }
    }
    let pairing = &pairings[decides];
    if checked.verdict != Verdict::Supported {
        checked.unsupported.clone_from(&pairing.unsupported);
        let list = |ranges: &[Range<usize>]| {
            ranges
                .iter()
                .map(|range| format!("\"{}\"", &claim[range.clone()]))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !pairing.signs.numbers.is_empty() {
            checked
                .reasons
                .push(format!("the evidence does not have {}", list(&pairing.signs.numbers)));
        }
        if !pairing.signs.names.is_empty() {
            checked
                .reasons
                .push(format!("the evidence does not name {}", list(&pairing.signs.names)));
        }
        if pairing.signs.negated {
            checked
                .reasons
                .push("one of claim and evidence is negated and the other is not".into());
        }
    }
    let found = &passages[decides];
    checked.evidence = Some(Citation {
        quote: nearest_sentences(found, claim)?,
        source: found.source.clone(),
        page: found.page,
        headings: found.headings.clone(),
    });
    Ok(checked)
}

/// The sentence of a passage that shares most with the claim.
fn nearest_sentences(found: &Found, claim: &str) -> Result<crate::Quote, TruthError> {
    let text = found.quote.text();
    let ranges = sentences(text, &[]).into_iter().map(|one| one.range);
    let score = |range: &Range<usize>| rules::overlap(claim, &text[range.clone()]);
    let best = ranges.max_by(|a, b| score(a).total_cmp(&score(b)).then(b.start.cmp(&a.start)));
    found.quote.part(best.unwrap_or(0..text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_questions_claim_nothing() {
        let text = "The mill\n\nThe mill has seven rooms. Who built it? Anna Keller built it in 1874.";
        let claims: Vec<&str> = Checker::claims(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(claims, ["The mill has seven rooms.", "Anna Keller built it in 1874."]);
        assert_eq!(Checker::claims("这座桥建于一八七四年。").len(), 1);
    }

    #[test]
    fn marked_words_are_whole_and_joined() {
        let text = "Otto Keller built it in 1894.";
        assert_eq!(joined_ranges(text, vec![24..26, 0..2, 5..8]), [0..11, 24..28]);
    }

    #[test]
    fn a_fit_finds_its_threshold() {
        let rows: Vec<_> = (0..40).map(|n| (vec![f64::from(n)], n >= 30)).collect();
        let fitted = Checking::fit(&rows, "test");
        assert!(
            fitted.supported.probability(&[30.0]) >= fitted.threshold
                && fitted.supported.probability(&[29.0]) < fitted.threshold
        );
    }
}
