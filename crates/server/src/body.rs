//! Reading a request's JSON body: content type, size, time, UTF-8 and depth are checked before a handler sees it, and
//! every refusal has OpenAI's error shape and names the field.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::{ApiError, App};

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        parse(&read(request, app).await?).map(Self)
    }
}

/// Reads a JSON body's bytes, within the limits of size and time.
pub(crate) async fn read(request: Request, app: &App) -> Result<Bytes, ApiError> {
    if !is_json(&request) {
        return Err(ApiError::ContentType);
    }
    let limit = app.config.max_body_bytes;
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::TooLarge(limit));
    }
    let collected = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(app.config.read_timeout(), collected).await {
        Err(_) => Err(ApiError::Timeout(app.config.read_timeout_s)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge(limit)),
        Ok(Err(_)) => Err(ApiError::invalid("the request's body broke off; send it again")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

fn is_json(request: &Request) -> bool {
    let Some(value) = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Says what was expected in JSON's words.
fn in_words(error: String) -> String {
    let words = [
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected i32", "expected a whole number"),
        ("expected i64", "expected a whole number"),
        ("expected usize", "expected a whole number from 0 on"),
        ("expected f32", "expected a number"),
        ("expected a sequence", "expected an array"),
        ("expected a map", "expected an object"),
        ("invalid type: map", "invalid type: object"),
        ("invalid type: sequence", "invalid type: array"),
    ];
    let error = words.iter().fold(error, |error, (from, to)| error.replace(from, to));
    match error.split_once("expected struct ") {
        Some((before, after)) => {
            let rest = after.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{before}expected an object {rest}")
        }
        None => error,
    }
}

/// Parses JSON, naming the field that does not fit. Nesting deeper than serde_json's limit (128) is refused.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        return Err(ApiError::invalid(format!(
            "the body is not UTF-8 (from byte {at} on); send JSON in UTF-8"
        )));
    }
    // A list would be read as an object's fields in their order.
    if !matches!(bytes.trim_ascii_start().first(), Some(b'{')) {
        return Err(ApiError::invalid("the body must be a JSON object: {\"model\": …}"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner: String = in_words(error.inner().to_string()).chars().take(300).collect();
        if error.inner().is_data() && path != "." {
            let message = format!("`{path}` does not fit: {inner}");
            ApiError::param(path, message)
        } else {
            ApiError::invalid(format!("the body does not parse as this route's JSON: {inner}"))
        }
    })?;
    json.end()
        .map_err(|error| ApiError::invalid(format!("the body goes on after its JSON value ({error})")))?;
    Ok(value)
}
