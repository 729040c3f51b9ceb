//! Uploads on their way to being searchable. An upload is on the disk and in the store before it is acknowledged; then
//! one task reads it in the extract child and another brings the index up to date. Both look into the store for what is
//! left to do, so a program that was killed goes on where it was.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candor_store::{NewSource, NewText, NewUpload, Source, StoreError};
use tokio::sync::{Mutex, Notify};

use crate::error::blocking;
use crate::ingest::file_of;
use crate::originals::{Arriving, NoOriginal, Originals, as_read};
use crate::passages::Layout;
use crate::reading::{Document, Input, ReadError, Reader};
use crate::{Library, TruthError, language, standing};

/// Bytes of text of one upload.
const MOST_TEXT: usize = 256 * 1024 * 1024;
/// Time until what failed for a reason of the machine's is tried again.
const AGAIN: Duration = Duration::from_secs(15);
/// Time after which the store is looked at without being told to: another program may have stored an upload.
const LOOK: Duration = Duration::from_secs(60);

/// Takes uploads in. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Intake {
    library: Library,
    reader: Arc<dyn Reader>,
    originals: Originals,
    /// Held while bytes get or lose their owner, so that none are deleted that an upload just came to own.
    owning: Arc<Mutex<()>>,
    to_read: Arc<Notify>,
    to_index: Arc<Notify>,
}

impl Intake {
    /// `folder` keeps the bytes of uploads.
    pub fn new(library: Library, reader: Arc<dyn Reader>, folder: impl Into<PathBuf>) -> Self {
        Self {
            library,
            reader,
            originals: Originals::new(folder.into()),
            owning: Arc::default(),
            to_read: Arc::default(),
            to_index: Arc::default(),
        }
    }

    /// Where uploads go.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// A place for bytes that arrive; `name` must be new and no name from outside.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub async fn begin(&self, name: &str) -> Result<Arriving, TruthError> {
        self.originals.begin(name).await
    }

    /// Takes bytes in that have arrived. When this returns, no crash loses them.
    ///
    /// # Errors
    /// If the disk or the store does not take them.
    pub async fn accept(&self, arrived: Arriving, name: String, purpose: String) -> Result<Source, TruthError> {
        let owning = self.owning.lock().await;
        let (bytes_sha256, size) = self.originals.keep(arrived).await?;
        let upload = NewUpload {
            name,
            purpose,
            bytes_sha256,
            size: i64::try_from(size).unwrap_or(i64::MAX),
        };
        let source = self.library.store.add_upload(upload).await?;
        drop(owning);
        self.to_read.notify_one();
        Ok(source)
    }

    /// Deletes a source, with the bytes of an upload; whether there was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete(&self, id: &str) -> Result<bool, TruthError> {
        let source = match self.library.store.source(id).await {
            Ok(source) => source,
            Err(StoreError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let _owning = self.owning.lock().await;
        let deleted = self.library.store.delete_source(id).await?;
        self.to_index.notify_one();
        if !self.library.store.has_upload_of(&source.bytes_sha256).await? {
            self.originals.remove(&source.bytes_sha256).await?;
        }
        Ok(deleted)
    }

    /// The bytes of an upload.
    ///
    /// # Errors
    /// If they are not there.
    pub async fn original(&self, source: &Source) -> Result<tokio::fs::File, TruthError> {
        let path = self.originals.path(&source.bytes_sha256);
        tokio::fs::File::open(&path)
            .await
            .map_err(|error| TruthError::file(&path, &error))
    }

    /// The very bytes that a source's text was read from, at most `most` of them: those of an upload, or of a file on
    /// this machine that still has them.
    ///
    /// # Errors
    /// If the work was cut off. That there are none is no error: then it is the reason.
    pub async fn as_read(&self, source: &Source, most: u64) -> Result<Result<Vec<u8>, NoOriginal>, TruthError> {
        let kept = self.originals.path(&source.bytes_sha256);
        let upload = self.library.store.file(&source.id).await?.purpose.is_some();
        let own = file_of(source).filter(|_| !upload);
        let files: Vec<PathBuf> = upload.then_some(kept).into_iter().chain(own).collect();
        let sha256 = source.bytes_sha256.clone();
        blocking(move || Ok(as_read(&files, &sha256, most))).await
    }

    /// Reads and indexes whatever comes, until it is dropped.
    pub async fn run(&self) {
        self.clear_away().await;
        tokio::join!(
            keep_on(&self.to_read, Some(LOOK), || self.read_all()),
            keep_on(&self.to_index, None, || self.index())
        );
    }

    /// Reads and indexes what there is, and returns: for tests and programs that end.
    ///
    /// # Errors
    /// If the store or the index cannot be read or written.
    pub async fn catch_up(&self) -> Result<(), TruthError> {
        self.read_all().await?;
        self.index().await
    }

    async fn index(&self) -> Result<(), TruthError> {
        let Library { store, index, embedder } = &self.library;
        // Who keeps no documents needs no model for their vectors.
        let embedder = if store.texts_after(0, 1).await?.is_empty() {
            embedder.get()
        } else {
            embedder.ready().await
        };
        index.sync(store, embedder, &|_| {}).await?;
        standing::recheck(store).await?;
        Ok(())
    }

    /// Says that the store has something new: the index follows, and answers that cite what changed are looked at again.
    pub fn changed(&self) {
        self.to_index.notify_one();
    }

    async fn read_all(&self) -> Result<(), TruthError> {
        loop {
            let waiting = self.library.store.waiting_uploads(16).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            for source in waiting {
                self.read(source).await?;
                self.to_index.notify_one();
            }
        }
    }

    async fn read(&self, source: Source) -> Result<(), TruthError> {
        let base = NewSource {
            name: source.name.clone(),
            bytes_sha256: source.bytes_sha256.clone(),
            size: source.size,
            ..NewSource::default()
        };
        let (reader, path, name) = (
            Arc::clone(&self.reader),
            self.originals.path(&source.bytes_sha256),
            source.name,
        );
        let read = blocking(move || {
            let Ok(file) = std::fs::File::open(path) else {
                let message = "its bytes are not in the data directory any more; upload it again";
                return Ok(Err(ReadError::Unreadable(message.to_owned())));
            };
            Ok(document(&*reader, file, &name))
        });
        let new = match read.await {
            Ok(Ok(document)) => filled(base, document),
            Ok(Err(error)) => failed(base, &error),
            // The reader broke on this one; the others are read all the same.
            Err(error) => failed(base, &ReadError::Unreadable(format!("reading it broke off ({error})"))),
        };
        let base = NewSource {
            text: None,
            ..new.clone()
        };
        match self.library.store.fill_upload(&source.id, new).await {
            Err(StoreError::Invalid(message)) => {
                let refused = failed(base, &ReadError::Unreadable(message));
                self.library.store.fill_upload(&source.id, refused).await?;
                Ok(())
            }
            done => Ok(done.map(|_| ())?),
        }
    }

    /// Deletes what uploads left behind that were cut off.
    async fn clear_away(&self) {
        for (path, hash) in self.originals.old() {
            let _owning = self.owning.lock().await;
            let owned = match &hash {
                Some(hash) => self.library.store.has_upload_of(hash).await.unwrap_or(true),
                None => false,
            };
            if !owned && let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::warn!(%error, "a file that an upload left behind cannot be deleted");
            }
        }
    }
}

/// Works now, whenever it is told to, and every so often; what fails is tried again after a while.
async fn keep_on<Work: Future<Output = Result<(), TruthError>>>(
    told: &Notify,
    every: Option<Duration>,
    work: impl Fn() -> Work,
) {
    loop {
        let pause = match work().await {
            Ok(()) => every,
            Err(error) => {
                tracing::warn!(%error, "uploads wait to be searchable and are tried again");
                Some(AGAIN)
            }
        };
        match pause {
            Some(pause) => drop(tokio::time::timeout(pause, told.notified()).await),
            None => told.notified().await,
        }
    }
}

/// A file's one document; those of a feed or dump one after the other, each under its title.
fn document(reader: &dyn Reader, file: std::fs::File, name: &str) -> Result<Document, ReadError> {
    let mut all: Option<Document> = None;
    let mut count = 0;
    let mut too_long = false;
    let read = reader.read(Input::File(file), name, &mut |document| {
        count += 1;
        match &mut all {
            None => all = Some(document),
            Some(all) => {
                if count == 2 {
                    begin(all);
                }
                too_long = all.text.len() + document.text.len() > MOST_TEXT;
                if !too_long {
                    append(all, document);
                }
            }
        }
        !too_long
    });
    if too_long {
        let message = format!(
            "its documents have more than {MOST_TEXT} bytes of text together; import it with `candor sources add`, which keeps them apart, or split it"
        );
        return Err(ReadError::Unreadable(message));
    }
    match (read, all) {
        (Ok(()), Some(all)) => Ok(all),
        (Ok(()), None) => Err(ReadError::Unreadable("there is no document in it".to_owned())),
        (Err(error), Some(mut all)) => {
            all.notes.push(format!("only a part of it could be read: {error}"));
            Ok(all)
        }
        (Err(error), None) => Err(error),
    }
}

/// Makes the first of several documents the beginning of all.
fn begin(all: &mut Document) {
    let first = std::mem::take(all);
    all.kind.clone_from(&first.kind);
    append(all, first);
}

/// Puts a document behind the others, its title as a heading above its own.
fn append(all: &mut Document, document: Document) {
    if !all.text.is_empty() {
        all.text.push_str("\n\n");
    }
    if let Some(title) = document.title.filter(|title| !title.trim().is_empty()) {
        let start = all.text.len();
        all.text.push_str(title.trim());
        all.layout.headings.push(crate::Heading {
            level: 1,
            start,
            end: all.text.len(),
        });
        all.text.push_str("\n\n");
    }
    let start = all.text.len();
    all.text.push_str(&document.text);
    let headings = document.layout.headings.into_iter().map(|one| crate::Heading {
        level: one.level.saturating_add(1).min(6),
        start: start + one.start,
        end: start + one.end,
    });
    all.layout.headings.extend(headings);
    for note in document.notes {
        if all.notes.len() < 20 && !all.notes.contains(&note) {
            all.notes.push(note);
        }
    }
}

fn filled(base: NewSource, document: Document) -> NewSource {
    let layout = Layout {
        title: document.layout.title.or_else(|| document.title.clone()),
        ..document.layout
    };
    NewSource {
        kind: document.kind,
        language: language(&document.text).map(str::to_owned),
        title: document.title,
        date: document.date,
        notes: document.notes,
        text: Some(NewText {
            text: document.text,
            layout: serde_json::json!(layout),
        }),
        ..base
    }
}

fn failed(base: NewSource, error: &ReadError) -> NewSource {
    let kind = match error {
        ReadError::NoDocument(_) => "unknown",
        ReadError::Unreadable(_) => "unreadable",
    };
    NewSource {
        kind: kind.to_owned(),
        error: Some(error.to_string()),
        text: None,
        ..base
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Says the lines of a file as documents `title|text`; a line `!` breaks the reading off.
    struct Lines;

    impl Reader for Lines {
        fn read(&self, input: Input, _: &str, each: &mut dyn FnMut(Document) -> bool) -> Result<(), ReadError> {
            let Input::File(mut file) = input else { unreachable!() };
            let mut text = String::new();
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
            for line in text.lines() {
                let Some((title, text)) = line.split_once('|') else {
                    return Err(ReadError::Unreadable("it is broken".into()));
                };
                each(Document {
                    kind: "feed".into(),
                    title: Some(title.into()),
                    text: text.into(),
                    layout: Layout {
                        headings: vec![crate::Heading {
                            level: 1,
                            start: 0,
                            end: 3,
                        }],
                        ..Layout::default()
                    },
                    ..Document::default()
                });
            }
            Ok(())
        }
    }

    fn read(text: &str) -> Result<Document, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feed");
        std::fs::write(&path, text).unwrap();
        document(&Lines, std::fs::File::open(&path).unwrap(), "feed")
    }

    #[test]
    fn documents_of_a_feed_become_one_text_with_their_titles_as_headings() {
        let all = read("News|One day.\nMore|Two days.").unwrap();
        assert_eq!(all.text, "News\n\nOne day.\n\nMore\n\nTwo days.");
        let headings: Vec<_> = all
            .layout
            .headings
            .iter()
            .map(|one| (one.level, &all.text[one.start..one.end]))
            .collect();
        assert_eq!(headings, [(1, "News"), (2, "One"), (1, "More"), (2, "Two")]);
        assert_eq!(read("News|One day.").unwrap().text, "One day.");
    }

    #[test]
    fn what_was_read_before_a_file_broke_is_kept_with_a_note() {
        let all = read("News|One day.\n!").unwrap();
        assert_eq!(all.text, "One day.");
        assert!(all.notes[0].contains("only a part"));
        assert!(read("!").is_err() && read("").is_err());
    }
}
