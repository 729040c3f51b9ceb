//! Vectors of passages and questions, from whatever generator makes embeddings. Inputs that are longer than the model
//! takes are cut, as the model's own library does.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use candor_engine::{EmbedInput, EngineError, Generator};
use tokio::sync::Mutex;

/// Bytes of an input to a model whose tokenizer is not at hand.
const MOST_BYTES: usize = 1000;

/// An embedding model.
#[derive(Clone)]
pub struct Embedder {
    generator: Arc<dyn Generator>,
    name: String,
    /// Tokens of an input, where it is known.
    limit: Option<usize>,
}

/// Loads a model, if it can be had.
type Loader = Pin<Box<dyn Future<Output = Option<Embedder>> + Send>>;

/// A library's embedding model, which may come while the library is in use, or be loaded when it is first needed: clones
/// share it.
#[derive(Clone, Default)]
pub struct EmbedderSlot(Arc<Slot>);

#[derive(Default)]
struct Slot {
    there: OnceLock<Embedder>,
    loader: Mutex<Option<Loader>>,
}

impl EmbedderSlot {
    /// The model, where there is one by now.
    pub fn get(&self) -> Option<&Embedder> {
        self.0.there.get()
    }

    /// The model, where there is one; waits for one that is loaded when it is needed.
    pub async fn ready(&self) -> Option<&Embedder> {
        let mut loader = self.0.loader.lock().await;
        // Whoever gives up waiting leaves the rest of it to the next.
        if let Some(coming) = loader.as_mut() {
            let embedder = coming.await;
            *loader = None;
            if let Some(embedder) = embedder {
                self.put(embedder);
            }
        }
        drop(loader);
        self.get()
    }

    /// Puts a model there; the first one stays.
    pub fn put(&self, embedder: Embedder) {
        // A second one is of the same name and makes the same vectors.
        drop(self.0.there.set(embedder));
    }

    /// Says how the model is loaded when it is needed.
    pub async fn load_by(&self, loader: impl Future<Output = Option<Embedder>> + Send + 'static) {
        *self.0.loader.lock().await = Some(Box::pin(loader));
    }
}

impl From<Option<Embedder>> for EmbedderSlot {
    fn from(embedder: Option<Embedder>) -> Self {
        let slot = Self::default();
        if let Some(embedder) = embedder {
            slot.put(embedder);
        }
        slot
    }
}

impl Embedder {
    /// Uses `generator`; an error where it makes no embeddings.
    ///
    /// # Errors
    /// If it makes none.
    pub fn new(generator: Arc<dyn Generator>) -> Result<Self, EngineError> {
        let card = generator.card();
        if !generator.abilities().embed {
            return Err(EngineError::Invalid {
                param: Some("model".into()),
                message: format!(
                    "`{}` makes no embeddings; choose an embedding model such as all-minilm-l6-v2",
                    card.id
                ),
            });
        }
        Ok(Self {
            limit: card.context.filter(|_| generator.abilities().tokens),
            name: card.id,
            generator,
        })
    }

    /// Names the model in an index: vectors of different models are not compared.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One vector of length 1 per text.
    ///
    /// # Errors
    /// If the model fails.
    pub async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut inputs = Vec::with_capacity(texts.len());
        for text in texts {
            inputs.push(self.input(text).await?);
        }
        Ok(self.generator.embed(inputs).await?.vectors)
    }

    /// The states of every token of each text, frame included, `[tokens, width]`; `None` where the model does not say.
    ///
    /// # Errors
    /// If the model fails.
    pub async fn token_states(&self, texts: &[String]) -> Result<Option<Vec<Vec<f32>>>, EngineError> {
        let mut inputs = Vec::with_capacity(texts.len());
        for text in texts {
            inputs.push(self.input(text).await?);
        }
        Ok(self.generator.token_states(inputs).await?.map(|states| states.vectors))
    }

    /// The width of a vector, where it is known.
    pub fn width(&self) -> Option<usize> {
        self.generator.card().embedding_dim
    }

    async fn input(&self, text: &str) -> Result<EmbedInput, EngineError> {
        let Some(limit) = self.limit else {
            return Ok(EmbedInput::Text(head(text, MOST_BYTES).to_owned()));
        };
        // A token has at least one byte.
        if text.len() + 2 <= limit {
            return Ok(EmbedInput::Text(text.to_owned()));
        }
        let mut ids = self.generator.tokenize(text, false, true).await?.ids;
        if ids.len() > limit {
            // The last token closes the frame.
            let last = ids.last().copied();
            ids.truncate(limit - 1);
            ids.extend(last);
        }
        Ok(EmbedInput::Tokens(ids))
    }
}

fn head(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_is_loaded_when_it_is_needed_and_whoever_stops_waiting_leaves_it_to_the_next() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::time::Duration;

        let slot = EmbedderSlot::default();
        assert!(slot.ready().await.is_none());
        let (begun, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
        let (count, told) = (Arc::clone(&begun), Arc::clone(&go_on));
        slot.load_by(async move {
            count.fetch_add(1, Ordering::Relaxed);
            told.notified().await;
            count.fetch_add(10, Ordering::Relaxed);
            None
        })
        .await;
        assert!(slot.get().is_none());
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        let waited = tokio::time::timeout(Duration::from_millis(20), slot.ready()).await;
        assert!(waited.is_err());
        go_on.notify_one();
        let other = slot.clone();
        let both = tokio::join!(slot.ready(), other.ready());
        assert!(both.0.is_none() && both.1.is_none());
        assert_eq!(begun.load(Ordering::Relaxed), 11);
    }
}
