//! Finding passages: by words (BM25) and by meaning (vectors), fused by reciprocal rank (Cormack, Clarke and Büttcher 2009:
//! the sum of 1 / (60 + rank)). `rerank` comes after this.

use std::collections::HashMap;
use std::sync::Arc;

use candor_store::{Source, SourceFilter, Store, TextInfo};
use serde::Serialize;

use crate::error::blocking;
use crate::index::TextSet;
use crate::passages::Layout;
use crate::words::mostly_cjk;
use crate::{Embedder, EmbedderSlot, Evidence, Index, Quote, TruthError};

/// The constant of reciprocal-rank fusion.
const K: f32 = 60.0;
/// Passages that each way of searching hands to the fusion, at least.
const DEPTH: usize = 50;
/// Passages of an answer.
const MOST: usize = 1000;

/// Which ways of searching are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stages {
    /// What serves the question best: both, but words alone where most of its letters are of a script that is written
    /// without spaces. The model that makes vectors learnt English, and what it says of such a text is noise that pushes
    /// passages out.
    #[default]
    Best,
    /// Both, fused.
    Fused,
    /// Words only.
    Words,
    /// Meaning only.
    Meaning,
}

impl Stages {
    /// The same, with `Best` settled for this question.
    fn for_question(self, text: &str) -> Self {
        match self {
            Self::Best if mostly_cjk(text) => Self::Words,
            Self::Best => Self::Fused,
            settled => settled,
        }
    }
}

/// What to find.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The question.
    pub text: String,
    /// At most so many passages.
    pub limit: usize,
    /// Only in these sources.
    pub filter: SourceFilter,
    /// How.
    pub stages: Stages,
}

/// How a passage was found.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Scores {
    /// The sum of reciprocal ranks; what the order goes by.
    pub fused: f32,
    /// BM25, where its words were found.
    pub words: Option<f32>,
    /// Cosine, where its meaning was near.
    pub meaning: Option<f32>,
}

impl Scores {
    /// The fused score as a share of the best there can be: 1 for a passage that every way of searching puts first.
    /// `meaning`: whether there are two ways.
    pub fn share(&self, meaning: bool) -> f64 {
        let ways = if meaning { 2.0 } else { 1.0 };
        let share = (f64::from(self.fused) * f64::from(K + 1.0) / ways).min(1.0);
        // Six digits: they read the same however often they are written, and no rank is lost in them.
        (share * 1e6).round() / 1e6
    }
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// The passage, to the byte.
    #[serde(flatten)]
    pub quote: Quote,
    /// The source that has it; the oldest, where several have the same text.
    pub source: Source,
    /// The page where it begins, from 1.
    pub page: Option<usize>,
    /// The headings above it, the highest first.
    pub headings: Vec<String>,
    /// How it was found.
    pub scores: Scores,
}

/// A store with its index and, where there is one, an embedding model.
#[derive(Clone)]
pub struct Library {
    /// Sources and texts.
    pub store: Store,
    /// The index over them.
    pub index: Arc<Index>,
    /// Makes vectors.
    pub embedder: EmbedderSlot,
}

impl Library {
    /// Finds passages, the best first.
    ///
    /// # Errors
    /// If the store or index cannot be read, or the embedding model fails.
    pub async fn search(&self, query: &Query) -> Result<Vec<Found>, TruthError> {
        let limit = query.limit.min(MOST);
        if limit == 0 || query.text.trim().is_empty() {
            return Ok(Vec::new());
        }
        self.embedder.ready().await;
        let index = Arc::clone(&self.index);
        let refreshed = blocking(move || index.refresh());
        // The question's vector need not wait for news of the index, unless the news are that there are vectors at all.
        let vector = if self.by_meaning(query) {
            let ((), vector) = tokio::try_join!(refreshed, self.vector(query))?;
            vector.filter(|_| self.by_meaning(query))
        } else {
            refreshed.await?;
            self.vector(query).await?
        };
        let allowed = if query.filter.is_empty() {
            None
        } else {
            Some(Arc::new(TextSet::new(self.store.texts_of(&query.filter).await?)))
        };
        let stages = query.stages.for_question(&query.text);
        let mut depth = DEPTH.max(limit * 2);
        loop {
            let (index, text) = (Arc::clone(&self.index), query.text.clone());
            let (vector, allowed) = (vector.clone(), allowed.clone());
            let (fused, exhausted) = blocking(move || {
                let by_words = match stages {
                    Stages::Meaning => Vec::new(),
                    _ => index.by_words(&text, depth, allowed.as_ref())?,
                };
                let by_meaning = match &vector {
                    Some(vector) => index.by_meaning(vector, depth, allowed.as_ref()),
                    None => Vec::new(),
                };
                let exhausted = by_words.len() < depth && by_meaning.len() < depth;
                Ok((fuse(&by_words, &by_meaning), exhausted))
            })
            .await?;
            let found = self.resolve(&fused, limit, &query.filter).await?;
            // Passages of deleted texts are passed over; where too many were in the way, look further.
            if found.len() >= limit || exhausted {
                return Ok(found);
            }
            depth *= 4;
        }
    }

    /// Whether there are vectors that a question's can be compared with.
    pub fn knows_meaning(&self) -> bool {
        let same = |embedder: &Embedder| self.index.model() == embedder.name();
        self.embedder.get().is_some_and(same)
    }

    /// Whether this query is also looked up by meaning.
    pub fn by_meaning(&self, query: &Query) -> bool {
        self.knows_meaning() && query.stages.for_question(&query.text) != Stages::Words
    }

    async fn vector(&self, query: &Query) -> Result<Option<Arc<Vec<f32>>>, TruthError> {
        let Some(embedder) = self.embedder.get().filter(|_| self.by_meaning(query)) else {
            return Ok(None);
        };
        let mut vectors = embedder.embed(std::slice::from_ref(&query.text)).await?;
        Ok(vectors.pop().map(Arc::new))
    }

    async fn resolve(
        &self,
        fused: &[(usize, Scores)],
        limit: usize,
        filter: &SourceFilter,
    ) -> Result<Vec<Found>, TruthError> {
        let mut found = Vec::with_capacity(limit);
        let mut known: HashMap<u64, Option<(TextInfo, Layout, Source)>> = HashMap::new();
        for part in fused.chunks(limit.max(8)) {
            let rows: Vec<_> = part
                .iter()
                .filter_map(|(row, scores)| Some((self.index.row(*row)?, *scores)))
                .collect();
            let new: Vec<u64> = rows
                .iter()
                .map(|(row, _)| row.text)
                .filter(|id| !known.contains_key(id))
                .collect();
            self.learn(&new, filter, &mut known).await?;
            // Passages and the headings above them, in one look.
            let mut there = Vec::new();
            let mut stretches = Vec::new();
            for (row, scores) in rows {
                if let Some(Some((info, layout, source))) = known.get(&row.text) {
                    let range = row.start as usize..row.end as usize;
                    let above = layout.path(range.start);
                    stretches.push((info, range.clone()));
                    stretches.extend(above.iter().map(|heading| (info, heading.start..heading.end)));
                    there.push((range, scores, above.len(), (info, layout, source)));
                }
            }
            let mut read = Evidence::of_many(&self.store, &stretches).await?.into_iter();
            for (range, scores, above, (info, layout, source)) in there {
                let evidence = read.next();
                let headings = read.by_ref().take(above);
                let headings = headings
                    .map(|heading| heading.map_or_else(|_| String::new(), |heading| heading.text().trim().to_owned()))
                    .collect();
                let evidence = match evidence {
                    // Deleted between two looks: it is passed over like one that was deleted before.
                    Some(Err(TruthError::NotAQuote { .. })) if self.store.text_infos(&[info.id]).await?.is_empty() => {
                        continue;
                    }
                    Some(evidence) => evidence?,
                    None => continue,
                };
                found.push(Found {
                    page: layout.page(range.start),
                    quote: evidence.quote(range)?,
                    source: source.clone(),
                    headings,
                    scores,
                });
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    async fn learn(
        &self,
        ids: &[u64],
        filter: &SourceFilter,
        known: &mut HashMap<u64, Option<(TextInfo, Layout, Source)>>,
    ) -> Result<(), TruthError> {
        if ids.is_empty() {
            return Ok(());
        }
        known.extend(ids.iter().map(|id| (*id, None)));
        let ids: Vec<i64> = ids.iter().filter_map(|id| i64::try_from(*id).ok()).collect();
        let infos = self.store.text_infos(&ids).await?;
        let texts: Vec<&str> = infos.iter().map(|info| info.sha256.as_str()).collect();
        let sources = self.store.sources_of_texts(&texts, filter).await?;
        for info in infos {
            let source = sources
                .iter()
                .find(|one| one.text_sha256.as_deref() == Some(&info.sha256));
            if let Some(source) = source {
                let layout = serde_json::from_value(info.layout.clone()).unwrap_or_default();
                known.insert(info.id.unsigned_abs(), Some((info, layout, source.clone())));
            }
        }
        Ok(())
    }
}

/// Reciprocal ranks, summed; equal sums in order of the passages.
fn fuse(by_words: &[(usize, f32)], by_meaning: &[(usize, f32)]) -> Vec<(usize, Scores)> {
    let mut fused: HashMap<usize, Scores> = HashMap::with_capacity(by_words.len() + by_meaning.len());
    let share = |rank: usize| 1.0 / (K + 1.0 + rank as f32);
    for (rank, (row, score)) in by_words.iter().enumerate() {
        let scores = fused.entry(*row).or_default();
        scores.fused += share(rank);
        scores.words = Some(*score);
    }
    for (rank, (row, score)) in by_meaning.iter().enumerate() {
        let scores = fused.entry(*row).or_default();
        scores.fused += share(rank);
        scores.meaning = Some(*score);
    }
    let mut fused: Vec<_> = fused.into_iter().collect();
    fused.sort_by(|(a_row, a), (b_row, b)| b.fused.total_cmp(&a.fused).then(a_row.cmp(b_row)));
    fused
}

#[cfg(test)]
mod tests {
    use super::{Stages, fuse};

    #[test]
    fn a_question_in_a_script_that_the_vectors_do_not_know_is_looked_up_by_words() {
        assert_eq!(
            Stages::Best.for_question("谁在 1874 年建造了灯塔（lighthouse）？请告诉我。"),
            Stages::Words
        );
        assert_eq!(
            Stages::Best.for_question("What does 灯塔 mean, and who built it?"),
            Stages::Fused
        );
        assert_eq!(Stages::Best.for_question("Kubernetes 是什么？"), Stages::Words);
        assert_eq!(Stages::Best.for_question("1874?"), Stages::Fused);
        assert_eq!(Stages::Meaning.for_question("灯塔"), Stages::Meaning);
    }

    #[test]
    fn a_passage_that_every_way_puts_first_has_the_score_of_one() {
        let fused = fuse(&[(7, 9.0), (3, 8.0)], &[(7, 0.9)]);
        assert_eq!(fused[0].1.share(true), 1.0);
        assert_eq!(fused[1].1.share(true), 0.491935);
        assert_eq!(fuse(&[(7, 9.0)], &[])[0].1.share(false), 1.0);
    }

    #[test]
    fn what_both_ways_find_comes_first() {
        let fused = fuse(&[(7, 9.0), (3, 8.0)], &[(3, 0.9), (5, 0.8)]);
        assert_eq!(fused.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [3, 7, 5]);
        assert_eq!((fused[0].1.words, fused[0].1.meaning), (Some(8.0), Some(0.9)));
        assert_eq!((fused[1].1.words, fused[1].1.meaning), (Some(9.0), None));
    }
}
