//! Thumbs up and down, with copies of everything that they judge: later work learns from it.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};

use crate::clock::now_ms;
use crate::entity::feedback;
use crate::messages::branch;
use crate::{Role, Store, StoreError};

const MAX_TEXT: usize = 16 * 1024;
const MAX_REASON: usize = 100;

/// Good or bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Good.
    Up,
    /// Bad.
    Down,
}

/// What a person says of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct NewFeedback {
    /// Good or bad.
    pub verdict: Verdict,
    /// A short key such as `incorrect`; may be empty.
    #[serde(default)]
    pub reason: String,
    /// The person's own words; may be empty.
    #[serde(default)]
    pub text: String,
}

/// Feedback as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feedback {
    /// The answer it judges.
    pub message: String,
    /// Its conversation.
    pub conversation: String,
    /// Good or bad.
    pub verdict: Verdict,
    /// A short key.
    pub reason: String,
    /// The person's own words.
    pub text: String,
    /// The turns before the answer: `[{role, content}]`, system prompt first.
    pub prompt: serde_json::Value,
    /// The answer's text.
    pub answer: String,
    /// The model's name.
    pub model: Option<String>,
    /// The model file's SHA-256.
    pub model_hash: Option<String>,
    /// The sampling settings.
    pub sampling: Option<serde_json::Value>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

impl From<feedback::Model> for Feedback {
    fn from(row: feedback::Model) -> Self {
        Self {
            verdict: if row.up { Verdict::Up } else { Verdict::Down },
            message: row.message,
            conversation: row.conversation,
            reason: row.reason,
            text: row.text,
            prompt: row.prompt,
            answer: row.answer,
            model: row.model,
            model_hash: row.model_hash,
            sampling: row.sampling,
            created_ms: row.created_ms,
        }
    }
}

impl Store {
    /// Stores feedback on an answer, with copies of what it judges; what was there is replaced.
    ///
    /// # Errors
    /// If the answer is not there, a text is too large, or the store cannot be written.
    pub async fn put_feedback(
        &self,
        conversation: &str,
        message: &str,
        new: NewFeedback,
    ) -> Result<Feedback, StoreError> {
        if new.text.len() > MAX_TEXT || new.reason.len() > MAX_REASON {
            return Err(StoreError::Invalid(format!(
                "feedback takes at most {MAX_TEXT} bytes; shorten it"
            )));
        }
        let owner = self.conversation(conversation).await?;
        let all = self.messages(conversation).await?;
        let path = branch(&all, Some(message));
        let Some((answer, before)) = path.split_last() else {
            return Err(crate::messages::missing(message));
        };
        if answer.role != Role::Assistant {
            return Err(StoreError::Invalid(
                "feedback is for answers; this message is a question".into(),
            ));
        }
        let mut prompt = Vec::with_capacity(before.len() + 1);
        if !owner.system_prompt.is_empty() {
            prompt.push(serde_json::json!({ "role": "system", "content": owner.system_prompt }));
        }
        prompt.extend(
            before
                .iter()
                .map(|one| serde_json::json!({ "role": one.role, "content": one.content })),
        );
        let row = feedback::Model {
            message: message.to_owned(),
            conversation: conversation.to_owned(),
            up: new.verdict == Verdict::Up,
            reason: new.reason,
            text: new.text,
            prompt: serde_json::Value::Array(prompt),
            answer: answer.content.clone(),
            model: answer.model.clone(),
            model_hash: answer.model_hash.clone(),
            sampling: answer.sampling.clone(),
            created_ms: now_ms(),
        };
        let copy = row.clone();
        let active = feedback::ActiveModel {
            message: Set(row.message),
            conversation: Set(row.conversation),
            up: Set(row.up),
            reason: Set(row.reason),
            text: Set(row.text),
            prompt: Set(row.prompt),
            answer: Set(row.answer),
            model: Set(row.model),
            model_hash: Set(row.model_hash),
            sampling: Set(row.sampling),
            created_ms: Set(row.created_ms),
        };
        use feedback::Column as C;
        let replace = OnConflict::column(C::Message)
            .update_columns([C::Up, C::Reason, C::Text, C::Prompt, C::Answer, C::CreatedMs])
            .to_owned();
        self.db(feedback::Entity::insert(active)
            .on_conflict(replace)
            .exec_without_returning(&self.write)
            .await)?;
        Ok(copy.into())
    }

    /// Takes feedback back; whether there was any.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete_feedback(&self, conversation: &str, message: &str) -> Result<bool, StoreError> {
        let delete = feedback::Entity::delete_many()
            .filter(feedback::Column::Message.eq(message))
            .filter(feedback::Column::Conversation.eq(conversation));
        Ok(self.db(delete.exec(&self.write).await)?.rows_affected > 0)
    }

    /// Feedback on a conversation's answers, or on all, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn feedback(&self, conversation: Option<&str>) -> Result<Vec<Feedback>, StoreError> {
        let mut find = feedback::Entity::find();
        if let Some(id) = conversation {
            find = find.filter(feedback::Column::Conversation.eq(id));
        }
        let rows = self.db(find.order_by_asc(feedback::Column::CreatedMs).all(&self.read).await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
