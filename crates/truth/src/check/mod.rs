//! Claims against sources: each sentence is borne out, contradicted or neither, with the evidence and the words that it
//! does not bear out. A trained checker and exact rules look at the passages that are nearest; a logistic fit of both says
//! how probable it is that the claim is supported.

mod fit;
mod judge;
pub(crate) mod numbers;
mod place;
pub(crate) mod rules;
mod units;
mod wording;

use std::ops::Range;
use std::sync::Arc;

use candor_engine::Generator;
use candor_model::PairEncoder;
use candor_model::pair::{Pair, States};
use candor_store::SourceFilter;
use serde::{Deserialize, Serialize};

use crate::answer::{Citation, sigmoid};
use crate::encoders::Encoders;
use crate::error::blocking;
use crate::{Found, Library, Query, TruthError, sentences};

pub use fit::{Checking, Mix};
pub use judge::{Judge, Judgement, ask};

/// Passages that a claim is compared with.
const PASSAGES: usize = 4;
/// A word is unsupported where the checker says so with more than this probability.
const UNSUPPORTED: f32 = 0.6;
/// Shorter sentences, such as headings, claim nothing.
const FEWEST_WORDS: usize = 3;

/// The signals of a claim with its evidence, in the order of [`Pairing::features`].
pub const SIGNALS: [&str; 22] = [
    "supported",
    "supported over contradicted",
    "worst word",
    "overlap",
    "overlap squared",
    "numbers missing",
    "names missing",
    "length",
    "names missing, counted",
    "denied in the claim alone",
    "denied in the evidence alone",
    "denied in both",
    "restricted in the claim alone",
    "opposite or other number",
    "other name",
    "predicate missing",
    "last word missing",
    "words there, late ones more",
    "other words between",
    "denied in the claim alone, predicate missing",
    "restricted in the claim alone, overlap",
    "nearest sentence says otherwise",
];

/// Where "nearest sentence says otherwise" stands among them.
const CLASH: usize = 21;

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
    /// What a language model says of it, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
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
    unsupported.extend(signs.exchanged.iter().map(|(range, _)| range.clone()));
    let said = |mark: f32| 1.0 / (1.0 + (-mark).exp()) > UNSUPPORTED;
    unsupported.extend(
        pair.first
            .iter()
            .zip(&marks)
            .filter(|(_, mark)| said(**mark))
            .map(|(place, _)| place.clone()),
    );
    let (words, is) = (&signs.wording, |sign: bool| f64::from(u8::from(sign)));
    let features = vec![
        verdict[0] - log_add(verdict[1], verdict[2]),
        verdict[0] - verdict[1],
        f64::from(if worst.is_finite() { worst } else { 0.0 }),
        signs.overlap,
        signs.overlap * signs.overlap,
        signs.numbers.len() as f64,
        signs.names.len() as f64 / signs.all_names.max(1) as f64,
        (claim.len() as f64).ln(),
        signs.names.len() as f64,
        is(words.denies == [true, false]),
        is(words.denies == [false, true]),
        is(words.denies == [true, true]),
        is(words.restricts),
        is(signs.exchanged.is_some()),
        is(signs.renamed.is_some()),
        words.predicate,
        is(words.last),
        words.late,
        (words.apart as f64).ln_1p(),
        // To deny what the evidence does not say is no contradiction.
        is(words.denies == [true, false]) * words.predicate,
        is(words.restricts) * signs.overlap,
        is(signs.clash),
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
    /// A language model whose verdict is one more signal.
    pub judge: Option<Judge>,
}

impl Checker {
    /// With the fit that comes with the program.
    pub fn new(library: Library, encoders: Arc<Encoders>) -> Self {
        Self {
            library,
            encoders,
            checking: Arc::new(Checking::shipped()),
            judge: None,
        }
    }

    /// With another fit.
    #[must_use]
    pub fn fitted(mut self, checking: Checking) -> Self {
        self.checking = Arc::new(checking);
        self
    }

    /// With the verdict of a language model, which counts as far as it was fitted.
    #[must_use]
    pub fn judged_by(mut self, model: Arc<dyn Generator>) -> Self {
        self.judge = Some(Judge::new(model, &self.checking));
        self
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
            ..Query::default()
        };
        let passages = self.library.search(&query).await?;
        let (encoders, text) = (Arc::clone(&self.encoders), claim.to_owned());
        let (passages, pairings) = blocking(move || {
            let pairs: Vec<(&str, &str)> = passages
                .iter()
                .map(|found| (text.as_str(), found.quote.text()))
                .collect();
            let pairings = pairings(&encoders, &pairs)?;
            Ok((passages, pairings))
        })
        .await?;
        let compared = Compared {
            checking: &self.checking,
            passages: &passages,
            pairings: &pairings,
        };
        // The model is asked of the one passage that decides: more would cost as much again each.
        let judged = match (&self.judge, compared.best()) {
            (Some(judge), Some(best)) => Some(judge.judge(claim, passages[best].quote.text()).await),
            _ => None,
        };
        compared.verdict(
            claim,
            start,
            judged,
            self.judge.as_ref().and_then(|judge| judge.mix.as_ref()),
        )
    }
}

/// A claim's passages with what was found in them.
struct Compared<'a> {
    checking: &'a Checking,
    passages: &'a [Found],
    pairings: &'a [Pairing],
}

impl Compared<'_> {
    fn most(&self, score: impl Fn(&Pairing) -> f64) -> Option<usize> {
        let score = |n: &usize| score(&self.pairings[*n]);
        (0..self.pairings.len()).max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a)))
    }

    /// The passage that bears the claim out most.
    fn best(&self) -> Option<usize> {
        self.most(|pairing| self.checking.logit(&pairing.features))
    }

    /// The passage that bears the claim out most decides; where none does, the one that contradicts it most.
    fn verdict(
        &self,
        claim: &str,
        start: usize,
        judgement: Option<Judgement>,
        mix: Option<&Mix>,
    ) -> Result<Checked, TruthError> {
        let mut checked = Checked {
            text: claim.to_owned(),
            start,
            end: start + claim.len(),
            verdict: Verdict::NotEnough,
            supported: 0.0,
            unsupported: Vec::new(),
            reasons: Vec::new(),
            evidence: None,
            judgement: None,
        };
        let Some(best) = self.best() else {
            checked.reasons.push("no source has any of its words".into());
            return Ok(checked);
        };
        let own = self.checking.logit(&self.pairings[best].features);
        let said = judgement.as_ref().and_then(|one| one.log_odds);
        let (supported, threshold) = match (mix, said) {
            (Some(mix), Some(said)) => (mix.probability(own, said), mix.threshold),
            _ => (sigmoid(own), self.checking.threshold),
        };
        checked.supported = supported;
        let mut decides = best;
        let against = |pairing: &Pairing| {
            pairing.verdict[1]
                + if pairing.signs.negated || pairing.signs.clash {
                    1.0
                } else {
                    0.0
                }
        };
        if supported >= threshold {
            checked.verdict = Verdict::Supported;
        } else if let Some(worst) = self.most(against) {
            // What shares little with the claim is about something else, whatever the checker says of it.
            let Pairing { verdict, signs, .. } = &self.pairings[worst];
            if signs.overlap >= 0.5 && (verdict[1] > verdict[2] || signs.negated || signs.clash) {
                checked.verdict = Verdict::Contradicted;
                decides = worst;
            }
        }
        let pairing = &self.pairings[decides];
        if checked.verdict != Verdict::Supported {
            checked.unsupported.clone_from(&pairing.unsupported);
            checked.reasons = reasons(claim, &pairing.signs);
        }
        if let Some(judgement) = &judgement {
            checked.reasons.extend(judgement.reason());
        }
        checked.judgement = judgement;
        let found = &self.passages[decides];
        checked.evidence = Some(Citation {
            quote: nearest_sentences(found, claim)?,
            source: found.source.clone(),
            page: found.page,
            headings: found.headings.clone(),
        });
        Ok(checked)
    }
}

/// What the rules see, in words.
fn reasons(claim: &str, signs: &rules::Signs) -> Vec<String> {
    let list = |ranges: &[Range<usize>]| {
        let quoted = ranges.iter().map(|range| format!("\"{}\"", &claim[range.clone()]));
        quoted.collect::<Vec<_>>().join(", ")
    };
    let mut reasons = Vec::new();
    if !signs.numbers.is_empty() {
        reasons.push(format!("the evidence does not have {}", list(&signs.numbers)));
    }
    if !signs.names.is_empty() {
        reasons.push(format!("the evidence does not name {}", list(&signs.names)));
    }
    if signs.negated {
        reasons.push("one of claim and evidence denies something and the other does not".into());
    }
    for (range, other) in signs.exchanged.iter().chain(&signs.renamed) {
        let word = &claim[range.clone()];
        reasons.push(format!("the evidence has \"{other}\" and not \"{word}\""));
    }
    reasons
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
}
