//! Web addresses that were added: what a refresh fetches again, and what their hosts said the last time.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait, QueryOrder};

use crate::entity::address;
use crate::{Store, StoreError};

/// A web address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebAddress {
    /// As it was added.
    pub address: String,
    /// Whether it may lead into the local network, because whoever added it said so.
    pub local: bool,
    /// The tag that its host gave the page.
    pub etag: Option<String>,
    /// When the page was changed, in the host's words.
    pub modified: Option<String>,
    /// When it was last fetched, in milliseconds since 1970.
    pub fetched_ms: Option<i64>,
    /// The collection that new documents of it join.
    pub collection: Option<String>,
}

impl From<address::Model> for WebAddress {
    fn from(row: address::Model) -> Self {
        Self {
            address: row.address,
            local: row.local,
            etag: row.etag,
            modified: row.modified,
            fetched_ms: row.fetched_ms,
            collection: row.collection,
        }
    }
}

impl Store {
    /// Keeps an address, in place of what was kept of it before.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn put_address(&self, new: WebAddress) -> Result<(), StoreError> {
        use address::Column as C;
        let row = address::ActiveModel {
            address: Set(new.address),
            local: Set(new.local),
            etag: Set(new.etag),
            modified: Set(new.modified),
            fetched_ms: Set(new.fetched_ms),
            collection: Set(new.collection),
        };
        let replace = OnConflict::column(C::Address)
            .update_columns([C::Local, C::Etag, C::Modified, C::FetchedMs, C::Collection])
            .to_owned();
        let insert = address::Entity::insert(row).on_conflict(replace);
        self.db(insert.exec_without_returning(&self.write).await)?;
        Ok(())
    }

    /// All addresses, in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn addresses(&self) -> Result<Vec<WebAddress>, StoreError> {
        let find = address::Entity::find().order_by_asc(address::Column::Address);
        let rows = self.db(find.all(&self.read).await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// One address, where it was added.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn address(&self, address: &str) -> Result<Option<WebAddress>, StoreError> {
        let find = address::Entity::find_by_id(address.to_owned());
        Ok(self.db(find.one(&self.read).await)?.map(Into::into))
    }

    /// Does not fetch an address again; whether it was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn forget_address(&self, address: &str) -> Result<bool, StoreError> {
        let delete = address::Entity::delete_by_id(address.to_owned());
        Ok(self.db(delete.exec(&self.write).await)?.rows_affected > 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn an_address_is_kept_with_what_its_host_said() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        let mut address = WebAddress {
            address: "https://example.org/".into(),
            ..WebAddress::default()
        };
        store.put_address(address.clone()).await.unwrap();
        address.etag = Some("\"1\"".into());
        address.local = true;
        store.put_address(address.clone()).await.unwrap();
        assert_eq!(
            store.address("https://example.org/").await.unwrap(),
            Some(address.clone())
        );
        assert_eq!(store.addresses().await.unwrap(), [address]);
        assert!(store.forget_address("https://example.org/").await.unwrap());
        assert!(!store.forget_address("https://example.org/").await.unwrap());
    }
}
