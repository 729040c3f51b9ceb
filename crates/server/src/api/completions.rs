//! `POST /v1/completions`: plain text goes on. With `echo` and `logprobs` the prompt itself is scored, which is what
//! evaluation harnesses use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use candor_engine::{Event, GenerateRequest, Generator, Prompt};
use candor_wire::completions::{Completion, CompletionBody, CompletionChoice, CompletionPrompt, CompletionRequest};
use candor_wire::usage::Usage;

use super::chat::finish_reason;
use super::checked::{self, Generation, Settings};
use super::logprobs::Lists;
use super::run::{Answers, now};
use super::sse;
use crate::{ApiError, App};

/// Most prompts in one request.
const MOST_PROMPTS: usize = 128;
/// What OpenAI's route writes where nothing is asked for.
const DEFAULT_TOKENS: u32 = 16;

/// Continues text.
#[utoipa::path(post, path = "/v1/completions", tag = "generation", request_body = CompletionBody, responses((status = 200, description = "The answer; with `stream`, server-sent events of the same shape that end with `[DONE]`", content((Completion = "application/json"), (Completion = "text/event-stream"))), super::openapi::Errors))]
pub(super) async fn completions(
    State(app): State<App>,
    Generation(request, options): Generation<CompletionRequest>,
) -> Result<Response, ApiError> {
    let settings = checked::options(options, None)?;
    let logprobs = request
        .logprobs
        .map(|best| checked::within("logprobs", best, 0, 20))
        .transpose()?;
    let prompts = prompts(request.prompt)?;
    if prompts.len() * settings.n > MOST_PROMPTS {
        let message = format!(
            "prompts times `n` must be at most {MOST_PROMPTS}; it is {}",
            prompts.len() * settings.n
        );
        return Err(ApiError::param("n", message));
    }
    let model = app.models.get(&request.model).await?;
    let can = model.abilities();
    if !can.generate {
        return Err(ApiError::param(
            "model",
            format!("`{}` makes embeddings and no text", request.model),
        ));
    }
    checked::abilities(can, &settings, logprobs.is_some())?;
    let permit = app.admit()?;

    let echo = request.echo.unwrap_or(false);
    let mut requests = Vec::new();
    let mut slots = Vec::new();
    for prompt in prompts {
        let text = if echo {
            shown(model.as_ref(), &prompt).await?
        } else {
            String::new()
        };
        let prompt = tokenized(&model, prompt, request.parse_special, request.add_special_tokens).await?;
        for number in 0..settings.n {
            slots.push(Slot {
                echo: text.clone(),
                first: number == 0,
                lists: Lists::default(),
                begun: false,
            });
            let most = request.max_tokens.unwrap_or(DEFAULT_TOKENS) as usize;
            requests.push(generation(
                &settings,
                prompt.clone(),
                most,
                logprobs,
                echo,
                number as u64,
            ));
        }
    }
    let card = model.card();
    let answer = Answer {
        id: format!("cmpl-{}", uuid::Uuid::now_v7().simple()),
        created: now(),
        model: request.model,
        fingerprint: (!card.fingerprint.is_empty()).then_some(card.fingerprint),
        slots,
        echo,
        logprobs: logprobs.is_some(),
        tokens_as_ids: settings.tokens_as_ids,
        include_usage: settings.include_usage,
        usage: Usage::new(0, 0, 0),
    };
    let answers = Answers::start(model, requests, permit);
    if settings.stream {
        return sse::respond(&app, answers, answer).await;
    }
    Ok(Json(whole(answer, answers).await?).into_response())
}

fn prompts(prompt: CompletionPrompt) -> Result<Vec<Prompt>, ApiError> {
    let prompts: Vec<Prompt> = match prompt {
        CompletionPrompt::Text(text) => vec![Prompt::Text(text)],
        CompletionPrompt::Texts(texts) => texts.into_iter().map(Prompt::Text).collect(),
        CompletionPrompt::Tokens(ids) => vec![Prompt::Tokens(ids)],
        CompletionPrompt::TokenArrays(arrays) => arrays.into_iter().map(Prompt::Tokens).collect(),
    };
    if prompts.is_empty() || prompts.len() > MOST_PROMPTS {
        let message = format!(
            "`prompt` holds {} prompts; send between 1 and {MOST_PROMPTS}",
            prompts.len()
        );
        return Err(ApiError::param("prompt", message));
    }
    if prompts
        .iter()
        .any(|prompt| matches!(prompt, Prompt::Tokens(ids) if ids.is_empty()))
    {
        return Err(ApiError::param("prompt", "a prompt has no tokens; send at least one"));
    }
    Ok(prompts)
}

/// The text that `echo` gives back.
async fn shown(model: &dyn Generator, prompt: &Prompt) -> Result<String, ApiError> {
    Ok(match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens(ids) => String::from_utf8_lossy(&model.detokenize(ids).await?).into_owned(),
        Prompt::Chat { .. } => String::new(),
    })
}

/// A text prompt with special tokens, or without the model's BOS rule, becomes token ids here.
async fn tokenized(
    model: &Arc<dyn Generator>,
    prompt: Prompt,
    special: Option<bool>,
    add: Option<bool>,
) -> Result<Prompt, ApiError> {
    let (special, add) = (special.unwrap_or(false), add.unwrap_or(true));
    match prompt {
        Prompt::Text(text) if special || !add => {
            if !model.abilities().tokens {
                let param = if special { "parse_special" } else { "add_special_tokens" };
                let message = format!("this model's server does not tokenize for others; leave `{param}` out");
                return Err(ApiError::param(param, message));
            }
            let ids = model.tokenize(&text, special, add).await?.ids;
            if ids.is_empty() {
                return Err(ApiError::param("prompt", "the prompt is empty; send some text"));
            }
            Ok(Prompt::Tokens(ids))
        }
        prompt => Ok(prompt),
    }
}

fn generation(
    settings: &Settings,
    prompt: Prompt,
    most: usize,
    logprobs: Option<u32>,
    echo: bool,
    number: u64,
) -> GenerateRequest {
    let (mut sampling, mut stop) = (settings.sampling.clone(), settings.stop.clone());
    sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(number));
    stop.max_tokens = Some(most);
    GenerateRequest {
        prompt,
        sampling,
        stop,
        constraint: settings.constraint.clone(),
        logprobs,
        prompt_logprobs: (echo && logprobs.is_some()).then_some(0),
        affinity: settings.affinity.clone(),
    }
}

/// One choice in the making.
struct Slot {
    /// The prompt's text, where it is given back.
    echo: String,
    /// Whether this is the prompt's first answer, which counts its tokens.
    first: bool,
    lists: Lists,
    begun: bool,
}

/// An answer in the making.
struct Answer {
    id: String,
    created: u64,
    model: String,
    fingerprint: Option<String>,
    slots: Vec<Slot>,
    echo: bool,
    logprobs: bool,
    tokens_as_ids: bool,
    include_usage: bool,
    usage: Usage,
}

impl Answer {
    /// What an event adds to its choice: text, and why it ended.
    fn take(&mut self, number: usize, event: Event) -> Option<(String, Option<String>)> {
        let slot = self.slots.get_mut(number)?;
        let mut text = String::new();
        if self.echo && !slot.begun && !matches!(event, Event::Prompt(_)) {
            text.push_str(&slot.echo);
        }
        match event {
            Event::Prompt(tokens) => {
                if self.echo && self.logprobs {
                    slot.lists.push_prompt(&tokens, self.tokens_as_ids, &slot.echo);
                }
                None
            }
            Event::Text { text: more, tokens } => {
                slot.begun = true;
                text.push_str(&more);
                if self.logprobs {
                    slot.lists.push(&tokens, self.tokens_as_ids);
                }
                Some((text, None))
            }
            Event::ToolCall(_) => None,
            Event::Finish { reason, usage } => {
                slot.begun = true;
                let details = self.usage.prompt_tokens_details.take().unwrap_or_default();
                let (prompt, cached) = if slot.first {
                    (usage.prompt_tokens, usage.cached_tokens)
                } else {
                    (0, 0)
                };
                self.usage = Usage::new(
                    self.usage.prompt_tokens + prompt,
                    details.cached_tokens + cached,
                    self.usage.completion_tokens + usage.completion_tokens,
                );
                Some((text, Some(finish_reason(reason))))
            }
        }
    }

    fn completion(&self, choices: Vec<CompletionChoice>, usage: Option<Usage>) -> Completion {
        Completion {
            id: self.id.clone(),
            object: "text_completion".into(),
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: self.fingerprint.clone(),
            choices,
            usage,
        }
    }
}

async fn whole(mut answer: Answer, mut answers: Answers) -> Result<Completion, ApiError> {
    let mut done: Vec<(String, Option<String>)> = vec![Default::default(); answer.slots.len()];
    while let Some(event) = answers.next().await {
        let (number, event) = event?;
        let Some((text, reason)) = answer.take(number, event) else {
            continue;
        };
        if let Some(choice) = done.get_mut(number) {
            choice.0.push_str(&text);
            choice.1 = reason.or(choice.1.take());
        }
    }
    if done.iter().any(|(_, reason)| reason.is_none()) {
        let message = "the model stopped without saying why; try again".into();
        return Err(candor_engine::EngineError::Internal { message }.into());
    }
    let choice = |(index, ((text, finish_reason), slot)): (usize, ((String, Option<String>), &mut Slot))| {
        let logprobs = answer.logprobs.then(|| slot.lists.take());
        CompletionChoice {
            index,
            text,
            logprobs,
            finish_reason,
        }
    };
    let choices = done
        .into_iter()
        .zip(&mut answer.slots)
        .enumerate()
        .map(choice)
        .collect();
    Ok(answer.completion(choices, Some(answer.usage.clone())))
}

impl sse::Chunks for Answer {
    type Chunk = Completion;

    fn event(&mut self, number: usize, event: Event) -> Vec<Completion> {
        let Some((text, finish_reason)) = self.take(number, event) else {
            return Vec::new();
        };
        let collected = if self.logprobs {
            self.slots.get_mut(number).map(|slot| slot.lists.take())
        } else {
            None
        };
        let logprobs = collected.filter(|lists| !lists.tokens.is_empty());
        if text.is_empty() && logprobs.is_none() && finish_reason.is_none() {
            return Vec::new();
        }
        vec![self.completion(
            vec![CompletionChoice {
                index: number,
                text,
                logprobs,
                finish_reason,
            }],
            None,
        )]
    }

    fn end(&mut self) -> Vec<Completion> {
        if !self.include_usage {
            return Vec::new();
        }
        vec![self.completion(Vec::new(), Some(self.usage.clone()))]
    }
}
