//! `/v1/vector_stores`, as OpenAI's clients know it. Requests are lenient (absent and `null` are the same); what is
//! sent has every field. Additions: `start` and `end` of what a search found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A vector store: a named set of files that can be searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VectorStore {
    /// `vs_…`
    pub id: String,
    /// `vector_store`
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Bytes of its files that are searchable.
    pub usage_bytes: u64,
    /// How far its files are.
    pub file_counts: FileCounts,
    /// `in_progress` while files are not searchable yet, then `completed`.
    pub status: String,
    /// Vector stores stay until they are deleted.
    #[schema(value_type = Option<Object>)]
    pub expires_after: Option<Value>,
    /// None.
    pub expires_at: Option<u64>,
    /// When it was last filled or searched; Unix seconds.
    pub last_active_at: Option<u64>,
    /// What its maker attached.
    #[schema(value_type = Object)]
    pub metadata: Value,
}

/// How many files are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileCounts {
    /// Not searchable yet.
    pub in_progress: u64,
    /// Searchable.
    pub completed: u64,
    /// Without a text.
    pub failed: u64,
    /// Of a batch that was cancelled first.
    pub cancelled: u64,
    /// All.
    pub total: u64,
}

/// A request for a vector store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CreateVectorStore {
    /// What people call it.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Files that are in it from the start.
    pub file_ids: Option<Vec<String>>,
    /// Only `auto`.
    pub chunking_strategy: Option<ChunkingStrategy>,
    /// Not supported: vector stores stay until they are deleted.
    #[schema(value_type = Option<Object>)]
    pub expires_after: Option<Value>,
    /// At most 16 pairs of strings.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// What changes in a vector store; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct UpdateVectorStore {
    /// Another name.
    pub name: Option<String>,
    /// Not supported: vector stores stay until they are deleted.
    #[schema(value_type = Option<Object>)]
    pub expires_after: Option<Value>,
    /// At most 16 pairs of strings, in place of the old ones.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// How files are cut into passages: always in whole sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChunkingStrategy {
    /// Only `auto`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Vector stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VectorStoreList {
    /// `list`
    pub object: String,
    /// The vector stores.
    pub data: Vec<VectorStore>,
    /// The first one's id.
    pub first_id: Option<String>,
    /// The last one's id.
    pub last_id: Option<String>,
    /// Whether there are more.
    pub has_more: bool,
}

/// A file in a vector store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VectorStoreFile {
    /// `file-…`
    pub id: String,
    /// `vector_store.file`
    pub object: String,
    /// Its size, once it is searchable.
    pub usage_bytes: u64,
    /// When it was put in; Unix seconds.
    pub created_at: u64,
    /// `vs_…`
    pub vector_store_id: String,
    /// `in_progress`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Why it failed.
    pub last_error: Option<FileError>,
    /// `other`: passages are whole sentences.
    pub chunking_strategy: ChunkingStrategy,
    /// What a search can be kept to.
    #[schema(value_type = Object)]
    pub attributes: Value,
}

/// Why a file cannot be searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = VectorStoreFileError)]
pub struct FileError {
    /// `unsupported_file` (of a kind that holds no text) or `invalid_file` (encrypted, broken, empty).
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// A file that a vector store takes in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttachFile {
    /// `file-…`
    pub file_id: String,
    /// At most 16 pairs; values are strings, numbers or booleans.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Map<String, Value>>,
    /// Only `auto`.
    #[serde(default)]
    pub chunking_strategy: Option<ChunkingStrategy>,
}

/// Other attributes of a file in a vector store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateVectorStoreFile {
    /// At most 16 pairs, in place of the old ones; values are strings, numbers or booleans. `null` removes them.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Map<String, Value>>,
}

/// Files of a vector store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VectorStoreFileList {
    /// `list`
    pub object: String,
    /// The files.
    pub data: Vec<VectorStoreFile>,
    /// The first one's id.
    pub first_id: Option<String>,
    /// The last one's id.
    pub last_id: Option<String>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Files that a vector store takes in together: `file_ids`, or `files`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CreateFileBatch {
    /// The files; at most 2000.
    pub file_ids: Option<Vec<String>>,
    /// The files, each with attributes of its own; at most 2000.
    pub files: Option<Vec<AttachFile>>,
    /// Attributes of all `file_ids`.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Map<String, Value>>,
    /// Only `auto`.
    pub chunking_strategy: Option<ChunkingStrategy>,
}

/// Files that were taken in together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileBatch {
    /// `vsfb_…`
    pub id: String,
    /// `vector_store.files_batch`
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// `vs_…`
    pub vector_store_id: String,
    /// `in_progress`, `completed`, `failed` (all files failed) or `cancelled`.
    pub status: String,
    /// How far they are.
    pub file_counts: FileCounts,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchRequest {
    /// What to find: a question, or several that are asked together.
    pub query: SearchQuery,
    /// At most so many passages. Default: 10.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 50)]
    pub max_num_results: Option<i64>,
    /// Only in files with such attributes.
    #[serde(default)]
    pub filters: Option<Filter>,
    /// How to rank.
    #[serde(default)]
    pub ranking_options: Option<RankingOptions>,
    /// Questions are searched as they are; `search_query` in the answer says so.
    #[serde(default)]
    pub rewrite_query: Option<bool>,
}

/// One question, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub enum SearchQuery {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// A condition on a file's attributes: a comparison of one (`eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `nin`), or `and`
/// and `or` of conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AttributeFilter)]
pub struct Filter {
    /// The comparison, or `and` or `or`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What to compare with: a string, number or boolean; of `in` and `nin` an array of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub value: Option<Value>,
    /// The conditions of `and` and `or`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub filters: Option<Vec<Filter>>,
}

/// How to rank.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RankingOptions {
    /// There is one way to rank; `auto`, `none` and `default-2024-11-15` are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker: Option<String>,
    /// Only passages of at least this score.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub score_threshold: Option<f64>,
    /// Not supported: words and meaning count the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub hybrid_search: Option<Value>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    /// `vector_store.search_results.page`
    pub object: String,
    /// What was looked for.
    pub search_query: Vec<String>,
    /// Passages, the best first.
    pub data: Vec<SearchResult>,
    /// Always false: there is one page.
    pub has_more: bool,
    /// None.
    pub next_page: Option<String>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    /// `file-…`
    pub file_id: String,
    /// The file's name.
    pub filename: String,
    /// 1 where both words and meaning put it first; falls with its ranks. It orders, and is no probability.
    pub score: f64,
    /// The file's, in this vector store.
    #[schema(value_type = Object)]
    pub attributes: Value,
    /// The passage.
    pub content: Vec<FoundText>,
}

/// The words of a passage, and where they stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FoundText {
    /// `text`
    #[serde(rename = "type")]
    pub kind: String,
    /// To the byte what stands in the file's text.
    pub text: String,
    /// The first byte of it in `/v1/files/{id}/text`.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
    /// The page where it begins, where there are pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
}

/// The text of a file in a vector store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileContent {
    /// `vector_store.file_content.page`
    pub object: String,
    /// Parts of the text, in order: together they are all of it.
    pub data: Vec<TextPart>,
    /// Always false.
    pub has_more: bool,
    /// None.
    pub next_page: Option<String>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextPart {
    /// `text`
    #[serde(rename = "type")]
    pub kind: String,
    /// The words.
    pub text: String,
}
