//! `/v1/responses`, as the Open Responses specification has it.

use axum::Router;

use crate::App;

/// The routes of this folder.
pub fn routes() -> Router<App> {
    Router::new()
}
