//! `/v1/models`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The models on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// One entry per model.
    pub data: Vec<Model>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Its name in requests.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// `candor`, or the upstream that has it.
    pub owned_by: String,
    /// Longest context in tokens, where known.
    #[serde(default)]
    #[schema(required)]
    pub max_model_len: Option<usize>,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub capabilities: Option<Capabilities>,
    /// SHA-256 of the model file, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sha256: Option<String>,
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// `/v1/completions`.
    pub completion: bool,
    /// `/v1/chat/completions`.
    pub chat: bool,
    /// `/v1/embeddings`.
    pub embeddings: bool,
    /// `logprobs`.
    pub logprobs: bool,
    /// JSON schema, regex and grammar output.
    pub structured_outputs: bool,
}
