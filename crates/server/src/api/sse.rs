//! Answers as server-sent events: one JSON object per event, comments while nothing happens, `[DONE]` at the end. An
//! error after the first event is an event itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use candor_engine::Event;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;

use super::run::Answers;
use crate::{ApiError, App};

/// Turns the engine's events into a route's own.
pub(super) trait Chunks: Send + 'static {
    /// What is sent.
    type Chunk: Serialize;
    /// For one event of one generation.
    fn event(&mut self, number: usize, event: Event) -> Vec<Self::Chunk>;
    /// After the last.
    fn end(&mut self) -> Vec<Self::Chunk>;
}

/// Streams the answers.
pub(super) async fn respond<C: Chunks>(app: &App, mut answers: Answers, chunks: C) -> Result<Response, ApiError> {
    let pause = Duration::from_secs(app.config.keep_alive_s.max(1));
    answers.first(pause).await?;
    let events = stream::unfold(Some((answers, chunks)), |state| async {
        let (mut answers, mut chunks) = state?;
        let (lines, open) = match answers.next().await {
            Some(Ok((number, event))) => (chunks.event(number, event).iter().map(json).collect(), true),
            Some(Err(error)) => (vec![json(&ApiError::from(error).body()), done()], false),
            None => (chunks.end().iter().map(json).chain([done()]).collect(), false),
        };
        Some((stream::iter(lines), open.then_some((answers, chunks))))
    });
    Ok(stream_of(events.flatten(), pause))
}

/// Streams chunks that are all there.
pub(super) fn send(app: &App, chunks: Vec<impl Serialize>) -> Response {
    let lines: Vec<_> = chunks.iter().map(json).chain([done()]).collect();
    stream_of(stream::iter(lines), Duration::from_secs(app.config.keep_alive_s.max(1)))
}

fn stream_of(
    events: impl futures::Stream<Item = Result<Sse, Infallible>> + Send + 'static,
    pause: Duration,
) -> Response {
    let body = axum::response::Sse::new(events).keep_alive(KeepAlive::new().interval(pause).text("keep-alive"));
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

fn json(chunk: &impl Serialize) -> Result<Sse, Infallible> {
    // Shapes of strings and numbers always serialize.
    Ok(Sse::default().data(serde_json::to_string(chunk).unwrap_or_default()))
}

fn done() -> Result<Sse, Infallible> {
    Ok(Sse::default().data("[DONE]"))
}
