//! The events of one request. Dropping the stream closes its channel, which is how the engine learns that nobody listens.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{EngineError, Event};

/// Ends after `Finish` or an error; an engine that goes away without either is an error too.
pub(super) struct Events {
    receiver: UnboundedReceiver<Result<Event, EngineError>>,
    over: bool,
}

impl Events {
    pub(super) fn new(receiver: UnboundedReceiver<Result<Event, EngineError>>) -> Self {
        Self { receiver, over: false }
    }
}

impl Stream for Events {
    type Item = Result<Event, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let event = std::task::ready!(self.receiver.poll_recv(cx)).unwrap_or_else(|| {
            Err(EngineError::Internal {
                message: "the engine ended in the middle of the answer; load the model again".into(),
            })
        });
        self.over = matches!(event, Err(_) | Ok(Event::Finish { .. }));
        Poll::Ready(Some(event))
    }
}
