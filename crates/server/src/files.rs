//! `/v1/files`: what people upload, and every other source of this machine. An upload is on the disk before it is
//! acknowledged; it is read and indexed by the background task of `candor_truth::Intake`.

mod content;
mod ranges;
mod upload;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use candor_store::{File, FilePage, SourceState};
use candor_truth::Intake;
use candor_wire::files::{Deleted, FileList, FileObject};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::checked;
use crate::{ApiError, App};

pub(crate) use content::{__path_content, __path_text, attachment, text_of};
pub(crate) use upload::__path_upload;

/// What sources are for that were not uploaded.
const IMPORTED: &str = "assistants";
/// What an upload may be for. OpenAI's other purposes are of things that are not here.
const PURPOSES: [&str; 2] = ["assistants", "user_data"];

/// The routes of this folder.
pub fn routes() -> Router<App> {
    // An upload has a limit of its own, and is never in memory as a whole.
    let upload = axum::routing::post(upload::upload).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/v1/files", get(list).merge(upload))
        .route("/v1/files/{id}", get(one).delete(delete))
        .route("/v1/files/{id}/content", get(content::content))
        .route("/v1/files/{id}/text", get(content::text))
}

/// The intake that the server was given.
pub(crate) fn intake(app: &App) -> Result<&Intake, ApiError> {
    app.extension::<Intake>().ok_or_else(|| {
        let message = "this server keeps no files, because it was started without a library; see its log".into();
        candor_engine::EngineError::Unavailable { message }.into()
    })
}

/// A file as the API shows it.
fn object(file: File) -> FileObject {
    let File { source, purpose } = file;
    let status = match source.state {
        SourceState::Waiting | SourceState::Pending => "uploaded",
        SourceState::Ready | SourceState::Gone => "processed",
        SourceState::Failed => "error",
    };
    FileObject {
        id: source.id,
        object: "file".into(),
        bytes: source.size.unsigned_abs(),
        created_at: seconds(source.created_ms),
        expires_at: None,
        filename: source.name,
        purpose: purpose.unwrap_or_else(|| IMPORTED.to_owned()),
        status: status.into(),
        status_details: source.error,
    }
}

/// Unix seconds.
pub(crate) fn seconds(ms: i64) -> u64 {
    ms.unsigned_abs() / 1000
}

/// Which files.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Files {
    /// Only those for this purpose.
    #[serde(default)]
    purpose: Option<String>,
    /// At most so many; 10000 where it is absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<i64>,
    /// `asc` or `desc` (the newest first, also where it is absent).
    #[serde(default)]
    order: Option<String>,
    /// The id of the file before the first.
    #[serde(default)]
    after: Option<String>,
}

/// The files.
#[utoipa::path(get, path = "/v1/files", tag = "files", params(Files), responses((status = 200, body = FileList), crate::api::openapi::Errors))]
pub(crate) async fn list(State(app): State<App>, Query(asked): Query<Files>) -> Result<Json<FileList>, ApiError> {
    let limit = checked::within("limit", asked.limit.unwrap_or(10_000), 1, 10_000)?.unsigned_abs();
    let page = FilePage {
        purpose: asked.purpose,
        otherwise: IMPORTED.into(),
        after: asked.after,
        ascending: checked::ascending(asked.order.as_deref())?,
        limit: limit + 1,
    };
    let mut files = intake(&app)?.library().store.files(&page).await?;
    let has_more = files.len() as u64 > limit;
    files.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let data: Vec<FileObject> = files.into_iter().map(object).collect();
    let id = |file: Option<&FileObject>| file.map(|file| file.id.clone());
    Ok(Json(FileList {
        object: "list".into(),
        first_id: id(data.first()),
        last_id: id(data.last()),
        data,
        has_more,
    }))
}

/// A file.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "files", params(("id" = String, Path, description = "The file's id")), responses((status = 200, body = FileObject), crate::api::openapi::Errors))]
pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<FileObject>, ApiError> {
    Ok(Json(object(intake(&app)?.library().store.file(&id).await?)))
}

/// Deletes a file: from every vector store, with its text. What was imported from this machine's disk stays there.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "files", params(("id" = String, Path, description = "The file's id")), responses((status = 200, body = Deleted), crate::api::openapi::Errors))]
pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Deleted>, ApiError> {
    if !intake(&app)?.delete(&id).await? {
        return Err(crate::error::no_file(&id));
    }
    Ok(Json(Deleted {
        id,
        object: "file".into(),
        deleted: true,
    }))
}
