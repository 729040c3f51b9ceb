//! Sources as the page shows them: the list, and a passage in its surroundings. Uploads, removal and collections go
//! through `/v1/files` and `/v1/vector_stores`, as everyone's do.

use axum::Json;
use axum::extract::{Path, Query};
use candor_store::{ShelfPage, Source, SourceFilter, SourceState, Store};
use candor_truth::{Evidence, Layout, TruthError};
use serde::{Deserialize, Serialize};

use super::{Chat, refused};
use crate::ApiError;
use crate::files::text_of;

/// Sources of one part of the list.
const MOST: u64 = 200;
/// Bytes of a passage.
const MOST_PASSAGE: usize = 64 * 1024;
/// Bytes of text shown before and after a passage, where the request does not say.
const AROUND: usize = 1500;
/// The most of them.
const MOST_AROUND: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    collection: Option<String>,
    after: Option<String>,
    limit: Option<u64>,
}

/// A source in the list.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    id: String,
    name: String,
    title: Option<String>,
    kind: String,
    origin: Option<String>,
    date: Option<String>,
    size: i64,
    state: SourceState,
    error: Option<String>,
    notes: Vec<String>,
    created_ms: i64,
    /// Ids of the collections that it is in.
    collections: Vec<String>,
}

/// A part of the list.
#[derive(Debug, Serialize)]
pub(super) struct List {
    sources: Vec<Entry>,
    total: u64,
    /// How many cannot be searched yet.
    reading: u64,
}

/// `GET /api/sources?q=&collection=&after=&limit=`: the newest first.
pub(super) async fn list(chat: Chat, Query(wanted): Query<Wanted>) -> Result<Json<List>, ApiError> {
    let page = ShelfPage {
        words: wanted.q,
        filter: SourceFilter {
            collections: wanted.collection.into_iter().collect(),
            ..SourceFilter::default()
        },
        after: wanted.after,
        limit: wanted.limit.unwrap_or(MOST).min(MOST),
    };
    let shelf = chat.store.shelf(&page).await.map_err(refused)?;
    let entry = |(source, collections): (Source, Vec<String>)| Entry {
        id: source.id,
        name: source.name,
        title: source.title,
        kind: source.kind,
        // An upload's origin says nothing to people.
        origin: source.origin.filter(|origin| !origin.starts_with("upload:")),
        date: source.date,
        size: source.size,
        state: source.state,
        error: source.error,
        notes: source.notes,
        created_ms: source.created_ms,
        collections,
    };
    Ok(Json(List {
        sources: shelf.sources.into_iter().map(entry).collect(),
        total: shelf.total,
        reading: shelf.reading,
    }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Place {
    start: usize,
    end: usize,
    around: Option<usize>,
}

/// A passage with what stands before and after it.
#[derive(Debug, Serialize)]
pub(super) struct Passage {
    id: String,
    name: String,
    title: Option<String>,
    kind: String,
    origin: Option<String>,
    date: Option<String>,
    /// The SHA-256 of the file that the text was read from.
    bytes_sha256: String,
    before: String,
    quote: String,
    after: String,
    /// The bytes of the whole text that `before` begins and `after` ends at.
    from: usize,
    to: usize,
    /// Bytes of the whole text.
    size: usize,
    /// The page of the quote, from 1, and how many there are; 0 where there are none.
    page: Option<usize>,
    pages: usize,
    headings: Vec<String>,
}

/// `GET /api/sources/{id}/passage?start=&end=&around=`
pub(super) async fn passage(
    chat: Chat,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Result<Json<Passage>, ApiError> {
    let store = &chat.store;
    let source = store.source(&id).await.map_err(refused)?;
    let info = store.text_info(text_of(&source)?).await.map_err(refused)?;
    if place.end.saturating_sub(place.start) > MOST_PASSAGE {
        let message = format!("a passage has at most {MOST_PASSAGE} bytes; ask for fewer");
        return Err(ApiError::param("end", message));
    }
    let evidence = Evidence::read(store, &info.sha256, place.start..place.end).await;
    let evidence = evidence.map_err(|error| match error {
        TruthError::NotAQuote { .. } => ApiError::param(
            "start",
            "these bytes are no passage of this source; it may have been replaced by another version",
        ),
        other => other.into(),
    })?;
    let around = place.around.unwrap_or(AROUND).min(MOST_AROUND);
    let from = place.start.saturating_sub(around);
    let to = place.end.saturating_add(around).min(info.size);
    let before = store.text_bytes(&info, from, place.start).await.map_err(refused)?;
    let after = store.text_bytes(&info, place.end, to).await.map_err(refused)?;
    let (before, after) = (ending(&before, from > 0), beginning(&after, to < info.size));
    let layout: Layout = serde_json::from_value(info.layout.clone()).unwrap_or_default();
    Ok(Json(Passage {
        from: place.start - before.len(),
        to: place.end + after.len(),
        size: info.size,
        page: layout.page(place.start),
        pages: layout.pages.len(),
        headings: headings(store, &info, &layout, place.start).await?,
        quote: evidence.text().to_owned(),
        before,
        after,
        id: source.id,
        name: source.name,
        title: source.title,
        kind: source.kind,
        origin: source.origin.filter(|origin| !origin.starts_with("upload:")),
        date: source.date,
        bytes_sha256: source.bytes_sha256,
    }))
}

async fn headings(
    store: &Store,
    info: &candor_store::TextInfo,
    layout: &Layout,
    at: usize,
) -> Result<Vec<String>, ApiError> {
    let mut words = Vec::new();
    for heading in layout.path(at) {
        let bytes = store
            .text_bytes(info, heading.start, heading.end)
            .await
            .map_err(refused)?;
        words.push(String::from_utf8_lossy(&bytes).trim().to_owned());
    }
    Ok(words)
}

/// Bytes that end at a character's end, from the first whole character on; from a word's beginning where they were cut.
fn ending(bytes: &[u8], cut: bool) -> String {
    let first = bytes.iter().position(|byte| byte & 0xc0 != 0x80).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[first..]).into_owned();
    match text.char_indices().take(40).find(|(_, c)| c.is_whitespace()) {
        Some((at, c)) if cut => text[at + c.len_utf8()..].to_owned(),
        _ => text,
    }
}

/// Bytes that begin at a character's beginning, up to the last whole character; to a word's end where they were cut.
fn beginning(bytes: &[u8], cut: bool) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    match text.char_indices().rev().take(40).find(|(_, c)| c.is_whitespace()) {
        Some((at, _)) if cut => text[..at].to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{beginning, ending};

    #[test]
    fn surroundings_begin_and_end_with_whole_characters_and_words() {
        let han = "灯塔很高".as_bytes();
        assert_eq!(ending(&han[1..], true), "塔很高");
        assert_eq!(beginning(&han[..11], true), "灯塔很");
        assert_eq!(ending(b"ght of the tower", true), "of the tower");
        assert_eq!(ending(b"The tower", false), "The tower");
        assert_eq!(beginning(b"is ten metres hi", true), "is ten metres");
        assert_eq!(beginning(b"", true), "");
    }
}
