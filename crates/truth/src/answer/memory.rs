//! Answers without sources: what a model remembers, marked so, with how sure that is. The same question is answered again
//! a few times at a high temperature; answers that mean the same are counted together (self-consistency: Wang et al. 2022,
//! arXiv:2203.11171; by meaning: Kuhn, Gal and Farquhar 2023, arXiv:2302.09664), and the model's own token probabilities
//! stand beside that.

use std::sync::atomic::{AtomicBool, Ordering};

use candor_engine::{EngineError, Event, GenerateRequest, Generator};
use futures::future::join_all;
use futures::{Stream, StreamExt};

use serde::{Deserialize, Serialize};

use super::logistic::{Logistic, six_decimals};
use super::{Answer, AnswerSentence, Answerer, Dial, Mark, Outcome};
use crate::scoring::same_meaning;
use crate::{TruthError, sentences};

/// Further answers that are drawn.
const DRAWS: u64 = 3;
/// Their temperature.
const TEMPERATURE: f32 = 0.8;
/// Tokens of an answer, where the request does not say.
const MOST_TOKENS: usize = 160;
/// Tokens of a further answer: enough to see whether it says the same.
const DRAWN_TOKENS: usize = 64;
/// Pieces of text, about a token each, that a further answer gets also where the first one is over before.
const DRAWN_PIECES: usize = 12;

/// What a model says from memory.
#[derive(Debug, Clone, Default)]
pub struct Recalled {
    /// Its answer.
    pub text: String,
    /// The share of further answers that mean the same.
    pub agreement: f64,
    /// The mean log-probability of the answer's tokens; 0 where the model does not say.
    pub logprob: f64,
}

impl Recalled {
    /// What its confidence is made of, in the order of [`SIGNALS`].
    pub fn signals(&self) -> Vec<f64> {
        let words = self.text.split_whitespace().count();
        vec![self.agreement, self.logprob, (words.max(1) as f64).ln()]
    }
}

/// The signals, for people.
pub const SIGNALS: [&str; 3] = ["agreement", "log-probability", "words"];
const SHIPPED: &str = include_str!("../../weights/memory.json");

/// How the signals of an answer from memory become the probability that it is right. What comes with the program was
/// fitted with a model of 135 million parameters, which knows little and agrees with itself on mistakes; with larger
/// models it was not measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What it was fitted on, for people.
    pub fitted_on: String,
    /// Names of the signals.
    pub features: Vec<String>,
    /// Whether the answer is right.
    pub right: Logistic,
}

impl Memory {
    /// The one that comes with the program.
    pub fn shipped() -> Self {
        serde_json::from_str(SHIPPED).unwrap_or_default()
    }

    /// Fits to answers whose truth is known. More agreement and likelier tokens never make an answer less believed: where
    /// few answers are right, a fit can say so by chance, and a better model would be punished for what it knows.
    pub fn fit(rows: &[(Vec<f64>, bool)], fitted_on: &str) -> Self {
        const RISING: usize = 2;
        Self {
            fitted_on: fitted_on.to_owned(),
            features: SIGNALS.map(String::from).to_vec(),
            right: Logistic::fit_rising(rows, RISING, 1.0),
        }
    }

    /// The probability that an answer is right. Without a fit nothing is believed.
    pub fn confidence(&self, recalled: &Recalled) -> f64 {
        match self.features == SIGNALS {
            true => six_decimals(self.right.probability(&recalled.signals())),
            false => 0.0,
        }
    }
}

/// Answers `request` from the model's memory, or abstains.
///
/// # Errors
/// If the model fails.
pub async fn recall(
    model: &dyn Generator,
    request: GenerateRequest,
    dial: Dial,
    answerer: &Answerer,
) -> Result<Answer, TruthError> {
    let recalled = draw(model, request, answerer).await?;
    let confidence = Memory::shipped().confidence(&recalled);
    let enough = dial.0.is_none_or(|risk| confidence >= 1.0 - risk);
    if !enough || recalled.text.trim().is_empty() {
        let advice = "I am not sure enough to answer this from memory, and there is no source to quote. \
                      A document on the matter would help; or turn the dial off to see what the model remembers.";
        return Ok(Answer {
            outcome: Outcome::Abstained,
            short: None,
            confidence,
            dial,
            sentences: Vec::new(),
            advice: Some(advice.to_owned()),
            nearest: Vec::new(),
            receipt: None,
            phrasing: None,
        });
    }
    let text = recalled.text.trim();
    let remembered = |range: std::ops::Range<usize>| AnswerSentence {
        text: text[range].to_owned(),
        mark: Mark::Memory,
        confidence,
        citations: Vec::new(),
    };
    Ok(Answer {
        outcome: Outcome::Answered,
        short: None,
        confidence,
        dial,
        sentences: sentences(text, &[])
            .into_iter()
            .map(|one| remembered(one.range))
            .collect(),
        advice: None,
        nearest: Vec::new(),
        receipt: None,
        phrasing: None,
    })
}

/// The answer with its signals.
///
/// # Errors
/// If the model fails.
pub async fn draw(
    model: &dyn Generator,
    request: GenerateRequest,
    answerer: &Answerer,
) -> Result<Recalled, TruthError> {
    let logprobs = model.abilities().logprobs;
    let mut first = request.clone();
    first.logprobs = logprobs.then_some(0);
    first.stop.max_tokens = Some(first.stop.max_tokens.unwrap_or(MOST_TOKENS).min(MOST_TOKENS));
    let mut first = model.generate(first).await?.peekable();
    // What the others say beyond the length of the first would be waited for and tell little.
    let over = &AtomicBool::new(false);
    let drawn = (0..DRAWS).map(|seed| {
        let mut again = request.clone();
        again.sampling.temperature = TEMPERATURE;
        again.sampling.seed = Some(seed);
        again.stop.max_tokens = Some(DRAWN_TOKENS);
        async move {
            let events = model.generate(again).await?;
            said(events, |pieces| pieces >= DRAWN_PIECES && over.load(Ordering::Relaxed)).await
        }
    });
    // Once the first token is there, the others find the prompt's pages computed; then the engine computes all side by side.
    std::pin::Pin::new(&mut first).peek().await;
    let first = async {
        let said = said(first, |_| false).await;
        over.store(true, Ordering::Relaxed);
        said
    };
    let (first, drawn) = futures::future::join(first, join_all(drawn)).await;
    let (text, logprob) = first?;
    let others = drawn
        .into_iter()
        .map(|one| one.map(|(text, _)| text))
        .collect::<Result<Vec<_>, _>>()?;
    let agreement = same_meaning(answerer.library.embedder.ready().await, &text, &others).await?;
    Ok(Recalled {
        text,
        agreement,
        logprob,
    })
}

/// A whole answer, or as much of it as is `enough`, with the mean log-probability of its tokens.
async fn said(
    mut events: impl Stream<Item = Result<Event, EngineError>> + Unpin,
    enough: impl Fn(usize) -> bool,
) -> Result<(String, f64), TruthError> {
    let mut pieces = 0;
    let (mut answer, mut sum, mut count) = (String::new(), 0.0, 0.0);
    while let Some(event) = events.next().await {
        if let Event::Text { text, tokens } = event? {
            answer.push_str(&text);
            for logprob in tokens.iter().filter_map(|token| token.logprob) {
                sum += f64::from(logprob);
                count += 1.0;
            }
            pieces += 1;
            if enough(pieces) {
                break;
            }
        }
    }
    Ok((answer, if count > 0.0 { sum / count } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::{Memory, Recalled};

    fn recalled(agreement: f64, logprob: f64) -> Recalled {
        Recalled {
            text: "a few words".into(),
            agreement,
            logprob,
        }
    }

    #[test]
    fn agreement_never_makes_an_answer_less_believed() {
        // By chance the few right ones are those that were drawn once only.
        let rows: Vec<_> = (0..100)
            .map(|n| {
                (
                    recalled(f64::from(n % 5) / 5.0, -0.5 - f64::from(n % 7) / 7.0).signals(),
                    n % 20 == 0,
                )
            })
            .collect();
        let fitted = Memory::fit(&rows, "test");
        assert!(fitted.confidence(&recalled(1.0, -0.5)) >= fitted.confidence(&recalled(0.0, -0.5)));
        assert!(Memory::default().confidence(&recalled(1.0, 0.0)) < 1e-9);
    }

    #[test]
    fn what_comes_with_the_program_believes_a_small_model_little() {
        let shipped = Memory::shipped();
        assert!(!shipped.fitted_on.is_empty() && shipped.confidence(&recalled(1.0, -0.1)) < 0.9);
    }
}
