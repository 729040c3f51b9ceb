//! The chat page's own API: conversations, feedback, settings. Its routes live below `/api/`.

use axum::Router;

use crate::App;

/// The routes of this folder.
pub fn routes() -> Router<App> {
    Router::new()
}
