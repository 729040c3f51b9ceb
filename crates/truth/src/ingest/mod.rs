//! Import: files and folders become sources. What is there already is passed over (same path, size and time), the same
//! bytes are read once, and every file is stored before the next: killed at any moment, the next call goes on. Several
//! imports may run at once.

mod files;
pub mod watch;
pub mod web;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use candor_store::{NewSource, NewText, Put, PutOutcome, Source, SourceState, Store, StoreError};
use sha2::{Digest, Sha256};

use crate::error::blocking;
use crate::reading::{Document, Input, ReadError, Reader};
use crate::{TruthError, language};

/// Documents that are stored in one step.
const TOGETHER: usize = 200;
/// Documents that wait to be stored.
const WAITING: usize = 8;
/// Folders that a refresh looks through again, in the store's settings.
const FOLDERS: &str = "source_folders";

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is new.
    Added,
    /// It changed.
    Changed,
    /// It was there.
    Unchanged,
    /// It is no document.
    PassedOver,
    /// It cannot be read; the source says why.
    Failed,
    /// It is not there any more.
    Gone,
}

/// A step of an import.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// So many files were found so far, with so many bytes.
    Found {
        /// Files.
        files: usize,
        /// Bytes.
        bytes: u64,
    },
    /// A file is being read.
    Reading(&'a Path),
    /// A file is done.
    Done {
        /// The file.
        path: &'a Path,
        /// Its bytes.
        bytes: u64,
        /// What became of it.
        outcome: Outcome,
        /// Why, where it failed or was passed over.
        reason: Option<&'a str>,
    },
}

/// How many files had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// New.
    pub added: usize,
    /// Changed.
    pub changed: usize,
    /// There already.
    pub unchanged: usize,
    /// No documents.
    pub passed_over: usize,
    /// Not readable.
    pub failed: usize,
    /// Not there any more.
    pub gone: usize,
    /// Bytes of all files looked at.
    pub bytes: u64,
}

/// Imports into a store.
#[derive(Clone)]
pub struct Importer {
    /// Where to.
    pub store: Store,
    /// Reads files.
    pub reader: Arc<dyn Reader>,
    /// The id of a collection that all join.
    pub collection: Option<String>,
}

/// Told of each step.
pub type Progress<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

impl Importer {
    /// Imports files and folders. One that cannot be read does not stop the others.
    ///
    /// # Errors
    /// If a path is not there, or the store cannot be written.
    pub async fn import(&self, paths: &[PathBuf], progress: Progress<'_>) -> Result<Summary, TruthError> {
        let mut all = Vec::new();
        for path in paths {
            let named = path.clone();
            let found = blocking(move || files::under(&named)).await?;
            if found.folder {
                self.remember(&found.root).await?;
            }
            all.extend(found.files.into_iter().map(|file| (file, !found.folder)));
            progress(Event::Found {
                files: all.len(),
                bytes: all.iter().map(|(file, _)| file.bytes).sum(),
            });
        }
        let mut summary = Summary::default();
        for (file, named) in all {
            progress(Event::Reading(&file.path));
            let (outcome, reason) = self.file(&file, named).await?;
            summary.count(outcome, file.bytes);
            progress(Event::Done {
                path: &file.path,
                bytes: file.bytes,
                outcome,
                reason: reason.as_deref(),
            });
        }
        Ok(summary)
    }

    /// Looks again at every file and folder that was imported: what changed is read again, what is new in a folder is
    /// added, what is not there any more is marked.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn refresh(&self, progress: Progress<'_>) -> Result<Summary, TruthError> {
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut gone = Summary::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.sources(&Default::default(), after.as_deref(), 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for source in &page {
                let Some(path) = file_of(source) else { continue };
                if path.exists() {
                    if paths.last() != Some(&path) {
                        paths.push(path);
                    }
                    continue;
                }
                if source.state != SourceState::Gone {
                    self.store.mark_gone(&source.id).await?;
                }
                gone.count(Outcome::Gone, 0);
                progress(Event::Done {
                    path: &path,
                    bytes: 0,
                    outcome: Outcome::Gone,
                    reason: None,
                });
            }
        }
        let folders = self.folders().await?;
        let in_folder = |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder) && folder.is_dir());
        paths.retain(|path| !in_folder(path));
        paths.extend(folders.iter().filter(|folder| folder.is_dir()).cloned());
        let mut summary = self.import(&paths, progress).await?;
        summary.gone = gone.gone;
        Ok(summary)
    }

    /// Stores documents whose bytes are at hand: an upload, standard input. `origin` names where they are from; the same
    /// one again takes the earlier one's place.
    ///
    /// # Errors
    /// If the store cannot be written. Bytes that cannot be read give a source that says why.
    pub async fn bytes(&self, bytes: Vec<u8>, name: &str, origin: Option<&str>) -> Result<Vec<Source>, TruthError> {
        let base = NewSource {
            name: name.to_owned(),
            origin: origin.map(str::to_owned),
            bytes_sha256: hex::encode(Sha256::digest(&bytes)),
            size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            collection: self.collection.clone(),
            ..NewSource::default()
        };
        let (mut stored, read) = self.documents(&base, Input::Bytes(bytes), &base.name, source).await?;
        if let (true, Err(error)) = (stored.is_empty(), read) {
            stored = self.store.put_sources(vec![failed(base, error.to_string())]).await?;
        }
        Ok(stored.into_iter().map(|put| put.source).collect())
    }

    /// Stores the documents of `input` as they are read, each as `source` makes one of it; what was stored, and how the
    /// reading ended. `name` is a hint for the reader.
    async fn documents(
        &self,
        base: &NewSource,
        input: Input,
        name: &str,
        source: fn(&NewSource, Document, Option<usize>) -> NewSource,
    ) -> Result<(Vec<Put>, Result<(), ReadError>), TruthError> {
        // A few documents wait to be stored, no more: a dump may hold millions.
        let (sender, mut documents) = tokio::sync::mpsc::channel(WAITING);
        let (reader, name) = (Arc::clone(&self.reader), name.to_owned());
        let reading =
            blocking(move || Ok(reader.read(input, &name, &mut |document| sender.blocking_send(document).is_ok())));
        // When storing fails, its end of the channel goes, and the reading stops.
        let storing = async move {
            let mut stored = Vec::new();
            let Some(first) = documents.recv().await else {
                return Ok(stored);
            };
            let mut next = documents.recv().await;
            let many = next.is_some();
            let mut waiting = vec![source(base, first, many.then_some(0))];
            let mut count = 1;
            while let Some(document) = next.take() {
                waiting.push(source(base, document, Some(count)));
                count += 1;
                if waiting.len() == TOGETHER {
                    stored.extend(self.store.put_sources(std::mem::take(&mut waiting)).await?);
                }
                next = documents.recv().await;
            }
            stored.extend(self.store.put_sources(waiting).await?);
            Ok::<_, TruthError>(stored)
        };
        let (read, stored) = tokio::join!(reading, storing);
        Ok((stored?, read?))
    }

    /// `named`: the file itself was asked for, so that it counts even where it is no document.
    async fn file(&self, file: &files::Found, named: bool) -> Result<(Outcome, Option<String>), TruthError> {
        let origin = file.path.display().to_string();
        let earlier = self.earlier(&origin).await?;
        if let Some(source) = &earlier
            && source.state != SourceState::Failed
            && (source.size, source.modified_ms) == (file.size(), Some(file.modified_ms))
        {
            if source.state == SourceState::Gone {
                self.store.touch_source(&source.id, source.modified_ms).await?;
            }
            self.join(&origin, source).await?;
            return Ok((Outcome::Unchanged, None));
        }
        let base = NewSource {
            name: file
                .path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            origin: Some(origin.clone()),
            size: file.size(),
            modified_ms: Some(file.modified_ms),
            collection: self.collection.clone(),
            ..NewSource::default()
        };
        let path = file.path.clone();
        let (open, sha256) = match blocking(move || files::hashed(&path)).await {
            Ok(read) => read,
            Err(TruthError::File { message, .. }) => return self.refuse(base, message).await,
            Err(error) => return Err(error),
        };
        let base = NewSource {
            bytes_sha256: sha256,
            ..base
        };
        if let Some(source) = &earlier
            && source.bytes_sha256 == base.bytes_sha256
            && source.state != SourceState::Failed
        {
            self.store.touch_source(&source.id, base.modified_ms).await?;
            self.join(&origin, source).await?;
            return Ok((Outcome::Unchanged, None));
        }
        if let Some(twin) = self.twin(&base.bytes_sha256).await? {
            match self.store.put_sources(vec![as_twin(base.clone(), twin)]).await {
                Ok(put) => return Ok((outcome(put.first()), None)),
                // It was deleted in between; this file is read then.
                Err(StoreError::Missing { what: "text", .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (stored, read) = self.documents(&base, Input::File(open), &base.name, source).await?;
        match read {
            Err(ReadError::NoDocument(reason)) if stored.is_empty() && !named => {
                return Ok((Outcome::PassedOver, Some(reason)));
            }
            Err(error) if stored.is_empty() => return self.refuse(base, error.to_string()).await,
            // What was read before a dump broke is kept.
            Err(error) => return Ok((Outcome::Failed, Some(error.to_string()))),
            Ok(()) => {}
        }
        self.drop_leftovers(&origin, stored.len()).await?;
        Ok((outcome(stored.first()), None))
    }

    /// The source that this file became; of a file with many documents, the first.
    async fn earlier(&self, origin: &str) -> Result<Option<Source>, TruthError> {
        match self.store.source_by_origin(origin).await? {
            Some(source) => Ok(Some(source)),
            None => Ok(self.store.source_by_origin(&part_of(origin, 0)).await?),
        }
    }

    /// Another source with the same bytes and one document.
    async fn twin(&self, sha256: &str) -> Result<Option<Source>, TruthError> {
        let twin = self.store.source_by_bytes(sha256).await?;
        // An upload's text may be that of many documents together.
        let single = |origin: &String| !origin.contains('#') && !origin.starts_with("upload:");
        Ok(twin.filter(|source| source.origin.as_ref().is_none_or(single)))
    }

    async fn join(&self, origin: &str, source: &Source) -> Result<(), TruthError> {
        let Some(collection) = &self.collection else {
            return Ok(());
        };
        self.store.add_to_collection(collection, &source.id).await?;
        for n in 1.. {
            match self.store.source_by_origin(&part_of(origin, n)).await? {
                Some(part) => self.store.add_to_collection(collection, &part.id).await?,
                None => break,
            }
        }
        Ok(())
    }

    /// A file that had more documents, or one instead of many, leaves none behind.
    async fn drop_leftovers(&self, origin: &str, count: usize) -> Result<(), TruthError> {
        if count != 1
            && let Some(single) = self.store.source_by_origin(origin).await?
        {
            self.store.delete_source(&single.id).await?;
        }
        let from = if count == 1 { 0 } else { count };
        for n in from.. {
            match self.store.source_by_origin(&part_of(origin, n)).await? {
                Some(part) => self.store.delete_source(&part.id).await?,
                None => break,
            };
        }
        Ok(())
    }

    async fn refuse(&self, base: NewSource, reason: String) -> Result<(Outcome, Option<String>), TruthError> {
        self.store.put_sources(vec![failed(base, reason.clone())]).await?;
        Ok((Outcome::Failed, Some(reason)))
    }

    async fn remember(&self, folder: &Path) -> Result<(), TruthError> {
        if self.folders().await?.iter().any(|one| one == folder) {
            return Ok(());
        }
        let add = |value| {
            let mut folders = paths(value);
            if !folders.iter().any(|one| one == folder) {
                folders.push(folder.to_owned());
            }
            listed(&folders)
        };
        Ok(self.store.change_setting(FOLDERS, add).await?)
    }

    /// The folders that a refresh looks through.
    async fn folders(&self) -> Result<Vec<PathBuf>, TruthError> {
        Ok(paths(self.store.settings().await?.remove(FOLDERS)))
    }
}

impl Importer {
    /// Does not look through a folder again when it refreshes, and does not watch it.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn forget(&self, folder: &Path) -> Result<(), TruthError> {
        let keep = |value| {
            let mut folders = paths(value);
            folders.retain(|one| !one.starts_with(folder));
            listed(&folders)
        };
        if self.folders().await?.iter().any(|one| one.starts_with(folder)) {
            self.store.change_setting(FOLDERS, keep).await?;
        }
        self.unwatch(folder).await?;
        Ok(())
    }
}

/// A setting's list of folders.
fn paths(value: Option<serde_json::Value>) -> Vec<PathBuf> {
    value
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default()
}

/// The same as a setting.
fn listed(folders: &[PathBuf]) -> serde_json::Value {
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    serde_json::json!(names)
}

/// The source of a document; those of a feed or dump are numbered.
fn source(base: &NewSource, document: Document, number: Option<usize>) -> NewSource {
    let mut layout = document.layout;
    layout.title = layout.title.or_else(|| document.title.clone());
    let origin = base.origin.as_ref();
    NewSource {
        kind: document.kind,
        origin: origin.map(|origin| number.map_or_else(|| origin.clone(), |n| part_of(origin, n))),
        language: language(&document.text).map(str::to_owned),
        title: document.title,
        date: document.date,
        notes: document.notes,
        text: Some(NewText {
            text: document.text,
            layout: serde_json::json!(layout),
        }),
        ..base.clone()
    }
}

/// The origin of document `n` of a file.
fn part_of(origin: &str, n: usize) -> String {
    format!("{origin}#{}", n + 1)
}

/// The file that a source is from, where it is from one.
pub(crate) fn file_of(source: &Source) -> Option<PathBuf> {
    let origin = source.origin.as_ref()?;
    let path = match origin.rsplit_once('#') {
        Some((path, number)) if number.parse::<usize>().is_ok() && !Path::new(origin).exists() => path,
        _ => origin,
    };
    let path = Path::new(path);
    path.is_absolute().then(|| path.to_owned())
}

fn as_twin(base: NewSource, twin: Source) -> NewSource {
    NewSource {
        kind: twin.kind,
        title: twin.title,
        date: twin.date,
        language: twin.language,
        notes: twin.notes,
        known_text: twin.text_sha256,
        ..base
    }
}

fn failed(base: NewSource, reason: String) -> NewSource {
    NewSource {
        kind: "unknown".to_owned(),
        error: Some(reason),
        ..base
    }
}

fn outcome(put: Option<&Put>) -> Outcome {
    match put.map(|put| put.outcome) {
        Some(PutOutcome::Added) => Outcome::Added,
        Some(PutOutcome::Changed) => Outcome::Changed,
        Some(PutOutcome::Unchanged) | None => Outcome::Unchanged,
    }
}

impl Summary {
    /// With what another import did.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            changed: self.changed + other.changed,
            unchanged: self.unchanged + other.unchanged,
            passed_over: self.passed_over + other.passed_over,
            failed: self.failed + other.failed,
            gone: self.gone + other.gone,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Counts one more.
    pub fn count(&mut self, outcome: Outcome, bytes: u64) {
        *match outcome {
            Outcome::Added => &mut self.added,
            Outcome::Changed => &mut self.changed,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::PassedOver => &mut self.passed_over,
            Outcome::Failed => &mut self.failed,
            Outcome::Gone => &mut self.gone,
        } += 1;
        self.bytes += bytes;
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since 1970, as files tell it.
fn modified_ms(metadata: &std::fs::Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
