//! What can go wrong between a request and its text, as sentences for the person who must act.

/// Errors of generation.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The request cannot be honoured as it stands (HTTP 400).
    #[error("{message}")]
    Invalid {
        /// The field at fault, where there is one.
        param: Option<String>,
        /// What is wrong and what to do.
        message: String,
    },
    /// The prompt does not fit (HTTP 400, code `context_length_exceeded`).
    /// Clients know it by OpenAI's words "this model's maximum context length is".
    #[error("this model's maximum context length is {context} tokens and the prompt has {tokens}; shorten it by at least {} tokens or use a model with a longer context", tokens.saturating_sub(*context) + 1)]
    TooLong {
        /// Prompt tokens.
        tokens: usize,
        /// Context length.
        context: usize,
    },
    /// The prompt does not fit, however it is split into tokens, so they were not counted (as `TooLong`).
    #[error(
        "this model's maximum context length is {context} tokens and the prompt's {bytes} bytes of text are more than so many tokens hold; send less or use a model with a longer context"
    )]
    FarTooLong {
        /// Bytes of the prompt.
        bytes: usize,
        /// Context length.
        context: usize,
    },
    /// No such model (HTTP 404).
    #[error("there is no model `{name}`; there are: {available}")]
    NoModel {
        /// What was asked for.
        name: String,
        /// What there is.
        available: String,
    },
    /// The queue is full (HTTP 429).
    #[error("too many requests are waiting; try again in {retry_after_s} seconds")]
    Overloaded {
        /// Seconds.
        retry_after_s: u64,
    },
    /// Shutting down, loading, or an upstream is away (HTTP 503).
    #[error("{message}")]
    Unavailable {
        /// Why and what to do.
        message: String,
    },
    /// Not enough memory (HTTP 507 or 400, by whoever asked).
    #[error("{message}")]
    Memory {
        /// What is needed, what is free, what to do.
        message: String,
    },
    /// A bug or a failed machine (HTTP 500).
    #[error("{message}")]
    Internal {
        /// What is known.
        message: String,
    },
}
