//! The short routes: models, settings, feedback.

use axum::Json;
use axum::extract::{Path, State};
use candor_store::{Feedback, NewFeedback};
use http::StatusCode;
use serde::Serialize;

use super::{Chat, refused};
use crate::body::Body;
use crate::{ApiError, App};

/// A model that the page can choose.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    id: String,
    context: Option<usize>,
    owned_by: String,
    /// Whether it can hold a conversation; `null` until it was loaded for the first time.
    chat: Option<bool>,
    default: bool,
}

/// `GET /api/models`. Listing loads nothing.
pub(super) async fn models(State(app): State<App>) -> Json<Vec<Choice>> {
    let default = app.models.default_name();
    let mut choices = Vec::new();
    for card in app.models.list() {
        let chat = match app.models.is_loaded(&card.id) {
            true => app.models.get(&card.id).await.ok().map(|model| model.abilities().chat),
            false => None,
        };
        choices.push(Choice {
            default: default.as_deref() == Some(card.id.as_str()),
            context: card.context,
            owned_by: card.owned_by,
            id: card.id,
            chat,
        });
    }
    Json(choices)
}

/// `GET /api/settings`
pub(super) async fn settings(chat: Chat) -> Result<Json<serde_json::Map<String, serde_json::Value>>, ApiError> {
    Ok(Json(chat.store.settings().await.map_err(refused)?))
}

/// `PUT /api/settings/{key}`: any JSON; `null` removes it.
pub(super) async fn set_setting(
    chat: Chat,
    Path(key): Path<String>,
    Body(value): Body<serde_json::Value>,
) -> Result<StatusCode, ApiError> {
    chat.store.set_setting(&key, value).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/feedback`: all of it, with the copies it holds.
pub(super) async fn all_feedback(chat: Chat) -> Result<Json<Vec<Feedback>>, ApiError> {
    Ok(Json(chat.store.feedback(None).await.map_err(refused)?))
}

/// `PUT /api/conversations/{id}/messages/{message}/feedback`
pub(super) async fn put_feedback(
    chat: Chat,
    Path((id, message)): Path<(String, String)>,
    Body(new): Body<NewFeedback>,
) -> Result<Json<Feedback>, ApiError> {
    Ok(Json(
        chat.store.put_feedback(&id, &message, new).await.map_err(refused)?,
    ))
}

/// `DELETE /api/conversations/{id}/messages/{message}/feedback`
pub(super) async fn delete_feedback(
    chat: Chat,
    Path((id, message)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    chat.store.delete_feedback(&id, &message).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
