//! HTTP: the OpenAI-shaped API, the app's API, the embedded page, guards, metrics. It renders no template and samples
//! no token: whatever makes text is a `candor_engine::Generator` behind `App::models`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod app;
pub mod body;
mod config;
mod error;
mod evidence;
pub mod files;
mod guards;
mod page;
pub mod responses;
mod serve;
mod state;
pub mod vector_stores;

pub use candor_engine::Models;
pub use config::{ApiKey, ServerConfig};
pub use error::ApiError;
pub use page::page_is_built;
pub use serve::{ServeError, bind, serve};
pub use state::App;

use axum::Router;

/// Begins to count for `/metrics`. What happens before the first call, such as loading models, is not in it.
pub fn count() {
    api::metrics::Exporter::shared();
}

/// Every route, behind every guard. Routes come from one `routes()` per folder; a new folder is one line here.
pub fn router(app: App) -> Router {
    let app = app::with_store(app);
    let routes = Router::new()
        .merge(api::routes())
        .merge(app::routes())
        .merge(responses::routes())
        .merge(files::routes())
        .merge(vector_stores::routes())
        .merge(page::routes())
        .fallback(error::unknown_route);
    guards::around(routes.with_state(app.clone()), &app)
}
