//! Files in a vector store: put in, list, show, change attributes, read, take out.

use axum::Json;
use axum::extract::{Path, Query, State};
use candor_store::{Joining, Member, MemberPage, Standing, Store, StoreError};
use candor_wire::files::Deleted;
use candor_wire::vector_stores::{
    AttachFile, ChunkingStrategy, FileContent, FileError, TextPart, UpdateVectorStoreFile, VectorStoreFile,
    VectorStoreFileList,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Page, check};
use crate::body::Body;
use crate::files::{intake, seconds, text_of};
use crate::{ApiError, App};

/// Bytes of a text that is sent as JSON.
const MOST_TEXT: usize = 32 * 1024 * 1024;

/// A file in a vector store as the API shows it.
pub(super) fn object(member: Member) -> VectorStoreFile {
    let standing = member.standing();
    let status = match standing {
        Standing::InProgress => "in_progress",
        Standing::Completed => "completed",
        Standing::Failed => "failed",
        Standing::Cancelled => "cancelled",
    };
    let source = member.source;
    let last_error = (standing == Standing::Failed).then(|| FileError {
        code: if source.kind == "unknown" {
            "unsupported_file"
        } else {
            "invalid_file"
        }
        .into(),
        message: source.error.unwrap_or_else(|| "nothing could be read".into()),
    });
    VectorStoreFile {
        id: source.id,
        object: "vector_store.file".into(),
        usage_bytes: match standing {
            Standing::Completed => source.size.unsigned_abs(),
            _ => 0,
        },
        created_at: seconds(member.added_ms),
        vector_store_id: member.collection,
        status: status.into(),
        last_error,
        chunking_strategy: ChunkingStrategy { kind: "other".into() },
        attributes: member.attributes.unwrap_or_else(|| serde_json::json!({})),
    }
}

/// A page of files.
pub(super) async fn listed(
    store: &Store,
    id: &str,
    page: Page,
    of: Only,
    batch: Option<String>,
) -> Result<Json<VectorStoreFileList>, ApiError> {
    let standing = match of.filter.as_deref() {
        None => None,
        Some("in_progress") => Some(Standing::InProgress),
        Some("completed") => Some(Standing::Completed),
        Some("failed") => Some(Standing::Failed),
        Some("cancelled") => Some(Standing::Cancelled),
        Some(_) => {
            let message = "`filter` must be `in_progress`, `completed`, `failed` or `cancelled`";
            return Err(ApiError::param("filter", message));
        }
    };
    let limit = page.limit()?;
    let wanted = MemberPage {
        batch,
        standing,
        ascending: page.ascending()?,
        after: page.after.clone(),
        before: page.before.clone(),
        limit: limit + 1,
    };
    let mut found = store.members(id, &wanted).await?;
    let has_more = page.cut(&mut found, limit);
    let data: Vec<VectorStoreFile> = found.into_iter().map(object).collect();
    let id = |file: Option<&VectorStoreFile>| file.map(|file| file.id.clone());
    Ok(Json(VectorStoreFileList {
        object: "list".into(),
        first_id: id(data.first()),
        last_id: id(data.last()),
        data,
        has_more,
    }))
}

/// The member, or which of the two is not there.
async fn member(store: &Store, id: &str, file: &str) -> Result<Member, ApiError> {
    store.collection(id).await?;
    match store.member(id, file).await {
        Err(StoreError::Missing { .. }) => Err(not_in(id, file)),
        found => Ok(found?),
    }
}

fn not_in(id: &str, file: &str) -> ApiError {
    let short = |text: &str| text.chars().take(64).collect::<String>();
    ApiError::NotFound(format!(
        "there is no file `{}` in the vector store `{}`; it may have been taken out or deleted",
        short(file),
        short(id)
    ))
}

/// Puts a file into a vector store. It is searchable when its `status` is `completed`.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/files", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id")), request_body = AttachFile, responses((status = 200, body = VectorStoreFile), crate::api::openapi::Errors))]
pub(crate) async fn attach(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(request): Body<AttachFile>,
) -> Result<Json<VectorStoreFile>, ApiError> {
    check::chunking(request.chunking_strategy.as_ref())?;
    let store = &intake(&app)?.library().store;
    let joining = Joining {
        source: request.file_id.clone(),
        attributes: request.attributes.map(check::attributes).transpose()?,
    };
    store.add_members(&id, &[joining]).await?;
    Ok(Json(object(member(store, &id, &request.file_id).await?)))
}

/// Only some of the files.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Only {
    /// Only files of this status: `in_progress`, `completed`, `failed` or `cancelled`.
    #[serde(default)]
    filter: Option<String>,
}

/// The files of a vector store.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), Page, Only), responses((status = 200, body = VectorStoreFileList), crate::api::openapi::Errors))]
pub(crate) async fn files(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    Query(only): Query<Only>,
) -> Result<Json<VectorStoreFileList>, ApiError> {
    let store = &intake(&app)?.library().store;
    store.collection(&id).await?;
    listed(store, &id, page, only, None).await
}

/// A file of a vector store.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("file_id" = String, Path, description = "The file's id")), responses((status = 200, body = VectorStoreFile), crate::api::openapi::Errors))]
pub(crate) async fn one_file(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
) -> Result<Json<VectorStoreFile>, ApiError> {
    Ok(Json(object(member(&intake(&app)?.library().store, &id, &file).await?)))
}

/// Replaces a file's attributes in a vector store.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("file_id" = String, Path, description = "The file's id")), request_body = UpdateVectorStoreFile, responses((status = 200, body = VectorStoreFile), crate::api::openapi::Errors))]
pub(crate) async fn change_file(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
    Body(request): Body<UpdateVectorStoreFile>,
) -> Result<Json<VectorStoreFile>, ApiError> {
    let attributes = check::attributes(request.attributes.unwrap_or_default())?;
    let store = &intake(&app)?.library().store;
    member(store, &id, &file).await?;
    store.set_attributes(&id, &file, attributes).await?;
    Ok(Json(object(member(store, &id, &file).await?)))
}

/// Takes a file out of a vector store. The file stays.
#[utoipa::path(delete, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("file_id" = String, Path, description = "The file's id")), responses((status = 200, body = Deleted), crate::api::openapi::Errors))]
pub(crate) async fn detach(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
) -> Result<Json<Deleted>, ApiError> {
    let store = &intake(&app)?.library().store;
    store.collection(&id).await?;
    if !store.remove_from_collection(&id, &file).await? {
        return Err(not_in(&id, &file));
    }
    Ok(Json(Deleted {
        id: file,
        object: "vector_store.file.deleted".into(),
        deleted: true,
    }))
}

/// The text of a file of a vector store.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files/{file_id}/content", tag = "vector stores", params(("id" = String, Path, description = "The vector store's id"), ("file_id" = String, Path, description = "The file's id")), responses((status = 200, body = FileContent), (status = 409, body = candor_wire::error::ErrorResponse), crate::api::openapi::Errors))]
pub(crate) async fn file_content(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
) -> Result<Json<FileContent>, ApiError> {
    let store = &intake(&app)?.library().store;
    let member = member(store, &id, &file).await?;
    let sha256 = text_of(&member.source)?;
    let size = store.text_info(sha256).await?.size;
    if size > MOST_TEXT {
        return Err(ApiError::invalid(format!(
            "this file's text has {size} bytes, too many for one JSON answer; read it in parts: GET /v1/files/{file}/text"
        )));
    }
    let text = store.text(sha256).await?;
    Ok(Json(FileContent {
        object: "vector_store.file_content.page".into(),
        data: vec![TextPart {
            kind: "text".into(),
            text,
        }],
        has_more: false,
        next_page: None,
    }))
}
