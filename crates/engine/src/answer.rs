//! One request's answer: chooses tokens, turns them into text and tool calls, and knows when to stop. It computes
//! nothing and knows neither pages nor other requests.

use std::collections::HashSet;
use std::sync::Arc;

use candor_wire::chat::{FunctionCall, ToolCall};
use llguidance::Matcher;
use tokio::sync::mpsc::UnboundedSender;

use crate::lexicon::Lexicon;
use crate::sampling::{Logprobs, Sampler, describe};
use crate::stop::{Released, TextStream};
use crate::tools::{Piece, ToolParser};
use crate::{EngineError, Event, FinishReason, Stop, TokenLogprob, Usage};

/// Where a request's events go. Closed when nobody listens any more.
pub(crate) type Events = UnboundedSender<Result<Event, EngineError>>;

/// What an answer is made with.
pub(crate) struct AnswerParts {
    pub(crate) lexicon: Arc<dyn Lexicon>,
    pub(crate) sampler: Sampler,
    pub(crate) matcher: Option<Matcher>,
    pub(crate) tools: Option<ToolParser>,
    pub(crate) stop: Stop,
    pub(crate) logprobs: Option<u32>,
    pub(crate) prompt_logprobs: Option<usize>,
    pub(crate) events: Events,
}

/// A chosen token.
pub(crate) struct Choice {
    token: u32,
    report: Option<TokenLogprob>,
}

/// The answer so far.
pub(crate) struct Answer {
    parts: AnswerParts,
    text: TextStream,
    ends: HashSet<u32>,
    generated: usize,
    calls: usize,
}

impl Answer {
    /// An empty answer.
    pub(crate) fn new(parts: AnswerParts) -> Self {
        let own: &[u32] = if parts.stop.ignore_eos {
            &[]
        } else {
            parts.lexicon.ends()
        };
        let ends = own.iter().chain(&parts.stop.tokens).copied().collect();
        Self {
            text: TextStream::new(&parts.stop.strings),
            ends,
            parts,
            generated: 0,
            calls: 0,
        }
    }

    /// Whether nobody listens any more.
    pub(crate) fn abandoned(&self) -> bool {
        self.parts.events.is_closed()
    }

    /// From which token on the prompt's own log-probabilities are asked for.
    pub(crate) fn wants_prompt(&self) -> Option<usize> {
        self.parts.prompt_logprobs
    }

    /// Whether a token is to be generated at all.
    pub(crate) fn wants_tokens(&self) -> bool {
        self.parts.stop.max_tokens != Some(0)
    }

    /// How many tokens the request's own limit leaves.
    pub(crate) fn left(&self) -> usize {
        let max = self.parts.stop.max_tokens.unwrap_or(usize::MAX);
        max.saturating_sub(self.generated)
    }

    /// A prompt token as it is reported; `row` is the distribution that predicted it.
    pub(crate) fn prompt_token(&self, id: u32, row: Option<&[f32]>) -> TokenLogprob {
        let top = self.parts.logprobs.unwrap_or(0) as usize;
        describe(id, row.map(Logprobs::new).as_ref(), top, &*self.parts.lexicon)
    }

    /// Reports the prompt.
    pub(crate) fn send_prompt(&self, tokens: Vec<TokenLogprob>) {
        self.send(Event::Prompt(tokens));
    }

    /// Chooses the next token after `history`; the logits are used up.
    ///
    /// # Errors
    /// If no token can follow: the model computed no number, or the constraint allows nothing.
    pub(crate) fn choose(&mut self, logits: &mut [f32], history: &[u32]) -> Result<Choice, EngineError> {
        let parts = &mut self.parts;
        let raw = parts.logprobs.map(|_| logits.to_vec());
        let mask = parts
            .matcher
            .as_mut()
            .map(Matcher::compute_mask_or_eos)
            .transpose()
            .map_err(|error| {
                let message = format!("the constraint became too complex for this answer: {error:#}; simplify it");
                EngineError::Invalid { param: None, message }
            })?;
        let token = parts.sampler.sample(logits, history, mask.as_ref()).ok_or_else(|| EngineError::Internal {
            message: "the model computed no usable number for the next token; the model file may be damaged, `candor doctor` checks it".into(),
        })?;
        if let Some(matcher) = &mut parts.matcher {
            matcher.consume_token(token).map_err(|error| EngineError::Internal {
                message: format!("the constraint refused a token that it had allowed: {error:#}"),
            })?;
        }
        let top = parts.logprobs.unwrap_or(0) as usize;
        let report = raw.map(|raw| describe(token, Some(&Logprobs::new(&raw)), top, &*parts.lexicon));
        Ok(Choice { token, report })
    }

    /// Adds a chosen token, sends what may be shown, and says whether the answer ends. `room` is what is left of the
    /// context after it.
    pub(crate) fn accept(&mut self, choice: Choice, room: usize) -> (u32, Option<FinishReason>) {
        let Choice { token, report } = choice;
        self.generated += 1;
        if self.ends.contains(&token) {
            // Who scores a prompt cuts the generated token off again, so there must be one.
            if self.parts.prompt_logprobs.is_some() {
                let released = self.text.push(&[], report);
                self.show(released, false);
            }
            return (token, Some(FinishReason::Stop));
        }
        let lexicon = &self.parts.lexicon;
        let bytes = lexicon.bytes(token);
        let shown = !lexicon.is_special(token)
            || self.parts.tools.is_some() && std::str::from_utf8(bytes).is_ok_and(ToolParser::is_marker);
        let released = self.text.push(if shown { bytes } else { &[] }, report);
        self.show(released, false);
        let used_up = self.left() == 0 || room == 0;
        let complete = self.parts.matcher.as_ref().is_some_and(Matcher::is_stopped);
        let reason = if self.text.stopped() || complete {
            Some(FinishReason::Stop)
        } else {
            used_up.then_some(FinishReason::Length)
        };
        (token, reason)
    }

    /// Sends the rest of the text and the end.
    pub(crate) fn finish(&mut self, reason: FinishReason, prompt_tokens: usize, cached_tokens: usize) {
        let rest = self.text.finish();
        self.show(rest, true);
        let reason = if self.calls > 0 && reason == FinishReason::Stop {
            FinishReason::ToolCalls
        } else {
            reason
        };
        let usage = Usage {
            prompt_tokens,
            cached_tokens,
            completion_tokens: self.generated,
        };
        self.send(Event::Finish { reason, usage });
    }

    /// Ends the answer with an error.
    pub(crate) fn fail(&self, error: EngineError) {
        let _ = self.parts.events.send(Err(error));
    }

    fn show(&mut self, released: Released, last: bool) {
        let Released { text, mut tokens } = released;
        let Some(parser) = &mut self.parts.tools else {
            if !text.is_empty() || !tokens.is_empty() {
                self.send(Event::Text { text, tokens });
            }
            return;
        };
        let mut pieces = parser.push(&text);
        if last {
            pieces.extend(parser.finish());
        }
        if !tokens.is_empty() && !pieces.iter().any(|piece| matches!(piece, Piece::Text(_))) {
            self.send(Event::Text {
                text: String::new(),
                tokens: std::mem::take(&mut tokens),
            });
        }
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.send(Event::Text {
                    text,
                    tokens: std::mem::take(&mut tokens),
                }),
                Piece::Call { name, arguments } => {
                    self.calls += 1;
                    let id = format!("call_{:024x}", rand::random::<u128>() >> 32);
                    let function = FunctionCall { name, arguments };
                    self.send(Event::ToolCall(ToolCall {
                        id,
                        kind: "function".into(),
                        function,
                    }));
                }
            }
        }
    }

    fn send(&self, event: Event) {
        // Nobody listens any more: the next step drops the request.
        let _ = self.parts.events.send(Ok(event));
    }
}
