//! Sources as people look through them: the newest first, by words of their names, with the collections that each is in.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::{collection_source, source};
use crate::{Source, SourceFilter, SourceState, Store, StoreError};

/// Characters of the words that are looked for.
const MOST_WORDS: usize = 200;

/// Which sources, in which part of the list.
#[derive(Debug, Clone, Default)]
pub struct ShelfPage {
    /// Only those with these words in their name or title; empty: all.
    pub words: String,
    /// Only those in these collections.
    pub filter: SourceFilter,
    /// The id of the last source of the part before.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u64,
}

/// A part of the list.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// The sources, the newest first, each with the ids of its collections.
    pub sources: Vec<(Source, Vec<String>)>,
    /// Sources that there are in all.
    pub total: u64,
    /// How many of them cannot be searched yet.
    pub reading: u64,
}

impl Store {
    /// Lists sources.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn shelf(&self, page: &ShelfPage) -> Result<Shelf, StoreError> {
        use source::Column as C;
        let words: String = page.words.trim().to_lowercase().chars().take(MOST_WORDS).collect();
        let mut condition = Condition::all()
            .add(page.filter.condition())
            .add_option(page.after.as_ref().map(|after| C::Id.lt(after)));
        if !words.is_empty() {
            let escaped = words.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            let like = || LikeExpr::new(format!("%{escaped}%")).escape('\\');
            condition = condition.add(
                Condition::any()
                    .add(Expr::expr(Func::lower(Expr::col(C::Name))).like(like()))
                    .add(Expr::expr(Func::lower(Expr::col(C::Title))).like(like())),
            );
        }
        let find = source::Entity::find()
            .filter(condition)
            .order_by_desc(C::Id)
            .limit(page.limit);
        let rows = self.db(find.all(&self.read).await)?;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let memberships = collection_source::Entity::find()
            .filter(collection_source::Column::Source.is_in(ids))
            .filter(collection_source::Column::Cancelled.eq(false));
        let mut collections: HashMap<String, Vec<String>> = HashMap::new();
        for row in self.db(memberships.all(&self.read).await)? {
            collections.entry(row.source).or_default().push(row.collection);
        }
        let unread = [SourceState::Waiting.name(), SourceState::Pending.name()];
        let reading = source::Entity::find().filter(C::State.is_in(unread));
        Ok(Shelf {
            total: self.db(source::Entity::find().count(&self.read).await)?,
            reading: self.db(reading.count(&self.read).await)?,
            sources: rows
                .into_iter()
                .map(|row| {
                    let of = collections.remove(&row.id).unwrap_or_default();
                    (row.into(), of)
                })
                .collect(),
        })
    }
}
