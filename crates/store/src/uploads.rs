//! Uploads: sources whose bytes came through the API. They are stored before they are read, so that nothing that was
//! acknowledged is lost; their bytes themselves lie outside of the store.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, sea_query::Order,
};

use crate::clock::{new_id, now_ms};
use crate::entity::{source, upload};
use crate::sources::{check, clean_name, missing};
use crate::{NewSource, Source, SourceState, Store, StoreError};

/// An upload to store.
#[derive(Debug, Clone, Default)]
pub struct NewUpload {
    /// What people call it: a file's name.
    pub name: String,
    /// What it is for, in the uploader's words.
    pub purpose: String,
    /// The SHA-256 of its bytes.
    pub bytes_sha256: String,
    /// How many they are.
    pub size: i64,
}

/// A source with what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// The source.
    pub source: Source,
    /// What it was uploaded for; `None` where it was not.
    pub purpose: Option<String>,
}

/// Which files, in which order.
#[derive(Debug, Clone, Default)]
pub struct FilePage {
    /// Only those for this. Sources that were not uploaded count as `otherwise`.
    pub purpose: Option<String>,
    /// What sources are for that were not uploaded.
    pub otherwise: String,
    /// The id of the file before the first.
    pub after: Option<String>,
    /// The oldest first.
    pub ascending: bool,
    /// At most so many.
    pub limit: u64,
}

/// The origin of an upload. It never is a path.
fn origin(id: &str) -> String {
    format!("upload:{id}")
}

impl Store {
    /// Stores an upload that was not read yet.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn add_upload(&self, new: NewUpload) -> Result<Source, StoreError> {
        let (id, now) = (format!("file-{}", new_id().replace('-', "")), now_ms());
        let row = source::ActiveModel {
            id: Set(id.clone()),
            name: Set(clean_name(&new.name)),
            kind: Set("unread".to_owned()),
            origin: Set(Some(origin(&id))),
            url: Set(None),
            bytes_sha256: Set(new.bytes_sha256),
            text_sha256: Set(None),
            title: Set(None),
            date: Set(None),
            language: Set(None),
            size: Set(new.size),
            modified_ms: Set(None),
            state: Set(SourceState::Waiting.name().to_owned()),
            error: Set(None),
            notes: Set(serde_json::json!([])),
            created_ms: Set(now),
            updated_ms: Set(now),
        };
        let write = self.begin().await?;
        let row = self.db(row.insert(&write).await)?;
        let upload = upload::ActiveModel {
            source: Set(id),
            purpose: Set(new.purpose),
        };
        self.db(upload::Entity::insert(upload).exec_without_returning(&write).await)?;
        self.db(write.commit().await)?;
        Ok(row.into())
    }

    /// Gives an upload its text, or the reason why it has none; `None` where it was deleted meanwhile.
    ///
    /// # Errors
    /// If the text is too large, or the store cannot be written.
    pub async fn fill_upload(&self, id: &str, new: NewSource) -> Result<Option<Source>, StoreError> {
        let new = NewSource {
            origin: Some(origin(id)),
            ..new
        };
        check(&new)?;
        let write = self.begin().await?;
        let there = source::Entity::find_by_id(id.to_owned());
        if self.db(there.count(&write).await)? == 0 {
            return Ok(None);
        }
        let put = self.put_source(&write, new).await?;
        self.db(write.commit().await)?;
        Ok(Some(put.source))
    }

    /// Uploads that were not read yet, the oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn waiting_uploads(&self, limit: u64) -> Result<Vec<Source>, StoreError> {
        let find = source::Entity::find()
            .filter(source::Column::State.eq(SourceState::Waiting.name()))
            .order_by_asc(source::Column::Id)
            .limit(limit);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// Whether an upload has these bytes.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn has_upload_of(&self, bytes_sha256: &str) -> Result<bool, StoreError> {
        let find = source::Entity::find()
            .filter(source::Column::BytesSha256.eq(bytes_sha256))
            .filter(source::Column::Id.in_subquery(uploads(None)));
        // On the connection that writes, so that it sees what was just stored or deleted.
        Ok(self.db(find.count(&self.write).await)? > 0)
    }

    /// A source with what it is for.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn file(&self, id: &str) -> Result<File, StoreError> {
        let row = self.db(source::Entity::find_by_id(id.to_owned()).one(&self.read).await)?;
        let row = row.ok_or_else(|| missing(id))?;
        Ok(self.files_of(vec![row]).await?.remove(0))
    }

    /// Sources with what they are for.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn files(&self, page: &FilePage) -> Result<Vec<File>, StoreError> {
        use source::Column as C;
        let purpose = page.purpose.as_deref().map(|purpose| {
            let of = Condition::any().add(C::Id.in_subquery(uploads(Some(purpose))));
            of.add_option((purpose == page.otherwise).then(|| C::Id.not_in_subquery(uploads(None))))
        });
        let after = page.after.as_deref().map(|after| match page.ascending {
            true => C::Id.gt(after),
            false => C::Id.lt(after),
        });
        let find = source::Entity::find()
            .filter(Condition::all().add_option(purpose).add_option(after))
            .order_by(C::Id, if page.ascending { Order::Asc } else { Order::Desc })
            .limit(page.limit);
        let rows = self.db(find.all(&self.read).await)?;
        self.files_of(rows).await
    }

    async fn files_of(&self, rows: Vec<source::Model>) -> Result<Vec<File>, StoreError> {
        let mut purposes = HashMap::new();
        for part in rows.chunks(1000) {
            let find =
                upload::Entity::find().filter(upload::Column::Source.is_in(part.iter().map(|row| row.id.as_str())));
            let found = self.db(find.all(&self.read).await)?;
            purposes.extend(found.into_iter().map(|row| (row.source, row.purpose)));
        }
        let file = |row: source::Model| File {
            purpose: purposes.remove(&row.id),
            source: row.into(),
        };
        Ok(rows.into_iter().map(file).collect())
    }
}

/// The sources that were uploaded, for this purpose where there is one.
fn uploads(purpose: Option<&str>) -> sea_orm::sea_query::SelectStatement {
    upload::Entity::find()
        .filter(Condition::all().add_option(purpose.map(|purpose| upload::Column::Purpose.eq(purpose))))
        .select_only()
        .column(upload::Column::Source)
        .into_query()
}
