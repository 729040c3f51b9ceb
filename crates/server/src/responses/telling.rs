//! What a response is made from: the engine's events as they come, or an answer from sources at once.

use std::sync::Arc;

use candor_engine::{EngineError, Event, EventStream, GenerateRequest, Generator};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::api::grounded::{Grounded, Shown};

/// What is said next.
pub(super) enum Told {
    /// The engine's.
    Event(Event),
    /// All of an answer from sources, or from memory with how sure that is.
    Quotes(Box<Shown>),
}

/// All that is said.
pub(super) type Telling = BoxStream<'static, Result<Told, EngineError>>;

/// A generation that has begun.
pub(super) fn now(events: EventStream) -> Telling {
    events.map_ok(Told::Event).boxed()
}

/// A generation that begins only when it is read.
pub(super) fn later(model: Arc<dyn Generator>, request: GenerateRequest) -> Telling {
    now(stream::once(async move { model.generate(request).await })
        .try_flatten()
        .boxed())
}

/// An answer from sources that is looked for only when it is read.
pub(super) fn quotes(grounded: Grounded, model: Arc<dyn Generator>, request: GenerateRequest) -> Telling {
    let answer = async move {
        let answer = grounded.answer(&model, request).await?;
        Ok(Told::Quotes(Box::new(Shown::of(&answer)?)))
    };
    stream::once(answer).boxed()
}
