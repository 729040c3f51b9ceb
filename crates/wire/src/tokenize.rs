//! `/tokenize` and `/detokenize` in vLLM's shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::chat::{Message, Tool};

/// What to tokenize: a text, or a conversation. Exactly one of `prompt` and `messages` is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenizeRequest {
    /// Which model's tokenizer; may be left out where there is one model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A conversation, rendered with the model's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
    /// Functions offered in the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Whether the model's BOS rule applies. Default: true for `prompt`, false for `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_special_tokens: Option<bool>,
    /// Whether special tokens written in the text are taken as such. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse_special: Option<bool>,
    /// Whether an assistant turn is opened after the last message. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_generation_prompt: Option<bool>,
    /// Whether `token_strs` is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_token_strs: Option<bool>,
}

/// Token ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenizeResponse {
    /// How many.
    pub count: usize,
    /// The model's context in tokens, where known.
    #[schema(required)]
    pub max_model_len: Option<usize>,
    /// The ids.
    pub tokens: Vec<u32>,
    /// Their text, where asked for.
    #[schema(required)]
    pub token_strs: Option<Vec<String>>,
}

/// What a client must know of a tokenizer to use `/tokenize` in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenizerInfo {
    /// Always `CandorTokenizer`.
    pub tokenizer_class: String,
    /// The text of the token before every plain text, where there is one.
    #[schema(required)]
    pub bos_token: Option<String>,
    /// The text of the token that ends an answer.
    #[schema(required)]
    pub eos_token: Option<String>,
    /// Always absent: prompts are not padded.
    #[schema(required)]
    pub pad_token: Option<String>,
    /// The chat template's source, in Jinja.
    #[schema(required)]
    pub chat_template: Option<String>,
    /// The model's context in tokens, where known.
    #[schema(required)]
    pub model_max_length: Option<usize>,
}

/// Tokens to turn into text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DetokenizeRequest {
    /// Which model's tokenizer; may be left out where there is one model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The ids.
    pub tokens: Vec<u32>,
}

/// Text of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DetokenizeResponse {
    /// The text; bytes that are no UTF-8 become U+FFFD.
    pub prompt: String,
}
