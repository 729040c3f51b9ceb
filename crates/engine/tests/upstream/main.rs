//! `Upstream` from outside, against servers on loopback that fail on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dialects;
mod failures;
mod fake;
mod routing;

use std::sync::Arc;

use candor_engine::upstream::{Kind, Upstream, UpstreamConfig, connect};
use candor_engine::{EngineError, Event, GenerateRequest, Generator};
use futures::StreamExt;

use crate::fake::{Behaviour, Fake, config};

pub(crate) fn one(config: UpstreamConfig) -> Arc<Upstream> {
    connect(&[config]).unwrap().remove(0)
}

pub(crate) async fn vllm(behaviour: Behaviour) -> (Fake, Arc<Upstream>) {
    let fake = Fake::start(behaviour).await;
    let upstream = one(config("u", Kind::Vllm, &[&fake]));
    (fake, upstream)
}

/// The text, and how it ended.
pub(crate) async fn read(upstream: &Upstream, request: GenerateRequest) -> (String, Result<Event, EngineError>) {
    let mut stream = match upstream.generate(request).await {
        Ok(stream) => stream,
        Err(error) => return (String::new(), Err(error)),
    };
    let mut said = String::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Text { text, .. }) => said.push_str(&text),
            Ok(event @ Event::Finish { .. }) => {
                assert!(stream.next().await.is_none(), "nothing comes after the end");
                return (said, Ok(event));
            }
            Ok(_) => {}
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing comes after an error");
                return (said, Err(error));
            }
        }
    }
    panic!("the stream ended without an end: {said}");
}
