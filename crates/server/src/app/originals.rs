//! The file that a source was read from, for the page to draw: a PDF whose bytes are still those that were read. Which file
//! that is the store says; no part of a path comes from the request.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use candor_store::Source;
use candor_truth::NoOriginal;
use futures::stream;
use http::{HeaderValue, header};
use tokio::sync::Semaphore;

use super::{Chat, refused};
use crate::{ApiError, App, files};

/// Bytes of a file that is handed out: a browser holds it in memory as a whole.
const MOST: u64 = 64 << 20;
/// Files that are handed out at a time, since each is in memory until it was sent.
const AT_A_TIME: usize = 4;
/// Bytes that are sent at a time.
const PART: usize = 1 << 20;

/// Room for the files that are being handed out.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

/// `GET /api/sources/{id}/original`: the bytes that the text of a PDF was read from, where they are still to be had.
pub(super) async fn original(chat: Chat, State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let source = chat.store.source(&id).await.map_err(refused)?;
    if source.kind != "pdf" {
        return Err(ApiError::NotFound(
            "only the pages of a PDF can be drawn, and this source is none; its text is there".into(),
        ));
    }
    let Ok(held) = chat.originals.0.clone().acquire_owned().await else {
        return Err(ApiError::Draining); // nobody closes the room, so this cannot be
    };
    let found = files::intake(&app)?.as_read(&source, MOST).await?;
    let bytes = found.map_err(|reason| match reason {
        NoOriginal::TooLarge(most) => ApiError::FileNotSent(most),
        reason => ApiError::NotFound(reason.to_string()),
    })?;
    Ok(sent(&source, bytes.into(), held))
}

/// Bytes that a browser neither shows by itself nor takes for anything else, whatever they are.
fn sent(source: &Source, bytes: Bytes, held: tokio::sync::OwnedSemaphorePermit) -> Response {
    let length = bytes.len();
    let parts = stream::unfold((bytes, held), |(mut rest, held)| async move {
        let part = rest.split_to(PART.min(rest.len()));
        (!part.is_empty()).then(|| (Ok::<_, std::convert::Infallible>(part), (rest, held)))
    });
    let mut response = Body::from_stream(parts).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let policy = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let here = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-resource-policy", here);
    if let Ok(named) = HeaderValue::from_str(&files::attachment(&source.name)) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", source.bytes_sha256)) {
        headers.insert(header::ETAG, tag);
    }
    response
}
