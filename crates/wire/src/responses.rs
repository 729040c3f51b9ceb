//! `/v1/responses` in the shape of the Open Responses specification (2026-04-24) and of OpenAI's clients, which ask for
//! a few fields more. Requests are lenient (absent and `null` are the same); what is sent has every field.

mod event;
mod item;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::candor::{CandorAnswer, CandorRequest};
use crate::vector_stores::{Filter, RankingOptions};
pub use event::{Logprob, StreamEvent, TopLogprob};
pub use item::{
    Annotation, ContentPart, FileSearchResult, Input, InputContent, InputItem, InputPart, Item, ItemStatus, OutputText,
};

/// A request for a response. Fields that are not listed here are ignored, unless they would change the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CreateResponse {
    /// Which model answers.
    #[schema(required)]
    pub model: Option<String>,
    /// What to answer: text, or items.
    pub input: Option<Input>,
    /// What stands before everything else, as a system message. Not carried over to later responses.
    pub instructions: Option<String>,
    /// A stored response whose input and output come first.
    pub previous_response_id: Option<String>,
    /// `message.output_text.logprobs` and `file_search_call.results` are understood.
    pub include: Option<Vec<String>>,
    /// Functions that the model may call, and a search of files.
    pub tools: Option<Vec<ToolParam>>,
    /// `auto`, `none`, `required`, one function, or some of them.
    pub tool_choice: Option<ToolChoice>,
    /// At most 16 pairs; kept with the response.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// What the text must look like.
    pub text: Option<TextParam>,
    /// Randomness; 0 is greedy. Default: 1.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Sample from the most likely tokens that make up this mass. Default: 1.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Lowers tokens that the answer has already. Default: 0.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
    /// Lowers tokens by how often the answer has them. Default: 0.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// Whether an answer may hold more than one call. Default: true.
    pub parallel_tool_calls: Option<bool>,
    /// Send events while the answer is made. Default: false.
    pub stream: Option<bool>,
    /// Answer at once and go on in the background. Default: false.
    pub background: Option<bool>,
    /// Most new tokens. Default: the rest of the context.
    #[schema(minimum = 1)]
    pub max_output_tokens: Option<i64>,
    /// Not supported: functions are called by the client.
    pub max_tool_calls: Option<i64>,
    /// Effort cannot be set; `null` and `none` are accepted.
    #[schema(value_type = Option<Object>)]
    pub reasoning: Option<Map<String, Value>>,
    /// Not used; sent back.
    pub safety_identifier: Option<String>,
    /// Names the end user; not used, sent back.
    pub user: Option<String>,
    /// Requests with the same key go to the same replica, whose cache may hold their beginning.
    pub prompt_cache_key: Option<String>,
    /// Only `disabled`: input is never cut.
    pub truncation: Option<String>,
    /// Keep the response, so that it can be fetched and continued. Default: true.
    pub store: Option<bool>,
    /// `auto` and `default` are the same.
    pub service_tier: Option<String>,
    /// Log-probabilities of this many best tokens.
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Answer with sentences of sources, or from the model's memory with how sure that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candor: Option<CandorRequest>,
    /// Not supported: use `previous_response_id`.
    #[schema(value_type = Option<Object>)]
    pub conversation: Option<Value>,
    /// Not supported: stored prompts are not kept here.
    #[schema(value_type = Option<Object>)]
    pub prompt: Option<Value>,
}

/// A function that the model may call, or a search of files that the server makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolParam {
    /// `function` or `file_search`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 1 to 64 letters, digits, dashes and underscores.
    pub name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Whether arguments must fit the schema.
    pub strict: Option<bool>,
    /// Of `file_search`: where to search.
    pub vector_store_ids: Option<Vec<String>>,
    /// Of `file_search`: at most so many passages. Default: 10.
    #[schema(minimum = 1, maximum = 50)]
    pub max_num_results: Option<i64>,
    /// Of `file_search`: only in files with such attributes.
    pub filters: Option<Filter>,
    /// Of `file_search`: how to rank.
    pub ranking_options: Option<RankingOptions>,
}

/// Whether the model may, must or must not call functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected `auto`, `none`, `required`, {\"type\": \"function\", \"name\": …}, {\"type\": \"file_search\"} or {\"type\": \"allowed_tools\", …}"
)]
#[schema(as = ResponsesToolChoice)]
pub enum ToolChoice {
    /// `auto`, `none` or `required`.
    Mode(String),
    /// Some of the functions.
    Allowed {
        /// `allowed_tools`.
        #[serde(rename = "type")]
        kind: String,
        /// `auto` or `required`.
        #[serde(default)]
        mode: Option<String>,
        /// The functions that may be called, and `file_search`.
        tools: Vec<AllowedTool>,
    },
    /// One function.
    Function(NamedTool),
    /// A tool that the server runs.
    Hosted {
        /// `file_search`.
        #[serde(rename = "type")]
        kind: String,
    },
}

/// A tool that may be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowedTool {
    /// `function` or `file_search`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A function's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A function by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NamedTool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What the text must look like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TextParam {
    /// Text, any JSON object, or JSON that fits a schema.
    pub format: Option<TextFormat>,
    /// Only `medium`.
    pub verbosity: Option<String>,
}

/// A format of the text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TextFormat {
    /// Anything.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits the schema.
    JsonSchema {
        /// Names it.
        name: String,
        /// Describes it.
        #[serde(default)]
        description: Option<String>,
        /// The schema.
        #[schema(value_type = Object)]
        schema: Value,
        /// It is enforced in any case.
        #[serde(default)]
        strict: Option<bool>,
    },
}

/// A response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesResponse)]
pub struct Response {
    /// `resp_…`
    pub id: String,
    /// `response`
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub completed_at: Option<u64>,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    pub status: String,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails>,
    /// Which model answered.
    pub model: String,
    /// The response before this one.
    pub previous_response_id: Option<String>,
    /// The request's.
    pub instructions: Option<String>,
    /// What the model made.
    pub output: Vec<Item>,
    /// Why it failed.
    pub error: Option<ResponseError>,
    /// The request's.
    pub tools: Vec<OfferedTool>,
    /// The request's.
    pub tool_choice: ToolChoice,
    /// `disabled`
    pub truncation: String,
    /// The request's.
    pub parallel_tool_calls: bool,
    /// The request's.
    pub text: TextField,
    /// The request's.
    pub top_p: f64,
    /// The request's.
    pub presence_penalty: f64,
    /// The request's.
    pub frequency_penalty: f64,
    /// The request's.
    pub top_logprobs: u32,
    /// The request's.
    pub temperature: f64,
    /// No effort can be set.
    pub reasoning: Option<Reasoning>,
    /// What it took.
    pub usage: Option<Usage>,
    /// The request's.
    pub max_output_tokens: Option<u64>,
    /// None.
    pub max_tool_calls: Option<u64>,
    /// Whether it is kept.
    pub store: bool,
    /// Whether it is made in the background.
    pub background: bool,
    /// `default`
    pub service_tier: String,
    /// The request's.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The request's.
    pub safety_identifier: Option<String>,
    /// The request's.
    pub prompt_cache_key: Option<String>,
    /// The request's.
    pub user: Option<String>,
    /// How the answer came about, where `candor` was asked for. Of a stored response its quotes are compared with their
    /// sources again: a citation that does not hold any more has `stale`, `changed` or `gone`, and its sentence `stale: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CandorAnswer>, nullable = false)]
    pub candor: Option<Value>,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncompleteDetails {
    /// `max_output_tokens`
    pub reason: String,
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseError {
    /// `server_error`, `rate_limit_exceeded` or `invalid_prompt`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// A tool, as it was offered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OfferedTool {
    /// A search of files.
    FileSearch(FileSearchTool),
    /// A function.
    Function(FunctionTool),
}

/// A search of files that the server makes before the model answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileSearchTool {
    /// `file_search`
    #[serde(rename = "type")]
    pub kind: String,
    /// Where to search.
    pub vector_store_ids: Vec<String>,
    /// The request's, or the default.
    pub max_num_results: i64,
    /// The request's.
    pub filters: Option<Filter>,
    /// The request's.
    pub ranking_options: Option<RankingOptions>,
}

/// A function, as it was offered to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionTool {
    /// `function`
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// The request's.
    pub strict: Option<bool>,
}

/// What the text looks like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextField {
    /// The format.
    pub format: TextFormat,
}

/// How much thought was asked for: none can be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reasoning {
    /// None.
    pub effort: Option<String>,
    /// None.
    pub summary: Option<String>,
}

/// Tokens counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesUsage)]
pub struct Usage {
    /// In the prompt.
    pub input_tokens: u64,
    /// Of those.
    pub input_tokens_details: InputTokensDetails,
    /// In the answer.
    pub output_tokens: u64,
    /// Of those.
    pub output_tokens_details: OutputTokensDetails,
    /// Together.
    pub total_tokens: u64,
}

/// Of the prompt's tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputTokensDetails {
    /// Taken from the prefix cache.
    pub cached_tokens: u64,
    /// Always 0: writing the cache costs nothing here.
    pub cache_write_tokens: u64,
}

/// Of the answer's tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputTokensDetails {
    /// Always 0: thoughts are counted as text.
    pub reasoning_tokens: u64,
}

/// The items of a response's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemList {
    /// `list`
    pub object: String,
    /// The items.
    pub data: Vec<Item>,
    /// The first one's id.
    pub first_id: Option<String>,
    /// The last one's id.
    pub last_id: Option<String>,
    /// Whether there are more after the last.
    pub has_more: bool,
}

/// What is left of a deleted response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeletedResponse {
    /// The response's id.
    pub id: String,
    /// `response`
    pub object: String,
    /// Always true.
    pub deleted: bool,
}
