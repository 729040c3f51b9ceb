//! Any bytes as the body of each route, through the whole server with a tiny real model behind it: an answer or a refusal in
//! the error shape, never a 500.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::Request;
use candor_engine::{EngineOptions, Local, Models};
use candor_model::{KvFormat, LoadOptions, Precision};
use candor_server::{App, ServerConfig, router};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;

const ROUTES: [&str; 7] =
    ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/tokenize", "/detokenize", "/v1/responses/input_tokens"];

static SERVER: LazyLock<(tokio::runtime::Runtime, axum::Router)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let load = LoadOptions { precision: Precision::Quantized, kv: KvFormat::F16, threads: 1 };
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/model/fixtures/llama.gguf"));
    let models = Models::new();
    let options = EngineOptions { threads: 1, ..EngineOptions::default() };
    models.insert("tiny", Arc::new(Local::open(file, &load, &options).expect("the tiny model")));
    let _guard = runtime.enter();
    let router = router(App::new(Arc::new(models), ServerConfig::default()));
    (runtime, router)
});

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (route, body) = input;
    let route = ROUTES[usize::from(route) % ROUTES.len()];
    let (runtime, router) = &*SERVER;
    let request = Request::post(route).header("host", "127.0.0.1:8080").header("content-type", "application/json");
    let request = request.body(Body::from(body)).expect("a request");
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        assert_ne!(status.as_u16(), 500, "{route}: {}", String::from_utf8_lossy(&body));
    });
});
