//! The server from outside: requests in, responses out, with a fake model behind it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

use std::sync::Arc;

use axum::body::Body;
use candor_server::{ApiKey, App, Models, ServerConfig, router};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

mod chat;
mod completions;
mod documented;
mod errors;
mod fake;
mod files;
mod guards;
mod socket;
mod sources;
mod vectors;

/// A response, read to its end.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks status and error shape, and gives back the error.
    #[track_caller]
    fn error(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = self.json()["error"].clone();
        assert!(
            error["message"].as_str().is_some_and(|message| message.len() > 10),
            "{error}"
        );
        assert!(
            error["type"].is_string() && error.get("param").is_some() && error.get("code").is_some(),
            "{error}"
        );
        error
    }

    /// The JSON events of a stream, which must end with `[DONE]`.
    fn events(&self) -> Vec<Value> {
        assert!(self.header("content-type").starts_with("text/event-stream"));
        let mut lines: Vec<&str> = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        assert_eq!(lines.pop(), Some("[DONE]"), "{}", self.text);
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn app_with(config: ServerConfig) -> App {
    let models = Models::new();
    models.insert("fake", Arc::new(fake::Fake::default()));
    App::new(Arc::new(models), config)
}

fn app() -> App {
    app_with(ServerConfig::default())
}

fn keyed() -> ServerConfig {
    ServerConfig {
        api_key: ApiKey::new("secret"),
        ..ServerConfig::default()
    }
}

async fn send(app: &App, request: Request<Body>) -> Reply {
    let response = router(app.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Reply {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1:8080")
}

async fn get(app: &App, path: &str) -> Reply {
    send(app, request("GET", path).body(Body::empty()).unwrap()).await
}

async fn post_bytes(app: &App, path: &str, bytes: impl Into<Body>) -> Reply {
    let request = request("POST", path).header(header::CONTENT_TYPE, "application/json");
    send(app, request.body(bytes.into()).unwrap()).await
}

async fn post(app: &App, path: &str, body: &Value) -> Reply {
    post_bytes(app, path, body.to_string()).await
}

/// A chat request with one user turn and more fields.
fn chat_body(text: &str, more: Value) -> Value {
    let mut body = json!({ "model": "fake", "messages": [{ "role": "user", "content": text }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn chat(text: &str, more: Value) -> Reply {
    post(&app(), "/v1/chat/completions", &chat_body(text, more)).await
}

async fn complete(more: Value) -> Reply {
    let mut body = json!({ "model": "fake", "prompt": "Once" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(&app(), "/v1/completions", &body).await
}
