//! File batches: files that a vector store takes in together, and that can be waited for together.

use axum::Json;
use axum::extract::{Path, Query, State};
use candor_store::{Batch, Joining, Store};
use candor_wire::vector_stores::{CreateFileBatch, FileBatch, VectorStoreFileList};

use super::members::{Only, listed};
use super::stores::counts;
use super::{Page, check};
use crate::body::Body;
use crate::files::{intake, seconds};
use crate::{ApiError, App};

async fn object(store: &Store, batch: Batch) -> Result<FileBatch, ApiError> {
    let standings = store.standings(&batch.collection, Some(&batch.id)).await?;
    let status = match &standings {
        _ if batch.cancelled => "cancelled",
        some if some.in_progress > 0 => "in_progress",
        some if some.failed > 0 && some.completed == 0 => "failed",
        _ => "completed",
    };
    Ok(FileBatch {
        id: batch.id,
        object: "vector_store.files_batch".into(),
        created_at: seconds(batch.created_ms),
        vector_store_id: batch.collection,
        status: status.into(),
        file_counts: counts(&standings),
    })
}

/// Puts files into a vector store together: all, or none.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/file_batches", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id")), request_body = CreateFileBatch, responses((status = 200, body = FileBatch), crate::api::openapi::Errors))]
pub(crate) async fn create_batch(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(request): Body<CreateFileBatch>,
) -> Result<Json<FileBatch>, ApiError> {
    check::chunking(request.chunking_strategy.as_ref())?;
    let joining = match (request.file_ids, request.files) {
        (Some(_), Some(_)) => {
            return Err(ApiError::param("files", "send `file_ids` or `files`, not both"));
        }
        (Some(ids), None) => {
            check::count("file_ids", ids.len())?;
            let attributes = request.attributes.map(check::attributes).transpose()?;
            let joining = |source| Joining {
                source,
                attributes: attributes.clone(),
            };
            ids.into_iter().map(joining).collect()
        }
        (None, Some(files)) => {
            check::count("files", files.len())?;
            let mut joining = Vec::with_capacity(files.len());
            for file in files {
                check::chunking(file.chunking_strategy.as_ref())?;
                joining.push(Joining {
                    source: file.file_id,
                    attributes: file.attributes.map(check::attributes).transpose()?,
                });
            }
            joining
        }
        (None, None) => Vec::new(),
    };
    if joining.is_empty() {
        return Err(ApiError::param(
            "file_ids",
            "the batch names no files; send `file_ids` or `files`",
        ));
    }
    let store = &intake(&app)?.library().store;
    let batch = store.add_batch(&id, &joining).await?;
    Ok(Json(object(store, batch).await?))
}

/// A file batch.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("batch_id" = String, Path, description = "The batch's id")), responses((status = 200, body = FileBatch), crate::api::openapi::Errors))]
pub(crate) async fn one_batch(
    State(app): State<App>,
    Path((id, batch)): Path<(String, String)>,
) -> Result<Json<FileBatch>, ApiError> {
    let store = &intake(&app)?.library().store;
    Ok(Json(object(store, store.batch(&id, &batch).await?).await?))
}

/// Cancels a file batch: what is not searchable yet does not become so in this vector store.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("batch_id" = String, Path, description = "The batch's id")), responses((status = 200, body = FileBatch), crate::api::openapi::Errors))]
pub(crate) async fn cancel_batch(
    State(app): State<App>,
    Path((id, batch)): Path<(String, String)>,
) -> Result<Json<FileBatch>, ApiError> {
    let store = &intake(&app)?.library().store;
    Ok(Json(object(store, store.cancel_batch(&id, &batch).await?).await?))
}

/// The files of a batch.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/files", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("batch_id" = String, Path, description = "The batch's id"), Page, Only), responses((status = 200, body = VectorStoreFileList), crate::api::openapi::Errors))]
pub(crate) async fn batch_files(
    State(app): State<App>,
    Path((id, batch)): Path<(String, String)>,
    Query(page): Query<Page>,
    Query(only): Query<Only>,
) -> Result<Json<VectorStoreFileList>, ApiError> {
    let store = &intake(&app)?.library().store;
    store.batch(&id, &batch).await?;
    listed(store, &id, page, only, Some(batch)).await
}
