//! Reading a request's JSON body: content type, size, time, UTF-8 and depth are checked before a handler sees it, and
//! every refusal has OpenAI's error shape and names the field. Large bodies share what memory there is for them: those
//! for which there is no room wait, small ones never do.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, App};

/// So many bodies of the largest size are held at once.
const LARGEST_AT_ONCE: usize = 8;
/// A body is large from this part of the largest size on.
const LARGE: usize = 32;

/// The room for large bodies, in KiB.
pub(crate) fn room(max_body_bytes: usize) -> Arc<Semaphore> {
    let kib = kib(max_body_bytes) as usize * LARGEST_AT_ONCE;
    Arc::new(Semaphore::new(kib.min(Semaphore::MAX_PERMITS)))
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024))
        .unwrap_or(u32::MAX / 16)
        .min(u32::MAX / 16)
}

/// A body's bytes, and its part of the room for large ones.
pub(crate) struct Whole {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        parse(&read(request, app).await?).map(Self)
    }
}

/// Reads a JSON body's bytes, within the limits of size and time. To be kept until they are parsed.
pub(crate) async fn read(request: Request, app: &App) -> Result<Whole, ApiError> {
    if !is_json(&request) {
        return Err(ApiError::ContentType);
    }
    let limit = app.config.max_body_bytes;
    let exact = request.body().size_hint().exact().and_then(|n| usize::try_from(n).ok());
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<usize>().ok())
        .or(exact);
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::TooLarge(limit));
    }
    let room = if length.is_some_and(|length| length <= limit / LARGE) {
        None
    } else {
        let free = Arc::clone(&app.bodies).acquire_many_owned(kib(length.unwrap_or(limit)));
        match tokio::time::timeout(app.config.read_timeout(), free).await {
            Ok(Ok(room)) => Some(room),
            _ => return Err(ApiError::Busy(1)),
        }
    };
    let collected = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(app.config.read_timeout(), collected).await {
        Err(_) => Err(ApiError::Timeout(app.config.read_timeout_s)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge(limit)),
        Ok(Err(_)) => Err(ApiError::invalid("the request's body broke off; send it again")),
        Ok(Ok(body)) => Ok(Whole {
            bytes: body.to_bytes(),
            _room: room,
        }),
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
