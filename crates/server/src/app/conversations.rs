//! Conversations: list, make, read, change, delete, search, export, import.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use candor_store::{Conversation, ConversationChange, Document, Feedback, Hit, Message, NewConversation, StoreError};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::sampling::Knobs;
use super::{Chat, refused};
use crate::body::Body;
use crate::{ApiError, App, evidence};

/// `GET /api/conversations?archived=&before=&limit=`
pub(super) async fn list(chat: Chat, Query(page): Query<Page>) -> Result<Json<Vec<Conversation>>, ApiError> {
    let list = chat
        .store
        .conversations(page.archived, page.before, page.limit.unwrap_or(200))
        .await;
    Ok(Json(list.map_err(refused)?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    archived: bool,
    before: Option<i64>,
    limit: Option<u64>,
}

/// `POST /api/conversations`
pub(super) async fn create(
    chat: Chat,
    State(app): State<App>,
    Body(new): Body<NewConversation>,
) -> Result<(StatusCode, Json<Conversation>), ApiError> {
    Knobs::checked(&new.sampling)?;
    if let Some(model) = &new.model {
        app.models.get(model).await?;
    }
    let made = chat.store.create_conversation(new).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A conversation with everything in it.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    conversation: Conversation,
    messages: Vec<Message>,
    feedback: Vec<Feedback>,
    /// Whether an answer is being written.
    running: bool,
}

/// `GET /api/conversations/{id}`
pub(super) async fn one(chat: Chat, Path(id): Path<String>) -> Result<Json<Whole>, ApiError> {
    let conversation = chat.store.conversation(&id).await.map_err(refused)?;
    let mut messages = chat.store.messages(&id).await.map_err(refused)?;
    evidence::recheck_all(&chat.store, &mut messages).await?;
    let feedback = chat.store.feedback(Some(&id)).await.map_err(refused)?;
    let running = chat.answers.get(&id).is_some();
    Ok(Json(Whole {
        conversation,
        messages,
        feedback,
        running,
    }))
}

/// `PATCH /api/conversations/{id}`
pub(super) async fn change(
    chat: Chat,
    State(app): State<App>,
    Path(id): Path<String>,
    Body(change): Body<ConversationChange>,
) -> Result<Json<Conversation>, ApiError> {
    if let Some(sampling) = &change.sampling {
        Knobs::checked(sampling)?;
    }
    if let Some(model) = &change.model {
        app.models.get(model).await?;
    }
    Ok(Json(
        chat.store.change_conversation(&id, change).await.map_err(refused)?,
    ))
}

/// `DELETE /api/conversations/{id}`: an answer that runs in it ends. What the receipts of its answers say goes with it; that
/// there were such answers stays, or the chain of receipts would break.
pub(super) async fn delete(chat: Chat, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    if let Some(running) = chat.answers.get(&id) {
        running.stop();
    }
    let receipts = chat.store.own_receipts(&id).await.map_err(refused)?;
    if chat.store.delete_conversation(&id).await.map_err(refused)? {
        for receipt in receipts {
            match chat.store.empty_receipt(&receipt).await {
                Ok(()) | Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::NotFound(
        "there is no such conversation; it may have been deleted already".into(),
    ))
}

#[derive(Debug, Deserialize)]
pub(super) struct Words {
    q: String,
}

/// `GET /api/search?q=`
pub(super) async fn search(chat: Chat, Query(words): Query<Words>) -> Result<Json<Vec<Hit>>, ApiError> {
    Ok(Json(chat.store.search(&words.q).await.map_err(refused)?))
}

#[derive(Debug, Deserialize)]
pub(super) struct As {
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Markdown,
}

/// `GET /api/conversations/{id}/export?format=json|markdown`
pub(super) async fn export(chat: Chat, Path(id): Path<String>, Query(kind): Query<As>) -> Result<Response, ApiError> {
    let (text, kind, name) = match kind.format {
        Format::Json => {
            let document = chat.store.export(&id).await.map_err(refused)?;
            let text = serde_json::to_string_pretty(&document).unwrap_or_default();
            (text, "application/json", "attachment; filename=\"conversation.json\"")
        }
        Format::Markdown => {
            let text = chat.store.export_markdown(&id).await.map_err(refused)?;
            (
                text,
                "text/markdown; charset=utf-8",
                "attachment; filename=\"conversation.md\"",
            )
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, text).into_response())
}

/// `POST /api/import`: a document that export made.
pub(super) async fn import(
    chat: Chat,
    Body(document): Body<Document>,
) -> Result<(StatusCode, Json<Conversation>), ApiError> {
    for (n, message) in document.messages.iter().enumerate() {
        if let Some(candor) = &message.candor {
            evidence::check(candor).map_err(|why| ApiError::param(format!("messages[{n}].candor"), why))?;
        }
    }
    let made = chat.store.import(document).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(made)))
}
