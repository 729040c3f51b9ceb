//! The OpenAI-shaped API, one file per route.

use axum::Router;
use axum::routing::get;

use crate::App;

mod health;
pub(crate) mod metrics;

/// The routes of this folder.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
}
