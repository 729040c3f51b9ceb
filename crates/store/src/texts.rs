//! Texts of sources, kept under the SHA-256 of their bytes: what a citation points into. A text never changes; it goes
//! when no source has it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sea_orm::sea_query::Order;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use sha2::{Digest, Sha256};

use crate::entity::{source, source_text, text_piece};
use crate::{Store, StoreError};

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// Stretches that one look asks for at most.
const STRETCHES: usize = 100;
/// Bytes of a text.
pub(crate) const MAX_TEXT: usize = 256 * 1024 * 1024;

/// A text to store.
#[derive(Debug, Clone)]
pub struct NewText {
    /// The text.
    pub text: String,
    /// Pages, headings and the like, as who made the text wrote them. Of two sources with one text, the first's stays.
    pub layout: serde_json::Value,
}

/// A stored text without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct TextInfo {
    /// A number that grows from text to text and is never used twice.
    pub id: i64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: usize,
    /// See [`NewText`].
    pub layout: serde_json::Value,
}

impl From<source_text::Model> for TextInfo {
    fn from(row: source_text::Model) -> Self {
        Self {
            id: row.id,
            sha256: row.sha256,
            size: usize::try_from(row.size).unwrap_or(0),
            layout: row.layout,
        }
    }
}

impl Store {
    /// What is known of a text.
    ///
    /// # Errors
    /// If there is none, or the store cannot be read.
    pub async fn text_info(&self, sha256: &str) -> Result<TextInfo, StoreError> {
        let find = source_text::Entity::find().filter(source_text::Column::Sha256.eq(sha256));
        let row = self.db(find.one(&self.read).await)?;
        row.map(Into::into).ok_or_else(|| missing(sha256))
    }

    /// What is known of texts, by their numbers; those that are gone are left out.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn text_infos(&self, ids: &[i64]) -> Result<Vec<TextInfo>, StoreError> {
        let find = source_text::Entity::find().filter(source_text::Column::Id.is_in(ids.iter().copied()));
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// A whole text.
    ///
    /// # Errors
    /// If there is none, it is damaged, or the store cannot be read.
    pub async fn text(&self, sha256: &str) -> Result<String, StoreError> {
        let info = self.text_info(sha256).await?;
        let bytes = self.text_bytes(&info, 0, info.size).await?;
        if hash(&bytes) != info.sha256 {
            return Err(StoreError::Corrupt {
                path: self.path().to_owned(),
            });
        }
        String::from_utf8(bytes).map_err(|_| StoreError::Corrupt {
            path: self.path().to_owned(),
        })
    }

    /// The bytes `start..end` of a text, as far as it reaches.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn text_bytes(&self, text: &TextInfo, start: usize, end: usize) -> Result<Vec<u8>, StoreError> {
        let stretches = self.text_stretches(&[(text, start..end)]).await?;
        Ok(stretches.into_iter().next().unwrap_or_default())
    }

    /// The bytes of stretches of texts, each as far as its text reaches, all in one look or few.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn text_stretches(&self, wanted: &[(&TextInfo, Range<usize>)]) -> Result<Vec<Vec<u8>>, StoreError> {
        let pieces_of = |text: &TextInfo, range: &Range<usize>| {
            let end = range.end.min(text.size);
            (range.start < end).then(|| (text.id, range.start / PIECE, (end - 1) / PIECE))
        };
        let places: BTreeSet<(i64, usize, usize)> = wanted
            .iter()
            .filter_map(|(text, range)| pieces_of(text, range))
            .collect();
        let places: Vec<_> = places.into_iter().collect();
        let mut pieces: BTreeMap<(i64, usize), Vec<u8>> = BTreeMap::new();
        for places in places.chunks(STRETCHES) {
            let any = places.iter().fold(Condition::any(), |any, (text, first, last)| {
                let all = Condition::all().add(text_piece::Column::SourceText.eq(*text));
                any.add(all.add(text_piece::Column::Number.between(number(*first), number(*last))))
            });
            for piece in self.db(text_piece::Entity::find().filter(any).all(&self.read).await)? {
                let at = usize::try_from(piece.number).unwrap_or(0);
                pieces.insert((piece.source_text, at), piece.bytes);
            }
        }
        let bytes = wanted.iter().map(|(text, range)| {
            let Some((id, first, last)) = pieces_of(text, range) else {
                return Vec::new();
            };
            let end = range.end.min(text.size);
            let mut bytes = Vec::with_capacity(end - range.start);
            for ((_, piece), all) in pieces.range((id, first)..=(id, last)) {
                let at = piece * PIECE;
                let from = range.start.saturating_sub(at).min(all.len());
                let to = end.saturating_sub(at).min(all.len());
                bytes.extend_from_slice(&all[from..to]);
            }
            bytes
        });
        Ok(bytes.collect())
    }

    /// Up to `limit` texts whose number is above `after`, in order of their numbers.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn texts_after(&self, after: i64, limit: u64) -> Result<Vec<TextInfo>, StoreError> {
        let find = source_text::Entity::find()
            .filter(source_text::Column::Id.gt(after))
            .order_by(source_text::Column::Id, Order::Asc)
            .limit(limit);
        Ok(self
            .db(find.all(&self.read).await)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// The bytes of all texts whose number is above `after`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn bytes_of_texts_after(&self, after: i64) -> Result<u64, StoreError> {
        let find = source_text::Entity::find()
            .filter(source_text::Column::Id.gt(after))
            .select_only()
            .column_as(source_text::Column::Size.sum(), "bytes")
            .into_tuple::<Option<i64>>();
        let bytes = self.db(find.one(&self.read).await)?.flatten();
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
    }

    /// The numbers of all texts, in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn text_ids(&self) -> Result<Vec<i64>, StoreError> {
        let find = source_text::Entity::find()
            .select_only()
            .column(source_text::Column::Id)
            .order_by_asc(source_text::Column::Id)
            .into_tuple::<i64>();
        self.db(find.all(&self.read).await)
    }
}

/// Stores a text, unless it is there; its hash.
pub(crate) async fn put(write: &DatabaseTransaction, new: NewText) -> Result<String, DbErr> {
    let sha256 = hash(new.text.as_bytes());
    if is_there(write, &sha256).await? {
        return Ok(sha256);
    }
    let row = source_text::ActiveModel {
        id: NotSet,
        sha256: Set(sha256.clone()),
        size: Set(i64::try_from(new.text.len()).unwrap_or(i64::MAX)),
        layout: Set(new.layout),
    };
    let id = row.insert(write).await?.id;
    for (at, piece) in new.text.as_bytes().chunks(PIECE).enumerate() {
        let piece = text_piece::ActiveModel {
            source_text: Set(id),
            number: Set(number(at)),
            bytes: Set(piece.to_vec()),
        };
        text_piece::Entity::insert(piece).exec_without_returning(write).await?;
    }
    Ok(sha256)
}

/// Whether there is such a text.
pub(crate) async fn is_there(write: &DatabaseTransaction, sha256: &str) -> Result<bool, DbErr> {
    let there = source_text::Entity::find().filter(source_text::Column::Sha256.eq(sha256));
    Ok(there.count(write).await? > 0)
}

/// Deletes a text if no source has it.
pub(crate) async fn drop_if_unused(write: &DatabaseTransaction, sha256: &str) -> Result<(), DbErr> {
    let users = source::Entity::find().filter(source::Column::TextSha256.eq(sha256));
    if users.count(write).await? == 0 {
        source_text::Entity::delete_many()
            .filter(source_text::Column::Sha256.eq(sha256))
            .exec(write)
            .await?;
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn number(piece: usize) -> i32 {
    i32::try_from(piece).unwrap_or(i32::MAX)
}

pub(crate) fn missing(sha256: &str) -> StoreError {
    StoreError::Missing {
        what: "text",
        id: sha256.chars().take(64).collect(),
    }
}
