//! `/v1/chat/completions`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::candor::{CandorAnswer, CandorRequest};
use crate::chat::{Message, Tool, ToolCall};
use crate::options::Options;
use crate::usage::Usage;

/// A conversation to continue; the fields of [`Options`] stand beside these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// A model's name.
    pub model: String,
    /// Turns, oldest first.
    #[schema(min_items = 1)]
    pub messages: Vec<Message>,
    /// At most this many new tokens. Default: the rest of the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_completion_tokens: Option<u32>,
    /// The older name of `max_completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_tokens: Option<u32>,
    /// Report log-probabilities of the answer's tokens. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// And of this many best ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<u32>,
    /// Functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 128)]
    pub tools: Option<Vec<Tool>>,
    /// Whether it may, must or must not call one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoiceField>,
    /// Whether it may call several at once. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// What the answer must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Any notes of the caller; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Answer from sources, with quotes, or abstain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candor: Option<CandorRequest>,
}

/// A chat request as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChatBody {
    /// The route's own fields.
    #[serde(flatten)]
    pub request: ChatRequest,
    /// The common ones.
    #[serde(flatten)]
    pub options: Options,
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected `none`, `auto`, `required`, or {\"type\": \"function\", \"function\": {\"name\": …}}"
)]
pub enum ToolChoiceField {
    /// One of three words.
    Mode(ToolChoiceMode),
    /// A function that must be called.
    Named(NamedToolChoice),
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoiceMode {
    /// Must not.
    None,
    /// May.
    Auto,
    /// Must call at least one.
    Required,
}

/// A function that must be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamedToolChoice {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: FunctionTag,
    /// Which.
    pub function: FunctionName,
}

/// The word `function`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FunctionTag {
    /// The only one.
    #[default]
    Function,
}

/// A function's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

/// What the answer must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Anything.
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema and its name.
        json_schema: JsonSchemaFormat,
    },
}

/// A named JSON schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JsonSchemaFormat {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it is for; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema. Default: any JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Accepted; output always fits the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A chat completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletion {
    /// Names the answer.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model.
    pub model: String,
    /// Names model file and kernel version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub system_fingerprint: Option<String>,
    /// The answers.
    pub choices: Vec<ChatChoice>,
    /// Tokens counted.
    pub usage: Usage,
    /// How the answer came about, where `candor` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub candor: Option<CandorAnswer>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatChoice {
    /// Which one.
    pub index: usize,
    /// The turn.
    pub message: AssistantMessage,
    /// Log-probabilities, where asked for.
    #[schema(required)]
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: String,
}

/// The turn that a model answers with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AssistantMessage {
    /// Always `assistant`.
    pub role: String,
    /// The text; absent where there are only tool calls.
    #[schema(required)]
    pub content: Option<String>,
    /// Always absent: refusals are ordinary text here.
    #[serde(default)]
    #[schema(required)]
    pub refusal: Option<String>,
    /// Citations, where `candor` was asked for; else empty.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
    /// Calls of tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// Log-probabilities of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatLogprobs {
    /// One entry per token of the text.
    pub content: Vec<ChatTokenLogprob>,
    /// Always absent.
    #[serde(default)]
    #[schema(required)]
    pub refusal: Option<Vec<ChatTokenLogprob>>,
}

/// A token of an answer with its log-probability and the best alternatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatTokenLogprob {
    /// Its text.
    pub token: String,
    /// ln p; -9999 where it is too small to say.
    pub logprob: f32,
    /// Its bytes.
    #[schema(required)]
    pub bytes: Option<Vec<u8>>,
    /// The best alternatives, best first.
    #[serde(default)]
    pub top_logprobs: Vec<TopLogprob>,
}

/// One alternative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// ln p.
    pub logprob: f32,
    /// Its bytes.
    #[schema(required)]
    pub bytes: Option<Vec<u8>>,
}

/// One event of a streamed chat completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatChunk {
    /// Names the answer; the same in all its events.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model.
    pub model: String,
    /// Names model file and kernel version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// What is new; empty in the event that holds the usage.
    pub choices: Vec<ChatChunkChoice>,
    /// Where usage was asked for: `null`, and the counts in the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// How the answer came about, in the last event of an answer, where `candor` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candor: Option<CandorAnswer>,
}

/// What is new in one answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatChunkChoice {
    /// Which answer.
    pub index: usize,
    /// The new part.
    pub delta: Delta,
    /// Log-probabilities of the new tokens, where asked for.
    #[serde(default)]
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls`, in the answer's last event.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// The new part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    /// `assistant`, in the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text to append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Tool calls to append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// Citations, in the last event of an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
}

/// A tool call, or a part of one, by its number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDelta {
    /// Which call of the answer.
    #[serde(default)]
    pub index: usize,
    /// Names the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Always `function`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionDelta>,
}

/// A function's name and more of its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionDelta {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Arguments to append, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}
