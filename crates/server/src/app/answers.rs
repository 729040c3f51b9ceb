//! Answers that are being written. Each runs in a task of its own, which saves its text a few times a second. Whoever
//! looks on reads the text from where they are: a slow reader queues nothing, and any number may join at any time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use candor_engine::{EngineError, Event, EventStream, FinishReason, GenerateRequest, Generator};
use candor_store::{Message, MessageUpdate, State, Store};
use futures::StreamExt;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use crate::ApiError;
use crate::api::grounded::{Grounded, Shown};

/// Time between saves of a text that grows.
const SAVE_EVERY: Duration = Duration::from_millis(250);

/// The answers that run, at most one per conversation.
#[derive(Default)]
pub(super) struct Answers {
    running: Mutex<HashMap<String, Arc<Running>>>,
}

/// One answer that runs, or has just ended.
pub(super) struct Running {
    text: Mutex<Text>,
    changed: watch::Sender<u64>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Text {
    message: Option<Message>,
    content: String,
    /// Pieces that came, which is near the number of tokens.
    pieces: usize,
    first: Option<Instant>,
    ended: bool,
}

/// How an answer comes about.
pub(super) enum Work {
    /// The model goes on with the conversation.
    Model(Arc<dyn Generator>, Box<GenerateRequest>),
    /// Sources are quoted, and what they say is put into a model's words where there is one.
    Sources(Box<Grounded>, OwnedSemaphorePermit, Option<Arc<dyn Generator>>),
    /// The model says what it remembers, and is asked again to see how sure that is.
    Memory(
        Box<Grounded>,
        OwnedSemaphorePermit,
        Arc<dyn Generator>,
        Box<GenerateRequest>,
    ),
}

/// What a reader finds.
pub(super) struct Look {
    /// The message as it was when it began, or as it ended. `None` while its question is being stored.
    pub(super) message: Option<Message>,
    /// Text from the reader's place on.
    pub(super) news: String,
    /// The reader's next place.
    pub(super) at: usize,
    /// Tokens per second so far.
    pub(super) rate: Option<f64>,
    /// Nothing more comes.
    pub(super) ended: bool,
}

/// A conversation's place among the running answers; given back when dropped, whatever happens.
pub(super) struct Place {
    answers: Arc<Answers>,
    conversation: String,
    running: Arc<Running>,
}

impl Answers {
    /// Takes the conversation's place, unless an answer of it runs already.
    pub(super) fn take(self: &Arc<Self>, conversation: &str) -> Option<Place> {
        let mut running = lock(&self.running);
        if running.contains_key(conversation) {
            return None;
        }
        let new = Arc::new(Running {
            text: Mutex::default(),
            changed: watch::Sender::new(0),
            stop: CancellationToken::new(),
        });
        running.insert(conversation.to_owned(), new.clone());
        Some(Place {
            answers: self.clone(),
            conversation: conversation.to_owned(),
            running: new,
        })
    }

    /// The answer of this conversation that runs.
    pub(super) fn get(&self, conversation: &str) -> Option<Arc<Running>> {
        lock(&self.running).get(conversation).cloned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.running.text).ended = true;
        lock(&self.answers.running).remove(&self.conversation);
        self.running.changed.send_modify(|version| *version += 1);
    }
}

impl Running {
    /// Ends the answer where it is.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Wakes whenever there is something new.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The text from byte `at` on, and how far the answer is.
    pub(super) fn look(&self, at: usize) -> Look {
        let text = lock(&self.text);
        Look {
            message: text.message.clone(),
            news: text.content.get(at..).unwrap_or_default().to_owned(),
            at: text.content.len(),
            rate: text.rate(),
            ended: text.ended,
        }
    }
}

impl Text {
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    fn rate(&self) -> Option<f64> {
        let seconds = self.first?.elapsed().as_secs_f64();
        (self.pieces > 4 && seconds > 0.0).then(|| (self.pieces - 1) as f64 / seconds)
    }
}

impl Place {
    /// Writes the answer in a task of its own.
    pub(super) fn write(self, store: Store, work: Work, message: Message) {
        lock(&self.running.text).message = Some(message.clone());
        tokio::spawn(async move {
            let id = message.id.clone();
            let stop = self.running.stop.clone();
            let (state, error, usage) = tokio::select! {
                () = stop.cancelled() => (State::Stopped, None, None),
                outcome = self.work(&store, &id, work) => match outcome {
                    Ok(usage) => (State::Done, None, usage),
                    Err(error) => (State::Failed, Some(error.to_string()), None),
                },
            };
            self.finish(&store, message, state, error, usage).await;
        });
    }

    /// The answer's usage, where tokens were counted.
    async fn work(&self, store: &Store, id: &str, work: Work) -> Result<Option<serde_json::Value>, ApiError> {
        let answer = match work {
            Work::Model(model, request) => return Ok(Some(self.follow(store, id, model.as_ref(), *request).await?)),
            Work::Sources(grounded, _permit, None) => grounded.by_sources(None).await?,
            Work::Sources(grounded, _permit, Some(model)) => grounded.in_words_of(model.as_ref()).await?,
            Work::Memory(grounded, _permit, model, request) => grounded.by_memory(model.as_ref(), *request).await?,
        };
        let shown = Shown::of(&answer)?;
        let candor = serde_json::to_value(&shown.candor).ok();
        if let Some(message) = &mut lock(&self.running.text).message {
            message.candor = candor;
        }
        for piece in shown.pieces() {
            lock(&self.running.text).content.push_str(piece);
            self.running.changed.send_modify(|version| *version += 1);
        }
        Ok(None)
    }

    async fn follow(
        &self,
        store: &Store,
        id: &str,
        model: &dyn Generator,
        request: GenerateRequest,
    ) -> Result<serde_json::Value, EngineError> {
        let mut events: EventStream = model.generate(request).await?;
        let mut save = tokio::time::interval(SAVE_EVERY);
        save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut saved = 0;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = save.tick() => {
                    let content = lock(&self.running.text).content.clone();
                    if content.len() > saved {
                        saved = content.len();
                        let update = MessageUpdate { content: Some(content), ..Default::default() };
                        // A full disk now may have room at the end, and the person reads on meanwhile.
                        match store.update_message(id, update).await {
                            Err(error) => tracing::warn!(%error, "an answer could not be saved so far"),
                            Ok(false) => self.running.stop(), // its conversation was deleted
                            Ok(true) => {}
                        }
                    }
                    continue;
                }
            };
            match event {
                Some(Ok(Event::Text { text, .. })) => self.append(&text),
                Some(Ok(Event::Finish { reason, usage })) => {
                    return Ok(json!({
                        "prompt_tokens": usage.prompt_tokens,
                        "cached_tokens": usage.cached_tokens,
                        "completion_tokens": usage.completion_tokens,
                        "finish_reason": if reason == FinishReason::Length { "length" } else { "stop" },
                    }));
                }
                Some(Ok(Event::Prompt(_) | Event::ToolCall(_))) => {}
                Some(Err(error)) => return Err(error),
                None => {
                    let message = "the answer broke off; regenerate it".into();
                    return Err(EngineError::Internal { message });
                }
            }
        }
    }

    fn append(&self, piece: &str) {
        let mut text = lock(&self.running.text);
        text.first.get_or_insert_with(Instant::now);
        text.content.push_str(piece);
        text.pieces += 1;
        drop(text);
        self.running.changed.send_modify(|version| *version += 1);
    }

    async fn finish(
        self,
        store: &Store,
        mut message: Message,
        state: State,
        error: Option<String>,
        usage: Option<serde_json::Value>,
    ) {
        {
            let text = lock(&self.running.text);
            message.content.clone_from(&text.content);
            message.candor = text.message.as_ref().and_then(|shown| shown.candor.clone());
            message.tokens_per_second = text.rate();
            message.usage = usage.or_else(|| (text.pieces > 0).then(|| json!({ "completion_tokens": text.pieces })));
        }
        message.state = state;
        message.error = error;
        let update = MessageUpdate {
            content: Some(message.content.clone()),
            state: Some(state),
            error: message.error.clone(),
            usage: message.usage.clone(),
            tokens_per_second: message.tokens_per_second,
            candor: message.candor.clone(),
        };
        if let Err(error) = store.update_message(&message.id, update).await {
            tracing::error!(%error, "an answer could not be saved");
            message.state = State::Failed;
            message.error = Some(error.to_string());
        }
        lock(&self.running.text).message = Some(message);
        // Dropping `self` says that it ended, after the store has it.
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
