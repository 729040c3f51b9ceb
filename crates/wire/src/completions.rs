//! `/v1/completions`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::options::Options;
use crate::usage::Usage;

/// What to continue; the fields of [`Options`] stand beside these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// A model's name.
    pub model: String,
    /// The prompt or prompts.
    pub prompt: CompletionPrompt,
    /// At most this many new tokens; 0 with `echo` only scores the prompt. Default: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Give the prompt back before the answer. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// Report log-probabilities: of each token, and of this many best ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub logprobs: Option<u32>,
    /// Whether the model's BOS rule applies to a text prompt. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_special_tokens: Option<bool>,
    /// Whether special tokens written in a text prompt are taken as such, as in a rendered chat. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse_special: Option<bool>,
}

/// A completion request as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CompletionBody {
    /// The route's own fields.
    #[serde(flatten)]
    pub request: CompletionRequest,
    /// The common ones.
    #[serde(flatten)]
    pub options: Options,
}

/// One prompt or several, as text or as token ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a string, an array of strings, token ids, or an array of arrays of token ids"
)]
pub enum CompletionPrompt {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One prompt's token ids.
    Tokens(Vec<u32>),
    /// Several prompts' token ids.
    TokenArrays(Vec<Vec<u32>>),
}

/// A completion, or one event of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// Names the answer.
    pub id: String,
    /// Always `text_completion`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model.
    pub model: String,
    /// Names model file and kernel version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub system_fingerprint: Option<String>,
    /// One entry per prompt and answer.
    pub choices: Vec<CompletionChoice>,
    /// Tokens counted; in a stream only in its last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One answer to one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    /// Prompt number times `n`, plus answer number.
    pub index: usize,
    /// The text.
    pub text: String,
    /// Log-probabilities, where asked for.
    #[schema(required)]
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop` or `length`; absent while a stream goes on.
    #[schema(required)]
    pub finish_reason: Option<String>,
}

/// Log-probabilities in the shape of plain completions: four lists of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    /// The tokens' text; `bytes:\xe4` where a token is no text on its own.
    pub tokens: Vec<String>,
    /// ln p of each; none for a prompt's first token.
    pub token_logprobs: Vec<Option<f32>>,
    /// The best alternatives, and the token itself.
    #[schema(value_type = Vec<Option<Object>>)]
    pub top_logprobs: Vec<Option<Map<String, Value>>>,
    /// Where each token begins in `text`, in characters.
    pub text_offset: Vec<usize>,
}
