//! Sources: files and addresses, imported, changed, listed, deleted. Their texts lie in `texts`.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel,
    JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde::{Deserialize, Serialize};

use crate::clock::{new_id, now_ms};
use crate::conversations::clean_title;
use crate::entity::{collection_source, source, source_text};
use crate::texts::{self, NewText};
use crate::{Store, StoreError, receipts};

/// Characters of a name or an origin.
const MAX_NAME: usize = 4096;
/// Sources of one write.
const MAX_BATCH: usize = 10_000;

/// How far a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Its bytes are kept and were not read yet.
    Waiting,
    /// Its text is stored and not searchable yet.
    Pending,
    /// Searchable.
    Ready,
    /// It has no text; `error` says why.
    Failed,
    /// The file is not there any more; its text still is.
    Gone,
}

impl SourceState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "waiting" => Self::Waiting,
            "ready" => Self::Ready,
            "failed" => Self::Failed,
            "gone" => Self::Gone,
            _ => Self::Pending,
        }
    }
}

/// A source without its text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// Its id, `file-…`.
    pub id: String,
    /// What people call it: a file's name.
    pub name: String,
    /// What it was: `pdf`, `html`, ….
    pub kind: String,
    /// The path or address that it came from; `upload:…` for an upload.
    pub origin: Option<String>,
    /// Where it stands on the web, where it is from there: the page itself, or what an entry of a feed links to.
    pub url: Option<String>,
    /// The SHA-256 of its own bytes.
    pub bytes_sha256: String,
    /// The hash of its text, where it has one.
    pub text_sha256: Option<String>,
    /// Its title, where it has one.
    pub title: Option<String>,
    /// Its date, `YYYY-MM-DD`, where it has one.
    pub date: Option<String>,
    /// Its language: `en`, `zh`, ….
    pub language: Option<String>,
    /// Bytes of the file.
    pub size: i64,
    /// When the file was changed, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// How far it is.
    pub state: SourceState,
    /// Why it has no text.
    pub error: Option<String>,
    /// What a reader of its text should know.
    pub notes: Vec<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub updated_ms: i64,
}

impl From<source::Model> for Source {
    fn from(row: source::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            kind: row.kind,
            origin: row.origin,
            url: row.url,
            bytes_sha256: row.bytes_sha256,
            text_sha256: row.text_sha256,
            title: row.title,
            date: row.date,
            language: row.language,
            size: row.size,
            modified_ms: row.modified_ms,
            state: SourceState::parse(&row.state),
            error: row.error,
            notes: serde_json::from_value(row.notes).unwrap_or_default(),
            created_ms: row.created_ms,
            updated_ms: row.updated_ms,
        }
    }
}

/// A source to store. One with the `origin` of an earlier source takes that one's place and id.
#[derive(Debug, Clone, Default)]
pub struct NewSource {
    /// See [`Source`].
    pub name: String,
    /// See [`Source`].
    pub kind: String,
    /// See [`Source`].
    pub origin: Option<String>,
    /// See [`Source`].
    pub url: Option<String>,
    /// See [`Source`].
    pub bytes_sha256: String,
    /// See [`Source`].
    pub title: Option<String>,
    /// See [`Source`].
    pub date: Option<String>,
    /// See [`Source`].
    pub language: Option<String>,
    /// See [`Source`].
    pub size: i64,
    /// See [`Source`].
    pub modified_ms: Option<i64>,
    /// See [`Source`].
    pub notes: Vec<String>,
    /// The text, or why there is none.
    pub text: Option<NewText>,
    /// In place of a text: the hash of one that is stored.
    pub known_text: Option<String>,
    /// See [`Source`].
    pub error: Option<String>,
    /// A collection that it joins.
    pub collection: Option<String>,
}

/// What became of a source that was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The source as it is now.
    pub source: Source,
    /// What changed.
    pub outcome: PutOutcome,
}

/// What a write changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is new.
    Added,
    /// Its origin was known, and its text is another one now.
    Changed,
    /// It was there with this text.
    Unchanged,
}

/// Which sources; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFilter {
    /// In one of these collections (ids); empty: in any or none.
    pub collections: Vec<String>,
    /// One of these (ids); empty: any.
    pub sources: Vec<String>,
    /// Dated on or after this day, `YYYY-MM-DD`.
    pub from: Option<String>,
    /// Dated on or before this day.
    pub to: Option<String>,
    /// In this language.
    pub language: Option<String>,
}

impl SourceFilter {
    /// Whether every source passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn condition(&self) -> Condition {
        use source::Column as C;
        Condition::all()
            .add_option((!self.sources.is_empty()).then(|| one_of(&self.sources)))
            .add_option(self.from.as_deref().map(|day| C::Date.gte(day)))
            .add_option(self.to.as_deref().map(|day| C::Date.lte(day)))
            .add_option(self.language.as_deref().map(|language| C::Language.eq(language)))
            .add_option((!self.collections.is_empty()).then(|| {
                C::Id.in_subquery(
                    collection_source::Entity::find()
                        .filter(collection_source::Column::Collection.is_in(&self.collections))
                        .filter(collection_source::Column::Cancelled.eq(false))
                        .select_only()
                        .column(collection_source::Column::Source)
                        .into_query(),
                )
            }))
    }
}

impl Store {
    /// Stores sources: all of them, or none.
    ///
    /// # Errors
    /// If one is too large or names a collection that is not there, or the store cannot be written.
    pub async fn put_sources(&self, new: Vec<NewSource>) -> Result<Vec<Put>, StoreError> {
        if new.len() > MAX_BATCH {
            return Err(StoreError::Invalid(format!(
                "{} sources at once, and at most {MAX_BATCH} can be stored in one step; send them in parts",
                new.len()
            )));
        }
        new.iter().try_for_each(check)?;
        let write = self.begin().await?;
        let mut done = Vec::with_capacity(new.len());
        for one in new {
            done.push(self.put_source(&write, one).await?);
        }
        self.db(write.commit().await)?;
        Ok(done)
    }

    pub(crate) async fn put_source(&self, write: &DatabaseTransaction, new: NewSource) -> Result<Put, StoreError> {
        let earlier = match &new.origin {
            Some(origin) => self.db(source::Entity::find()
                .filter(source::Column::Origin.eq(origin))
                .one(write)
                .await)?,
            None => None,
        };
        let text = match (new.text, new.known_text) {
            (Some(text), _) => Some(self.db(texts::put(write, text).await)?),
            (None, Some(known)) if self.db(texts::is_there(write, &known).await)? => Some(known),
            (None, Some(known)) => return Err(texts::missing(&known)),
            (None, None) => None,
        };
        let now = now_ms();
        let (id, created, old, ready) = match &earlier {
            Some(row) => (
                row.id.clone(),
                row.created_ms,
                row.text_sha256.clone(),
                row.state == "ready",
            ),
            None => (format!("file-{}", new_id().replace('-', "")), now, None, false),
        };
        let outcome = match &earlier {
            None => PutOutcome::Added,
            Some(row) if row.text_sha256 == text => PutOutcome::Unchanged,
            Some(_) => PutOutcome::Changed,
        };
        let state = match &text {
            None => SourceState::Failed,
            Some(_) if ready && outcome == PutOutcome::Unchanged => SourceState::Ready,
            Some(_) => SourceState::Pending,
        };
        let row = source::ActiveModel {
            id: Set(id.clone()),
            name: Set(clean_name(&new.name)),
            kind: Set(new.kind),
            origin: Set(new.origin),
            url: Set(new.url),
            bytes_sha256: Set(new.bytes_sha256),
            text_sha256: Set(text.clone()),
            title: Set(new
                .title
                .map(|title| clean_title(&title))
                .filter(|title| !title.is_empty())),
            date: Set(new.date),
            language: Set(new.language),
            size: Set(new.size),
            modified_ms: Set(new.modified_ms),
            state: Set(state.name().to_owned()),
            error: Set(new.error),
            notes: Set(serde_json::json!(new.notes)),
            created_ms: Set(created),
            updated_ms: Set(now),
        };
        let row = if earlier.is_some() {
            self.db(row.update(write).await)?
        } else {
            self.db(row.insert(write).await)?
        };
        if outcome != PutOutcome::Unchanged || earlier.is_some_and(|row| row.state == "gone") {
            let texts = old.iter().chain(&text).map(String::as_str);
            let cited: Vec<&str> = texts.chain([id.as_str()]).collect();
            self.db(receipts::doubt(write, &cited).await)?;
        }
        if let Some(old) = old.filter(|old| Some(old) != text.as_ref()) {
            self.db(texts::drop_if_unused(write, &old).await)?;
        }
        if let Some(collection) = &new.collection {
            self.join(write, collection, &id).await?;
        }
        Ok(Put {
            source: row.into(),
            outcome,
        })
    }

    /// A source.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn source(&self, id: &str) -> Result<Source, StoreError> {
        let row = self.db(source::Entity::find_by_id(id.to_owned()).one(&self.read).await)?;
        row.map(Into::into).ok_or_else(|| missing(id))
    }

    /// The source that came from `origin`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn source_by_origin(&self, origin: &str) -> Result<Option<Source>, StoreError> {
        let find = source::Entity::find().filter(source::Column::Origin.eq(origin));
        Ok(self.db(find.one(&self.read).await)?.map(Into::into))
    }

    /// The sources that came from `origin`: it alone, or the parts of it (`origin#…`).
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn sources_from(&self, origin: &str) -> Result<Vec<Source>, StoreError> {
        let at = Condition::any()
            .add(source::Column::Origin.eq(origin))
            .add(between(format!("{origin}#"), format!("{origin}$")));
        let find = source::Entity::find().filter(at);
        let rows = self.db(find.all(&self.read).await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The sources whose origin is this path, a part of that file, or a file under it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn sources_under(&self, path: &str) -> Result<Vec<Source>, StoreError> {
        let (from, to) = match path.strip_suffix('/') {
            // The root of the file system, or a folder that was written with its slash.
            Some(cut) => (format!("{cut}/"), format!("{cut}0")),
            None => (format!("{path}/"), format!("{path}0")),
        };
        let mut all = self.sources_from(path).await?;
        let find = source::Entity::find().filter(between(from, to));
        all.extend(self.db(find.all(&self.read).await)?.into_iter().map(Source::from));
        Ok(all)
    }

    /// A source with a text that was made from these bytes.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn source_by_bytes(&self, sha256: &str) -> Result<Option<Source>, StoreError> {
        let find = source::Entity::find()
            .filter(source::Column::BytesSha256.eq(sha256))
            .filter(source::Column::TextSha256.is_not_null());
        Ok(self.db(find.one(&self.read).await)?.map(Into::into))
    }

    /// Sources that pass the filter, the oldest first. `after` is the last page's last id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn sources(
        &self,
        filter: &SourceFilter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Source>, StoreError> {
        let mut find = source::Entity::find().filter(filter.condition());
        if let Some(after) = after {
            find = find.filter(source::Column::Id.gt(after));
        }
        let find = find.order_by_asc(source::Column::Id).limit(limit);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// The sources that have one of these texts and pass the filter.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn sources_of_texts(&self, texts: &[&str], filter: &SourceFilter) -> Result<Vec<Source>, StoreError> {
        let find = source::Entity::find()
            .filter(source::Column::TextSha256.is_in(texts.iter().copied()))
            .filter(filter.condition())
            .order_by_asc(source::Column::Id);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// The numbers of the texts of all sources that pass the filter, in order and each once.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn texts_of(&self, filter: &SourceFilter) -> Result<Vec<i64>, StoreError> {
        if filter.is_empty() {
            return self.text_ids().await;
        }
        let on = source_text::Entity::belongs_to(source::Entity)
            .from(source_text::Column::Sha256)
            .to(source::Column::TextSha256)
            .into();
        let find = source_text::Entity::find()
            .join(JoinType::InnerJoin, on)
            .filter(filter.condition())
            .select_only()
            .column(source_text::Column::Id)
            .distinct()
            .order_by_asc(source_text::Column::Id)
            .into_tuple::<i64>();
        self.db(find.all(&self.read).await)
    }

    /// Says that the texts up to this number are searchable, and so the pending sources that have them.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn mark_ready(&self, up_to: i64) -> Result<u64, StoreError> {
        let indexed = source_text::Entity::find()
            .filter(source_text::Column::Id.lte(up_to))
            .select_only()
            .column(source_text::Column::Sha256)
            .into_query();
        let update = source::Entity::update_many()
            .col_expr(source::Column::State, Expr::value(SourceState::Ready.name()))
            .filter(source::Column::State.eq(SourceState::Pending.name()))
            .filter(source::Column::TextSha256.in_subquery(indexed));
        Ok(self.db(update.exec(&self.write).await)?.rows_affected)
    }

    /// Says that a source's file is not there any more. Its text stays, so that what cites it can still be read.
    ///
    /// # Errors
    /// If there is no such source, or the store cannot be written.
    pub async fn mark_gone(&self, id: &str) -> Result<Source, StoreError> {
        self.change_source(id, |row| {
            row.state = Set(SourceState::Gone.name().to_owned());
        })
        .await
    }

    /// Notes a file's new time where its bytes are the same, and that it is there.
    ///
    /// # Errors
    /// If there is no such source, or the store cannot be written.
    pub async fn touch_source(&self, id: &str, modified_ms: Option<i64>) -> Result<Source, StoreError> {
        self.change_source(id, |row| {
            row.modified_ms = Set(modified_ms);
            if matches!(&row.state, sea_orm::ActiveValue::Unchanged(state) if state == "gone") {
                // Where the index has it already, the next `mark_ready` says so.
                row.state = Set(SourceState::Pending.name().to_owned());
            }
        })
        .await
    }

    async fn change_source(
        &self,
        id: &str,
        change: impl FnOnce(&mut source::ActiveModel),
    ) -> Result<Source, StoreError> {
        let write = self.begin().await?;
        let row = self.db(source::Entity::find_by_id(id.to_owned()).one(&write).await)?;
        let mut row = row.ok_or_else(|| missing(id))?.into_active_model();
        let state = row.state.clone();
        change(&mut row);
        if row.state != state
            && let sea_orm::ActiveValue::Unchanged(Some(text)) = &row.text_sha256
        {
            self.db(receipts::doubt(&write, &[text, id]).await)?;
        }
        row.updated_ms = Set(now_ms());
        let row = self.db(row.update(&write).await)?;
        self.db(write.commit().await)?;
        Ok(row.into())
    }

    /// Deletes a source, and its text where no other source has it; whether there was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete_source(&self, id: &str) -> Result<bool, StoreError> {
        let write = self.begin().await?;
        let row = self.db(source::Entity::find_by_id(id.to_owned()).one(&write).await)?;
        let Some(row) = row else { return Ok(false) };
        self.db(source::Entity::delete_by_id(id.to_owned()).exec(&write).await)?;
        let cited: Vec<&str> = row.text_sha256.as_deref().into_iter().chain([id]).collect();
        self.db(receipts::doubt(&write, &cited).await)?;
        if let Some(text) = &row.text_sha256 {
            self.db(texts::drop_if_unused(&write, text).await)?;
        }
        self.db(write.commit().await)?;
        Ok(true)
    }
}

/// Origins from `from` on and before `to`, which the index on them finds.
fn between(from: String, to: String) -> Condition {
    Condition::all()
        .add(source::Column::Origin.gte(from))
        .add(source::Column::Origin.lt(to))
}

/// One parameter however many ids there are: SQLite takes some ten thousand and no more.
fn one_of(ids: &[String]) -> SimpleExpr {
    let ids = serde_json::json!(ids).to_string();
    Expr::cust_with_values(r#""source"."id" IN (SELECT "value" FROM json_each(?))"#, [ids])
}

pub(crate) fn check(new: &NewSource) -> Result<(), StoreError> {
    let length = new.text.as_ref().map_or(0, |text| text.text.len());
    if length > texts::MAX_TEXT {
        return Err(StoreError::Invalid(format!(
            "the text of {} takes {length} bytes and at most {} are kept; split the file",
            clean_name(&new.name),
            texts::MAX_TEXT
        )));
    }
    if new.origin.as_ref().is_some_and(|origin| origin.len() > MAX_NAME) {
        return Err(StoreError::Invalid(format!(
            "a path or address may take {MAX_NAME} bytes; move the file to a shorter one"
        )));
    }
    Ok(())
}

pub(crate) fn clean_name(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

pub(crate) fn missing(id: &str) -> StoreError {
    StoreError::Missing {
        what: "source",
        id: id.chars().take(64).collect(),
    }
}
