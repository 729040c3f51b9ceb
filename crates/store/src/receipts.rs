//! Receipts of answers: a chain in which each link holds the digest of the one before it. What the digests are of is
//! decided elsewhere; here links are appended one at a time, read, and emptied. Beside the chain stands how the sources
//! that an answer cites are now: in doubt from the very write that changed one of them, until someone looks again.

use sea_orm::sea_query::{self, Expr, OnConflict};
use sea_orm::{
    ActiveValue, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use serde::{Deserialize, Serialize};

use crate::clock::now_ms;
use crate::entity::{receipt, receipt_cites};
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

/// How the sources of an answer were found when they were last looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptStanding {
    /// What was found, as who looked wrote it; `None` where nobody had to look.
    pub standing: Option<serde_json::Value>,
    /// When, in milliseconds since 1970.
    pub checked_ms: Option<i64>,
    /// How many changes came since; above 0 it is to be looked at again.
    pub stale: i64,
}

impl Store {
    /// Appends the link that `make` makes of the digest of the last one. `texts` are those that it cites, by their hashes;
    /// `sources` those that had them, by their ids.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn append_receipt(
        &self,
        texts: &[&str],
        sources: &[&str],
        make: impl FnOnce(&str) -> Receipt + Send,
    ) -> Result<Receipt, StoreError> {
        let write = self.begin().await?;
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
            standing: Set(None),
            checked_ms: Set(None),
            stale: Set(0),
        };
        self.db(receipt::Entity::insert(row).exec_without_returning(&write).await)?;
        for what in texts.iter().chain(sources) {
            let row = receipt_cites::ActiveModel {
                receipt: Set(new.id.clone()),
                what: Set((*what).to_owned()),
            };
            let once = OnConflict::new().do_nothing().to_owned();
            let insert = receipt_cites::Entity::insert(row).on_conflict(once);
            self.db(insert.exec_without_returning(&write).await)?;
        }
        for text in texts {
            // A source that went while the answer was made left nobody to tell.
            if !self.db(crate::texts::is_there(&write, text).await)? {
                self.db(doubt(&write, &[text]).await)?;
            }
        }
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
        let write = self.begin().await?;
        let update = receipt::Entity::update_many()
            .col_expr(receipt::Column::Body, Expr::value(Option::<String>::None))
            .col_expr(
                receipt::Column::Standing,
                Expr::value(Option::<serde_json::Value>::None),
            )
            .col_expr(receipt::Column::Stale, Expr::value(0))
            .filter(receipt::Column::Id.eq(id));
        let done = self.db(update.exec(&write).await)?;
        if done.rows_affected == 0 {
            return Err(missing(id));
        }
        let cited = receipt_cites::Entity::delete_many().filter(receipt_cites::Column::Receipt.eq(id));
        self.db(cited.exec(&write).await)?;
        self.db(write.commit().await)
    }

    /// How an answer's sources were found.
    ///
    /// # Errors
    /// If there is no such receipt, or the store cannot be read.
    pub async fn receipt_standing(&self, id: &str) -> Result<KeptStanding, StoreError> {
        let find = receipt::Entity::find().filter(receipt::Column::Id.eq(id));
        let row = self.db(find.one(&self.read).await)?.ok_or_else(|| missing(id))?;
        Ok(KeptStanding {
            standing: row.standing,
            checked_ms: row.checked_ms,
            stale: row.stale,
        })
    }

    /// Keeps how an answer's sources were found. `stale` is what it was before they were looked at: a change that came
    /// meanwhile stays to be looked at.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn keep_standing(&self, id: &str, standing: serde_json::Value, stale: i64) -> Result<(), StoreError> {
        let update = receipt::Entity::update_many()
            .col_expr(receipt::Column::Standing, Expr::value(standing))
            .col_expr(receipt::Column::CheckedMs, Expr::value(now_ms()))
            .col_expr(
                receipt::Column::Stale,
                sea_query::ExprTrait::sub(Expr::col(receipt::Column::Stale), stale),
            )
            .filter(receipt::Column::Id.eq(id))
            .filter(receipt::Column::Stale.gte(stale))
            // What was forgotten meanwhile stays forgotten.
            .filter(receipt::Column::Body.is_not_null());
        self.db(update.exec(&self.write).await)?;
        Ok(())
    }

    /// Up to `limit` ids of receipts whose sources changed since they were looked at; the oldest behind `after` first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn stale_receipts(&self, after: Option<&str>, limit: u64) -> Result<Vec<String>, StoreError> {
        let mut find = receipt::Entity::find().filter(receipt::Column::Stale.gt(0));
        if let Some(after) = after {
            find = find.filter(receipt::Column::Id.gt(after));
        }
        let ids = find
            .select_only()
            .column(receipt::Column::Id)
            .order_by_asc(receipt::Column::Id)
            .limit(limit)
            .into_tuple::<String>();
        self.db(ids.all(&self.read).await)
    }
}

/// Says that answers which cite one of these, texts or sources, are to be looked at again; part of the write that changes
/// who has which text.
pub(crate) async fn doubt(write: &DatabaseTransaction, what: &[&str]) -> Result<(), DbErr> {
    let citing = receipt_cites::Entity::find()
        .filter(receipt_cites::Column::What.is_in(what.iter().copied()))
        .select_only()
        .column(receipt_cites::Column::Receipt)
        .into_query();
    receipt::Entity::update_many()
        .col_expr(
            receipt::Column::Stale,
            sea_query::ExprTrait::add(Expr::col(receipt::Column::Stale), 1),
        )
        .filter(receipt::Column::Id.in_subquery(citing))
        .exec(write)
        .await?;
    Ok(())
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
        store
            .append_receipt(&[], &[], |last| link("rcpt-1", last))
            .await
            .unwrap();
        let second = store
            .append_receipt(&[], &[], |last| link("rcpt-2", last))
            .await
            .unwrap();
        assert_eq!(second.previous, "digest of rcpt-1");
        store.empty_receipt("rcpt-1").await.unwrap();
        let all = store.receipts(0, 10).await.unwrap();
        assert_eq!((all.len(), all[0].body.is_none(), &all[1]), (2, true, &second));
        assert_eq!(store.receipt("rcpt-2").await.unwrap(), second);
        assert!(store.receipt("rcpt-3").await.is_err() && store.empty_receipt("rcpt-3").await.is_err());
    }

    async fn put(store: &Store, text: &str) -> crate::Source {
        let new = crate::NewSource {
            origin: Some("/a.txt".into()),
            text: Some(crate::NewText {
                text: text.into(),
                layout: serde_json::json!({}),
            }),
            ..crate::NewSource::default()
        };
        store.put_sources(vec![new]).await.unwrap().remove(0).source
    }

    #[tokio::test]
    async fn a_source_that_changes_or_goes_puts_the_answers_that_cite_it_in_doubt() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        let source = put(&store, "One.").await;
        let text = source.text_sha256.clone().unwrap();
        let own = source.id.as_str();
        for (id, texts, sources) in [
            ("rcpt-1", vec![text.as_str(), &text], vec![own]),
            ("rcpt-2", vec![], vec![]),
        ] {
            store
                .append_receipt(&texts, &sources, |last| link(id, last))
                .await
                .unwrap();
        }
        let stale = async || store.stale_receipts(None, 10).await.unwrap();
        put(&store, "One.").await;
        assert!(stale().await.is_empty());
        store.mark_gone(&source.id).await.unwrap();
        assert_eq!(stale().await, ["rcpt-1"]);
        let seen = store.receipt_standing("rcpt-1").await.unwrap().stale;
        // It comes back while someone looks: what was found then is kept, and is to be looked at again.
        store.touch_source(&source.id, None).await.unwrap();
        store.keep_standing("rcpt-1", "gone".into(), seen).await.unwrap();
        let kept = store.receipt_standing("rcpt-1").await.unwrap();
        assert_eq!((kept.standing, kept.stale), (Some("gone".into()), 1));
        store.keep_standing("rcpt-1", "same".into(), 1).await.unwrap();
        assert!(stale().await.is_empty());
        put(&store, "Two.").await;
        assert_eq!(stale().await, ["rcpt-1"]);
        let seen = store.receipt_standing("rcpt-1").await.unwrap().stale;
        store.keep_standing("rcpt-1", "changed".into(), seen).await.unwrap();
        // The cited text is long gone, and the source goes on changing.
        put(&store, "Three.").await;
        assert_eq!(stale().await, ["rcpt-1"]);
        store.empty_receipt("rcpt-1").await.unwrap();
        assert!(stale().await.is_empty());
        store.delete_source(&source.id).await.unwrap();
        assert!(stale().await.is_empty());
    }

    #[tokio::test]
    async fn an_answer_whose_source_went_while_it_was_made_is_in_doubt_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        store
            .append_receipt(&["no such text"], &[], |last| link("rcpt-1", last))
            .await
            .unwrap();
        assert_eq!(store.stale_receipts(None, 10).await.unwrap(), ["rcpt-1"]);
    }
}
