//! Runs the one or many generations of a request, a few at a time, as one stream of numbered events.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use candor_engine::{EngineError, Event, GenerateRequest, Generator};
use futures::stream::{self, BoxStream, Peekable};
use futures::{FutureExt, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::ApiError;

/// So many of one request's generations run at a time; the engine batches them with everyone else's.
const AT_A_TIME: usize = 8;

/// Events of generation 0, 1, …; dropping it cancels all.
pub(super) struct Answers {
    events: Peekable<BoxStream<'static, Result<(usize, Event), EngineError>>>,
    _permit: OwnedSemaphorePermit,
}

impl Answers {
    /// Starts the generations.
    pub(super) fn start(
        model: Arc<dyn Generator>,
        requests: Vec<GenerateRequest>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let one = move |(number, request): (usize, GenerateRequest)| {
            let model = model.clone();
            let events = async move {
                model
                    .generate(request)
                    .await
                    .unwrap_or_else(|error| stream::iter([Err(error)]).boxed())
            };
            let events = events
                .flatten_stream()
                .map(move |event| event.map(|event| (number, event)));
            // A panic on this path would cut the connection without a word.
            AssertUnwindSafe(events)
                .catch_unwind()
                .map(|event| event.unwrap_or_else(|_| Err(panicked())))
                .boxed()
        };
        let events = stream::iter(requests.into_iter().enumerate())
            .map(one)
            .flatten_unordered(AT_A_TIME)
            .boxed();
        Self {
            events: events.peekable(),
            _permit: permit,
        }
    }

    /// Waits a while for the first event, so that what fails at once fails with its own status.
    pub(super) async fn first(&mut self, patience: Duration) -> Result<(), ApiError> {
        match tokio::time::timeout(patience, Pin::new(&mut self.events).peek()).await {
            Ok(Some(Err(error))) => Err(error.clone().into()),
            _ => Ok(()),
        }
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Option<Result<(usize, Event), EngineError>> {
        self.events.next().await
    }
}

fn panicked() -> EngineError {
    tracing::error!("generation panicked");
    EngineError::Internal {
        message: ApiError::Panic.to_string(),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
