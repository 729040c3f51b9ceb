//! `/v1/vector_stores`: collections of sources, filled and searched as OpenAI's clients do it. A vector store is a
//! collection of `candor-store`; what `candor sources add --collection` made is one too.

mod batches;
mod check;
mod filter;
mod members;
pub(crate) mod search;
mod stores;

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::checked;
use crate::{ApiError, App};

pub(crate) use batches::{__path_batch_files, __path_cancel_batch, __path_create_batch, __path_one_batch};
pub(crate) use members::{
    __path_attach, __path_change_file, __path_detach, __path_file_content, __path_files, __path_one_file,
};
pub(crate) use search::__path_search;
pub(crate) use stores::{__path_change, __path_create, __path_delete, __path_list, __path_one};

/// The routes of this folder.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/vector_stores", get(stores::list).post(stores::create))
        .route(
            "/v1/vector_stores/{id}",
            get(stores::one).post(stores::change).delete(stores::delete),
        )
        .route("/v1/vector_stores/{id}/search", post(search::search))
        .route(
            "/v1/vector_stores/{id}/files",
            get(members::files).post(members::attach),
        )
        .route(
            "/v1/vector_stores/{id}/files/{file_id}",
            get(members::one_file)
                .post(members::change_file)
                .delete(members::detach),
        )
        .route(
            "/v1/vector_stores/{id}/files/{file_id}/content",
            get(members::file_content),
        )
        .route("/v1/vector_stores/{id}/file_batches", post(batches::create_batch))
        .route(
            "/v1/vector_stores/{id}/file_batches/{batch_id}",
            get(batches::one_batch),
        )
        .route(
            "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel",
            post(batches::cancel_batch),
        )
        .route(
            "/v1/vector_stores/{id}/file_batches/{batch_id}/files",
            get(batches::batch_files),
        )
}

/// A page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// At most so many; 20 where it is absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// `asc` or `desc` (the newest first, also where it is absent).
    #[serde(default)]
    order: Option<String>,
    /// The id of what stands before the first.
    #[serde(default)]
    after: Option<String>,
    /// The id of what stands after the last.
    #[serde(default)]
    before: Option<String>,
}

impl Page {
    fn limit(&self) -> Result<u64, ApiError> {
        Ok(checked::within("limit", self.limit.unwrap_or(20), 1, 100)?.unsigned_abs())
    }

    fn ascending(&self) -> Result<bool, ApiError> {
        checked::ascending(self.order.as_deref())
    }

    /// Takes away the one that was only fetched to see whether there are more.
    fn cut<T>(&self, found: &mut Vec<T>, limit: u64) -> bool {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        if more && self.after.is_none() && self.before.is_some() {
            found.remove(0);
        }
        found.truncate(limit);
        more
    }
}
