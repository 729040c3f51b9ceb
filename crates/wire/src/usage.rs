//! Tokens counted, as every response reports them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tokens that a request took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// In the prompt.
    pub prompt_tokens: usize,
    /// In all answers.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
    /// More about the prompt's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
}

/// More about a prompt's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptTokensDetails {
    /// Taken from the prefix cache.
    pub cached_tokens: usize,
}

impl Usage {
    /// Totals of a generation.
    pub fn new(prompt: usize, cached: usize, completion: usize) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: Some(PromptTokensDetails { cached_tokens: cached }),
        }
    }
}
