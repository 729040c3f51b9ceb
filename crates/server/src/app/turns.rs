//! Turns: ask, edit, regenerate, choose a branch, stop, and look on. Asking stores the question and the empty answer,
//! and returns; the answer is then written whether anyone looks on or not.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use candor_store::{Conversation, ConversationChange, Message, NewMessage, Role};
use futures::stream;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answers::Place as Seat;
use super::prepare::{How, Prepared, prepare};
use super::{Chat, refused};
use crate::body::Body;
use crate::{ApiError, App};

/// Characters of a title that is made from a question.
const TITLE: usize = 60;

/// A question.
#[derive(Debug, Deserialize)]
pub(super) struct Ask {
    content: String,
    /// The message it follows; absent: the end of the branch that is shown.
    #[serde(default)]
    parent: Option<String>,
    #[serde(flatten)]
    how: How,
}

/// What was stored: the new messages. The answer's text comes from `/stream`.
#[derive(Debug, Serialize)]
pub(super) struct Started {
    messages: Vec<Message>,
    conversation: Conversation,
}

type Answered = Result<(StatusCode, Json<Started>), ApiError>;

/// `POST /api/conversations/{id}/messages`
pub(super) async fn ask(chat: Chat, State(app): State<App>, Path(id): Path<String>, Body(ask): Body<Ask>) -> Answered {
    let conversation = chat.store.conversation(&id).await.map_err(refused)?;
    let parent = ask.parent.or_else(|| conversation.leaf.clone());
    start(&chat, &app, conversation, parent, Some(ask.content), ask.how).await
}

/// `POST /api/conversations/{id}/messages/{message}/edit`: the question asked anew, beside the old one.
pub(super) async fn edit(
    chat: Chat,
    State(app): State<App>,
    Path((id, old)): Path<(String, String)>,
    Body(ask): Body<Ask>,
) -> Answered {
    let conversation = chat.store.conversation(&id).await.map_err(refused)?;
    let old = chat.store.message(&id, &old).await.map_err(refused)?;
    if old.role != Role::User {
        return Err(ApiError::invalid(
            "only a question can be edited; regenerate the answer instead",
        ));
    }
    start(&chat, &app, conversation, old.parent, Some(ask.content), ask.how).await
}

/// `POST /api/conversations/{id}/messages/{message}/regenerate`: another answer beside this one.
pub(super) async fn regenerate(
    chat: Chat,
    State(app): State<App>,
    Path((id, old)): Path<(String, String)>,
    Body(how): Body<How>,
) -> Answered {
    let conversation = chat.store.conversation(&id).await.map_err(refused)?;
    let old = chat.store.message(&id, &old).await.map_err(refused)?;
    let question = match old.role {
        Role::Assistant => old.parent,
        Role::User => Some(old.id),
    };
    start(&chat, &app, conversation, question, None, how).await
}

async fn start(
    chat: &Chat,
    app: &App,
    conversation: Conversation,
    parent: Option<String>,
    question: Option<String>,
    how: How,
) -> Answered {
    if app.is_draining() {
        return Err(ApiError::Draining);
    }
    if question.as_ref().is_some_and(|text| text.trim().is_empty()) {
        return Err(ApiError::param(
            "content",
            "the message is empty; write something first",
        ));
    }
    let place = chat.answers.take(&conversation.id).ok_or_else(|| {
        ApiError::invalid("an answer is still being written in this conversation; stop it or wait for its end")
    })?;
    let all = chat.store.messages(&conversation.id).await.map_err(refused)?;
    let branch = Message::branch(&all, parent.as_deref());
    let prepared = prepare(chat, app, &conversation, &branch, question.as_deref(), how).await?;
    store_and_write(chat, conversation, question, parent, prepared, place).await
}

/// Stores question and answer, and lets the answer be written.
async fn store_and_write(
    chat: &Chat,
    conversation: Conversation,
    question: Option<String>,
    parent: Option<String>,
    prepared: Prepared,
    seat: Seat,
) -> Answered {
    let title = question
        .as_deref()
        .filter(|_| conversation.title.is_empty())
        .map(title_of);
    let new = question
        .map(|text| NewMessage::user(parent, text))
        .into_iter()
        .chain([prepared.answer])
        .collect();
    let messages = chat.store.add_messages(&conversation.id, new).await.map_err(refused)?;
    let change = ConversationChange {
        title,
        ..Default::default()
    };
    let conversation = chat
        .store
        .change_conversation(&conversation.id, change)
        .await
        .map_err(refused)?;
    if let Some(answer) = messages.last() {
        seat.write(chat.store.clone(), prepared.work, answer.clone());
    }
    Ok((StatusCode::CREATED, Json(Started { messages, conversation })))
}

fn title_of(question: &str) -> String {
    let line = question
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    let mut title: String = line.chars().take(TITLE).collect();
    if line.chars().count() > TITLE {
        title.push('…');
    }
    title
}

/// `POST /api/conversations/{id}/messages/{message}/select`: shows the branch through this message.
pub(super) async fn select(
    chat: Chat,
    Path((id, through)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let leaf = chat.store.select_branch(&id, &through).await.map_err(refused)?;
    Ok(Json(json!({ "leaf": leaf })))
}

/// `POST /api/conversations/{id}/stop`: ends the answer that runs; nothing happens where none does.
pub(super) async fn stop(chat: Chat, Path(id): Path<String>) -> StatusCode {
    if let Some(running) = chat.answers.get(&id) {
        running.stop();
    }
    StatusCode::NO_CONTENT
}

/// `GET /api/conversations/{id}/stream`: `snapshot` with the message so far, then `delta`s, then `end`; or `idle`.
pub(super) async fn stream(chat: Chat, State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    chat.store.conversation(&id).await.map_err(refused)?;
    let pause = Duration::from_secs(app.config.keep_alive_s.max(1));
    let keep = KeepAlive::new().interval(pause).text("keep-alive");
    let Some(running) = chat.answers.get(&id) else {
        let idle = stream::iter([Ok::<_, Infallible>(event("idle", &json!({})))]);
        return Ok(axum::response::Sse::new(idle).into_response());
    };
    let changed = running.subscribe();
    let events = stream::unfold(
        (running, changed, Place::Start),
        |(running, mut changed, place)| async move {
            let mut at = match place {
                Place::Start => None,
                Place::At(at) => Some(at),
                Place::End => return None,
            };
            loop {
                changed.borrow_and_update();
                let look = running.look(at.unwrap_or(0));
                if look.ended {
                    let end = event("end", &json!({ "message": look.message }));
                    return Some((Ok::<_, Infallible>(end), (running, changed, Place::End)));
                }
                match (at, look.message) {
                    (None, Some(mut message)) => {
                        message.content = look.news;
                        let snapshot = event("snapshot", &json!({ "message": message, "rate": look.rate }));
                        return Some((Ok(snapshot), (running, changed, Place::At(look.at))));
                    }
                    (Some(_), Some(message)) if !look.news.is_empty() => {
                        let delta = json!({ "id": message.id, "text": look.news, "rate": look.rate });
                        return Some((Ok(event("delta", &delta)), (running, changed, Place::At(look.at))));
                    }
                    _ => {}
                }
                if changed.changed().await.is_err() {
                    at = at.or(Some(0)); // the sender lives in `running`, so this cannot be
                }
            }
        },
    );
    Ok(axum::response::Sse::new(events).keep_alive(keep).into_response())
}

/// Where a reader is.
enum Place {
    Start,
    At(usize),
    End,
}

fn event(name: &str, data: &serde_json::Value) -> Sse {
    Sse::default().event(name).data(data.to_string())
}
