//! The one error that handlers return, in OpenAI's shape: `{"error": {message, type, param, code}}`. One match turns
//! it into a status; every sentence says what to do.

use axum::Json;
use axum::response::{IntoResponse, Response};
use candor_engine::EngineError;
use candor_store::StoreError;
use candor_truth::TruthError;
use candor_wire::error::{ErrorBody, ErrorResponse};
use http::{HeaderValue, Method, StatusCode, Uri, header};

/// A refused or failed request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// The engine's own.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// 401.
    #[error("this server needs an API key; send it as `Authorization: Bearer KEY`")]
    Unauthorized,
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 404 for something other than a model.
    #[error("{0}")]
    NotFound(String),
    /// 405.
    #[error("{0} is not possible on this route; the `Allow` header says what is")]
    Method(String),
    /// 408.
    #[error("the request's body did not arrive within {0} seconds; send it faster or in smaller parts")]
    Timeout(u64),
    /// 413.
    #[error(
        "the request's body is larger than {0} bytes; send less, or raise `max_body_bytes` in the server's configuration"
    )]
    TooLarge(usize),
    /// 413 for an upload.
    #[error("the file is larger than {0} bytes; split it, or raise `max_upload_bytes` in the server's configuration")]
    FileTooLarge(u64),
    /// 413 for a file that is asked for.
    #[error("the file has more than {0} bytes, and only smaller ones are handed out; its text is there")]
    FileNotSent(u64),
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 416.
    #[error("this range begins behind the text's end; it has {0} bytes")]
    Range(usize),
    /// 415 for an upload.
    #[error("send the file as a form, with the header `Content-Type: multipart/form-data; boundary=…`")]
    FormType,
    /// 415.
    #[error("send the body as JSON with the header `Content-Type: application/json`")]
    ContentType,
    /// 429.
    #[error("too many requests are being worked on; try again in {0} seconds")]
    Busy(u64),
    /// 503 while shutting down.
    #[error("the server is shutting down; try again in a few seconds")]
    Draining,
    /// 500 after a panic.
    #[error("something broke inside the server; the log of the server has the details")]
    Panic,
}

impl ApiError {
    /// A 400 without a field.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Engine(EngineError::Invalid {
            param: None,
            message: message.into(),
        })
    }

    /// A 400 about one field.
    pub fn param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Engine(EngineError::Invalid {
            param: Some(param.into()),
            message: message.into(),
        })
    }

    /// Status, type, code, and seconds after which a retry makes sense.
    fn kind(&self) -> (StatusCode, &'static str, Option<&'static str>, Option<u64>) {
        const INVALID: &str = "invalid_request_error";
        match self {
            Self::Engine(error) => match error {
                EngineError::Invalid { .. } => (StatusCode::BAD_REQUEST, INVALID, None, None),
                EngineError::TooLong { .. } | EngineError::FarTooLong { .. } => {
                    (StatusCode::BAD_REQUEST, INVALID, Some("context_length_exceeded"), None)
                }
                EngineError::NoModel { .. } => (StatusCode::NOT_FOUND, INVALID, Some("model_not_found"), None),
                EngineError::Overloaded { retry_after_s } => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_error",
                    Some("overloaded"),
                    Some(*retry_after_s),
                ),
                EngineError::Unavailable { .. } => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "server_error",
                    Some("unavailable"),
                    Some(5),
                ),
                EngineError::Memory { .. } => (
                    StatusCode::INSUFFICIENT_STORAGE,
                    "server_error",
                    Some("out_of_memory"),
                    None,
                ),
                EngineError::Internal { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, None),
            },
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, INVALID, Some("invalid_api_key"), None),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, INVALID, Some("forbidden"), None),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, INVALID, Some("not_found"), None),
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                INVALID,
                Some("method_not_allowed"),
                None,
            ),
            Self::Timeout(_) => (StatusCode::REQUEST_TIMEOUT, INVALID, Some("request_timeout"), None),
            Self::FileTooLarge(_) | Self::FileNotSent(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, INVALID, Some("file_too_large"), None)
            }
            Self::Conflict(_) => (StatusCode::CONFLICT, INVALID, Some("not_ready"), Some(1)),
            Self::Range(_) => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                INVALID,
                Some("range_not_satisfiable"),
                None,
            ),
            Self::FormType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                INVALID,
                Some("unsupported_media_type"),
                None,
            ),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, INVALID, Some("body_too_large"), None),
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                INVALID,
                Some("unsupported_media_type"),
                None,
            ),
            Self::Busy(after) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                Some("overloaded"),
                Some(*after),
            ),
            Self::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                Some("unavailable"),
                Some(5),
            ),
            Self::Panic => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, None),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// The JSON body; streams send it as an event.
    pub fn body(&self) -> ErrorResponse {
        let (_, kind, code, _) = self.kind();
        let param = match self {
            Self::Engine(EngineError::Invalid { param, .. }) => param.clone(),
            Self::Engine(EngineError::NoModel { .. }) => Some("model".into()),
            _ => None,
        };
        let code = code.map(str::to_owned);
        ErrorResponse {
            error: ErrorBody {
                message: self.to_string(),
                kind: kind.into(),
                param,
                code,
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _, _, retry_after) = self.kind();
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), error = %self, "request failed");
        }
        let mut response = (status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::Range(size) = self
            && let Ok(all) = HeaderValue::from_str(&format!("bytes */{size}"))
        {
            headers.insert(header::CONTENT_RANGE, all);
        }
        if matches!(self, Self::Unauthorized) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The store's sentences stay as they are, but for the words that this API has for things; this is only their status.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Missing { what: "source", id } => no_file(&id),
            StoreError::Missing { what: "collection", id } => no_vector_store(&id),
            StoreError::Missing { what: "text", .. } => Self::NotFound("the text of this file was deleted".into()),
            StoreError::Missing { .. } => Self::NotFound(message),
            StoreError::Invalid(_) => Self::invalid(message),
            StoreError::Full { .. } => EngineError::Memory { message }.into(),
            StoreError::Busy { .. } | StoreError::ReadOnly { .. } | StoreError::CannotOpen { .. } => {
                EngineError::Unavailable { message }.into()
            }
            _ => EngineError::Internal { message }.into(),
        }
    }
}

impl From<TruthError> for ApiError {
    fn from(error: TruthError) -> Self {
        let message = error.to_string();
        match error {
            TruthError::Store(error) => error.into(),
            TruthError::Engine(error) => error.into(),
            TruthError::Full { .. } => EngineError::Memory { message }.into(),
            TruthError::File { .. } | TruthError::CutOff(_) => EngineError::Unavailable { message }.into(),
            _ => EngineError::Internal { message }.into(),
        }
    }
}

/// The 404 for a file.
pub(crate) fn no_file(id: &str) -> ApiError {
    let id: String = id.chars().take(64).collect();
    ApiError::NotFound(format!("there is no file `{id}`; it may have been deleted"))
}

/// The 404 for a vector store.
pub(crate) fn no_vector_store(id: &str) -> ApiError {
    let id: String = id.chars().take(64).collect();
    ApiError::NotFound(format!("there is no vector store `{id}`; it may have been deleted"))
}

/// The answer to a path that is no route.
pub(crate) async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    ApiError::NotFound(format!(
        "there is no route {method} {path}; /openapi.json lists the routes"
    ))
}
