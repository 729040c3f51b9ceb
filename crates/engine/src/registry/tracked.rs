//! A generator that counts its running requests, so that the registry knows who is idle.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use candor_wire::chat::{Message, Tool};
use futures::Stream;

use crate::{
    Abilities, EmbedInput, Embeddings, EngineError, Event, EventStream, GenerateRequest, Generator, ModelCard,
    Tokenized, TokenizerInfo,
};

pub(super) struct Tracked {
    inner: Arc<dyn Generator>,
    running: Arc<AtomicUsize>,
}

/// One running request.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Counted {
    inner: EventStream,
    _running: Running,
}

impl Stream for Counted {
    type Item = Result<Event, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl Tracked {
    pub(super) fn new(inner: Arc<dyn Generator>, running: Arc<AtomicUsize>) -> Self {
        Self { inner, running }
    }

    fn begin(&self) -> Running {
        self.running.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(&self.running))
    }
}

#[async_trait::async_trait]
impl Generator for Tracked {
    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }
    fn card(&self) -> ModelCard {
        self.inner.card()
    }
    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError> {
        let running = self.begin();
        let inner = self.inner.generate(request).await?;
        Ok(Box::pin(Counted {
            inner,
            _running: running,
        }))
    }
    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        let _running = self.begin();
        self.inner.embed(inputs).await
    }
    async fn token_states(&self, inputs: Vec<EmbedInput>) -> Result<Option<Embeddings>, EngineError> {
        let _running = self.begin();
        self.inner.token_states(inputs).await
    }
    async fn tokenize(&self, text: &str, special: bool, bos: bool) -> Result<Tokenized, EngineError> {
        self.inner.tokenize(text, special, bos).await
    }
    async fn detokenize(&self, ids: &[u32]) -> Result<Vec<u8>, EngineError> {
        self.inner.detokenize(ids).await
    }
    async fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        add_generation_prompt: bool,
    ) -> Result<String, EngineError> {
        self.inner.render(messages, tools, add_generation_prompt).await
    }
    fn tokenizer_info(&self) -> Option<TokenizerInfo> {
        self.inner.tokenizer_info()
    }
}
