//! Catching up with the store: texts that came since the last commit are cut into passages, their words indexed and their
//! vectors made. Killed at any moment, the next call goes on after the last commit.

use std::ops::Range;
use std::sync::Arc;

use candor_store::{Store, StoreError, TextInfo};

use super::Index;
use super::write::Writer;
use crate::error::blocking;
use crate::passages::{Layout, passages};
use crate::{Embedder, TruthError};

/// Passages of a commit while vectors are made: some seconds of work.
const EMBEDDED: usize = 512;
/// Passages of a commit without vectors.
const PLAIN: usize = 32 * 1024;
/// Passages whose vectors are made together.
const TOGETHER: usize = 128;
/// Texts that are looked up together.
const TEXTS: u64 = 256;
/// Dead passages that are worth a compaction, when they are also a quarter of all.
const DEAD: usize = 1000;

/// How far a sync is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncProgress {
    /// Bytes of text to go through in this call.
    pub bytes_total: u64,
    /// Bytes of text gone through.
    pub bytes: u64,
    /// Passages added.
    pub passages: usize,
    /// Vectors made.
    pub vectors: usize,
}

/// What a sync did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Synced {
    /// Passages added.
    pub passages: usize,
    /// Vectors made.
    pub vectors: usize,
    /// Passages of deleted texts that were cleared away.
    pub cleared: usize,
}

/// A text that is at hand; `None` where it is gone.
type OpenText = Option<Arc<(String, Layout)>>;

/// A passage to add.
struct Piece {
    range: Range<usize>,
    words: String,
}

impl Index {
    /// Brings the index up to date with `store`; waits while another program does. Without an embedder, passages are
    /// found by their words alone until a later call has one.
    ///
    /// # Errors
    /// If the store or the index cannot be read or written, or the embedding model fails.
    pub async fn sync(
        self: &Arc<Self>,
        store: &Store,
        embedder: Option<&Embedder>,
        progress: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<Synced, TruthError> {
        let index = Arc::clone(self);
        let mut syncing = Syncing {
            writer: Some(blocking(move || Writer::open(index)).await?),
            store,
            embedder,
            progress,
            so_far: SyncProgress::default(),
            waiting: Vec::new(),
        };
        let cleared = syncing.compact().await?;
        if let Some(embedder) = embedder {
            let name = embedder.name().to_owned();
            syncing.write(move |writer| writer.use_model(&name)).await?;
            syncing.embed_missing().await?;
        }
        syncing.add_new().await?;
        if let Some(writer) = syncing.writer.take() {
            blocking(move || writer.close()).await?;
        }
        Ok(Synced {
            passages: syncing.so_far.passages,
            vectors: syncing.so_far.vectors,
            cleared,
        })
    }
}

struct Syncing<'a> {
    /// Lent to other threads while they write.
    writer: Option<Writer>,
    store: &'a Store,
    embedder: Option<&'a Embedder>,
    progress: &'a (dyn Fn(SyncProgress) + Send + Sync),
    so_far: SyncProgress,
    /// Words of passages that were added and have no vector yet.
    waiting: Vec<String>,
}

impl Syncing<'_> {
    async fn write<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Writer) -> Result<T, TruthError> + Send + 'static,
    ) -> Result<T, TruthError> {
        let Some(mut writer) = self.writer.take() else {
            return Err(TruthError::CutOff("an earlier step failed".to_owned()));
        };
        let (writer, done) = blocking(move || {
            let done = work(&mut writer)?;
            Ok((writer, done))
        })
        .await?;
        self.writer = Some(writer);
        Ok(done)
    }

    async fn add_new(&mut self) -> Result<(), TruthError> {
        let after = self.write(|writer| Ok(writer.commit.text)).await?;
        self.so_far.bytes_total += self.store.bytes_of_texts_after(after).await?;
        loop {
            let after = self.write(|writer| Ok(writer.commit.text)).await?;
            let texts = self.store.texts_after(after, TEXTS).await?;
            if texts.is_empty() {
                break;
            }
            for info in texts {
                match self.store.text(&info.sha256).await {
                    Ok(text) => self.add_text(&info, text).await?,
                    // It was deleted after it was listed.
                    Err(StoreError::Missing { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                let id = info.id;
                self.write(move |writer| {
                    (writer.commit.text, writer.commit.part) = (id, 0);
                    Ok(())
                })
                .await?;
                self.so_far.bytes += info.size as u64;
                (self.progress)(self.so_far);
            }
        }
        self.commit().await
    }

    async fn add_text(&mut self, info: &TextInfo, text: String) -> Result<(), TruthError> {
        let done = self.write(|writer| Ok(writer.commit.part)).await?;
        let (id, layout) = (info.id, layout(info));
        let (text, all) = blocking(move || {
            let all = passages(&text, &layout);
            Ok((Arc::new((text, layout)), all))
        })
        .await?;
        let most = if self.embedder.is_some() { EMBEDDED } else { PLAIN };
        let mut rest = all.get(done..).unwrap_or_default();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(most));
            rest = later;
            let (text, ranges, embeds) = (Arc::clone(&text), now.to_vec(), self.embedder.is_some());
            let words = self
                .write(move |writer| {
                    let mut kept = Vec::new();
                    for range in ranges {
                        let piece = piece(&text.0, &text.1, range);
                        writer.add(id, &piece.range, &piece.words)?;
                        writer.commit.part += 1;
                        if embeds {
                            kept.push(piece.words);
                        }
                    }
                    Ok(kept)
                })
                .await?;
            self.so_far.passages += now.len();
            self.waiting.extend(words);
            let uncommitted = self.write(|writer| Ok(writer.uncommitted())).await?;
            if uncommitted >= most {
                self.commit().await?;
            }
        }
        Ok(())
    }

    /// Makes the vectors of what was added, and commits.
    async fn commit(&mut self) -> Result<(), TruthError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.embed(waiting).await?;
        let ready = self
            .write(|writer| {
                writer.commit()?;
                Ok(writer.commit.text)
            })
            .await?;
        self.store.mark_ready(ready).await?;
        Ok(())
    }

    async fn embed(&mut self, texts: Vec<String>) -> Result<(), TruthError> {
        let Some(embedder) = self.embedder else { return Ok(()) };
        for texts in texts.chunks(TOGETHER) {
            let vectors = embedder.embed(texts).await?;
            self.so_far.vectors += vectors.len();
            self.write(move |writer| writer.add_vectors(&vectors)).await?;
            (self.progress)(self.so_far);
        }
        Ok(())
    }

    /// Makes the vectors of passages that were added without.
    async fn embed_missing(&mut self) -> Result<(), TruthError> {
        loop {
            let rows = self.write(|writer| writer.without_vector(EMBEDDED)).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut texts = Vec::with_capacity(rows.len());
            let mut open: Option<(u64, Option<(String, Layout)>)> = None;
            for row in rows {
                if open.as_ref().is_none_or(|(id, _)| *id != row.text) {
                    open = Some((row.text, self.read(row.text).await?));
                }
                let words = match &open {
                    Some((_, Some((text, layout)))) => piece(text, layout, row.start as usize..row.end as usize).words,
                    // The text is gone: any vector will do, its passage is never shown.
                    _ => "-".to_owned(),
                };
                texts.push(words);
            }
            self.embed(texts).await?;
            self.write(Writer::commit).await?;
        }
    }

    async fn read(&self, id: u64) -> Result<Option<(String, Layout)>, TruthError> {
        let infos = self.store.text_infos(&[i64::try_from(id).unwrap_or(0)]).await?;
        let Some(info) = infos.first() else { return Ok(None) };
        match self.store.text(&info.sha256).await {
            Ok(text) => Ok(Some((text, layout(info)))),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Clears away passages whose texts are gone, once they are many.
    async fn compact(&mut self) -> Result<usize, TruthError> {
        let living = Arc::new(super::TextSet::new(self.store.text_ids().await?));
        let alive = Arc::clone(&living);
        let (rows, dead) = self
            .write(move |writer| {
                writer.tidy();
                Ok((writer.commit.rows, writer.dead(&alive)))
            })
            .await?;
        if dead < DEAD || dead * 4 < rows {
            return Ok(0);
        }
        let (text, part) = self
            .write(|writer| Ok((writer.commit.text, writer.commit.part)))
            .await?;
        let old = Arc::new(self.write(Writer::restart).await?);
        let mut open: Option<(u64, OpenText)> = None;
        for n in 0..rows {
            let Some(row) = old.row(n).filter(|row| living.contains(row.text)) else {
                continue;
            };
            if open.as_ref().is_none_or(|(id, _)| *id != row.text) {
                open = Some((row.text, self.read(row.text).await?.map(Arc::new)));
            }
            if let Some((_, Some(source))) = &open {
                let (source, old) = (Arc::clone(source), Arc::clone(&old));
                self.write(move |writer| {
                    let piece = piece(&source.0, &source.1, row.start as usize..row.end as usize);
                    writer.carry(&old, n, &piece.words)
                })
                .await?;
            }
        }
        self.write(move |writer| {
            (writer.commit.text, writer.commit.part) = (text, part);
            writer.commit()?;
            writer.tidy();
            Ok(())
        })
        .await?;
        Ok(dead)
    }
}

fn layout(info: &TextInfo) -> Layout {
    serde_json::from_value(info.layout.clone()).unwrap_or_default()
}

/// A passage with what it is found by: its headings, then itself.
fn piece(text: &str, layout: &Layout, range: Range<usize>) -> Piece {
    let passage = text.get(range.clone()).unwrap_or_default();
    let mut words = String::with_capacity(passage.len() + 64);
    for heading in layout.path(range.start) {
        // One that stands in the passage is found there.
        if heading.start < range.start {
            words.push_str(text.get(heading.start..heading.end).unwrap_or_default().trim());
            words.push('\n');
        }
    }
    words.push_str(passage);
    Piece { range, words }
}
