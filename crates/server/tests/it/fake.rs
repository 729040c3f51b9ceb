//! A generator without a model, for tests of the server: it says `Hello there.` byte by byte, and misbehaves on demand
//! when the prompt ends with a word in capitals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use candor_engine::{
    Abilities, Constraint, EmbedInput, Embeddings, EngineError, Event, EventStream, FinishReason, GenerateRequest,
    Generator, ModelCard, Prompt, TokenLogprob, Tokenized, Usage,
};
use candor_wire::chat::{FunctionCall, Message, Tool, ToolCall, ToolChoice};
use futures::stream::{self, StreamExt};

/// The id of the token before every text.
const BOS: u32 = 256;
const CONTEXT: usize = 4096;

/// One model that is both a decoder and an encoder.
#[derive(Debug, Default, Clone)]
pub struct Fake {
    /// Generations that were dropped or came to their end.
    pub ended: Arc<AtomicUsize>,
    /// Text tokens handed out.
    pub sent: Arc<AtomicUsize>,
}

struct Ends(Arc<AtomicUsize>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bytes_of(id: u32) -> Vec<u8> {
    u8::try_from(id).map_or_else(|_| b"<s>".to_vec(), |byte| vec![byte])
}

fn scored(id: u32, best: u32, first: bool) -> TokenLogprob {
    let bytes = bytes_of(id);
    let top = (0..best)
        .map(|rank| (Some(rank + 97), bytes_of(rank + 97), -0.25 - rank as f32))
        .collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let top = if first { Vec::new() } else { top };
    TokenLogprob {
        id: Some(id),
        text,
        bytes,
        logprob: (!first).then_some(-1.5),
        top,
    }
}

fn invalid(message: &str) -> EngineError {
    EngineError::Invalid {
        param: Some("prompt".into()),
        message: message.into(),
    }
}

impl Fake {
    fn ids(text: &str, bos: bool) -> Vec<u32> {
        bos.then_some(BOS)
            .into_iter()
            .chain(text.bytes().map(u32::from))
            .collect()
    }

    fn call(request: &GenerateRequest, text: &str) -> Option<String> {
        let Prompt::Chat { tools, tool_choice, .. } = &request.prompt else {
            return None;
        };
        let first = || tools.first().map(|tool| tool.function.name.clone());
        match tool_choice {
            ToolChoice::None => None,
            ToolChoice::Auto => text.contains("weather").then(first).flatten(),
            ToolChoice::Required => first(),
            ToolChoice::Function(name) => Some(name.clone()),
        }
    }

    fn answer(request: &GenerateRequest) -> String {
        match &request.constraint {
            Constraint::None | Constraint::Lark(_) | Constraint::Substring(_) => "Hello there.".into(),
            Constraint::JsonObject | Constraint::JsonSchema(_) => "{\"ok\": true}".into(),
            Constraint::Regex(regex) => regex.clone(),
            Constraint::Choice(choices) => choices[0].clone(),
        }
    }
}

#[async_trait::async_trait]
impl Generator for Fake {
    fn abilities(&self) -> Abilities {
        Abilities {
            generate: true,
            chat: true,
            embed: true,
            logprobs: true,
            constraints: true,
            tokens: true,
            exact_replay: true,
        }
    }

    fn card(&self) -> ModelCard {
        ModelCard {
            id: "fake".into(),
            context: Some(CONTEXT),
            fingerprint: "fp_fake".into(),
            sha256: None,
            owned_by: "candor".into(),
            created: 1_700_000_000,
            embedding_dim: Some(3),
        }
    }

    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError> {
        let (text, ids) = match &request.prompt {
            Prompt::Chat { messages, .. } => {
                let text = self.render(messages, &[], true).await?;
                let ids = Self::ids(&text, true);
                (
                    messages
                        .last()
                        .and_then(|m| m.content.as_ref())
                        .map(|c| c.text())
                        .unwrap_or_default(),
                    ids,
                )
            }
            Prompt::Text(text) => (text.clone(), Self::ids(text, true)),
            Prompt::Tokens(ids) => (String::new(), ids.clone()),
        };
        if ids.len() > CONTEXT {
            return Err(EngineError::TooLong {
                tokens: ids.len(),
                context: CONTEXT,
            });
        }
        if ids.iter().any(|&id| id > BOS) {
            return Err(invalid("a token id is not in the vocabulary"));
        }
        if text.ends_with("PANIC") {
            panic!("asked to");
        }
        if text.ends_with("OVERLOAD") {
            return Err(EngineError::Overloaded { retry_after_s: 7 });
        }
        if text.ends_with("MEMORY") {
            return Err(EngineError::Memory {
                message: "this needs 9 GB and 1 GB is free; use a smaller model".into(),
            });
        }
        let ends = Ends(self.ended.clone());
        let sent = self.sent.clone();
        let mut events: Vec<Result<Event, EngineError>> = Vec::new();
        if request.prompt_logprobs.is_some() {
            let tokens = ids.iter().enumerate();
            let best = request.logprobs.unwrap_or(0);
            events.push(Ok(Event::Prompt(
                tokens.map(|(i, &id)| scored(id, best, i == 0)).collect(),
            )));
        }
        if text.ends_with("FOREVER") || text.ends_with("FLOOD") {
            let (pause, piece) = if text.ends_with("FLOOD") {
                (0, "x".repeat(4096))
            } else {
                (5, "on ".to_owned())
            };
            let endless = stream::unfold((ends, sent), move |state| {
                let piece = piece.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    state.1.fetch_add(1, Ordering::SeqCst);
                    Some((
                        Ok(Event::Text {
                            text: piece,
                            tokens: Vec::new(),
                        }),
                        state,
                    ))
                }
            });
            return Ok(endless.boxed());
        }
        if text.ends_with("SLOW") {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        let most = request.stop.max_tokens.unwrap_or(usize::MAX);
        let mut usage = Usage {
            prompt_tokens: ids.len(),
            cached_tokens: 1,
            completion_tokens: 0,
        };
        let mut reason = FinishReason::Stop;
        if let Some(name) = Self::call(&request, &text) {
            let function = FunctionCall {
                name,
                arguments: "{\"location\":\"Paris\"}".into(),
            };
            for id in ["call_1", "call_2"] {
                let call = ToolCall {
                    id: id.into(),
                    kind: "function".into(),
                    function: function.clone(),
                };
                events.push(Ok(Event::ToolCall(call)));
            }
            usage.completion_tokens = 9;
            reason = FinishReason::ToolCalls;
        } else {
            let answer = Self::answer(&request);
            for byte in answer.bytes().take(most) {
                let scores = request.logprobs.map(|best| scored(byte.into(), best, false));
                let text = char::from(byte).to_string();
                events.push(Ok(Event::Text {
                    text,
                    tokens: scores.into_iter().collect(),
                }));
                usage.completion_tokens += 1;
            }
            if answer.len() > most {
                reason = FinishReason::Length;
            }
        }
        if text.ends_with("BREAK") {
            events.truncate(3);
            events.push(Err(EngineError::Internal {
                message: "the machine broke; look at its log".into(),
            }));
        } else if text.ends_with("LATER") {
            events.truncate(3);
            let rest = stream::once(async { panic!("asked to, later") });
            return Ok(stream::iter(events).chain(rest).boxed());
        } else {
            events.push(Ok(Event::Finish { reason, usage }));
        }
        let held = stream::iter(events).map(move |event| {
            let _ = (&ends, &sent);
            event
        });
        Ok(held.boxed())
    }

    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        let length = |input: &EmbedInput| match input {
            EmbedInput::Text(text) => text.len(),
            EmbedInput::Tokens(ids) => ids.len(),
        };
        let prompt_tokens = inputs.iter().map(length).sum();
        Ok(Embeddings {
            vectors: inputs.iter().map(|_| vec![1.0, 0.0, -0.5]).collect(),
            prompt_tokens,
        })
    }

    async fn tokenize(&self, text: &str, special: bool, bos: bool) -> Result<Tokenized, EngineError> {
        let mut ids = Self::ids("", bos);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("<s>").filter(|_| special) {
                ids.push(BOS);
                rest = after;
            } else {
                ids.extend(rest.as_bytes()[..c.len_utf8()].iter().copied().map(u32::from));
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(Tokenized {
            pieces: ids.iter().map(|&id| bytes_of(id)).collect(),
            ids,
        })
    }

    async fn detokenize(&self, ids: &[u32]) -> Result<Vec<u8>, EngineError> {
        if ids.iter().any(|&id| id > BOS) {
            return Err(EngineError::Invalid {
                param: Some("tokens".into()),
                message: "a token id is not in the vocabulary".into(),
            });
        }
        Ok(ids.iter().flat_map(|&id| bytes_of(id)).collect())
    }

    async fn render(&self, messages: &[Message], _: &[Tool], open: bool) -> Result<String, EngineError> {
        let turn = |m: &Message| {
            format!(
                "<{}>{}\n",
                m.role,
                m.content.as_ref().map(|c| c.text()).unwrap_or_default()
            )
        };
        Ok(messages.iter().map(turn).collect::<String>() + if open { "<assistant>" } else { "" })
    }
}
