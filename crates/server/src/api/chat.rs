//! `POST /v1/chat/completions`: a conversation goes on, whole or as a stream.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use candor_engine::{Constraint, Event, FinishReason, GenerateRequest, ModelCard, Prompt};
use candor_wire::chat::{ToolCall, ToolChoice};
use candor_wire::chat_completions::{
    AssistantMessage, ChatBody, ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatRequest, Delta,
    FunctionDelta, ToolCallDelta,
};
use candor_wire::usage::Usage;

use super::checked::{self, Generation, Settings};
use super::grounded::Grounded;
use super::run::{Answers, now};
use super::{logprobs, sse};
use crate::{ApiError, App};

/// Continues a conversation.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "generation", request_body = ChatBody, responses((status = 200, description = "The answer; with `stream`, server-sent events that hold `ChatChunk` objects and end with `[DONE]`", content((ChatCompletion = "application/json"), (ChatChunk = "text/event-stream"))), super::openapi::Errors))]
pub(super) async fn chat(
    State(app): State<App>,
    Generation(request, options): Generation<ChatRequest>,
) -> Result<Response, ApiError> {
    let settings = checked::options(options, request.response_format.as_ref())?;
    checked::messages(&request.messages)?;
    let tools = request.tools.unwrap_or_default();
    let tool_choice = checked::tools(&tools, request.tool_choice)?;
    let max_tokens = request.max_completion_tokens.or(request.max_tokens);
    for (param, given) in [
        ("max_completion_tokens", request.max_completion_tokens),
        ("max_tokens", request.max_tokens),
    ] {
        if given == Some(0) {
            return Err(ApiError::param(param, format!("`{param}` must be at least 1; it is 0")));
        }
    }
    let logprobs = wanted_logprobs(request.logprobs, request.top_logprobs)?;

    let model = app.models.get(&request.model).await?;
    let can = model.abilities();
    if !can.chat {
        let message = format!(
            "`{}` has no chat template; use /v1/completions or another model",
            request.model
        );
        return Err(ApiError::param("model", message));
    }
    checked::abilities(can, &settings, logprobs.is_some())?;

    let head = Head {
        id: format!("chatcmpl-{}", uuid::Uuid::now_v7().simple()),
        created: now(),
        model: request.model,
        card: model.card(),
        one_call: request.parallel_tool_calls == Some(false) || matches!(tool_choice, ToolChoice::Function(_)),
        logprobs: logprobs.is_some(),
        tokens_as_ids: settings.tokens_as_ids,
        include_usage: settings.include_usage,
    };
    let grounded = match request.candor {
        Some(candor) => {
            let refused = [
                ("tools", !tools.is_empty()),
                ("n", settings.n > 1),
                ("logprobs", logprobs.is_some()),
                ("response_format", !matches!(settings.constraint, Constraint::None)),
            ];
            if let Some((param, _)) = refused.iter().find(|(_, given)| *given) {
                let message = format!(
                    "`{param}` cannot be honoured together with `candor`, whose answers are quotes; leave one of them out"
                );
                return Err(ApiError::param(*param, message));
            }
            Some(Grounded::new(&app, candor, "messages", &request.messages).await?)
        }
        None => None,
    };
    let prompt = Prompt::Chat {
        messages: request.messages,
        tools,
        tool_choice,
    };
    let requests = repeated(&settings, prompt, max_tokens, logprobs);
    let n = settings.n;
    if let (Some(grounded), Some(request)) = (grounded, requests.first()) {
        return grounded
            .respond(&app, model, request.clone(), head, settings.stream)
            .await;
    }
    let answers = Answers::start(model, requests, app.admit()?);
    if settings.stream {
        let started = vec![(false, 0); n];
        return sse::respond(
            &app,
            answers,
            Stream {
                head,
                started,
                usage: Usage::new(0, 0, 0),
            },
        )
        .await;
    }
    Ok(Json(whole(head, answers, n).await?).into_response())
}

fn wanted_logprobs(logprobs: Option<bool>, top: Option<u32>) -> Result<Option<u32>, ApiError> {
    let top = checked::within("top_logprobs", top.unwrap_or(0), 0, 20)?;
    match logprobs {
        Some(true) => Ok(Some(top)),
        _ if top > 0 => Err(ApiError::param("top_logprobs", "`top_logprobs` needs `logprobs: true`")),
        _ => Ok(None),
    }
}

/// `n` requests that differ only in their seeds.
fn repeated(
    settings: &Settings,
    prompt: Prompt,
    max_tokens: Option<u32>,
    logprobs: Option<u32>,
) -> Vec<GenerateRequest> {
    let numbered = |number: u64| {
        let (mut sampling, mut stop) = (settings.sampling.clone(), settings.stop.clone());
        sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(number));
        stop.max_tokens = max_tokens.map(|most| most as usize);
        GenerateRequest {
            prompt: prompt.clone(),
            sampling,
            stop,
            constraint: settings.constraint.clone(),
            logprobs,
            prompt_logprobs: None,
            affinity: settings.affinity.clone(),
        }
    };
    (0..settings.n as u64).map(numbered).collect()
}

/// What all parts of an answer have in common.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) card: ModelCard,
    /// Only the first tool call of an answer counts.
    one_call: bool,
    logprobs: bool,
    tokens_as_ids: bool,
    pub(super) include_usage: bool,
}

pub(super) fn fingerprint(card: &ModelCard) -> Option<String> {
    (!card.fingerprint.is_empty()).then(|| card.fingerprint.clone())
}

/// As the API spells it.
pub(super) fn finish_reason(reason: FinishReason) -> String {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
    .into()
}

/// Adds one generation's counts; the prompt is the same in all and counts once.
fn add(usage: &mut Usage, number: usize, of: candor_engine::Usage) {
    let (prompt, cached) = match &usage.prompt_tokens_details {
        Some(details) if number > 0 => (usage.prompt_tokens, details.cached_tokens),
        _ => (of.prompt_tokens, of.cached_tokens),
    };
    *usage = Usage::new(prompt, cached, usage.completion_tokens + of.completion_tokens);
}

async fn whole(head: Head, mut answers: Answers, n: usize) -> Result<ChatCompletion, ApiError> {
    let mut usage = Usage::new(0, 0, 0);
    let mut choices: Vec<ChatChoice> = (0..n).map(|index| empty_choice(index, head.logprobs)).collect();
    let mut texts = vec![String::new(); n];
    while let Some(event) = answers.next().await {
        let (number, event) = event?;
        let (Some(choice), Some(text)) = (choices.get_mut(number), texts.get_mut(number)) else {
            continue;
        };
        match event {
            Event::Prompt(_) => {}
            Event::Text { text: more, tokens } => {
                text.push_str(&more);
                if let Some(collected) = &mut choice.logprobs {
                    collected
                        .content
                        .append(&mut logprobs::chat(&tokens, head.tokens_as_ids).content);
                }
            }
            Event::ToolCall(call) => add_call(&mut choice.message, call, head.one_call),
            Event::Finish { reason, usage: took } => {
                choice.finish_reason = finish_reason(reason);
                add(&mut usage, number, took);
            }
        }
    }
    for (choice, text) in choices.iter_mut().zip(texts) {
        if choice.finish_reason.is_empty() {
            let message = "the model stopped without saying why; try again".into();
            return Err(candor_engine::EngineError::Internal { message }.into());
        }
        choice.message.content = (!text.is_empty() || choice.message.tool_calls.is_none()).then_some(text);
    }
    Ok(ChatCompletion {
        system_fingerprint: fingerprint(&head.card),
        id: head.id,
        object: "chat.completion".into(),
        created: head.created,
        model: head.model,
        choices,
        usage,
        candor: None,
    })
}

fn empty_choice(index: usize, logprobs: bool) -> ChatChoice {
    let message = AssistantMessage {
        role: "assistant".into(),
        ..AssistantMessage::default()
    };
    ChatChoice {
        index,
        message,
        logprobs: logprobs.then(Default::default),
        finish_reason: String::new(),
    }
}

fn add_call(message: &mut AssistantMessage, call: ToolCall, one_call: bool) {
    let calls = message.tool_calls.get_or_insert_default();
    if !one_call || calls.is_empty() {
        calls.push(call);
    }
}

/// A streamed answer: whether each choice has begun, and how many calls it has made.
struct Stream {
    head: Head,
    started: Vec<(bool, usize)>,
    usage: Usage,
}

impl Stream {
    fn chunk(&self, choices: Vec<ChatChunkChoice>, usage: Option<Usage>) -> ChatChunk {
        ChatChunk {
            id: self.head.id.clone(),
            object: "chat.completion.chunk".into(),
            created: self.head.created,
            model: self.head.model.clone(),
            system_fingerprint: fingerprint(&self.head.card),
            choices,
            usage: self.head.include_usage.then_some(usage),
            candor: None,
        }
    }

    fn part(&self, index: usize, delta: Delta) -> ChatChunk {
        self.chunk(
            vec![ChatChunkChoice {
                index,
                delta,
                ..ChatChunkChoice::default()
            }],
            None,
        )
    }
}

impl sse::Chunks for Stream {
    type Chunk = ChatChunk;

    fn event(&mut self, number: usize, event: Event) -> Vec<ChatChunk> {
        let mut chunks = Vec::new();
        let Some((begun, calls)) = self.started.get(number).copied() else {
            return chunks;
        };
        if !begun {
            let delta = Delta {
                role: Some("assistant".into()),
                content: Some(String::new()),
                ..Delta::default()
            };
            chunks.push(self.part(number, delta));
        }
        let mut calls_now = calls;
        match event {
            Event::Prompt(_) => {}
            Event::Text { text, tokens } if text.is_empty() && (tokens.is_empty() || !self.head.logprobs) => {}
            Event::Text { text, tokens } => {
                let logprobs = self
                    .head
                    .logprobs
                    .then(|| logprobs::chat(&tokens, self.head.tokens_as_ids));
                let delta = Delta {
                    content: Some(text),
                    ..Delta::default()
                };
                chunks.push(self.chunk(
                    vec![ChatChunkChoice {
                        index: number,
                        delta,
                        logprobs,
                        finish_reason: None,
                    }],
                    None,
                ));
            }
            Event::ToolCall(_) if self.head.one_call && calls > 0 => {}
            Event::ToolCall(call) => {
                calls_now += 1;
                chunks.push(self.part(number, call_delta(calls, call)));
            }
            Event::Finish { reason, usage } => {
                add(&mut self.usage, number, usage);
                let finish_reason = Some(finish_reason(reason));
                chunks.push(self.chunk(
                    vec![ChatChunkChoice {
                        index: number,
                        finish_reason,
                        ..ChatChunkChoice::default()
                    }],
                    None,
                ));
            }
        }
        if let Some(state) = self.started.get_mut(number) {
            *state = (true, calls_now);
        }
        chunks
    }

    fn end(&mut self) -> Vec<ChatChunk> {
        if !self.head.include_usage {
            return Vec::new();
        }
        vec![self.chunk(Vec::new(), Some(self.usage.clone()))]
    }
}

fn call_delta(index: usize, call: ToolCall) -> Delta {
    let function = FunctionDelta {
        name: Some(call.function.name),
        arguments: Some(call.function.arguments),
    };
    let call = ToolCallDelta {
        index,
        id: Some(call.id),
        kind: Some(call.kind),
        function: Some(function),
    };
    Delta {
        tool_calls: Some(vec![call]),
        ..Delta::default()
    }
}
