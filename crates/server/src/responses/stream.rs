//! A response as server-sent events: each with its name and number, comments while nothing happens, `[DONE]` last.
//! When the client goes away the stream is dropped, and with it the work.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use candor_engine::EngineError;
use candor_wire::responses::{Response as Answer, StreamEvent};
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, header};

use super::output::Output;
use super::{Made, store};
use crate::App;

/// Where a stream is.
enum State {
    Beginning(Made, Output),
    Running(Made, Output),
    Ended,
}

/// Streams a response.
pub(super) fn respond(app: &App, made: Made) -> Response {
    let output = Output::new(made.answer.clone(), made.single_call).after(made.searched.clone());
    let events = stream::unfold(State::Beginning(made, output), |state| async move {
        let (state, events, last) = match state {
            State::Ended => return None,
            State::Beginning(made, mut output) => {
                let events = output.begin();
                (State::Running(made, output), events, false)
            }
            State::Running(mut made, mut output) => {
                let mut events = Vec::new();
                match made.events.next().await {
                    Some(Ok(told)) => {
                        output.told(told, &mut events);
                        (State::Running(made, output), events, false)
                    }
                    Some(Err(error)) => {
                        let answer = output.fail(&error, &mut events);
                        (State::Ended, kept(made, answer, events).await, true)
                    }
                    None => {
                        let answer = output.end(&mut events);
                        (State::Ended, kept(made, answer, events).await, true)
                    }
                }
            }
        };
        let done = last.then_some(None);
        Some((stream::iter(events.into_iter().map(Some).chain(done)), state))
    });
    let mut number = 0u64;
    let lines = events.flatten().map(move |event| {
        let line = match event {
            None => Sse::default().data("[DONE]"),
            Some(event) => Sse::default().event(event.name()).data(json(&event, number)),
        };
        number += 1;
        Ok::<_, Infallible>(line)
    });
    let pause = Duration::from_secs(app.config.keep_alive_s.max(1));
    let mut response = axum::response::Sse::new(lines)
        .keep_alive(KeepAlive::new().interval(pause).text("keep-alive"))
        .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// Keeps the response before its last event is sent: whoever has seen it can fetch it. Where it cannot be kept, the
/// last event says so.
async fn kept(made: Made, answer: Answer, mut events: Vec<StreamEvent>) -> Vec<StreamEvent> {
    if let Err(error) = store::keep(&*made.store, &answer, made.input).await {
        events.pop();
        let error = EngineError::Internal {
            message: format!("the response was made but could not be stored: {error}"),
        };
        Output::new(answer, false).fail(&error, &mut events);
    }
    events
}

/// The event with its number. Shapes of strings and numbers always serialize.
fn json(event: &StreamEvent, number: u64) -> String {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    value["sequence_number"] = number.into();
    value.to_string()
}
