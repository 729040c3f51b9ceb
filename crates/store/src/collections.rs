//! Collections: named sets of sources, which a search can be kept to.

use sea_orm::sea_query::{Expr, OnConflict, Order};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde::{Deserialize, Serialize};

use crate::clock::{new_id, now_ms};
use crate::conversations::clean_title;
use crate::entity::{collection, collection_source, source};
use crate::{Store, StoreError};

/// Bytes of a collection's metadata as JSON.
const MAX_METADATA: usize = 16 * 1024;

/// A collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Collection {
    /// Its id, `vs_…`.
    pub id: String,
    /// What people call it; need not be unique.
    pub name: String,
    /// What its maker attached.
    pub metadata: serde_json::Value,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// What it is, in its maker's words.
    pub description: Option<String>,
    /// When it was last filled or searched; milliseconds since 1970.
    pub active_ms: Option<i64>,
}

/// What a new collection starts with.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NewCollection {
    /// See [`Collection`].
    #[serde(default)]
    pub name: String,
    /// See [`Collection`].
    #[serde(default)]
    pub metadata: serde_json::Value,
    /// See [`Collection`].
    #[serde(default)]
    pub description: Option<String>,
}

/// What changes in a collection; `None` stays.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CollectionChange {
    /// A new name.
    #[serde(default)]
    pub name: Option<String>,
    /// Other metadata.
    #[serde(default)]
    pub metadata: Option<serde_json::Value>,
}

impl From<collection::Model> for Collection {
    fn from(row: collection::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            metadata: row.metadata,
            created_ms: row.created_ms,
            description: row.description,
            active_ms: row.active_ms,
        }
    }
}

impl Store {
    /// Makes a collection.
    ///
    /// # Errors
    /// If its metadata is no object or too large, or the store cannot be written.
    pub async fn create_collection(&self, new: NewCollection) -> Result<Collection, StoreError> {
        Ok(self.db(fresh(new)?.insert(&self.write).await)?.into())
    }

    /// The oldest collection of this name, made where there is none.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn collection_named(&self, name: &str) -> Result<Collection, StoreError> {
        let row = fresh(NewCollection {
            name: name.to_owned(),
            ..NewCollection::default()
        })?;
        let write = self.begin().await?;
        let found = collection::Entity::find()
            .filter(collection::Column::Name.eq(clean_title(name)))
            .order_by_asc(collection::Column::Id);
        let collection = match self.db(found.one(&write).await)? {
            Some(row) => row,
            None => self.db(row.insert(&write).await)?,
        };
        self.db(write.commit().await)?;
        Ok(collection.into())
    }

    /// A collection.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn collection(&self, id: &str) -> Result<Collection, StoreError> {
        let row = self.db(collection::Entity::find_by_id(id.to_owned()).one(&self.read).await)?;
        row.map(Into::into).ok_or_else(|| missing(id))
    }

    /// Notes that a collection was used just now.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn touch_collection(&self, id: &str) -> Result<(), StoreError> {
        let update = collection::Entity::update_many()
            .col_expr(collection::Column::ActiveMs, Expr::value(now_ms()))
            .filter(collection::Column::Id.eq(id));
        self.db(update.exec(&self.write).await)?;
        Ok(())
    }

    /// Collections, newest or oldest first, after or before one of them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn collection_page(
        &self,
        (after, before): (Option<&str>, Option<&str>),
        ascending: bool,
        limit: u64,
    ) -> Result<Vec<Collection>, StoreError> {
        use collection::Column as C;
        // The page before an id is found from its end.
        let backwards = after.is_none() && before.is_some();
        let (above, below) = if ascending { (after, before) } else { (before, after) };
        let condition = Condition::all()
            .add_option(above.map(|id| C::Id.gt(id)))
            .add_option(below.map(|id| C::Id.lt(id)));
        let upwards = ascending != backwards;
        let find = collection::Entity::find()
            .filter(condition)
            .order_by(C::Id, if upwards { Order::Asc } else { Order::Desc })
            .limit(limit);
        let mut found: Vec<Collection> = self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect();
        if backwards {
            found.reverse();
        }
        Ok(found)
    }

    /// Collections, the oldest first. `after` is the last page's last id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn collections(&self, after: Option<&str>, limit: u64) -> Result<Vec<Collection>, StoreError> {
        let mut find = collection::Entity::find();
        if let Some(after) = after {
            find = find.filter(collection::Column::Id.gt(after));
        }
        let find = find.order_by_asc(collection::Column::Id).limit(limit);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// Changes a collection.
    ///
    /// # Errors
    /// If there is none, something is too large, or the store cannot be written.
    pub async fn change_collection(&self, id: &str, change: CollectionChange) -> Result<Collection, StoreError> {
        let row = self.db(collection::Entity::find_by_id(id.to_owned()).one(&self.write).await)?;
        let mut row: collection::ActiveModel = row.ok_or_else(|| missing(id))?.into();
        if let Some(name) = change.name {
            row.name = Set(clean_title(&name));
        }
        if let Some(metadata) = change.metadata {
            row.metadata = Set(checked(metadata)?);
        }
        Ok(self.db(row.update(&self.write).await)?.into())
    }

    /// Deletes a collection, not its sources; whether there was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete_collection(&self, id: &str) -> Result<bool, StoreError> {
        let done = self.db(collection::Entity::delete_by_id(id.to_owned()).exec(&self.write).await)?;
        Ok(done.rows_affected > 0)
    }

    /// Puts a source into a collection; nothing happens where it is in it.
    ///
    /// # Errors
    /// If there is no such collection or source, or the store cannot be written.
    pub async fn add_to_collection(&self, collection: &str, source: &str) -> Result<(), StoreError> {
        let write = self.begin().await?;
        self.join(&write, collection, source).await?;
        self.db(write.commit().await)
    }

    pub(crate) async fn join(
        &self,
        write: &DatabaseTransaction,
        collection: &str,
        source: &str,
    ) -> Result<(), StoreError> {
        let collections = collection::Entity::find_by_id(collection.to_owned());
        if self.db(collections.count(write).await)? == 0 {
            return Err(missing(collection));
        }
        if self.db(source::Entity::find_by_id(source.to_owned()).count(write).await)? == 0 {
            return Err(crate::sources::missing(source));
        }
        let row = collection_source::ActiveModel {
            collection: Set(collection.to_owned()),
            source: Set(source.to_owned()),
            added_ms: Set(now_ms()),
            attributes: Set(None),
            cancelled: Set(false),
        };
        use collection_source::Column as C;
        let keep = OnConflict::columns([C::Collection, C::Source])
            .update_column(C::Source)
            .to_owned();
        self.db(collection_source::Entity::insert(row)
            .on_conflict(keep)
            .exec_without_returning(write)
            .await)?;
        Ok(())
    }

    /// Takes a source out of a collection; whether it was in it.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn remove_from_collection(&self, collection: &str, source: &str) -> Result<bool, StoreError> {
        let delete = collection_source::Entity::delete_by_id((collection.to_owned(), source.to_owned()));
        Ok(self.db(delete.exec(&self.write).await)?.rows_affected > 0)
    }

    /// The collections that a source is in.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn collections_of(&self, source: &str) -> Result<Vec<Collection>, StoreError> {
        let ids = collection_source::Entity::find()
            .filter(collection_source::Column::Source.eq(source))
            .select_only()
            .column(collection_source::Column::Collection)
            .into_query();
        let find = collection::Entity::find()
            .filter(collection::Column::Id.in_subquery(ids))
            .order_by_asc(collection::Column::Id);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }
}

fn fresh(new: NewCollection) -> Result<collection::ActiveModel, StoreError> {
    Ok(collection::ActiveModel {
        id: Set(format!("vs_{}", new_id().replace('-', ""))),
        name: Set(clean_title(&new.name)),
        metadata: Set(checked(new.metadata)?),
        created_ms: Set(now_ms()),
        description: Set(new.description),
        active_ms: Set(None),
    })
}

fn checked(metadata: serde_json::Value) -> Result<serde_json::Value, StoreError> {
    let metadata = if metadata.is_null() {
        serde_json::json!({})
    } else {
        metadata
    };
    if !metadata.is_object() || metadata.to_string().len() > MAX_METADATA {
        return Err(StoreError::Invalid(format!(
            "`metadata` must be a JSON object of at most {MAX_METADATA} bytes"
        )));
    }
    Ok(metadata)
}

pub(crate) fn missing(id: &str) -> StoreError {
    StoreError::Missing {
        what: "collection",
        id: id.chars().take(64).collect(),
    }
}
