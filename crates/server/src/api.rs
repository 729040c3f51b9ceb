//! The OpenAI-shaped API: one file per route, and what they share: reading a body, checking it, running it, sending it.

use axum::Router;
use axum::routing::{get, post};

use crate::App;

mod chat;
pub mod checked;
mod completions;
mod constraint;
mod embeddings;
pub(crate) mod grounded;
mod health;
mod logprobs;
pub(crate) mod metrics;
mod models;
pub(crate) mod openapi;
pub(crate) mod receipts;
mod refused;
mod run;
mod sse;
mod tokenize;

pub(crate) use run::now;

/// The routes of this folder.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(completions::completions))
        .route("/v1/receipts/{id}", get(receipts::one).delete(receipts::delete))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/tokenize", post(tokenize::tokenize))
        .route("/detokenize", post(tokenize::detokenize))
        .route("/tokenizer_info", get(tokenize::info))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
}
