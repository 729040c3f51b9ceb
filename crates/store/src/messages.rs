//! Messages: a tree per conversation. Editing a question or asking again adds a sibling; nothing is overwritten. The
//! conversation's `leaf` says which branch is shown.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, TransactionTrait,
};
use serde::{Deserialize, Serialize};

use crate::clock::{new_id, now_ms};
use crate::conversations::missing as missing_conversation;
use crate::entity::{conversation, message};
use crate::{Store, StoreError};

/// Bytes of one message.
pub(crate) const MAX_CONTENT: usize = 16 * 1024 * 1024;
/// Bytes of what an answer was made of, as JSON.
pub(crate) const MAX_CANDOR: usize = 1024 * 1024;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being written.
    Streaming,
    /// Complete.
    Done,
    /// Ended early: by the person, or because the program went away.
    Stopped,
    /// Ended by an error, which `error` tells.
    Failed,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The conversation it belongs to.
    pub conversation: String,
    /// The message before it; `None` for a first one.
    pub parent: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// The text.
    pub content: String,
    /// How far it is.
    pub state: State,
    /// Why it failed.
    pub error: Option<String>,
    /// The model that wrote it.
    pub model: Option<String>,
    /// The SHA-256 of that model's file, where known.
    pub model_hash: Option<String>,
    /// The sampling settings that it was written with.
    pub sampling: Option<serde_json::Value>,
    /// Tokens counted.
    pub usage: Option<serde_json::Value>,
    /// Tokens per second while it was written.
    pub tokens_per_second: Option<f64>,
    /// What it was made of, where it was made of sources: the `candor` field of chat completions.
    pub candor: Option<serde_json::Value>,
    /// So many of the oldest turns did not fit and were not sent to the model.
    pub turns_left_out: i64,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A message to add.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The message before it.
    pub parent: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// The text.
    pub content: String,
    /// How far it is.
    pub state: State,
    /// See [`Message`].
    pub model: Option<String>,
    /// See [`Message`].
    pub model_hash: Option<String>,
    /// See [`Message`].
    pub sampling: Option<serde_json::Value>,
    /// See [`Message`].
    pub turns_left_out: i64,
}

impl NewMessage {
    /// A question.
    pub fn user(parent: Option<String>, content: String) -> Self {
        Self {
            parent,
            role: Role::User,
            content,
            state: State::Done,
            model: None,
            model_hash: None,
            sampling: None,
            turns_left_out: 0,
        }
    }
}

/// What an answer has become.
#[derive(Debug, Clone, Default)]
pub struct MessageUpdate {
    /// The whole text so far.
    pub content: Option<String>,
    /// How far it is.
    pub state: Option<State>,
    /// Why it failed.
    pub error: Option<String>,
    /// Tokens counted.
    pub usage: Option<serde_json::Value>,
    /// Tokens per second.
    pub tokens_per_second: Option<f64>,
    /// See [`Message`].
    pub candor: Option<serde_json::Value>,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl From<message::Model> for Message {
    fn from(row: message::Model) -> Self {
        Self {
            role: if row.role == "assistant" {
                Role::Assistant
            } else {
                Role::User
            },
            state: match row.state.as_str() {
                "streaming" => State::Streaming,
                "stopped" => State::Stopped,
                "failed" => State::Failed,
                _ => State::Done,
            },
            id: row.id,
            conversation: row.conversation,
            parent: row.parent,
            content: row.content,
            error: row.error,
            model: row.model,
            model_hash: row.model_hash,
            sampling: row.sampling,
            usage: row.usage,
            tokens_per_second: row.tokens_per_second,
            candor: row.candor,
            turns_left_out: row.turns_left_out,
            created_ms: row.created_ms,
        }
    }
}

impl Store {
    /// All messages of a conversation, every branch, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn messages(&self, conversation: &str) -> Result<Vec<Message>, StoreError> {
        let find = message::Entity::find()
            .filter(message::Column::Conversation.eq(conversation))
            .order_by_asc(message::Column::Id);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// One message of a conversation.
    ///
    /// # Errors
    /// If it is not there, or the store cannot be read.
    pub async fn message(&self, conversation: &str, id: &str) -> Result<Message, StoreError> {
        let row = self.db(find(&self.read, conversation, id).await)?;
        row.map(Into::into).ok_or_else(|| missing(id))
    }

    /// Adds messages, each the parent of the next, and shows the branch that they end. All or none are stored.
    ///
    /// # Errors
    /// If the conversation or the first message's parent is not there, a text is too large, or the store cannot be
    /// written.
    pub async fn add_messages(&self, conversation: &str, new: Vec<NewMessage>) -> Result<Vec<Message>, StoreError> {
        let write = self.db(self.write.begin().await)?;
        let owner = self.db(conversation::Entity::find_by_id(conversation.to_owned())
            .one(&write)
            .await)?;
        let mut owner = owner
            .ok_or_else(|| missing_conversation(conversation))?
            .into_active_model();
        let mut added: Vec<Message> = Vec::with_capacity(new.len());
        let now = now_ms();
        for one in new {
            if one.content.len() > MAX_CONTENT {
                return Err(StoreError::Invalid(format!(
                    "the message takes {} bytes and at most {MAX_CONTENT} are kept; shorten it",
                    one.content.len()
                )));
            }
            let parent = match added.last() {
                Some(before) => Some(before.id.clone()),
                None => one.parent,
            };
            if let (Some(parent), true) = (&parent, added.is_empty()) {
                self.db(find(&write, conversation, parent).await)?
                    .ok_or_else(|| missing(parent))?;
            }
            let row = message::ActiveModel {
                id: Set(new_id()),
                conversation: Set(conversation.to_owned()),
                parent: Set(parent),
                role: Set(one.role.name().to_owned()),
                content: Set(one.content),
                state: Set(one.state.name().to_owned()),
                error: Set(None),
                model: Set(one.model),
                model_hash: Set(one.model_hash),
                sampling: Set(one.sampling),
                usage: Set(None),
                tokens_per_second: Set(None),
                candor: Set(None),
                turns_left_out: Set(one.turns_left_out),
                created_ms: Set(now),
            };
            added.push(self.db(row.insert(&write).await)?.into());
        }
        owner.leaf = Set(added.last().map(|message| message.id.clone()));
        owner.updated_ms = Set(now);
        self.db(owner.update(&write).await)?;
        self.db(write.commit().await)?;
        Ok(added)
    }

    /// Writes what an answer has become; whether the message is still there.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn update_message(&self, id: &str, update: MessageUpdate) -> Result<bool, StoreError> {
        let mut row = message::ActiveModel { ..Default::default() };
        if let Some(content) = update.content {
            row.content = Set(content);
        }
        if let Some(state) = update.state {
            row.state = Set(state.name().to_owned());
        }
        if update.error.is_some() {
            row.error = Set(update.error);
        }
        if update.usage.is_some() {
            row.usage = Set(update.usage);
        }
        if update.candor.is_some() {
            row.candor = Set(update.candor);
        }
        if update.tokens_per_second.is_some() {
            row.tokens_per_second = Set(update.tokens_per_second);
        }
        let change = message::Entity::update_many()
            .set(row)
            .filter(message::Column::Id.eq(id));
        Ok(self.db(change.exec(&self.write).await)?.rows_affected > 0)
    }

    /// The receipts of a conversation's answers that no other conversation has.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn own_receipts(&self, conversation: &str) -> Result<Vec<String>, StoreError> {
        let receipts = async |of: SimpleExpr| {
            let find = message::Entity::find()
                .filter(message::Column::Candor.is_not_null())
                .filter(of)
                .select_only()
                .column_as(Expr::cust(r#"json_extract("candor", '$.receipt')"#), "receipt")
                .into_tuple::<Option<String>>();
            let found: Vec<Option<String>> = self.db(find.all(&self.read).await)?;
            Ok::<HashSet<String>, StoreError>(found.into_iter().flatten().collect())
        };
        let own = receipts(message::Column::Conversation.eq(conversation)).await?;
        let others = receipts(message::Column::Conversation.ne(conversation)).await?;
        Ok(own.difference(&others).cloned().collect())
    }

    /// Shows the branch through this message: its newest descendant becomes the conversation's leaf, which is returned.
    ///
    /// # Errors
    /// If it is not there, or the store cannot be written.
    pub async fn select_branch(&self, conversation: &str, through: &str) -> Result<String, StoreError> {
        let all = self.messages(conversation).await?;
        if !all.iter().any(|message| message.id == through) {
            return Err(missing(through));
        }
        let mut leaf = through.to_owned();
        // Ids sort by time and a child is younger than its parent, so one pass in order reaches the newest descendant.
        while let Some(child) = all.iter().rfind(|message| message.parent.as_deref() == Some(&leaf)) {
            leaf.clone_from(&child.id);
        }
        let row = conversation::ActiveModel {
            leaf: Set(Some(leaf.clone())),
            ..Default::default()
        };
        let change = conversation::Entity::update_many()
            .set(row)
            .filter(conversation::Column::Id.eq(conversation));
        self.db(change.exec(&self.write).await)?;
        Ok(leaf)
    }

    /// Marks answers that a program left half written as stopped; how many there were. To be called once at start,
    /// before anything is generated.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn stop_unfinished(&self) -> Result<u64, StoreError> {
        let row = message::ActiveModel {
            state: Set(State::Stopped.name().to_owned()),
            ..Default::default()
        };
        let change = message::Entity::update_many()
            .set(row)
            .filter(message::Column::State.eq(State::Streaming.name()));
        Ok(self.db(change.exec(&self.write).await)?.rows_affected)
    }
}

/// The messages from the first one to `leaf`, in order.
pub(crate) fn branch<'a>(all: &'a [Message], leaf: Option<&str>) -> Vec<&'a Message> {
    let by_id: std::collections::HashMap<&str, &Message> = all.iter().map(|one| (one.id.as_str(), one)).collect();
    let mut path = Vec::new();
    let mut at = leaf.and_then(|id| by_id.get(id).copied());
    while let Some(one) = at {
        path.push(one);
        if path.len() > all.len() {
            break; // a ring, which only a damaged file could hold
        }
        at = one.parent.as_deref().and_then(|id| by_id.get(id).copied());
    }
    path.reverse();
    path
}

impl Message {
    /// The messages from the first one to `leaf`, in order.
    pub fn branch<'a>(all: &'a [Self], leaf: Option<&str>) -> Vec<&'a Self> {
        branch(all, leaf)
    }
}

async fn find(
    on: &impl ConnectionTrait,
    conversation: &str,
    id: &str,
) -> Result<Option<message::Model>, sea_orm::DbErr> {
    message::Entity::find_by_id(id.to_owned())
        .filter(message::Column::Conversation.eq(conversation))
        .one(on)
        .await
}

pub(crate) fn missing(id: &str) -> StoreError {
    StoreError::Missing {
        what: "message",
        id: id.chars().take(64).collect(),
    }
}
