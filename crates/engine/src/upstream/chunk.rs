//! An upstream's answer, piece by piece, as events: text, log-probabilities, tool calls that arrive in fragments,
//! usage. Pure: JSON in, events out. Numbers of calls and lengths of arguments are bounded.

use candor_wire::chat::{FunctionCall, ToolCall};
use serde::Deserialize;
use serde_json::Value;

use super::logprobs::Logprobs;
use crate::{Event, FinishReason, Usage};

/// Most tool calls in one answer.
const MAX_CALLS: usize = 128;
/// Longest arguments of one call.
const MAX_ARGUMENTS: usize = 1 << 20;

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
    /// `error` in older vLLM, where the message stands beside it.
    #[serde(default)]
    object: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<String>,
    /// In streams.
    #[serde(default)]
    delta: Option<Delta>,
    /// In whole answers.
    #[serde(default)]
    message: Option<Delta>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    /// A thought, by its older name; some servers send both.
    #[serde(default)]
    reasoning_content: Option<String>,
    /// A thought, by its newer name.
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Debug, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: Option<usize>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<usize>,
}

/// What went wrong inside an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ChunkError {
    /// The upstream reports an error: its HTTP-like code, if it says one, and its message.
    Reported(Option<u16>, String),
    /// It does not make sense.
    Garbage(String),
}

/// Puts an answer together.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    calls: Vec<ToolCall>,
    reason: Option<FinishReason>,
    usage: Option<WireUsage>,
    /// Pieces of text: the count of tokens where the upstream reports no usage.
    pieces: usize,
    reasoning: bool,
    finished: bool,
}

impl Assembler {
    /// Whether the answer is complete.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// Takes the `data` of one server-sent event.
    pub(super) fn data(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), ChunkError> {
        if self.finished || data.trim().is_empty() {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            return self.end(out);
        }
        self.json(data, out)
    }

    /// Takes a chunk, or a whole answer.
    pub(super) fn json(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), ChunkError> {
        let chunk: Chunk = serde_json::from_str(data).map_err(|e| {
            let start: String = data.chars().take(80).collect();
            ChunkError::Garbage(format!("`{start}` is not a chunk of an answer ({e})"))
        })?;
        if let Some(error) = &chunk.error {
            return Err(reported(error));
        }
        if chunk.object.as_deref() == Some("error") {
            return Err(
                serde_json::from_str(data).map_or(ChunkError::Reported(None, String::new()), |error| reported(&error))
            );
        }
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
        }
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(());
        };
        let delta = choice.delta.or(choice.message).unwrap_or_default();
        let mut text = String::new();
        if let Some(thought) = delta
            .reasoning
            .or(delta.reasoning_content)
            .filter(|thought| !thought.is_empty())
        {
            if !std::mem::replace(&mut self.reasoning, true) {
                text.push_str("<think>\n");
            }
            text.push_str(&thought);
        }
        if let Some(said) = delta.content.or(choice.text).filter(|said| !said.is_empty()) {
            if std::mem::replace(&mut self.reasoning, false) {
                text.push_str("\n</think>\n\n");
            }
            text.push_str(&said);
        }
        let tokens = choice.logprobs.map(Logprobs::tokens).unwrap_or_default();
        if !text.is_empty() || !tokens.is_empty() {
            self.pieces += tokens.len().max(1);
            out.push(Event::Text { text, tokens });
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, out)?;
        }
        if let Some(reason) = choice.finish_reason {
            self.reason = Some(match reason.as_str() {
                "length" => FinishReason::Length,
                "tool_calls" | "function_call" => FinishReason::ToolCalls,
                _ => FinishReason::Stop,
            });
        }
        Ok(())
    }

    fn call(&mut self, delta: CallDelta, out: &mut Vec<Event>) -> Result<(), ChunkError> {
        let index = delta.index.unwrap_or_else(|| {
            // Servers without indices send whole calls, each with its id.
            self.calls.len().saturating_sub(usize::from(delta.id.is_none()))
        });
        if index > self.calls.len() || index >= MAX_CALLS {
            return Err(ChunkError::Garbage(format!(
                "tool call {index} comes after {} others",
                self.calls.len()
            )));
        }
        if index == self.calls.len() {
            if let Some(last) = self.calls.last() {
                out.push(Event::ToolCall(last.clone()));
            }
            self.pieces += 1;
            let function = FunctionCall {
                name: String::new(),
                arguments: String::new(),
            };
            self.calls.push(ToolCall {
                id: String::new(),
                kind: "function".into(),
                function,
            });
        }
        let is_last = index + 1 == self.calls.len();
        let Some(call) = self.calls.get_mut(index).filter(|_| is_last) else {
            return Err(ChunkError::Garbage(format!(
                "tool call {index} goes on after the next one began"
            )));
        };
        if let Some(id) = delta.id.filter(|id| !id.is_empty()) {
            call.id = id;
        }
        if let Some(function) = delta.function {
            if let Some(name) = function.name.filter(|name| *name != call.function.name) {
                call.function.name.push_str(&name);
            }
            call.function
                .arguments
                .push_str(function.arguments.as_deref().unwrap_or_default());
        }
        if call.function.arguments.len() > MAX_ARGUMENTS || call.function.name.len() > 4096 {
            return Err(ChunkError::Garbage(format!(
                "a tool call's arguments are longer than {MAX_ARGUMENTS} bytes"
            )));
        }
        Ok(())
    }

    /// The stream ended, by `[DONE]` or by the connection's end.
    pub(super) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), ChunkError> {
        let Some(reason) = self.reason else {
            return Err(ChunkError::Garbage(
                "the answer breaks off without a `finish_reason`".into(),
            ));
        };
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        if std::mem::take(&mut self.reasoning) {
            out.push(Event::Text {
                text: "\n</think>\n\n".into(),
                tokens: Vec::new(),
            });
        }
        let called = self.calls.last().cloned();
        let reason = if called.is_some() && reason == FinishReason::Stop {
            FinishReason::ToolCalls
        } else {
            reason
        };
        out.extend(called.map(Event::ToolCall));
        out.push(Event::Finish {
            reason,
            usage: self.usage(),
        });
        Ok(())
    }

    /// Tokens counted by the upstream, or by us where it does not say.
    pub(super) fn usage(&self) -> Usage {
        let wire = self.usage.unwrap_or_default();
        Usage {
            prompt_tokens: wire.prompt_tokens,
            cached_tokens: wire
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens)
                .unwrap_or(0),
            completion_tokens: wire
                .completion_tokens
                .unwrap_or(if self.usage.is_some() { 0 } else { self.pieces }),
        }
    }
}

/// Code and message of an error in any of the shapes seen.
pub(super) fn reported(error: &Value) -> ChunkError {
    let inner = error.get("error").filter(|inner| inner.is_object()).unwrap_or(error);
    let message = ["message", "detail", "error"]
        .iter()
        .find_map(|key| inner.get(*key))
        .map_or_else(
            || inner.as_str().map_or_else(|| inner.to_string(), str::to_owned),
            |message| message.as_str().map_or_else(|| message.to_string(), str::to_owned),
        );
    let code = ["code", "status"].iter().find_map(|key| {
        let code = inner.get(*key)?;
        code.as_u64()
            .or_else(|| code.as_str()?.parse().ok())
            .and_then(|code| u16::try_from(code).ok())
    });
    ChunkError::Reported(code.filter(|code| (400..600).contains(code)), message)
}
