//! Requests with a `candor` field: the answer is made of quotes from the sources, or comes from the model's memory where
//! there are none, and says so. `truth` decides; this is only the shape, and that of chat completions.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use candor_engine::{EngineError, FinishReason, GenerateRequest, Generator};
use candor_store::SourceFilter;
use candor_truth::answer::{Answer, Citation, Dial, Outcome, memory};
use candor_truth::receipt::Model;
use candor_truth::{Answerer, Question, TruthError};
use candor_wire::candor::{CandorAnswer, CandorCitation, CandorRequest, CandorSentence};
use candor_wire::chat::{Content, Message};
use candor_wire::chat_completions::{AssistantMessage, ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, Delta};
use candor_wire::usage::Usage;
use serde_json::{Value, json};

use super::chat::{Head, fingerprint, finish_reason};
use super::sse;
use crate::{ApiError, App};

/// Vector stores of a request.
const MOST_STORES: usize = 100;

/// A conversation with what it may be answered from.
pub(crate) struct Grounded {
    answerer: Answerer,
    question: Question,
    dial: Dial,
    /// The model says it in its own words.
    phrase: bool,
    /// No source is in scope at all.
    bare: bool,
}

impl Grounded {
    /// Checks the request; `turns` is the field that the conversation came in.
    pub(crate) async fn new(
        app: &App,
        request: CandorRequest,
        turns: &'static str,
        messages: &[Message],
    ) -> Result<Self, ApiError> {
        let answerer = app.extension::<Answerer>().ok_or_else(|| {
            let message =
                "this server has no library to answer from, because it was started without a store; see its log";
            EngineError::Unavailable {
                message: message.into(),
            }
        })?;
        if request.dial.is_some_and(|dial| !(dial > 0.0 && dial < 1.0)) {
            let message = "`candor.dial` is the share of given answers that may be wrong, between 0 and 1 (without both), or null";
            return Err(ApiError::param("candor.dial", message));
        }
        let mut filter = SourceFilter::default();
        let stores = request.sources.as_deref().unwrap_or_default();
        if stores.len() > MOST_STORES {
            return Err(ApiError::param(
                "candor.sources",
                format!(
                    "`candor.sources` names {} stores, at most {MOST_STORES} are possible",
                    stores.len()
                ),
            ));
        }
        for id in stores {
            let collection = answerer
                .library
                .store
                .collection(id)
                .await
                .map_err(|error| match error {
                    candor_store::StoreError::Missing { .. } => ApiError::param(
                        "candor.sources",
                        format!("there is no vector store `{id}`; GET /v1/vector_stores lists them"),
                    ),
                    other => failed(other.into()).into(),
                })?;
            filter.collections.push(collection.id);
        }
        let users = messages.iter().filter(|one| one.role == "user");
        let mut asked: Vec<String> = users
            .map(|one| one.content.as_ref().map_or(String::new(), Content::text))
            .collect();
        let Some(text) = asked.pop().filter(|text| !text.trim().is_empty()) else {
            return Err(ApiError::param(
                turns,
                "the last question is empty; `candor` needs a user turn with text",
            ));
        };
        let bare = match &request.sources {
            Some(stores) => stores.is_empty(),
            None => answerer.library.index.size().passages == 0,
        };
        let dial = Dial(request.dial);
        Ok(Self {
            answerer: answerer.clone(),
            question: Question {
                text,
                before: asked,
                filter,
                dial,
                model: None,
            },
            dial,
            phrase: request.phrase,
            bare,
        })
    }

    /// Answers, from sources or from memory.
    pub(crate) async fn answer(
        &self,
        model: &Arc<dyn Generator>,
        request: GenerateRequest,
    ) -> Result<Answer, EngineError> {
        if self.bare {
            return self.by_memory(model.as_ref(), request).await;
        }
        if self.phrase {
            return self.in_words_of(model.as_ref()).await;
        }
        self.by_sources(Some(Model::of(&model.card()))).await
    }

    /// Answers from sources, in the model's own words where its quotes bear them out.
    pub(crate) async fn in_words_of(&self, model: &dyn Generator) -> Result<Answer, EngineError> {
        let mut question = self.question.clone();
        question.model = Some(Model::of(&model.card()));
        self.answerer.ask_phrased(&question, model).await.map_err(failed)
    }

    /// Answers from sources; `model` is whom the question was put to, if anyone.
    pub(crate) async fn by_sources(&self, model: Option<Model>) -> Result<Answer, EngineError> {
        let mut question = self.question.clone();
        question.model = model;
        self.answerer.ask(&question).await.map_err(failed)
    }

    /// Answers from the model's memory.
    pub(crate) async fn by_memory(
        &self,
        model: &dyn Generator,
        request: GenerateRequest,
    ) -> Result<Answer, EngineError> {
        let answer = memory::recall(model, request, self.dial, &self.answerer).await;
        answer.map_err(failed)
    }

    /// The response, whole or as a stream.
    pub(super) async fn respond(
        self,
        app: &App,
        model: Arc<dyn Generator>,
        request: GenerateRequest,
        head: Head,
        stream: bool,
    ) -> Result<Response, ApiError> {
        let permit = app.admit()?;
        let answer = self.answer(&model, request).await?;
        drop(permit);
        let content = Shown::of(&answer)?;
        if stream {
            return Ok(sse::send(app, content.chunks(head)));
        }
        let message = AssistantMessage {
            role: "assistant".into(),
            annotations: content.annotations(),
            content: Some(content.text),
            ..AssistantMessage::default()
        };
        let choice = ChatChoice {
            index: 0,
            message,
            logprobs: None,
            finish_reason: finish_reason(FinishReason::Stop),
        };
        Ok(Json(ChatCompletion {
            system_fingerprint: fingerprint(&head.card),
            id: head.id,
            object: "chat.completion".into(),
            created: head.created,
            model: head.model,
            choices: vec![choice],
            usage: Usage::new(0, 0, 0),
            candor: Some(content.candor),
        })
        .into_response())
    }
}

fn failed(error: TruthError) -> EngineError {
    match error {
        TruthError::Engine(error) => error,
        other => EngineError::Internal {
            message: other.to_string(),
        },
    }
}

/// An answer as text.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) candor: CandorAnswer,
}

impl Shown {
    pub(crate) fn of(answer: &Answer) -> Result<Self, EngineError> {
        let mut text = String::new();
        let mut length = 0;
        let mut sentences = Vec::new();
        for sentence in &answer.sentences {
            if !text.is_empty() {
                text.push(' ');
                length += 1;
            }
            let start = length;
            text.push_str(&sentence.text);
            length += sentence.text.chars().count();
            let citations = sentence.citations.iter().map(citation).collect::<Result<Vec<_>, _>>()?;
            sentences.push(CandorSentence {
                text: sentence.text.clone(),
                start,
                end: length,
                mark: word(&sentence.mark)?,
                confidence: sentence.confidence,
                citations,
            });
        }
        if answer.outcome == Outcome::Abstained {
            text = answer.advice.clone().unwrap_or_default();
        }
        let candor = CandorAnswer {
            outcome: word(&answer.outcome)?,
            short: answer.short.as_ref().map(|short| short.text().to_owned()),
            confidence: answer.confidence,
            dial: answer.dial.0,
            sentences,
            advice: answer.advice.clone(),
            nearest: answer.nearest.iter().map(citation).collect::<Result<_, _>>()?,
            receipt: answer.receipt.clone(),
        };
        Ok(Self { text, candor })
    }

    /// The citations with the characters of the text that they bear out.
    pub(crate) fn citations(&self) -> impl Iterator<Item = (std::ops::Range<usize>, &CandorCitation)> {
        let of = |one: &CandorSentence| one.start..one.end;
        self.candor
            .sentences
            .iter()
            .flat_map(move |one| one.citations.iter().map(move |citation| (of(one), citation)))
    }

    /// In the shape of chat completions.
    fn annotations(&self) -> Vec<Value> {
        self.citations().map(|(place, one)| annotation(one, &place)).collect()
    }

    /// The text, cut behind every sentence.
    pub(crate) fn pieces(&self) -> Vec<&str> {
        let places: Vec<usize> = self
            .text
            .char_indices()
            .map(|(at, _)| at)
            .chain([self.text.len()])
            .collect();
        let ends = self.candor.sentences.iter();
        let ends = ends.filter_map(|one| places.get(one.end).copied());
        let (mut at, mut pieces) = (0, Vec::new());
        for end in ends.chain([self.text.len()]) {
            if end > at {
                pieces.push(&self.text[at..end]);
                at = end;
            }
        }
        pieces
    }

    /// The same as events: one per sentence.
    fn chunks(self, head: Head) -> Vec<ChatChunk> {
        let chunk = |choices: Vec<ChatChunkChoice>, usage: Option<Usage>, candor: Option<CandorAnswer>| ChatChunk {
            id: head.id.clone(),
            object: "chat.completion.chunk".into(),
            created: head.created,
            model: head.model.clone(),
            system_fingerprint: fingerprint(&head.card),
            choices,
            usage: head.include_usage.then_some(usage),
            candor,
        };
        let part = |delta: Delta| ChatChunkChoice {
            delta,
            ..ChatChunkChoice::default()
        };
        let role = Delta {
            role: Some("assistant".into()),
            content: Some(String::new()),
            ..Delta::default()
        };
        let mut chunks = vec![chunk(vec![part(role)], None, None)];
        for piece in self.pieces() {
            let delta = Delta {
                content: Some(piece.to_owned()),
                ..Delta::default()
            };
            chunks.push(chunk(vec![part(delta)], None, None));
        }
        let last = ChatChunkChoice {
            delta: Delta {
                annotations: self.annotations(),
                ..Delta::default()
            },
            finish_reason: Some(finish_reason(FinishReason::Stop)),
            ..ChatChunkChoice::default()
        };
        chunks.push(chunk(vec![last], None, Some(self.candor)));
        if head.include_usage {
            chunks.push(chunk(Vec::new(), Some(Usage::new(0, 0, 0)), None));
        }
        chunks
    }
}

/// The last place where a quote is compared with its source: one that differs is an error and not an answer.
fn citation(citation: &Citation) -> Result<CandorCitation, EngineError> {
    let quote = serde_json::to_value(&citation.quote).map_err(|error| EngineError::Internal {
        message: error.to_string(),
    })?;
    let range = citation.quote.range();
    Ok(CandorCitation {
        file_id: citation.source.id.clone(),
        filename: citation
            .source
            .title
            .clone()
            .unwrap_or_else(|| citation.source.name.clone()),
        start: range.start,
        end: range.end,
        quote: quote["quote"].as_str().unwrap_or_default().to_owned(),
        page: citation.page,
        date: citation.source.date.clone(),
        url: citation.source.url.clone(),
    })
}

/// In the shape of chat completions' own annotations; `start` and `end` are characters of the content.
fn annotation(citation: &CandorCitation, place: &std::ops::Range<usize>) -> Value {
    let text = || {
        format!(
            "/v1/files/{}/text?start={}&end={}",
            citation.file_id, citation.start, citation.end
        )
    };
    let url = citation.url.clone().unwrap_or_else(text);
    json!({
        "type": "url_citation",
        "url_citation": { "start_index": place.start, "end_index": place.end, "title": citation.filename, "url": url },
    })
}

/// The word that stands for a value in JSON.
fn word(value: &impl serde::Serialize) -> Result<String, EngineError> {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => Ok(word),
        _ => Err(EngineError::Internal {
            message: "an answer has no name for its outcome".into(),
        }),
    }
}
