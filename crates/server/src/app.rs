//! The chat page's own API: conversations, answers, sources, feedback, settings. Its routes live below `/api/`. Answers are
//! written by tasks of their own, so that a page that reloads or goes away interrupts nothing.

mod addresses;
mod answers;
mod conversations;
mod fit;
mod originals;
mod prepare;
mod sampling;
mod small;
mod sources;
mod turns;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::{get, post, put};
use candor_engine::EngineError;
use candor_store::{Store, StoreError};
use http::request::Parts;
use tokio::sync::OnceCell;

use crate::{ApiError, App};
use answers::Answers;

/// The routes of this folder.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/models", get(small::models))
        .route("/api/settings", get(small::settings))
        .route("/api/settings/{key}", put(small::set_setting))
        .route("/api/feedback", get(small::all_feedback))
        .route("/api/search", get(conversations::search))
        .route("/api/receipts/{id}/standing", get(addresses::standing))
        .route("/api/addresses", get(addresses::list).post(addresses::add))
        .route("/api/import", post(conversations::import))
        .route("/api/sources", get(sources::list))
        .route("/api/sources/{id}/passage", get(sources::passage))
        .route("/api/sources/{id}/original", get(originals::original))
        .route(
            "/api/conversations",
            get(conversations::list).post(conversations::create),
        )
        .route(
            "/api/conversations/{id}",
            get(conversations::one)
                .patch(conversations::change)
                .delete(conversations::delete),
        )
        .route("/api/conversations/{id}/export", get(conversations::export))
        .route("/api/conversations/{id}/stream", get(turns::stream))
        .route("/api/conversations/{id}/stop", post(turns::stop))
        .route("/api/conversations/{id}/messages", post(turns::ask))
        .route("/api/conversations/{id}/messages/{message}/edit", post(turns::edit))
        .route(
            "/api/conversations/{id}/messages/{message}/regenerate",
            post(turns::regenerate),
        )
        .route("/api/conversations/{id}/messages/{message}/select", post(turns::select))
        .route(
            "/api/conversations/{id}/messages/{message}/feedback",
            put(small::put_feedback).delete(small::delete_feedback),
        )
}

/// Makes the routes of this folder work where a store was put in with [`App::with`].
pub(crate) fn with_store(app: App) -> App {
    match app.extension::<Store>().cloned() {
        Some(store) => app.with(Chat {
            store,
            answers: Arc::default(),
            tidied: Arc::default(),
            originals: originals::Room::default(),
        }),
        None => app,
    }
}

/// What the routes of this folder work with.
#[derive(Clone)]
pub(crate) struct Chat {
    store: Store,
    answers: Arc<Answers>,
    /// Whether answers that an earlier run of the program left half written were marked as stopped.
    tidied: Arc<OnceCell<()>>,
    /// Room for the files that are handed out.
    originals: originals::Room,
}

impl FromRequestParts<App> for Chat {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Some(chat) = app.extension::<Self>() else {
            let message = "this server keeps no conversations, because it was started without a store; see its log";
            return Err(EngineError::Unavailable {
                message: message.into(),
            }
            .into());
        };
        // Before the first request of this folder is answered, so before it can start an answer of its own.
        let tidy = async || match chat.store.stop_unfinished().await {
            Ok(0) => Ok(()),
            Ok(count) => {
                tracing::info!(
                    count,
                    "answers that were cut off by the last exit are marked as stopped"
                );
                Ok(())
            }
            // A store that can only be read can still be shown.
            Err(StoreError::ReadOnly { .. } | StoreError::Full { .. }) => Ok(()),
            Err(error) => Err(refused(error)),
        };
        chat.tidied.get_or_try_init(tidy).await?;
        Ok(chat.clone())
    }
}

/// A store's refusal as a response.
fn refused(error: StoreError) -> ApiError {
    error.into()
}
