//! The one trait through which text comes out: our own engine (`Local`) or any OpenAI-compatible server (`Upstream`).

use std::pin::Pin;

use candor_wire::chat::{Message, Tool, ToolCall, ToolChoice};
use futures::Stream;

use crate::EngineError;

/// What to continue.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// A conversation, rendered with the model's own template.
    Chat {
        /// Turns, oldest first.
        messages: Vec<Message>,
        /// Functions that the model may call.
        tools: Vec<Tool>,
        /// Whether it may, must or must not.
        tool_choice: ToolChoice,
    },
    /// Plain text; special tokens in it are taken as ordinary text, the model's own BOS rule applies.
    Text(String),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
}

/// What the output must look like. Whatever cannot be honoured is `EngineError::Invalid`, never ignored.
#[derive(Debug, Clone, Default)]
pub enum Constraint {
    /// Anything.
    #[default]
    None,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits this schema.
    JsonSchema(serde_json::Value),
    /// A regular expression for the whole output.
    Regex(String),
    /// A grammar in Lark's syntax.
    Lark(String),
    /// A substring of this text.
    Substring(String),
    /// One of these strings.
    Choice(Vec<String>),
}

/// How to sample. Defaults are neutral: temperature 1, everything else off.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 is off.
    pub top_k: u32,
    /// 1 is off.
    pub top_p: f32,
    /// 0 is off.
    pub min_p: f32,
    /// 1 is off.
    pub typical_p: f32,
    /// 1 is off.
    pub repetition_penalty: f32,
    /// 0 is off.
    pub presence_penalty: f32,
    /// 0 is off.
    pub frequency_penalty: f32,
    /// Don't-repeat-yourself; off where the multiplier is 0.
    pub dry: Dry,
    /// Added to the logits of single tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same request, same text. `None` draws one.
    pub seed: Option<u64>,
}

/// DRY repetition penalty (p-e-w, 2024): penalty = multiplier * base^(match length - allowed length).
#[derive(Debug, Clone)]
pub struct Dry {
    /// 0 is off.
    pub multiplier: f32,
    /// Usually 1.75.
    pub base: f32,
    /// Repeats up to this length are free; usually 2.
    pub allowed_length: u32,
    /// Strings that end a match.
    pub sequence_breakers: Vec<String>,
}

/// When to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// At most this many new tokens; `None` is the rest of the context.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer and are not part of it.
    pub strings: Vec<String>,
    /// Tokens that end the answer and are not part of it, besides the model's own.
    pub tokens: Vec<u32>,
    /// Go on past the model's end-of-text tokens.
    pub ignore_eos: bool,
}

/// One request for text.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// How to sample.
    pub sampling: Sampling,
    /// When to stop.
    pub stop: Stop,
    /// What the output must look like.
    pub constraint: Constraint,
    /// Report log-probabilities of the chosen token and of this many best ones (0..=20).
    pub logprobs: Option<u32>,
    /// Report the prompt's tokens from this one on with their log-probabilities first (`echo`: from 0). What lies before is
    /// computed once for all requests that share it.
    pub prompt_logprobs: Option<usize>,
    /// Any text; requests with the same one are routed to the same upstream replica.
    pub affinity: Option<String>,
}

/// A token with its log-probability (natural log, of the model's own distribution before sampling settings).
#[derive(Debug, Clone)]
pub struct TokenLogprob {
    /// Token id (`None` from an upstream that does not say).
    pub id: Option<u32>,
    /// Its bytes as text; may hold U+FFFD where the token is part of a character.
    pub text: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// ln p; `None` for the first prompt token.
    pub logprob: Option<f32>,
    /// The best alternatives, best first: id, bytes, ln p.
    pub top: Vec<(Option<u32>, Vec<u8>, f32)>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its answer, or a stop string or token was met.
    Stop,
    /// `max_tokens` or the context is used up.
    Length,
    /// The answer calls tools.
    ToolCalls,
}

/// Tokens counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// In the prompt.
    pub prompt_tokens: usize,
    /// Of those, taken from the prefix cache.
    pub cached_tokens: usize,
    /// In the answer.
    pub completion_tokens: usize,
}

/// What a running request reports. The stream ends after `Finish` or an error; dropping it cancels the request.
#[derive(Debug, Clone)]
pub enum Event {
    /// The prompt's tokens, when asked for.
    Prompt(Vec<TokenLogprob>),
    /// More text (whole characters; may be empty while a character or stop string is incomplete), with its tokens
    /// when log-probabilities were asked for.
    Text {
        /// The text to append.
        text: String,
        /// The tokens it came from.
        tokens: Vec<TokenLogprob>,
    },
    /// A whole tool call was parsed from the answer.
    ToolCall(ToolCall),
    /// The end.
    Finish {
        /// Why.
        reason: FinishReason,
        /// What it took.
        usage: Usage,
    },
}

/// Events of one request.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Event, EngineError>> + Send>>;

/// What a generator can do; the product asks before it relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// Continues text.
    pub generate: bool,
    /// Has a chat template.
    pub chat: bool,
    /// Makes embeddings.
    pub embed: bool,
    /// Returns log-probabilities.
    pub logprobs: bool,
    /// Honours every `Constraint`.
    pub constraints: bool,
    /// Tokenizes and takes token ids.
    pub tokens: bool,
    /// Same request and seed, same bits.
    pub exact_replay: bool,
}

/// What is known of a model.
#[derive(Debug, Clone, Default)]
pub struct ModelCard {
    /// The name under which it is served.
    pub id: String,
    /// Longest context in tokens, where known.
    pub context: Option<usize>,
    /// Names model file and kernel version: equal fingerprints give equal answers.
    pub fingerprint: String,
    /// SHA-256 of the model file, where it is local and known.
    pub sha256: Option<String>,
    /// `candor` or the upstream's name.
    pub owned_by: String,
    /// Unix seconds.
    pub created: u64,
    /// Embedding width, for encoders.
    pub embedding_dim: Option<usize>,
}

/// An embedding request's result.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// One L2-normalised vector per input.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read.
    pub prompt_tokens: usize,
}

/// Inputs to embed.
#[derive(Debug, Clone)]
pub enum EmbedInput {
    /// Text.
    Text(String),
    /// Token ids.
    Tokens(Vec<u32>),
}

/// A token for `/tokenize`.
#[derive(Debug, Clone)]
pub struct Tokenized {
    /// Ids.
    pub ids: Vec<u32>,
    /// Their bytes, one entry per id.
    pub pieces: Vec<Vec<u8>>,
}

/// What a client must know of a model's tokenizer to use it from afar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizerInfo {
    /// The text of the token before every plain text, where there is one.
    pub bos: Option<String>,
    /// The text of the first token that ends an answer.
    pub eos: Option<String>,
    /// The chat template's source.
    pub chat_template: Option<String>,
}

/// Whatever makes text: everything above it works with any implementation.
#[async_trait::async_trait]
pub trait Generator: Send + Sync {
    /// What it can do.
    fn abilities(&self) -> Abilities;
    /// What is known of the model.
    fn card(&self) -> ModelCard;
    /// Starts a request. Waits for a place in the queue; fails at once with `EngineError::Overloaded` if it is full.
    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError>;
    /// Embeds each input.
    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError>;
    /// The last states of every token of each input, `[tokens, dim]` one after the other, frame included; `None` where the
    /// model does not say.
    async fn token_states(&self, _inputs: Vec<EmbedInput>) -> Result<Option<Embeddings>, EngineError> {
        Ok(None)
    }
    /// Tokenizes text. `special`: special tokens in it are parsed; `bos`: the model's own BOS rule applies.
    async fn tokenize(&self, text: &str, special: bool, bos: bool) -> Result<Tokenized, EngineError>;
    /// Bytes of tokens, joined.
    async fn detokenize(&self, ids: &[u32]) -> Result<Vec<u8>, EngineError>;
    /// The prompt that a conversation becomes.
    async fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        add_generation_prompt: bool,
    ) -> Result<String, EngineError>;
    /// The tokenizer's special tokens and the chat template, where they are known.
    fn tokenizer_info(&self) -> Option<TokenizerInfo> {
        None
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry: Dry::default(),
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl Default for Dry {
    fn default() -> Self {
        let sequence_breakers = ["\n", ":", "\"", "*"].map(String::from).to_vec();
        Self {
            multiplier: 0.0,
            base: 1.75,
            allowed_length: 2,
            sequence_breakers,
        }
    }
}
