//! What is in a file: `/content`, the bytes that were uploaded, and `/text`, the text that was read out of them, into
//! which citations point.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use candor_engine::EngineError;
use candor_store::{Source, SourceState, Store, TextInfo};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use utoipa::IntoParams;

use super::intake;
use super::ranges::{Asked, asked};
use crate::{ApiError, App};

/// Bytes that are read at a time.
const PART: usize = 1 << 20;

/// Which bytes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Slice {
    /// The first byte; 0 where it is absent. It must begin a character.
    #[serde(default)]
    #[param(minimum = 0)]
    start: Option<u64>,
    /// The byte after the last; the text's end where it is absent. It must end a character.
    #[serde(default)]
    #[param(minimum = 0)]
    end: Option<u64>,
}

/// The text that was read out of a file, as UTF-8. Byte offsets of passages and citations point into it. `start` and
/// `end`, or a `Range` header, give a part of it.
#[utoipa::path(get, path = "/v1/files/{id}/text", tag = "files", params(("id" = String, Path, description = "The file's id"), Slice), responses((status = 200, description = "The text", body = String, content_type = "text/plain"), (status = 206, description = "The part that a `Range` header asked for", body = String, content_type = "text/plain"), (status = 409, body = candor_wire::error::ErrorResponse), (status = 416, body = candor_wire::error::ErrorResponse), crate::api::openapi::Errors))]
pub(crate) async fn text(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(slice): Query<Slice>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let store = &intake(&app)?.library().store;
    let source = store.source(&id).await?;
    let info = store.text_info(text_of(&source)?).await?;
    let (status, range) = match asked(&headers, slice.start, slice.end, info.size)? {
        Asked::Whole => (StatusCode::OK, 0..info.size),
        Asked::Slice(range) => {
            whole_characters(store, &info, range.start, "start").await?;
            whole_characters(store, &info, range.end, "end").await?;
            (StatusCode::OK, range)
        }
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Nothing => return Err(ApiError::Range(info.size)),
    };
    let (sha256, size) = (info.sha256.clone(), info.size);
    let mut response = Response::new(pieces(store.clone(), info, range.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.len()));
    // The text never changes; another text of the file has another hash.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{sha256}\"")) {
        headers.insert(header::ETAG, tag);
    }
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(place) = HeaderValue::from_str(&format!("bytes {}-{}/{size}", range.start, range.end - 1))
    {
        headers.insert(header::CONTENT_RANGE, place);
    }
    Ok(response)
}

/// The hash of a source's text; where it has none, why.
pub(crate) fn text_of(source: &Source) -> Result<&str, ApiError> {
    if let Some(text) = &source.text_sha256 {
        return Ok(text);
    }
    Err(match source.state {
        SourceState::Waiting | SourceState::Pending => {
            ApiError::Conflict("this file was not read yet; ask again in a moment".into())
        }
        _ => {
            let why = source.error.as_deref().unwrap_or("nothing could be read");
            ApiError::NotFound(format!("this file has no text: {why}"))
        }
    })
}

async fn whole_characters(store: &Store, info: &TextInfo, at: usize, name: &str) -> Result<(), ApiError> {
    let byte = store.text_bytes(info, at, at.saturating_add(1)).await?;
    if byte.first().is_some_and(|byte| byte & 0xc0 == 0x80) {
        let message = format!("byte {at} lies within a character; offsets of citations never do");
        return Err(ApiError::param(name, message));
    }
    Ok(())
}

/// The bytes of a text, read as they are sent. Where the text goes away meanwhile the connection breaks off.
fn pieces(store: Store, info: TextInfo, range: std::ops::Range<usize>) -> Body {
    let parts = stream::iter(range.clone().step_by(PART)).then(move |from| {
        let (store, info, to) = (store.clone(), info.clone(), (from + PART).min(range.end));
        async move {
            let bytes = store.text_bytes(&info, from, to).await.map_err(std::io::Error::other)?;
            if bytes.len() < to - from {
                return Err(std::io::Error::other("the file was deleted"));
            }
            Ok(bytes)
        }
    });
    Body::from_stream(parts)
}

/// The bytes of an upload, as they came. Of sources that were imported on the server's machine only the text is kept.
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "files", params(("id" = String, Path, description = "The file's id")), responses((status = 200, description = "The bytes", body = Vec<u8>, content_type = "application/octet-stream"), crate::api::openapi::Errors))]
pub(crate) async fn content(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let intake = intake(&app)?;
    let file = intake.library().store.file(&id).await?;
    if file.purpose.is_none() {
        return Err(ApiError::NotFound(format!(
            "the bytes of this file are not kept, because it was imported on the server's machine; what is kept is its text: GET /v1/files/{id}/text"
        )));
    }
    let opened = intake.original(&file.source).await;
    let bytes = opened.map_err(|error| EngineError::Internal {
        message: format!("the bytes of this file cannot be read ({error}); upload it again"),
    })?;
    let parts = stream::try_unfold(bytes, |mut file| async move {
        let mut part = vec![0; PART];
        let read = file.read(&mut part).await?;
        part.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((part, file)))
    });
    let mut response = Body::from_stream(parts.into_stream()).into_response();
    let headers = response.headers_mut();
    // Never shown as a page of this origin, whatever is in it.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(file.source.size.unsigned_abs()),
    );
    if let Ok(named) = HeaderValue::from_str(&attachment(&file.source.name)) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    Ok(response)
}

/// A file name as RFC 6266 and RFC 8187 write it.
pub(crate) fn attachment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_header() {
        assert_eq!(
            attachment("a \"b\"\r\n报.txt"),
            "attachment; filename*=UTF-8''a%20%22b%22%0D%0A%E6%8A%A5.txt"
        );
    }
}
