//! What `/v1/responses` stores, so that `previous_response_id` can go on from it. Bounded: the oldest go first.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, TransactionTrait,
};

use crate::clock::now_ms;
use crate::entity::response;
use crate::{Store, StoreError};

/// At most this many are kept.
const MAX_RESPONSES: u64 = 10_000;
/// Bytes of one response as JSON.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A stored response.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// `resp_...`
    pub id: String,
    /// Whatever the API stored.
    pub value: serde_json::Value,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

impl Store {
    /// Stores a response under its id; one that is there is replaced.
    ///
    /// # Errors
    /// If it is too large, or the store cannot be written.
    pub async fn put_response(&self, id: &str, value: serde_json::Value) -> Result<(), StoreError> {
        self.put_response_keeping(id, value, MAX_RESPONSES).await
    }

    async fn put_response_keeping(&self, id: &str, value: serde_json::Value, keep: u64) -> Result<(), StoreError> {
        let bytes = value.to_string().len();
        if bytes > MAX_BYTES {
            return Err(StoreError::Invalid(format!(
                "the response takes {bytes} bytes and at most {MAX_BYTES} are stored; send `store: false`"
            )));
        }
        let write = self.db(self.write.begin().await)?;
        let row = response::ActiveModel {
            id: Set(id.to_owned()),
            value: Set(value),
            created_ms: Set(now_ms()),
        };
        let replace = OnConflict::column(response::Column::Id)
            .update_columns([response::Column::Value, response::Column::CreatedMs])
            .to_owned();
        self.db(response::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&write)
            .await)?;
        let count = self.db(response::Entity::find().count(&write).await)?;
        if count > keep {
            let oldest = response::Entity::find()
                .select_only()
                .column(response::Column::Id)
                .order_by_asc(response::Column::CreatedMs)
                .order_by_asc(response::Column::Id)
                .limit(count - keep);
            let oldest: Vec<String> = self.db(oldest.into_tuple().all(&write).await)?;
            let delete = response::Entity::delete_many().filter(response::Column::Id.is_in(oldest));
            self.db(delete.exec(&write).await)?;
        }
        self.db(write.commit().await)
    }

    /// A stored response, if there is one.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn response(&self, id: &str) -> Result<Option<StoredResponse>, StoreError> {
        let row = self.db(response::Entity::find_by_id(id.to_owned()).one(&self.read).await)?;
        Ok(row.map(|row| StoredResponse {
            id: row.id,
            value: row.value,
            created_ms: row.created_ms,
        }))
    }

    /// Deletes a stored response; whether there was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete_response(&self, id: &str) -> Result<bool, StoreError> {
        let done = self.db(response::Entity::delete_by_id(id.to_owned()).exec(&self.write).await)?;
        Ok(done.rows_affected > 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn only_the_newest_responses_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        for n in 0..5 {
            store
                .put_response_keeping(&format!("resp_{n}"), json!({ "n": n }), 3)
                .await
                .unwrap();
        }
        assert!(store.response("resp_1").await.unwrap().is_none());
        assert_eq!(
            store.response("resp_2").await.unwrap().unwrap().value,
            json!({ "n": 2 })
        );
        assert!(store.delete_response("resp_2").await.unwrap());
        assert!(!store.delete_response("resp_2").await.unwrap());
    }
}
