//! A server that fails on purpose, on loopback, for tests of `Upstream`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use candor_engine::upstream::{Kind, Task, Timeouts, UpstreamConfig, UpstreamModel};
use candor_engine::{Constraint, Dry, GenerateRequest, Prompt, Sampling, Stop};
use candor_wire::chat::{Content, Message, ToolChoice};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// What the server does with requests for text.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Says this, one piece each.
    Say(Vec<&'static str>),
    /// Sends these bytes as the stream, then ends the connection properly.
    Raw(Vec<u8>),
    /// The connection breaks after these bytes.
    Break(Vec<u8>),
    /// Sends nothing for this long.
    Slow(Duration),
    /// Sends these bytes, then nothing more.
    Stall(Vec<u8>),
    /// Goes on for ever, one piece every 5 ms.
    Endless,
    /// Refuses.
    Status(u16, Vec<(&'static str, &'static str)>, Value),
    /// Answers JSON.
    Json(Value),
    /// A line that never ends.
    HugeLine,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: String,
    pub(crate) behaviour: Arc<Mutex<Behaviour>>,
    /// Requests for text that came in.
    pub(crate) asked: Arc<AtomicUsize>,
    /// Streams that are being sent.
    pub(crate) running: Arc<AtomicUsize>,
    /// What was sent last: authorization, body.
    pub(crate) last: Arc<Mutex<(Option<String>, Value)>>,
    pub(crate) healthy: Arc<std::sync::atomic::AtomicBool>,
}

impl Fake {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            behaviour: Arc::new(Mutex::new(behaviour)),
            asked: Arc::default(),
            running: Arc::default(),
            last: Arc::default(),
            healthy: Arc::new(true.into()),
        };
        let routes = Router::new()
            .route("/health", get(health))
            .route("/v1/models", get(health))
            .route("/v1/{*rest}", post(answer))
            .route("/tokenize", post(answer))
            .route("/detokenize", post(answer))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        fake
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn body(&self) -> Value {
        self.last.lock().unwrap().1.clone()
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }
}

async fn health(State(fake): State<Fake>) -> StatusCode {
    if fake.healthy.load(Ordering::SeqCst) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) fn chunk(text: &str) -> Vec<u8> {
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": text}, "text": text}]})
    )
    .into_bytes()
}

pub(crate) fn ending() -> Vec<u8> {
    let reason = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}});
    format!("data: {reason}\n\ndata: {usage}\n\ndata: [DONE]\n\n").into_bytes()
}

type Pieces = futures::stream::BoxStream<'static, Result<Bytes, std::io::Error>>;

async fn answer(State(fake): State<Fake>, headers: HeaderMap, body: Bytes) -> Response {
    fake.asked.fetch_add(1, Ordering::SeqCst);
    let key = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    *fake.last.lock().unwrap() = (key, serde_json::from_slice(&body).unwrap());
    let ok = |pieces: Vec<Vec<u8>>| -> Pieces {
        futures::stream::iter(pieces.into_iter().map(|p| Ok(Bytes::from(p)))).boxed()
    };
    let behaviour = fake.behaviour.lock().unwrap().clone();
    let pieces: Pieces = match behaviour {
        Behaviour::Say(words) => ok(words.into_iter().map(chunk).chain([ending()]).collect()),
        Behaviour::Raw(bytes) => ok(vec![bytes]),
        Behaviour::Break(bytes) => {
            let broken = futures::stream::once(async {
                tokio::time::sleep(Duration::from_millis(30)).await; // so that what was written before is sent
                Err(std::io::Error::other("broken on purpose"))
            });
            ok(vec![bytes])
                .filter(|piece| std::future::ready(!matches!(piece, Ok(b) if b.is_empty())))
                .chain(broken)
                .boxed()
        }
        Behaviour::Slow(time) => {
            tokio::time::sleep(time).await;
            ok(vec![chunk("late"), ending()])
        }
        Behaviour::Stall(bytes) => ok(vec![bytes]).chain(futures::stream::pending()).boxed(),
        Behaviour::Endless => futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok(Bytes::from(chunk("x"))), ()))
        })
        .boxed(),
        Behaviour::Status(code, headers, body) => {
            let mut response = Response::builder()
                .status(code)
                .header("content-type", "application/json");
            for (name, value) in headers {
                response = response.header(name, value);
            }
            return response.body(Body::from(body.to_string())).unwrap();
        }
        Behaviour::Json(body) => {
            return Response::builder()
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
        }
        Behaviour::HugeLine => futures::stream::repeat_with(|| Ok(Bytes::from(vec![b'x'; 65536]))).boxed(),
    };
    fake.running.fetch_add(1, Ordering::SeqCst);
    let running = Running(fake.running.clone());
    let pieces = pieces.map(move |piece| {
        let _held = &running;
        piece
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(pieces))
        .unwrap()
}

pub(crate) fn config(name: &str, kind: Kind, fakes: &[&Fake]) -> UpstreamConfig {
    UpstreamConfig {
        name: name.into(),
        kind,
        replicas: fakes.iter().map(|fake| fake.address.clone()).collect(),
        key_env: None,
        models: vec![UpstreamModel {
            id: "big/model".into(),
            alias: Some("model".into()),
            weight: 1.0,
            max_concurrent: None,
            queue: 64,
            context: Some(4096),
            max_tokens: None,
            task: Task::Generate,
        }],
        timeouts: Timeouts {
            connect_s: 1.0,
            first_token_s: 2.0,
            idle_s: 1.0,
            queue_s: 1.0,
            probe_s: 1.0,
            probe_every_s: 3600.0,
        },
        retries: 2,
        health_path: None,
        proxy: false,
    }
}

pub(crate) fn chat(text: &str) -> GenerateRequest {
    let message = Message {
        role: "user".into(),
        content: Some(Content::Text(text.into())),
        ..Message::default()
    };
    GenerateRequest {
        prompt: Prompt::Chat {
            messages: vec![message],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
        },
        sampling: Sampling {
            temperature: 0.7,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry: Dry {
                multiplier: 0.0,
                base: 1.75,
                allowed_length: 2,
                sequence_breakers: Vec::new(),
            },
            logit_bias: Vec::new(),
            seed: None,
        },
        stop: Stop::default(),
        constraint: Constraint::None,
        logprobs: None,
        prompt_logprobs: None,
        affinity: None,
    }
}
