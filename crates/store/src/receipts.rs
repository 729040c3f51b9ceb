//! Receipts of answers: a chain in which each link holds the digest of the one before it. What the digests are of is
//! decided elsewhere; here links are appended one at a time, read, and emptied.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, TransactionTrait,
};
use serde::{Deserialize, Serialize};

use crate::entity::receipt;
use crate::{Store, StoreError};

/// A link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `rcpt-...`
    pub id: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// The digest of the link before; empty in the first.
    pub previous: String,
    /// SHA-256 of the body.
    pub body_sha256: String,
    /// SHA-256 of all of the above.
    pub digest: String,
    /// Of the digest.
    pub signature: String,
    /// Checks the signature.
    pub public_key: String,
    /// What it is a receipt of, as JSON text; `None` where that was deleted.
    pub body: Option<String>,
}

impl From<receipt::Model> for Receipt {
    fn from(row: receipt::Model) -> Self {
        Self {
            id: row.id,
            created_ms: row.created_ms,
            previous: row.previous,
            body_sha256: row.body_sha256,
            digest: row.digest,
            signature: row.signature,
            public_key: row.public_key,
            body: row.body,
        }
    }
}

impl Store {
    /// Appends the link that `make` makes of the digest of the last one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn append_receipt(&self, make: impl FnOnce(&str) -> Receipt + Send) -> Result<Receipt, StoreError> {
        let write = self.db(self.write.begin().await)?;
        let last = receipt::Entity::find()
            .order_by_desc(receipt::Column::Number)
            .one(&write);
        let last = self.db(last.await)?.map_or(String::new(), |row| row.digest);
        let new = make(&last);
        let row = receipt::ActiveModel {
            number: ActiveValue::NotSet,
            id: Set(new.id.clone()),
            created_ms: Set(new.created_ms),
            previous: Set(new.previous.clone()),
            body_sha256: Set(new.body_sha256.clone()),
            digest: Set(new.digest.clone()),
            signature: Set(new.signature.clone()),
            public_key: Set(new.public_key.clone()),
            body: Set(new.body.clone()),
        };
        self.db(receipt::Entity::insert(row).exec_without_returning(&write).await)?;
        self.db(write.commit().await)?;
        Ok(new)
    }

    /// A receipt.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn receipt(&self, id: &str) -> Result<Receipt, StoreError> {
        let row = receipt::Entity::find()
            .filter(receipt::Column::Id.eq(id))
            .one(&self.read);
        self.db(row.await)?.map(Receipt::from).ok_or_else(|| missing(id))
    }

    /// Up to `limit` links behind the first `after`, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn receipts(&self, after: u64, limit: u64) -> Result<Vec<Receipt>, StoreError> {
        let rows = receipt::Entity::find()
            .order_by_asc(receipt::Column::Number)
            .offset(after)
            .limit(limit);
        Ok(self
            .db(rows.all(&self.read).await)?
            .into_iter()
            .map(Receipt::from)
            .collect())
    }

    /// Deletes what a receipt is of; the link stays.
    ///
    /// # Errors
    /// If there is none, or the store cannot be written.
    pub async fn empty_receipt(&self, id: &str) -> Result<(), StoreError> {
        let update = receipt::Entity::update_many()
            .col_expr(receipt::Column::Body, Expr::value(Option::<String>::None))
            .filter(receipt::Column::Id.eq(id));
        let done = self.db(update.exec(&self.write).await)?;
        if done.rows_affected == 0 {
            Err(missing(id))
        } else {
            Ok(())
        }
    }
}

fn missing(id: &str) -> StoreError {
    StoreError::Missing {
        what: "receipt",
        id: id.chars().take(100).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn link(id: &str, previous: &str) -> Receipt {
        Receipt {
            id: id.into(),
            created_ms: 1,
            previous: previous.into(),
            body_sha256: "b".into(),
            digest: format!("digest of {id}"),
            signature: "s".into(),
            public_key: "k".into(),
            body: Some("{}".into()),
        }
    }

    #[tokio::test]
    async fn links_hold_the_digest_before_them_and_stay_when_they_are_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        store.append_receipt(|last| link("rcpt-1", last)).await.unwrap();
        let second = store.append_receipt(|last| link("rcpt-2", last)).await.unwrap();
        assert_eq!(second.previous, "digest of rcpt-1");
        store.empty_receipt("rcpt-1").await.unwrap();
        let all = store.receipts(0, 10).await.unwrap();
        assert_eq!((all.len(), all[0].body.is_none(), &all[1]), (2, true, &second));
        assert_eq!(store.receipt("rcpt-2").await.unwrap(), second);
        assert!(store.receipt("rcpt-3").await.is_err() && store.empty_receipt("rcpt-3").await.is_err());
    }
}
