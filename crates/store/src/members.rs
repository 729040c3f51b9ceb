//! Members: sources in a collection, with attributes that a search can be kept to, and batches that joined together.

use sea_orm::sea_query::{Expr, OnConflict, Order};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde_json::Value;

use crate::clock::{new_id, now_ms};
use crate::collections;
use crate::entity::{batch, batch_source, collection, collection_source, source};
use crate::{Source, SourceState, Store, StoreError};

/// A source in a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The collection's id.
    pub collection: String,
    /// The source.
    pub source: Source,
    /// What whoever put it in attached: a flat object.
    pub attributes: Option<Value>,
    /// Whether it was cancelled before it was searchable; it is not searched then.
    pub cancelled: bool,
    /// Milliseconds since 1970.
    pub added_ms: i64,
}

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It will be searchable.
    InProgress,
    /// It is searchable.
    Completed,
    /// It has no text.
    Failed,
    /// Its batch was cancelled first.
    Cancelled,
}

/// A source that joins a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Joining {
    /// Its id.
    pub source: String,
    /// Attributes; `None` keeps those it has.
    pub attributes: Option<Value>,
}

/// Sources that joined a collection together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id, `vsfb_…`.
    pub id: String,
    /// The collection's id.
    pub collection: String,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

impl From<batch::Model> for Batch {
    fn from(row: batch::Model) -> Self {
        Self {
            id: row.id,
            collection: row.collection,
            cancelled: row.cancelled,
            created_ms: row.created_ms,
        }
    }
}

/// How many members are how far, and the bytes of their files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standings {
    /// Will be searchable.
    pub in_progress: u64,
    /// Are searchable.
    pub completed: u64,
    /// Have no text.
    pub failed: u64,
    /// Were cancelled first.
    pub cancelled: u64,
    /// Bytes of those that are searchable.
    pub bytes: u64,
}

impl Standings {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.in_progress + self.completed + self.failed + self.cancelled
    }
}

/// Which members, in which order.
#[derive(Debug, Clone, Default)]
pub struct MemberPage {
    /// Only those of this batch.
    pub batch: Option<String>,
    /// Only those that are so far.
    pub standing: Option<Standing>,
    /// The id of the source before the first.
    pub after: Option<String>,
    /// The id of the source after the last.
    pub before: Option<String>,
    /// The oldest first.
    pub ascending: bool,
    /// At most so many.
    pub limit: u64,
}

impl Member {
    /// How far it is.
    pub fn standing(&self) -> Standing {
        match self.source.state {
            _ if self.cancelled => Standing::Cancelled,
            SourceState::Waiting | SourceState::Pending => Standing::InProgress,
            SourceState::Ready | SourceState::Gone => Standing::Completed,
            SourceState::Failed => Standing::Failed,
        }
    }
}

impl Standing {
    fn condition(self) -> Condition {
        let states: &[SourceState] = match self {
            Self::Cancelled => return Condition::all().add(collection_source::Column::Cancelled.eq(true)),
            Self::InProgress => &[SourceState::Waiting, SourceState::Pending],
            Self::Completed => &[SourceState::Ready, SourceState::Gone],
            Self::Failed => &[SourceState::Failed],
        };
        Condition::all()
            .add(collection_source::Column::Cancelled.eq(false))
            .add(source::Column::State.is_in(states.iter().map(|state| state.name())))
    }
}

impl Store {
    /// Puts sources into a collection: all, or none. Those that are in it get their new attributes.
    ///
    /// # Errors
    /// If there is no such collection or source, or the store cannot be written.
    pub async fn add_members(&self, collection: &str, joining: &[Joining]) -> Result<(), StoreError> {
        let write = self.begin().await?;
        self.join_all(&write, collection, joining).await?;
        self.db(write.commit().await)
    }

    /// Puts sources into a collection as a batch: all, or none.
    ///
    /// # Errors
    /// If there is no such collection or source, or the store cannot be written.
    pub async fn add_batch(&self, collection: &str, joining: &[Joining]) -> Result<Batch, StoreError> {
        let write = self.begin().await?;
        self.join_all(&write, collection, joining).await?;
        let row = batch::ActiveModel {
            id: Set(format!("vsfb_{}", new_id().replace('-', ""))),
            collection: Set(collection.to_owned()),
            cancelled: Set(false),
            created_ms: Set(now_ms()),
        };
        let batch = self.db(row.insert(&write).await)?;
        use batch_source::Column as C;
        for one in joining {
            let row = batch_source::ActiveModel {
                batch: Set(batch.id.clone()),
                source: Set(one.source.clone()),
            };
            let once = OnConflict::columns([C::Batch, C::Source])
                .update_column(C::Source)
                .to_owned();
            let insert = batch_source::Entity::insert(row).on_conflict(once);
            self.db(insert.exec_without_returning(&write).await)?;
        }
        self.db(write.commit().await)?;
        Ok(batch.into())
    }

    async fn join_all(
        &self,
        write: &DatabaseTransaction,
        collection: &str,
        joining: &[Joining],
    ) -> Result<(), StoreError> {
        use collection_source::Column as C;
        for one in joining {
            self.join(write, collection, &one.source).await?;
            let update = collection_source::Entity::update_many()
                .col_expr(C::Cancelled, Expr::value(false))
                .filter(C::Collection.eq(collection))
                .filter(C::Source.eq(&one.source));
            let update = match &one.attributes {
                Some(attributes) => update.col_expr(C::Attributes, Expr::value(attributes.clone())),
                None => update,
            };
            self.db(update.exec(write).await)?;
        }
        let active = collection::Entity::update_many()
            .col_expr(collection::Column::ActiveMs, Expr::value(now_ms()))
            .filter(collection::Column::Id.eq(collection));
        let active = self.db(active.exec(write).await)?;
        if active.rows_affected == 0 {
            return Err(collections::missing(collection));
        }
        Ok(())
    }

    /// Replaces the attributes of a source in a collection.
    ///
    /// # Errors
    /// If it is not in it, or the store cannot be written.
    pub async fn set_attributes(
        &self,
        collection: &str,
        source: &str,
        attributes: Value,
    ) -> Result<Member, StoreError> {
        use collection_source::Column as C;
        let update = collection_source::Entity::update_many()
            .col_expr(C::Attributes, Expr::value(attributes))
            .filter(C::Collection.eq(collection))
            .filter(C::Source.eq(source));
        self.db(update.exec(&self.write).await)?;
        self.member(collection, source).await
    }

    /// A source in a collection.
    ///
    /// # Errors
    /// If it is not in it, or the store cannot be read.
    pub async fn member(&self, collection: &str, source: &str) -> Result<Member, StoreError> {
        let find = both(collection).filter(collection_source::Column::Source.eq(source));
        match self.db(find.one(&self.read).await)? {
            Some((row, Some(source))) => Ok(member(row, source)),
            _ => Err(crate::sources::missing(source)),
        }
    }

    /// The sources of a collection.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn members(&self, collection: &str, page: &MemberPage) -> Result<Vec<Member>, StoreError> {
        use collection_source::Column as C;
        // The page before an id is found from its end.
        let backwards = page.after.is_none() && page.before.is_some();
        let upwards = page.ascending != backwards;
        let (above, below) = match page.ascending {
            true => (&page.after, &page.before),
            false => (&page.before, &page.after),
        };
        let condition = Condition::all()
            .add_option(above.as_deref().map(|id| C::Source.gt(id)))
            .add_option(below.as_deref().map(|id| C::Source.lt(id)))
            .add_option(page.batch.as_deref().map(in_batch))
            .add_option(page.standing.map(Standing::condition));
        let find = both(collection)
            .filter(condition)
            .order_by(C::Source, if upwards { Order::Asc } else { Order::Desc })
            .limit(page.limit);
        let rows = self.db(find.all(&self.read).await)?;
        let mut members: Vec<Member> = rows
            .into_iter()
            .filter_map(|(row, source)| Some(member(row, source?)))
            .collect();
        if backwards {
            members.reverse();
        }
        Ok(members)
    }

    /// The attributes of the sources of these collections that are searched; of some of them, where they are named.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn attributes_in(
        &self,
        collections: &[String],
        sources: Option<&[String]>,
    ) -> Result<Vec<(String, Option<Value>)>, StoreError> {
        use collection_source::Column as C;
        let find = collection_source::Entity::find()
            .filter(C::Collection.is_in(collections))
            .filter(C::Cancelled.eq(false))
            .filter(Condition::all().add_option(sources.map(|sources| C::Source.is_in(sources))));
        let rows = self.db(find.all(&self.read).await)?;
        Ok(rows.into_iter().map(|row| (row.source, row.attributes)).collect())
    }

    /// How far the sources of a collection are; of one batch, where it is named.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn standings(&self, collection: &str, batch: Option<&str>) -> Result<Standings, StoreError> {
        #[derive(FromQueryResult)]
        struct Row {
            cancelled: bool,
            state: String,
            count: i64,
            bytes: i64,
        }
        let find = collection_source::Entity::find()
            .join(sea_orm::JoinType::InnerJoin, to_source())
            .filter(collection_source::Column::Collection.eq(collection))
            .filter(Condition::all().add_option(batch.map(in_batch)))
            .select_only()
            .column(collection_source::Column::Cancelled)
            .column(source::Column::State)
            .column_as(source::Column::Id.count(), "count")
            .column_as(source::Column::Size.sum(), "bytes")
            .group_by(collection_source::Column::Cancelled)
            .group_by(source::Column::State)
            .into_model::<Row>();
        let mut standings = Standings::default();
        for row in self.db(find.all(&self.read).await)? {
            let count = row.count.unsigned_abs();
            match (row.cancelled, SourceState::parse(&row.state)) {
                (true, _) => standings.cancelled += count,
                (_, SourceState::Waiting | SourceState::Pending) => standings.in_progress += count,
                (_, SourceState::Failed) => standings.failed += count,
                (_, SourceState::Ready | SourceState::Gone) => {
                    standings.completed += count;
                    standings.bytes += row.bytes.unsigned_abs();
                }
            }
        }
        Ok(standings)
    }

    /// A batch of a collection.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn batch(&self, collection: &str, id: &str) -> Result<Batch, StoreError> {
        let find = batch::Entity::find_by_id(id.to_owned()).filter(batch::Column::Collection.eq(collection));
        let row = self.db(find.one(&self.read).await)?;
        row.map(Into::into).ok_or_else(|| StoreError::Missing {
            what: "batch",
            id: id.chars().take(64).collect(),
        })
    }

    /// Cancels a batch: what is not searchable yet will not be searched in its collection. One that has ended stays as
    /// it is.
    ///
    /// # Errors
    /// If there is none, or the store cannot be written.
    pub async fn cancel_batch(&self, collection: &str, id: &str) -> Result<Batch, StoreError> {
        self.batch(collection, id).await?;
        let write = self.begin().await?;
        let unfinished = source::Entity::find()
            .filter(source::Column::State.is_in([SourceState::Waiting.name(), SourceState::Pending.name()]))
            .select_only()
            .column(source::Column::Id)
            .into_query();
        use collection_source::Column as C;
        let update = collection_source::Entity::update_many()
            .col_expr(C::Cancelled, Expr::value(true))
            .filter(C::Collection.eq(collection))
            .filter(C::Cancelled.eq(false))
            .filter(in_batch(id))
            .filter(C::Source.in_subquery(unfinished));
        let stopped = self.db(update.exec(&write).await)?.rows_affected;
        if stopped > 0 {
            let update = batch::Entity::update_many()
                .col_expr(batch::Column::Cancelled, Expr::value(true))
                .filter(batch::Column::Id.eq(id));
            self.db(update.exec(&write).await)?;
        }
        self.db(write.commit().await)?;
        self.batch(collection, id).await
    }
}

fn to_source() -> sea_orm::RelationDef {
    collection_source::Entity::belongs_to(source::Entity)
        .from(collection_source::Column::Source)
        .to(source::Column::Id)
        .into()
}

fn both(collection: &str) -> sea_orm::SelectTwo<collection_source::Entity, source::Entity> {
    collection_source::Entity::find()
        .join(sea_orm::JoinType::InnerJoin, to_source())
        .select_also(source::Entity)
        .filter(collection_source::Column::Collection.eq(collection))
}

fn in_batch(id: &str) -> Condition {
    let of = batch_source::Entity::find()
        .filter(batch_source::Column::Batch.eq(id))
        .select_only()
        .column(batch_source::Column::Source)
        .into_query();
    Condition::all().add(collection_source::Column::Source.in_subquery(of))
}

fn member(row: collection_source::Model, source: source::Model) -> Member {
    Member {
        collection: row.collection,
        source: source.into(),
        attributes: row.attributes,
        cancelled: row.cancelled,
        added_ms: row.added_ms,
    }
}
