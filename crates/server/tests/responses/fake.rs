//! A server over a generator that says what the test wants.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use candor_engine::{
    Abilities, EmbedInput, Embeddings, EngineError, Event, EventStream, FinishReason, GenerateRequest, Generator,
    ModelCard, Prompt, Tokenized, Usage,
};
use candor_server::{App, Models, ServerConfig};
use candor_wire::chat::{FunctionCall, Message, Tool, ToolCall};
use futures::StreamExt;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

type Script = Vec<Result<Event, EngineError>>;

pub(crate) struct Fake {
    script: Script,
    endless: bool,
    asked: Mutex<Option<GenerateRequest>>,
    running: Arc<AtomicBool>,
}

struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Generator for Fake {
    fn abilities(&self) -> Abilities {
        Abilities {
            generate: true,
            chat: true,
            logprobs: true,
            constraints: true,
            ..Abilities::default()
        }
    }
    fn card(&self) -> ModelCard {
        ModelCard {
            id: "m".into(),
            ..ModelCard::default()
        }
    }
    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError> {
        *self.asked.lock().unwrap() = Some(request);
        self.running.store(true, Ordering::SeqCst);
        let running = Running(self.running.clone());
        let events = if self.endless {
            futures::stream::repeat_with(|| Ok(text("x")))
                .then(|event| async {
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                    event
                })
                .boxed()
        } else {
            futures::stream::iter(self.script.clone()).boxed()
        };
        Ok(events
            .map(move |event| {
                let _held = &running;
                event
            })
            .boxed())
    }
    async fn embed(&self, _: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        unimplemented!()
    }
    async fn tokenize(&self, _: &str, _: bool, _: bool) -> Result<Tokenized, EngineError> {
        unimplemented!()
    }
    async fn detokenize(&self, _: &[u32]) -> Result<Vec<u8>, EngineError> {
        unimplemented!()
    }
    async fn render(&self, _: &[Message], _: &[Tool], _: bool) -> Result<String, EngineError> {
        unimplemented!()
    }
}

pub(crate) fn text(text: &str) -> Event {
    Event::Text {
        text: text.into(),
        tokens: Vec::new(),
    }
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Event {
    let function = FunctionCall {
        name: name.into(),
        arguments: arguments.into(),
    };
    Event::ToolCall(ToolCall {
        id: id.into(),
        kind: "function".into(),
        function,
    })
}

fn end(reason: FinishReason) -> Event {
    Event::Finish {
        reason,
        usage: Usage {
            prompt_tokens: 7,
            cached_tokens: 5,
            completion_tokens: 3,
        },
    }
}

pub(crate) fn finish() -> Event {
    end(FinishReason::Stop)
}

pub(crate) fn long() -> Event {
    end(FinishReason::Length)
}

pub(crate) struct Server {
    router: axum::Router,
    fake: Arc<Fake>,
}

impl Server {
    fn build(script: Script, endless: bool, store: Option<candor_store::Store>) -> Self {
        let fake = Arc::new(Fake {
            script,
            endless,
            asked: Mutex::default(),
            running: Arc::default(),
        });
        let models = Models::new();
        models.insert("m", fake.clone());
        let mut app = App::new(Arc::new(models), ServerConfig::default());
        if let Some(store) = store {
            app = app.with(store);
        }
        Self {
            router: candor_server::router(app),
            fake,
        }
    }

    pub(crate) fn new(script: Script) -> Self {
        Self::build(script, false, None)
    }

    pub(crate) fn saying(events: Vec<Event>) -> Self {
        Self::new(events.into_iter().map(Ok).collect())
    }

    pub(crate) fn endless() -> Self {
        Self::build(Vec::new(), true, None)
    }

    pub(crate) fn with_store(script: Script, store: candor_store::Store) -> Self {
        Self::build(script, false, Some(store))
    }

    pub(crate) async fn raw(&self, method: &str, path: &str, body: Option<Value>) -> axum::response::Response {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1:8080");
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.raw(method, path, body).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None).await
    }

    /// The engine's last request.
    pub(crate) fn asked(&self) -> GenerateRequest {
        self.fake.asked.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn running(&self) -> bool {
        self.fake.running.load(Ordering::SeqCst)
    }

    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        let Prompt::Chat { messages, .. } = self.asked().prompt else {
            panic!("not a conversation")
        };
        messages
            .into_iter()
            .map(|m| (m.role, m.content.map(|content| content.text()).unwrap_or_default()))
            .collect()
    }
}
