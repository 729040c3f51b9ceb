//! Vector stores themselves: create, list, show, change, delete.

use axum::Json;
use axum::extract::{Path, Query, State};
use candor_store::{Collection, CollectionChange, Joining, NewCollection, Standings, Store};
use candor_wire::files::Deleted;
use candor_wire::vector_stores::{CreateVectorStore, FileCounts, UpdateVectorStore, VectorStore, VectorStoreList};

use super::{Page, check};
use crate::api::checked;
use crate::body::Body;
use crate::files::{intake, seconds};
use crate::{ApiError, App};

/// Characters of a name.
const MOST_NAME: usize = 200;
/// Characters of a description.
const MOST_DESCRIPTION: usize = 2000;

/// How many files are how far.
pub(super) fn counts(standings: &Standings) -> FileCounts {
    FileCounts {
        in_progress: standings.in_progress,
        completed: standings.completed,
        failed: standings.failed,
        cancelled: standings.cancelled,
        total: standings.total(),
    }
}

async fn object(store: &Store, collection: Collection) -> Result<VectorStore, ApiError> {
    let standings = store.standings(&collection.id, None).await?;
    let status = if standings.in_progress > 0 {
        "in_progress"
    } else {
        "completed"
    };
    Ok(VectorStore {
        id: collection.id,
        object: "vector_store".into(),
        created_at: seconds(collection.created_ms),
        name: collection.name,
        description: collection.description,
        usage_bytes: standings.bytes,
        file_counts: counts(&standings),
        status: status.into(),
        expires_after: None,
        expires_at: None,
        last_active_at: Some(seconds(collection.active_ms.unwrap_or(collection.created_ms))),
        metadata: collection.metadata,
    })
}

fn name(given: Option<String>) -> Result<Option<String>, ApiError> {
    if given.as_ref().is_some_and(|name| name.chars().count() > MOST_NAME) {
        let message = format!("`name` may have {MOST_NAME} characters");
        return Err(ApiError::param("name", message));
    }
    Ok(given)
}

/// Makes a vector store.
#[utoipa::path(post, path = "/v1/vector_stores", tag = "vector stores", request_body = CreateVectorStore, responses((status = 200, body = VectorStore), crate::api::openapi::Errors))]
pub(crate) async fn create(
    State(app): State<App>,
    Body(request): Body<CreateVectorStore>,
) -> Result<Json<VectorStore>, ApiError> {
    check::expiry(request.expires_after.as_ref())?;
    check::chunking(request.chunking_strategy.as_ref())?;
    if request
        .description
        .as_ref()
        .is_some_and(|text| text.chars().count() > MOST_DESCRIPTION)
    {
        let message = format!("`description` may have {MOST_DESCRIPTION} characters");
        return Err(ApiError::param("description", message));
    }
    let files = request.file_ids.unwrap_or_default();
    check::count("file_ids", files.len())?;
    let new = NewCollection {
        name: name(request.name)?.unwrap_or_default(),
        metadata: checked::metadata(request.metadata.unwrap_or_default())?.into(),
        description: request.description,
    };
    let store = &intake(&app)?.library().store;
    for id in &files {
        store.source(id).await?; // 404 before anything is made
    }
    let collection = store.create_collection(new).await?;
    let joining: Vec<Joining> = files
        .into_iter()
        .map(|source| Joining {
            source,
            attributes: None,
        })
        .collect();
    if !joining.is_empty()
        && let Err(error) = store.add_members(&collection.id, &joining).await
    {
        // One was deleted just now.
        store.delete_collection(&collection.id).await?;
        return Err(error.into());
    }
    Ok(Json(object(store, store.collection(&collection.id).await?).await?))
}

/// The vector stores.
#[utoipa::path(get, path = "/v1/vector_stores", tag = "vector stores", params(Page), responses((status = 200, body = VectorStoreList), crate::api::openapi::Errors))]
pub(crate) async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<VectorStoreList>, ApiError> {
    let (limit, ascending) = (page.limit()?, page.ascending()?);
    let store = &intake(&app)?.library().store;
    let cursor = (page.after.as_deref(), page.before.as_deref());
    let mut found = store.collection_page(cursor, ascending, limit + 1).await?;
    let has_more = page.cut(&mut found, limit);
    let mut data = Vec::with_capacity(found.len());
    for collection in found {
        data.push(object(store, collection).await?);
    }
    let id = |one: Option<&VectorStore>| one.map(|one| one.id.clone());
    Ok(Json(VectorStoreList {
        object: "list".into(),
        first_id: id(data.first()),
        last_id: id(data.last()),
        data,
        has_more,
    }))
}

/// A vector store.
#[utoipa::path(get, path = "/v1/vector_stores/{id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id")), responses((status = 200, body = VectorStore), crate::api::openapi::Errors))]
pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<VectorStore>, ApiError> {
    let store = &intake(&app)?.library().store;
    Ok(Json(object(store, store.collection(&id).await?).await?))
}

/// Changes a vector store's name or metadata.
#[utoipa::path(post, path = "/v1/vector_stores/{id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id")), request_body = UpdateVectorStore, responses((status = 200, body = VectorStore), crate::api::openapi::Errors))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(request): Body<UpdateVectorStore>,
) -> Result<Json<VectorStore>, ApiError> {
    check::expiry(request.expires_after.as_ref())?;
    let metadata = request.metadata.map(checked::metadata).transpose()?;
    let change = CollectionChange {
        name: name(request.name)?,
        metadata: metadata.map(Into::into),
    };
    let store = &intake(&app)?.library().store;
    Ok(Json(object(store, store.change_collection(&id, change).await?).await?))
}

/// Deletes a vector store. Its files stay.
#[utoipa::path(delete, path = "/v1/vector_stores/{id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id")), responses((status = 200, body = Deleted), crate::api::openapi::Errors))]
pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Deleted>, ApiError> {
    let store = &intake(&app)?.library().store;
    if !store.delete_collection(&id).await? {
        return Err(crate::error::no_vector_store(&id));
    }
    Ok(Json(Deleted {
        id,
        object: "vector_store.deleted".into(),
        deleted: true,
    }))
}
