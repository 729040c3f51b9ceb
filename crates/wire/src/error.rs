//! The error shape that OpenAI's clients understand.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What every failed request answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorResponse {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence that says what is wrong and what to do.
    pub message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault, where there is one.
    #[schema(required)]
    pub param: Option<String>,
    /// A word that programs can match.
    #[schema(required)]
    pub code: Option<String>,
}
