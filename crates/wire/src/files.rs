//! `/v1/files`, as OpenAI's clients know it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file: an upload, or a source that was imported on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileObject {
    /// `file-…`
    pub id: String,
    /// `file`
    pub object: String,
    /// Its size.
    pub bytes: u64,
    /// Unix seconds.
    pub created_at: u64,
    /// Files stay until they are deleted.
    pub expires_at: Option<u64>,
    /// Its name, without a path.
    pub filename: String,
    /// `assistants` or `user_data`.
    pub purpose: String,
    /// `uploaded` (its text is not searchable yet), `processed` or `error`.
    pub status: String,
    /// Why it has no text.
    pub status_details: Option<String>,
}

/// Files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileList {
    /// `list`
    pub object: String,
    /// The files.
    pub data: Vec<FileObject>,
    /// The first one's id.
    pub first_id: Option<String>,
    /// The last one's id.
    pub last_id: Option<String>,
    /// Whether there are more after the last.
    pub has_more: bool,
}

/// What is left of something that was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// `file`, `vector_store.deleted` or `vector_store.file.deleted`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}
