//! What chat and plain completions have in common: how to sample, when to stop, what the output must look like, how
//! the answer is sent. A server reads a body twice, once as the route's own request and once as [`Options`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Fields that both completion routes take. All are optional; `null` is the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Options {
    /// Randomness; 0 is greedy. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Sample from the most likely tokens that make up this mass. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Sample from this many most likely tokens; 0 and -1 are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1)]
    pub top_k: Option<i32>,
    /// Drop tokens less likely than this share of the likeliest. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub min_p: Option<f32>,
    /// Locally typical sampling. Default: 1 (off).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub typical_p: Option<f32>,
    /// Divides the logits of tokens seen already. Default: 1 (off).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 10)]
    pub repetition_penalty: Option<f32>,
    /// Lowers tokens that the answer has already. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
    /// Lowers tokens by how often the answer has them. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// Strength of the don't-repeat-yourself penalty. Default: 0 (off).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    pub dry_multiplier: Option<f32>,
    /// Its growth per repeated token. Default: 1.75.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub dry_base: Option<f32>,
    /// Repeats up to this length are free. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000000)]
    pub dry_allowed_length: Option<u32>,
    /// Strings that end a repeat. Default: newline, colon, quote, asterisk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 64)]
    pub dry_sequence_breakers: Option<Vec<String>>,
    /// Token id (as a string) to a number that is added to its logit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<Map<String, Value>>,
    /// Same seed, same request, same text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How many answers. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 128)]
    pub n: Option<u32>,
    /// Strings that end the answer and are not part of it; at most 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StringOrArray>,
    /// Tokens that end the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 256)]
    pub stop_token_ids: Option<Vec<u32>>,
    /// Go on past the model's end-of-text tokens. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_eos: Option<bool>,
    /// Send the answer as server-sent events. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// What the stream holds besides text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Write tokens in log-probabilities as `token_id:ID`. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_tokens_as_token_ids: Option<bool>,
    /// Constraints on the output, as vLLM has them; at most one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured_outputs: Option<StructuredOutputs>,
    /// Output is JSON that fits this schema (an object, or its JSON text).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub guided_json: Option<Value>,
    /// Output matches this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guided_regex: Option<String>,
    /// Output is one of these strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub guided_choice: Option<Vec<String>>,
    /// Output fits this grammar in Lark's syntax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guided_grammar: Option<String>,
    /// Names the end user; not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Requests with the same key are sent to the same replica, whose prefix cache may hold their beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
}

/// A string, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub enum StringOrArray {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl StringOrArray {
    /// As a list.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// What a stream holds besides text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct StreamOptions {
    /// A last event with the usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
}

/// Constraints on the output; exactly one. A kind that is not here is refused: leaving it out would leave the output free.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StructuredOutputs {
    /// JSON that fits this schema (an object, or its JSON text).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub json: Option<Value>,
    /// Any JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_object: Option<bool>,
    /// A regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// One of these strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub choice: Option<Vec<String>>,
    /// A grammar in Lark's syntax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// A part of this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substring: Option<String>,
}
