//! Conversations out and in: Markdown for people, JSON for programs. What comes in is somebody else's: it gets new ids,
//! and its size and shape are checked before anything is stored.

use std::collections::HashMap;
use std::fmt::Write as _;

use sea_orm::{ActiveModelTrait, ActiveValue::Set, TransactionTrait};
use serde::{Deserialize, Serialize};

use crate::clock::{new_id, now_ms};
use crate::conversations::{checked_sampling, checked_system, clean_title};
use crate::entity::{conversation, message};
use crate::messages::{MAX_CANDOR, MAX_CONTENT, branch};
use crate::{Conversation, Role, Scope, State, Store, StoreError};

/// What `format` says in an exported document.
pub const FORMAT: &str = "candor.conversation/1";

const MAX_MESSAGES: usize = 20_000;

/// An exported conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: String,
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
    /// See [`Conversation`].
    #[serde(default)]
    pub leaf: Option<String>,
    /// See [`Conversation`].
    #[serde(default)]
    pub created_ms: Option<i64>,
    /// Every branch; parents before children.
    pub messages: Vec<DocumentMessage>,
}

/// A message of an exported conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentMessage {
    /// Any text that is unique in the document.
    pub id: String,
    /// An earlier message's id.
    #[serde(default)]
    pub parent: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// The text.
    pub content: String,
    /// How far it was.
    #[serde(default = "done")]
    pub state: State,
    /// See [`crate::Message`].
    #[serde(default)]
    pub error: Option<String>,
    /// See [`crate::Message`].
    #[serde(default)]
    pub model: Option<String>,
    /// See [`crate::Message`].
    #[serde(default)]
    pub model_hash: Option<String>,
    /// See [`crate::Message`].
    #[serde(default)]
    pub sampling: Option<serde_json::Value>,
    /// See [`crate::Message`].
    #[serde(default)]
    pub usage: Option<serde_json::Value>,
    /// See [`crate::Message`].
    #[serde(default)]
    pub tokens_per_second: Option<f64>,
    /// See [`crate::Message`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candor: Option<serde_json::Value>,
    /// See [`crate::Message`].
    #[serde(default)]
    pub turns_left_out: i64,
    /// See [`crate::Message`].
    #[serde(default)]
    pub created_ms: Option<i64>,
}

fn done() -> State {
    State::Done
}

impl Store {
    /// A conversation with all its branches.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn export(&self, id: &str) -> Result<Document, StoreError> {
        let owner = self.conversation(id).await?;
        let messages = self.messages(id).await?.into_iter().map(|one| DocumentMessage {
            id: one.id,
            parent: one.parent,
            role: one.role,
            content: one.content,
            state: if one.state == State::Streaming {
                State::Stopped
            } else {
                one.state
            },
            error: one.error,
            model: one.model,
            model_hash: one.model_hash,
            sampling: one.sampling,
            usage: one.usage,
            tokens_per_second: one.tokens_per_second,
            candor: one.candor,
            turns_left_out: one.turns_left_out,
            created_ms: Some(one.created_ms),
        });
        Ok(Document {
            format: FORMAT.to_owned(),
            title: owner.title,
            model: owner.model,
            system_prompt: owner.system_prompt,
            sampling: owner.sampling,
            sources: owner.sources,
            phrase: owner.phrase,
            leaf: owner.leaf,
            created_ms: Some(owner.created_ms),
            messages: messages.collect(),
        })
    }

    /// The branch that is shown, as Markdown.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn export_markdown(&self, id: &str) -> Result<String, StoreError> {
        let owner = self.conversation(id).await?;
        let all = self.messages(id).await?;
        let title = if owner.title.is_empty() {
            "Conversation"
        } else {
            &owner.title
        };
        let mut text = format!("# {title}\n");
        if !owner.system_prompt.is_empty() {
            let quoted = owner.system_prompt.replace('\n', "\n> ");
            let _ = write!(text, "\n> {quoted}\n");
        }
        for one in branch(&all, owner.leaf.as_deref()) {
            let who = match one.role {
                Role::User => "You",
                Role::Assistant if one.candor.is_some() && one.model.is_none() => "Candor",
                Role::Assistant => one.model.as_deref().unwrap_or("Model"),
            };
            let _ = write!(text, "\n## {who}\n\n{}\n", one.content.trim_end());
            text.push_str(&footnotes(one.candor.as_ref()));
            if let Some(error) = &one.error {
                let _ = write!(text, "\n*{error}*\n");
            }
        }
        Ok(text)
    }

    /// Stores an exported conversation as a new one. All of it or nothing is stored.
    ///
    /// # Errors
    /// If the document does not fit the format, is too large, or the store cannot be written.
    pub async fn import(&self, document: Document) -> Result<Conversation, StoreError> {
        if document.format != FORMAT {
            return Err(StoreError::Invalid(format!(
                "this file's `format` is not `{FORMAT}`; export a conversation from Candor as JSON to get one that is"
            )));
        }
        if document.messages.len() > MAX_MESSAGES {
            return Err(StoreError::Invalid(format!(
                "the conversation has {} messages and at most {MAX_MESSAGES} can be imported",
                document.messages.len()
            )));
        }
        let mut ids: HashMap<String, String> = HashMap::new();
        let now = now_ms();
        let id = new_id();
        let write = self.db(self.write.begin().await)?;
        let owner = conversation::ActiveModel {
            id: Set(id.clone()),
            title: Set(clean_title(&document.title)),
            model: Set(document.model),
            system_prompt: Set(checked_system(document.system_prompt)?),
            sampling: Set(checked_sampling(document.sampling)?),
            sources: Set(document.sources.checked()?.row()),
            phrase: Set(document.phrase),
            leaf: Set(None),
            archived: Set(false),
            created_ms: Set(document.created_ms.unwrap_or(now)),
            updated_ms: Set(now),
        };
        let mut owner = self.db(owner.insert(&write).await)?;
        let mut last = None;
        for (n, one) in document.messages.into_iter().enumerate() {
            if one.content.len() > MAX_CONTENT {
                return Err(StoreError::Invalid(format!(
                    "message {n} takes {} bytes and at most {MAX_CONTENT} are kept",
                    one.content.len()
                )));
            }
            if one
                .candor
                .as_ref()
                .is_some_and(|candor| candor.to_string().len() > MAX_CANDOR)
            {
                return Err(StoreError::Invalid(format!(
                    "message {n} has a `candor` field of more than {MAX_CANDOR} bytes; leave it out"
                )));
            }
            let parent = match &one.parent {
                None => None,
                Some(parent) => Some(ids.get(parent).cloned().ok_or_else(|| {
                    StoreError::Invalid(format!("message {n} names a parent that does not come before it"))
                })?),
            };
            let new = new_id();
            if ids.insert(one.id, new.clone()).is_some() {
                return Err(StoreError::Invalid(format!(
                    "message {n} has an id that an earlier one has"
                )));
            }
            last = Some(new.clone());
            let state = if one.state == State::Streaming {
                State::Stopped
            } else {
                one.state
            };
            let row = message::ActiveModel {
                id: Set(new),
                conversation: Set(id.clone()),
                parent: Set(parent),
                role: Set(one.role.name().to_owned()),
                content: Set(one.content),
                state: Set(state.name().to_owned()),
                error: Set(one.error),
                model: Set(one.model),
                model_hash: Set(one.model_hash),
                sampling: Set(one.sampling),
                usage: Set(one.usage),
                tokens_per_second: Set(one.tokens_per_second.filter(|rate| rate.is_finite())),
                candor: Set(one.candor),
                turns_left_out: Set(one.turns_left_out.max(0)),
                created_ms: Set(one.created_ms.unwrap_or(now)),
            };
            self.db(row.insert(&write).await)?;
        }
        let leaf = document.leaf.and_then(|leaf| ids.get(&leaf).cloned()).or(last);
        let mut active: conversation::ActiveModel = owner.clone().into();
        active.leaf = Set(leaf.clone());
        self.db(active.update(&write).await)?;
        self.db(write.commit().await)?;
        owner.leaf = leaf;
        Ok(owner.into())
    }
}

/// Which sources an answer quotes, a line each. The quotes themselves stand in the answer.
fn footnotes(candor: Option<&serde_json::Value>) -> String {
    let list = |value: &serde_json::Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for sentence in candor.map(|candor| list(candor, "sentences")).unwrap_or_default() {
        for citation in list(&sentence, "citations") {
            // A name is only a label: nothing in it may act as Markdown.
            let name = citation["filename"].as_str().unwrap_or_default();
            let name = clean_title(&name.replace(['[', ']', '<', '>', '!', '`', '*', '_', '\\'], " "));
            let page = citation["page"]
                .as_u64()
                .map(|page| format!(", page {page}"))
                .unwrap_or_default();
            let line = format!("- Source: {name}{page}\n");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    match lines.is_empty() {
        true => String::new(),
        false => format!("\n{}", lines.concat()),
    }
}

impl Document {
    /// Reads a document from JSON text.
    ///
    /// # Errors
    /// If it is not such a document; the sentence says where.
    pub fn parse(text: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(text).map_err(|error| {
            StoreError::Invalid(format!(
                "this is not a conversation that Candor exported as JSON ({error}); choose a file from Export, JSON"
            ))
        })
    }
}
