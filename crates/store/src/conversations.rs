//! Conversations: made, listed, renamed, searched, deleted.

use sea_orm::sea_query::{Expr, Func, LikeExpr, Order};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};

use crate::clock::{new_id, now_ms};
use crate::entity::{conversation, message};
use crate::{Scope, Store, StoreError};

/// Characters of a title.
pub(crate) const MAX_TITLE: usize = 200;
/// Bytes of a system prompt.
pub(crate) const MAX_SYSTEM: usize = 256 * 1024;
/// Bytes of sampling settings as JSON.
pub(crate) const MAX_SAMPLING: usize = 16 * 1024;
/// Conversations that a search returns.
const MAX_HITS: u64 = 200;
/// Characters of text around a hit.
const SNIPPET: usize = 90;

/// A conversation without its messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// What the list shows; empty until someone or something names it.
    pub title: String,
    /// The model that answers, where one was chosen.
    pub model: Option<String>,
    /// Sent before everything else; may be empty.
    pub system_prompt: String,
    /// Sampling settings, as the page wrote them.
    pub sampling: serde_json::Value,
    /// Which sources it is answered from.
    pub sources: Scope,
    /// Whether answers from sources are in the model's own words.
    pub phrase: bool,
    /// The last message of the branch that is shown.
    pub leaf: Option<String>,
    /// Put away: not in the list.
    pub archived: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
}

/// What a new conversation starts with.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NewConversation {
    /// See [`Conversation`].
    #[serde(default)]
    pub title: String,
    /// See [`Conversation`].
    #[serde(default)]
    pub model: Option<String>,
    /// See [`Conversation`].
    #[serde(default)]
    pub system_prompt: String,
    /// See [`Conversation`].
    #[serde(default)]
    pub sampling: serde_json::Value,
    /// See [`Conversation`].
    #[serde(default)]
    pub sources: Scope,
    /// See [`Conversation`].
    #[serde(default)]
    pub phrase: bool,
}

/// What changes in a conversation; `None` stays.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ConversationChange {
    /// A new title.
    #[serde(default)]
    pub title: Option<String>,
    /// Another model.
    #[serde(default)]
    pub model: Option<String>,
    /// Another system prompt.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// Other sampling settings.
    #[serde(default)]
    pub sampling: Option<serde_json::Value>,
    /// Other sources.
    #[serde(default)]
    pub sources: Option<Scope>,
    /// In the model's own words, or not.
    #[serde(default)]
    pub phrase: Option<bool>,
    /// Away, or back.
    #[serde(default)]
    pub archived: Option<bool>,
}

/// A conversation that a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// The conversation.
    #[serde(flatten)]
    pub conversation: Conversation,
    /// Text around the first match in a message; `None` where only the title matches.
    pub snippet: Option<String>,
}

impl From<conversation::Model> for Conversation {
    fn from(row: conversation::Model) -> Self {
        Self {
            id: row.id,
            title: row.title,
            model: row.model,
            system_prompt: row.system_prompt,
            sampling: row.sampling,
            sources: Scope::of_row(row.sources),
            phrase: row.phrase,
            leaf: row.leaf,
            archived: row.archived,
            created_ms: row.created_ms,
            updated_ms: row.updated_ms,
        }
    }
}

/// One line, without control characters, cut at [`MAX_TITLE`] characters.
pub(crate) fn clean_title(title: &str) -> String {
    let line: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_TITLE)
        .collect()
}

pub(crate) fn checked_sampling(sampling: serde_json::Value) -> Result<serde_json::Value, StoreError> {
    let sampling = if sampling.is_null() {
        serde_json::json!({})
    } else {
        sampling
    };
    if !sampling.is_object() || sampling.to_string().len() > MAX_SAMPLING {
        return Err(StoreError::Invalid(format!(
            "`sampling` must be a JSON object of at most {MAX_SAMPLING} bytes"
        )));
    }
    Ok(sampling)
}

pub(crate) fn checked_system(system: String) -> Result<String, StoreError> {
    if system.len() > MAX_SYSTEM {
        return Err(StoreError::Invalid(format!(
            "the system prompt takes {} bytes and at most {MAX_SYSTEM} are kept; shorten it",
            system.len()
        )));
    }
    Ok(system)
}

impl Store {
    /// Makes a conversation.
    ///
    /// # Errors
    /// If something in it is too large, or the store cannot be written.
    pub async fn create_conversation(&self, new: NewConversation) -> Result<Conversation, StoreError> {
        let now = now_ms();
        let row = conversation::ActiveModel {
            id: Set(new_id()),
            title: Set(clean_title(&new.title)),
            model: Set(new.model),
            system_prompt: Set(checked_system(new.system_prompt)?),
            sampling: Set(checked_sampling(new.sampling)?),
            sources: Set(new.sources.checked()?.row()),
            phrase: Set(new.phrase),
            leaf: Set(None),
            archived: Set(false),
            created_ms: Set(now),
            updated_ms: Set(now),
        };
        Ok(self.db(row.insert(&self.write).await)?.into())
    }

    /// A conversation.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn conversation(&self, id: &str) -> Result<Conversation, StoreError> {
        let row = self.db(conversation::Entity::find_by_id(id.to_owned()).one(&self.read).await)?;
        row.map(Into::into).ok_or_else(|| missing(id))
    }

    /// Conversations, the latest first. `before` is the last page's last `updated_ms`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn conversations(
        &self,
        archived: bool,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<Conversation>, StoreError> {
        let mut find = conversation::Entity::find().filter(conversation::Column::Archived.eq(archived));
        if let Some(before) = before {
            find = find.filter(conversation::Column::UpdatedMs.lt(before));
        }
        let find = find
            .order_by(conversation::Column::UpdatedMs, Order::Desc)
            .order_by(conversation::Column::Id, Order::Desc)
            .limit(limit.min(1000));
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// Changes a conversation.
    ///
    /// # Errors
    /// If there is none, something is too large, or the store cannot be written.
    pub async fn change_conversation(&self, id: &str, change: ConversationChange) -> Result<Conversation, StoreError> {
        let row = self.db(conversation::Entity::find_by_id(id.to_owned()).one(&self.write).await)?;
        let mut row: conversation::ActiveModel = row.ok_or_else(|| missing(id))?.into();
        if let Some(title) = change.title {
            row.title = Set(clean_title(&title));
        }
        if let Some(model) = change.model {
            row.model = Set(Some(model));
        }
        if let Some(system) = change.system_prompt {
            row.system_prompt = Set(checked_system(system)?);
        }
        if let Some(sampling) = change.sampling {
            row.sampling = Set(checked_sampling(sampling)?);
        }
        if let Some(sources) = change.sources {
            row.sources = Set(sources.checked()?.row());
        }
        if let Some(phrase) = change.phrase {
            row.phrase = Set(phrase);
        }
        if let Some(archived) = change.archived {
            row.archived = Set(archived);
        }
        Ok(self.db(row.update(&self.write).await)?.into())
    }

    /// Deletes a conversation with its messages and feedback; whether there was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete_conversation(&self, id: &str) -> Result<bool, StoreError> {
        let done = self.db(conversation::Entity::delete_by_id(id.to_owned())
            .exec(&self.write)
            .await)?;
        Ok(done.rows_affected > 0)
    }

    /// Conversations with `words` in their title or in a message, the latest first. Any substring counts, so that it
    /// works for languages without spaces; Latin letters match in both cases.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn search(&self, words: &str) -> Result<Vec<Hit>, StoreError> {
        use sea_orm::sea_query::ExprTrait as _; // here only: its `min` and `is_null` shadow those of plain values
        let words: String = words.trim().chars().take(200).collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let words = words.to_lowercase();
        let escaped = words.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let like = || LikeExpr::new(format!("%{escaped}%")).escape('\\');
        let in_messages = message::Entity::find()
            .filter(Expr::expr(Func::lower(Expr::col(message::Column::Content))).like(like()))
            .select_only()
            .column(message::Column::Conversation)
            .column_as(message::Column::Content.min(), "content")
            .group_by(message::Column::Conversation)
            .limit(10_000)
            .into_tuple::<(String, String)>();
        let matches: std::collections::HashMap<String, String> =
            self.db(in_messages.all(&self.read).await)?.into_iter().collect();
        let ids: Vec<&String> = matches.keys().collect();
        let found = conversation::Entity::find()
            .filter(
                Condition::any()
                    .add(Expr::expr(Func::lower(Expr::col(conversation::Column::Title))).like(like()))
                    .add(conversation::Column::Id.is_in(ids)),
            )
            .order_by_desc(conversation::Column::UpdatedMs)
            .limit(MAX_HITS);
        let found = self.db(found.all(&self.read).await)?;
        let hit = |row: conversation::Model| {
            let snippet = matches.get(&row.id).map(|content| snippet(content, &words));
            Hit {
                conversation: row.into(),
                snippet,
            }
        };
        Ok(found.into_iter().map(hit).collect())
    }
}

/// The text around the first match, on one line.
fn snippet(content: &str, words: &str) -> String {
    let chars: Vec<char> = content.chars().collect();
    let lower: Vec<char> = chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
    let needle: Vec<char> = words.chars().collect();
    let at = lower
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap_or(0);
    let from = at.saturating_sub(SNIPPET / 3);
    let to = (from + SNIPPET).min(chars.len());
    let text: String = chars[from..to].iter().collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "{}{text}{}",
        if from > 0 { "…" } else { "" },
        if to < chars.len() { "…" } else { "" }
    )
}

pub(crate) fn missing(id: &str) -> StoreError {
    StoreError::Missing {
        what: "conversation",
        id: id.chars().take(64).collect(),
    }
}
