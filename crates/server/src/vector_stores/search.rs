//! Searching vector stores: for `/v1/vector_stores/{id}/search`, and for the `file_search` tool of responses.

use axum::Json;
use axum::extract::{Path, State};
use candor_store::SourceFilter;
use candor_truth::rerank::{READ, rerank};
use candor_truth::{Answerer, Found, Intake, Query};
use candor_wire::vector_stores::{
    Filter, FoundText, RankingOptions, SearchQuery, SearchRequest, SearchResult, SearchResults,
};
use serde_json::Value;

use super::filter::Condition;
use crate::api::checked;
use crate::body::Body;
use crate::files::intake;
use crate::{ApiError, App};

/// Passages where no number is named.
const DEFAULT_RESULTS: i64 = 10;
/// Questions of a search.
const MOST_QUERIES: usize = 16;
/// Characters of a question.
const MOST_QUERY: usize = 4096;
/// Seconds between notes that a vector store is in use.
const NOTE_EVERY_S: i64 = 60;

/// What to find where.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Vector stores.
    pub(crate) stores: Vec<String>,
    /// Most passages.
    pub(crate) limit: usize,
    filter: Option<Condition>,
    threshold: f64,
    /// Whether the best are read and put into a new order.
    rerank: bool,
}

/// A passage that was found.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// The passage and its source.
    pub(crate) found: Found,
    /// From 0 to 1.
    pub(crate) score: f64,
    /// The file's.
    pub(crate) attributes: Value,
}

impl Wanted {
    /// Checks what was asked for.
    pub(crate) fn new(
        stores: Vec<String>,
        limit: i64,
        filter: Option<&Filter>,
        ranking: Option<&RankingOptions>,
    ) -> Result<Self, ApiError> {
        let limit = checked::within("max_num_results", limit, 1, 50)?;
        let threshold = ranking.and_then(|ranking| ranking.score_threshold).unwrap_or(0.0);
        if !(0.0..=1.0).contains(&threshold) {
            let message = format!("`score_threshold` must lie between 0 and 1; it is {threshold}");
            return Err(ApiError::param("ranking_options.score_threshold", message));
        }
        let ranker = ranking.and_then(|ranking| ranking.ranker.as_deref());
        if !matches!(ranker, None | Some("auto" | "none" | "default-2024-11-15")) {
            let message = "`ranker` must be `auto` or `default-2024-11-15`, which are the same here, or `none`";
            return Err(ApiError::param("ranking_options.ranker", message));
        }
        let weights = ranking.and_then(|ranking| ranking.hybrid_search.as_ref());
        if weights.is_some_and(|weights| !weights.is_null()) {
            let message = "words and meaning count the same here; leave `hybrid_search` out";
            return Err(ApiError::param("ranking_options.hybrid_search", message));
        }
        Ok(Self {
            stores,
            limit: usize::try_from(limit).unwrap_or(1),
            filter: filter.map(Condition::new).transpose()?,
            threshold,
            rerank: ranker != Some("none"),
        })
    }

    /// Whether the vector stores are there.
    pub(crate) async fn exist(&self, intake: &Intake) -> Result<(), ApiError> {
        let store = &intake.library().store;
        for id in &self.stores {
            let collection = store.collection(id).await?;
            let last = collection.active_ms.unwrap_or(0) / 1000;
            let now = i64::try_from(crate::api::now()).unwrap_or(i64::MAX);
            if now - last >= NOTE_EVERY_S
                && let Err(error) = store.touch_collection(id).await
            {
                // A search does not fail because nothing can be written.
                tracing::debug!(%error, "the use of a vector store could not be noted");
            }
        }
        Ok(())
    }

    /// The best passages for these questions together; `reader` reads them, where there is one.
    pub(crate) async fn find(
        &self,
        intake: &Intake,
        reader: Option<&Answerer>,
        questions: &[String],
    ) -> Result<Vec<Hit>, ApiError> {
        let library = intake.library();
        let mut filter = SourceFilter {
            collections: self.stores.clone(),
            ..SourceFilter::default()
        };
        if let Some(condition) = &self.filter {
            let all = library.store.attributes_in(&self.stores, None).await?;
            let passing = all
                .into_iter()
                .filter(|(_, attributes)| condition.holds(attributes.as_ref()));
            filter.sources = passing.map(|(source, _)| source).collect();
            if filter.sources.is_empty() {
                return Ok(Vec::new());
            }
        }
        let mut hits: Vec<Hit> = Vec::new();
        for question in questions {
            let query = Query {
                text: question.clone(),
                limit: self.limit.max(READ),
                filter: filter.clone(),
                ..Query::default()
            };
            let mut all = library.search(&query).await?;
            let shares = all.iter().map(|found| found.scores.share(library.by_meaning(&query)));
            // The best share goes with whatever comes first, the next with the next: scores stay what they were for thresholds.
            let shares: Vec<f64> = shares.collect();
            if let Some(reader) = reader.filter(|_| self.rerank) {
                all = rerank(&reader.encoders, question, all).await?;
            }
            for (found, score) in all.into_iter().zip(shares) {
                let same = |hit: &&mut Hit| {
                    hit.found.source.id == found.source.id && hit.found.quote.range() == found.quote.range()
                };
                if let Some(hit) = hits.iter_mut().find(same) {
                    hit.score = hit.score.max(score);
                    continue;
                }
                hits.push(Hit {
                    attributes: serde_json::json!({}),
                    found,
                    score,
                });
            }
        }
        hits.retain(|hit| hit.score >= self.threshold);
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(self.limit);
        let files: Vec<String> = hits.iter().map(|hit| hit.found.source.id.clone()).collect();
        let attributes = library.store.attributes_in(&self.stores, Some(&files)).await?;
        for hit in &mut hits {
            let passes = |attributes: &Option<Value>| {
                let holds = |condition: &Condition| condition.holds(attributes.as_ref());
                self.filter.as_ref().is_none_or(holds)
            };
            let own = attributes
                .iter()
                .find(|(source, attributes)| *source == hit.found.source.id && passes(attributes));
            if let Some((_, Some(attributes))) = own {
                hit.attributes = attributes.clone();
            }
        }
        Ok(hits)
    }
}

/// Questions that can be searched.
fn questions(query: SearchQuery) -> Result<Vec<String>, ApiError> {
    let questions = match query {
        SearchQuery::One(one) => vec![one],
        SearchQuery::Many(many) => many,
    };
    let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= MOST_QUERY;
    if questions.is_empty() || questions.len() > MOST_QUERIES || !questions.iter().all(fits) {
        let message = format!(
            "`query` must be a question of 1 to {MOST_QUERY} characters, or an array of 1 to {MOST_QUERIES} of them"
        );
        return Err(ApiError::param("query", message));
    }
    Ok(questions)
}

/// Searches a vector store: by words and, where an embedding model is on this machine, by meaning.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/search", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id")), request_body = SearchRequest, responses((status = 200, body = SearchResults), crate::api::openapi::Errors))]
pub(crate) async fn search(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(request): Body<SearchRequest>,
) -> Result<Json<SearchResults>, ApiError> {
    let questions = questions(request.query)?;
    let limit = request.max_num_results.unwrap_or(DEFAULT_RESULTS);
    let wanted = Wanted::new(
        vec![id],
        limit,
        request.filters.as_ref(),
        request.ranking_options.as_ref(),
    )?;
    let intake = intake(&app)?;
    wanted.exist(intake).await?; // 404
    let _permit = app.admit()?;
    let hits = wanted.find(intake, app.extension(), &questions).await?;
    Ok(Json(SearchResults {
        object: "vector_store.search_results.page".into(),
        search_query: questions,
        data: hits.into_iter().map(result).collect(),
        has_more: false,
        next_page: None,
    }))
}

fn result(hit: Hit) -> SearchResult {
    let range = hit.found.quote.range();
    SearchResult {
        score: hit.score,
        attributes: hit.attributes,
        content: vec![FoundText {
            kind: "text".into(),
            text: hit.found.quote.text().to_owned(),
            start: range.start as u64,
            end: range.end as u64,
            page: hit.found.page.map(|page| page as u64),
        }],
        file_id: hit.found.source.id,
        filename: hit.found.source.name,
    }
}
