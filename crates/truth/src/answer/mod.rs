//! Answers that are made of quotes: find passages, read them, quote the sentence that answers, say how sure that is, and
//! abstain below the dial. No language model is asked, so no text of a source can act as an instruction; where one is asked
//! for (`ask_phrased`), it says in its own words what was chosen without it, and is checked.

mod calibration;
mod calibrations;
mod candidates;
mod dispute;
mod letters;
mod lexical;
mod logistic;
mod meaning;
pub mod memory;
mod outlook;
mod phrase;
mod stretch;
mod wanted;

use std::ops::Range;
use std::sync::Arc;

use candor_engine::Generator;
use candor_store::SourceFilter;
use serde::Serialize;

pub use calibration::{Calibration, Dial, FEWEST, Known, TooFew};
pub use calibrations::{Calibrations, Which};
pub use candidates::{Candidate, FEATURES};
pub use logistic::Logistic;
pub(crate) use logistic::sigmoid;
pub use outlook::OUTLOOK;
pub use phrase::Phrasing;

use crate::encoders::Encoders;
use crate::error::blocking;
use crate::receipt::{self, Body, Model, Signer};
use crate::{Found, Library, Query, Quote, Seen, TruthError, rerank};
use candidates::{Asked, all_sentences, candidates, tidy};
use dispute::{Said, disagree};
use lexical::Lexical;
use meaning::meanings;
use stretch::{points_ahead, stretch};

/// Passages whose sentences may be the answer.
const PASSAGES: usize = 3;
/// Sentences of an answer.
const MOST: usize = 3;
/// A further sentence is quoted where it holds the answer with so much probability.
const ALSO: f64 = 0.5;
/// Bytes of a question that count.
const LONGEST_QUESTION: usize = 2000;

/// A question.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// In its own words.
    pub text: String,
    /// What was asked before in the conversation, the last one last.
    pub before: Vec<String>,
    /// Only in these sources.
    pub filter: SourceFilter,
    /// The risk that is allowed.
    pub dial: Dial,
    /// The language model that the question was put to, for the receipt.
    pub model: Option<Model>,
}

/// Whether there is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There is.
    Answered,
    /// There is none that is sure enough.
    Abstained,
}

/// How a sentence is borne out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It is a source's own sentence.
    Quoted,
    /// A source bears it out.
    Supported,
    /// It comes from a model's memory.
    Memory,
    /// Sources say different things.
    Disputed,
}

/// A sentence of an answer, with what it cannot be understood without (`stretch.rs`).
#[derive(Debug, Clone, Serialize)]
pub struct AnswerSentence {
    /// Its words.
    pub text: String,
    /// How it is borne out.
    pub mark: Mark,
    /// The probability that it holds the answer.
    pub confidence: f64,
    /// What bears it out.
    pub citations: Vec<Citation>,
}

impl AnswerSentence {
    /// Whether one of its quotes and one of the other's stand in such places of the same text.
    fn and(&self, other: &Self, such: impl Fn(Range<usize>, Range<usize>) -> bool) -> bool {
        let pairs = self
            .citations
            .iter()
            .flat_map(|one| other.citations.iter().map(move |other| (&one.quote, &other.quote)));
        pairs
            .filter(|(one, other)| one.text_sha256() == other.text_sha256())
            .any(|(one, other)| such(one.range(), other.range()))
    }

    /// Whether it quotes what the other does and more.
    fn covers(&self, other: &Self) -> bool {
        self.and(other, |one, other| {
            one != other && one.start <= other.start && other.end <= one.end
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.and(other, |one, other| one.start < other.end && other.start < one.end)
    }
}

/// A place in a source.
#[derive(Debug, Clone, Serialize)]
pub struct Citation {
    /// Its words, to the byte.
    #[serde(flatten)]
    pub quote: Quote,
    /// The source that has them.
    pub source: candor_store::Source,
    /// Its page, from 1.
    pub page: Option<usize>,
    /// The headings above it.
    pub headings: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Whether there is one.
    pub outcome: Outcome,
    /// At most fifteen words of the first sentence.
    pub short: Option<Quote>,
    /// The probability that the first sentence holds the answer.
    pub confidence: f64,
    /// The risk that was allowed.
    pub dial: Dial,
    /// The sentences, the best first.
    pub sentences: Vec<AnswerSentence>,
    /// What would help, where there is no answer.
    pub advice: Option<String>,
    /// Where the nearest passages are, where there is no answer.
    pub nearest: Vec<Citation>,
    /// Names the receipt, where there is one.
    pub receipt: Option<String>,
    /// How a model phrased it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phrasing: Option<Phrasing>,
}

/// What the reader made of a question: for answers, and for fitting.
pub struct Reading {
    /// The passages that were found, the best first.
    pub passages: Vec<Found>,
    /// Their sentences with signals.
    pub candidates: Vec<Candidate>,
}

/// Answers questions from a library.
#[derive(Clone)]
pub struct Answerer {
    /// What is searched.
    pub library: Library,
    /// What reads.
    pub encoders: Arc<Encoders>,
    /// How signals become probabilities.
    pub calibrations: Arc<Calibrations>,
    /// Signs receipts; without it there are none.
    pub signer: Option<Arc<Signer>>,
}

impl Answerer {
    /// With the calibrations that come with the program.
    pub fn new(library: Library, encoders: Arc<Encoders>) -> Self {
        Self {
            library,
            encoders,
            calibrations: Arc::new(Calibrations::shipped()),
            signer: None,
        }
    }

    /// Confidences and thresholds of someone's own questions.
    #[must_use]
    pub fn calibrated(mut self, calibrations: Calibrations) -> Self {
        self.calibrations = Arc::new(calibrations);
        self
    }

    /// Every answer gets a receipt, signed with this key.
    #[must_use]
    pub fn signed_by(mut self, signer: Signer) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// Without receipts.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signer = None;
        self
    }

    /// Answers a question.
    ///
    /// # Errors
    /// If the library or the weights cannot be read, the embedding model fails, or a receipt cannot be written.
    pub async fn ask(&self, question: &Question) -> Result<Answer, TruthError> {
        let reading = self.read(question).await?;
        self.signed(question, self.compose(question, &reading)?).await
    }

    /// As `ask`; where there is an answer, `model` says it in its own words, each sentence of which the quotes must bear out.
    ///
    /// # Errors
    /// As `ask`, or if the model fails.
    pub async fn ask_phrased(&self, question: &Question, model: &dyn Generator) -> Result<Answer, TruthError> {
        let reading = self.read(question).await?;
        let mut answer = self.compose(question, &reading)?;
        if answer.outcome == Outcome::Answered {
            let (sentences, phrasing) =
                phrase::phrase(model, &self.encoders, &question.text, &answer.sentences).await?;
            answer.sentences = sentences;
            answer.phrasing = Some(phrasing);
        }
        self.signed(question, answer).await
    }

    async fn signed(&self, question: &Question, mut answer: Answer) -> Result<Answer, TruthError> {
        if let Some(signer) = &self.signer {
            let body = Body::new(question, &answer, self);
            answer.receipt = Some(receipt::issue(&self.library.store, signer, &body).await?.id);
        }
        Ok(answer)
    }

    /// The calibration that judges a question.
    pub fn calibration(&self, question: &str) -> &Calibration {
        let by_meaning = self.library.embedder.get().is_some();
        self.calibrations.by(Which::of(question, by_meaning))
    }

    /// The answer that was read out of passages.
    ///
    /// # Errors
    /// If a quote would differ from its source.
    pub fn compose(&self, question: &Question, reading: &Reading) -> Result<Answer, TruthError> {
        let calibration = self.calibration(&question.text);
        let Some(best) = calibration.best(&reading.candidates) else {
            return self.abstain(question, 0.0, reading);
        };
        let confidence = calibration.confidence_of(&reading.candidates, best);
        if calibration
            .threshold(question.dial)
            .is_none_or(|from| confidence < from)
        {
            return self.abstain(question, confidence, reading);
        }
        let mut order: Vec<(usize, f64)> = (0..reading.candidates.len())
            .filter(|&n| n != best)
            .map(|n| (n, calibration.share(&reading.candidates[n])))
            .collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut sentences = vec![quoted(reading, best, confidence, &[])?];
        for (n, share) in order {
            let disputed = disputed(question, reading, best, n);
            if sentences.len() == MOST || (share < ALSO && !disputed) {
                continue;
            }
            let mut next = quoted(reading, n, share.min(confidence), &sentences)?;
            if sentences.iter().any(|known| known.covers(&next)) {
                continue;
            }
            if disputed {
                next.mark = Mark::Disputed;
                sentences[0].mark = Mark::Disputed;
            }
            // The same sentence of another source is a second citation and no second sentence.
            match sentences.iter_mut().find(|known| known.text == next.text) {
                Some(known) => known.citations.extend(next.citations),
                None => sentences.push(next),
            }
        }
        Ok(Answer {
            outcome: Outcome::Answered,
            // "The following papers" is no answer: the list that is quoted is.
            short: self
                .short(reading, &reading.candidates[best])
                .filter(|short| !points_ahead(short.text())),
            confidence,
            dial: question.dial,
            sentences,
            advice: None,
            nearest: Vec::new(),
            receipt: None,
            phrasing: None,
        })
    }

    /// The words of a sentence that answer, at most fifteen.
    pub fn short(&self, reading: &Reading, candidate: &Candidate) -> Option<Quote> {
        let passage = &reading.passages.get(candidate.passage)?.quote;
        let span = tidy(passage.text(), &candidate.sentence, candidate.span.as_ref()?);
        passage.part(span).ok()
    }

    /// Finds and reads passages.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn read(&self, question: &Question) -> Result<Reading, TruthError> {
        let text = resolved(question);
        let query = Query {
            text,
            limit: rerank::READ,
            filter: question.filter.clone(),
            ..Query::default()
        };
        let passages = self.library.search(&query).await?;
        // What was asked before helps to find passages; what is asked now decides what in them answers.
        let seen = Seen::default();
        let ranked = rerank::rerank_seen(&self.encoders, &query.text, passages, &seen).await?;
        let asked = cut(question.text.trim()).to_owned();
        self.read_ranked(asked, ranked, &seen).await
    }

    /// As `read`, with passages at hand, in the order in which they were found; what is in `seen` is not read again.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn read_passages(&self, text: String, passages: Vec<Found>, seen: &Seen) -> Result<Reading, TruthError> {
        let ranked = rerank::rerank_seen(&self.encoders, &text, passages, seen).await?;
        self.read_ranked(text, ranked, seen).await
    }

    async fn read_ranked(&self, text: String, mut passages: Vec<Found>, seen: &Seen) -> Result<Reading, TruthError> {
        passages.truncate(PASSAGES);
        let places = all_sentences(&passages);
        let encoders = Arc::clone(&self.encoders);
        let (passages, places, text, lexical, weights) = blocking(move || {
            let reader = encoders.reader()?;
            let lexical = Lexical::new(reader, &text, &passages, &places);
            let stems = reader.first_stems(&reader.pair(&text, ""));
            let weight = |stem: &Option<String>| stem.as_ref().map_or(0.0, |stem| lexical.weight(stem));
            let weights: Vec<f64> = stems.iter().map(weight).collect();
            Ok((passages, places, text, lexical, weights))
        })
        .await?;
        let meaning = match self.library.embedder.get() {
            Some(embedder) => {
                let texts = passages.iter().zip(&places).flat_map(|(found, ranges)| {
                    ranges.iter().map(|range| found.quote.text()[range.clone()].to_owned())
                });
                meanings(embedder, &text, &weights, texts.collect()).await?
            }
            None => None,
        };
        let (encoders, seen) = (Arc::clone(&self.encoders), seen.clone());
        blocking(move || {
            let asked = Asked {
                question: &text,
                lexical: &lexical,
                meaning,
            };
            let candidates = candidates(&encoders, &asked, &passages, &places, &seen)?;
            Ok(Reading { passages, candidates })
        })
        .await
    }

    fn abstain(&self, question: &Question, confidence: f64, reading: &Reading) -> Result<Answer, TruthError> {
        let nearest = reading
            .passages
            .iter()
            .take(3)
            .map(|found| cited(found, 0..found.quote.text().len()));
        let nearest = nearest.collect::<Result<Vec<_>, _>>()?;
        let advice = match nearest.first() {
            None => "No source has any of the question's words; add a source that covers it (`candor sources add`), or ask in its words.".to_owned(),
            Some(near) => format!(
                "No source answers this surely enough; the nearest passage is in \"{}\". A source on the matter, or a question that names who, what or when, would help.",
                near.source.title.as_deref().unwrap_or(&near.source.name)
            ),
        };
        Ok(Answer {
            outcome: Outcome::Abstained,
            short: None,
            confidence,
            dial: question.dial,
            sentences: Vec::new(),
            advice: Some(advice),
            nearest,
            receipt: None,
            phrasing: None,
        })
    }
}

/// Whether a sentence of another text contradicts the chosen one in what was asked for.
fn disputed(question: &Question, reading: &Reading, best: usize, other: usize) -> bool {
    let said = |n: usize| {
        let candidate = &reading.candidates[n];
        let quote = &reading.passages[candidate.passage].quote;
        let short = tidy(quote.text(), &candidate.sentence, candidate.span.as_ref()?);
        Some((
            quote,
            Said {
                text: quote.text(),
                sentence: candidate.sentence.clone(),
                short,
            },
        ))
    };
    match (said(best), said(other)) {
        (Some((a, one)), Some((b, other))) => {
            a.text_sha256() != b.text_sha256() && disagree(&question.text, &one, &other)
        }
        _ => false,
    }
}

/// A candidate as a sentence of an answer that begins with `said`, none of which is quoted twice.
fn quoted(reading: &Reading, n: usize, confidence: f64, said: &[AnswerSentence]) -> Result<AnswerSentence, TruthError> {
    let candidate = &reading.candidates[n];
    let found = &reading.passages[candidate.passage];
    let of = |range: Range<usize>| -> Result<_, TruthError> {
        let citation = cited(found, range)?;
        Ok(AnswerSentence {
            text: citation.quote.text().to_owned(),
            mark: Mark::Quoted,
            confidence,
            citations: vec![citation],
        })
    };
    let of_passage = reading.candidates.iter().filter(|one| one.passage == candidate.passage);
    let places: Vec<_> = of_passage.map(|one| one.sentence.clone()).collect();
    let own = places.iter().position(|place| *place == candidate.sentence);
    let whole = of(stretch(found.quote.text(), &places, own.unwrap_or_default()))?;
    if said.iter().any(|known| known.overlaps(&whole)) {
        return of(candidate.sentence.clone());
    }
    Ok(whole)
}

fn cited(found: &Found, range: Range<usize>) -> Result<Citation, TruthError> {
    Ok(Citation {
        quote: found.quote.part(range)?,
        source: found.source.clone(),
        page: found.page,
        headings: found.headings.clone(),
    })
}

/// The question with what it refers to: one that is short of words of its own, or says "it", is asked after the one
/// before it.
fn resolved(question: &Question) -> String {
    const REFERS: &[&str] = &[
        "it", "its", "he", "she", "his", "her", "him", "they", "them", "their", "this", "that", "these", "those",
        "there", "then", "one", "same",
    ];
    let text = question.text.trim();
    let refers = || {
        let mut words = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let count = words.clone().count();
        count < 4
            || words.any(|word| REFERS.contains(&word.to_lowercase().as_str()))
            || ["它", "他", "她", "这", "那"].iter().any(|word| text.contains(word))
    };
    let whole = match question.before.last() {
        Some(before) if refers() => format!("{} {text}", before.trim()),
        _ => text.to_owned(),
    };
    cut(&whole).to_owned()
}

/// As much of a question as counts.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_QUESTION);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Quote {
    /// A part of the quote, by the bytes of its own text.
    ///
    /// # Errors
    /// If the range does not lie in it, is empty or cuts a character.
    pub fn part(&self, range: Range<usize>) -> Result<Self, TruthError> {
        let from = self.range().start;
        self.evidence().quote(from + range.start..from + range.end)
    }
}
