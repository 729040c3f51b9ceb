//! Writing an index: passages, words and vectors are added, then committed in one step. Nothing that was not committed
//! survives, and nothing that was is ever changed.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tantivy::IndexWriter;

use super::commit::Commit;
use super::rows::{self, Row, Snapshot};
use super::{Index, TextSet, dense, terms};
use crate::TruthError;

/// The one writer of an index.
pub(super) struct Writer {
    index: Arc<Index>,
    terms: IndexWriter,
    passages: BufWriter<File>,
    vectors: BufWriter<File>,
    pub(super) commit: Commit,
    /// Released when the writer goes.
    _lock: File,
}

/// Waits until no other program writes to the index in `folder`.
pub(super) fn lock(folder: &Path) -> Result<File, TruthError> {
    let path = folder.join("lock");
    let open = OpenOptions::new().create(true).append(true).open(&path);
    let file = open.map_err(|error| TruthError::file(&path, &error))?;
    file.lock().map_err(|error| TruthError::file(&path, &error))?;
    Ok(file)
}

impl Writer {
    /// Waits for its turn. What an earlier writer left uncommitted is cut off.
    pub(super) fn open(index: Arc<Index>) -> Result<Self, TruthError> {
        let lock = lock(&index.folder)?;
        let commit = index.tantivy(index.terms.commit())?;
        let commit = commit.unwrap_or_else(|| Commit::new(new_generation()));
        let terms = index.tantivy(index.terms.writer())?;
        let (passages, vectors) = files(&index.folder, &commit)?;
        Ok(Self {
            index,
            terms,
            passages,
            vectors,
            commit,
            _lock: lock,
        })
    }

    /// Adds a passage; `words` is what it is found by.
    pub(super) fn add(&mut self, text: i64, range: &Range<usize>, words: &str) -> Result<(), TruthError> {
        let text = text.unsigned_abs();
        let document = terms::document(self.index.terms.fields(), self.commit.rows, text, words);
        self.index.tantivy(self.terms.add_document(document))?;
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let row = Row {
            text,
            start: offset(range.start),
            end: offset(range.end),
        };
        self.passages
            .write_all(&row.bytes())
            .map_err(|error| self.file(&error))?;
        self.commit.rows += 1;
        Ok(())
    }

    /// Adds the vectors of the first passages that have none.
    pub(super) fn add_vectors(&mut self, vectors: &[Vec<f32>]) -> Result<(), TruthError> {
        let mut values = Vec::new();
        for vector in vectors {
            if self.commit.dim == 0 {
                self.commit.dim = vector.len();
            }
            values.clear();
            let scale = dense::quantize(vector, &mut values);
            values.resize(self.commit.dim, 0);
            let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
            let written = self.vectors.write_all(&scale.to_le_bytes());
            written
                .and_then(|()| self.vectors.write_all(&bytes))
                .map_err(|error| self.file(&error))?;
            self.commit.vectors += 1;
        }
        Ok(())
    }

    /// From now on the vectors are `model`'s; those of another one go.
    pub(super) fn use_model(&mut self, model: &str) -> Result<(), TruthError> {
        if self.commit.model == model {
            return Ok(());
        }
        self.commit.model = model.to_owned();
        (self.commit.vectors, self.commit.dim) = (0, 0);
        // The old vectors are overwritten only after the commit that disowns them.
        self.commit()?;
        (self.passages, self.vectors) = files(&self.index.folder, &self.commit)?;
        Ok(())
    }

    /// Makes what was added permanent and visible.
    pub(super) fn commit(&mut self) -> Result<(), TruthError> {
        let flushed = sync(&mut self.passages).and_then(|()| sync(&mut self.vectors));
        flushed.map_err(|error| self.file(&error))?;
        let payload = serde_json::to_string(&self.commit).unwrap_or_default();
        let committed = self.terms.prepare_commit().and_then(|mut prepared| {
            prepared.set_payload(&payload);
            prepared.commit()
        });
        self.index.tantivy(committed)?;
        self.index.refresh()
    }

    /// Starts a new generation without any passage; the vectors of living ones are carried over as they are added.
    pub(super) fn restart(&mut self) -> Result<Snapshot, TruthError> {
        let old = Snapshot::load(&self.index.folder, self.commit.clone(), &self.index.snapshot())?;
        self.commit = Commit {
            model: self.commit.model.clone(),
            dim: self.commit.dim,
            ..Commit::new(new_generation())
        };
        self.index.tantivy(self.terms.delete_all_documents())?;
        (self.passages, self.vectors) = files(&self.index.folder, &self.commit)?;
        Ok(old)
    }

    /// Carries over a passage of an earlier generation with its vector.
    pub(super) fn carry(&mut self, old: &Snapshot, row: usize, words: &str) -> Result<(), TruthError> {
        let Some(passage) = old.row(row) else { return Ok(()) };
        let range = passage.start as usize..passage.end as usize;
        self.add(i64::try_from(passage.text).unwrap_or(i64::MAX), &range, words)?;
        let (block, at) = (&old.blocks[row / rows::BLOCK], row % rows::BLOCK);
        if let Some(scale) = block
            .scales
            .get(at)
            .filter(|_| self.commit.vectors + 1 == self.commit.rows)
        {
            let values = &block.values[at * self.commit.dim..][..self.commit.dim];
            let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
            let written = self.vectors.write_all(&scale.to_le_bytes());
            written
                .and_then(|()| self.vectors.write_all(&bytes))
                .map_err(|error| self.file(&error))?;
            self.commit.vectors += 1;
        }
        Ok(())
    }

    /// Removes files of other generations.
    pub(super) fn tidy(&self) {
        let generation = format!(".{}", self.commit.generation);
        let entries = std::fs::read_dir(&self.index.folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if (name.starts_with("passages.") || name.starts_with("vectors.")) && !name.ends_with(&generation) {
                // What cannot be removed now is removed next time.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Passages that were added since the last commit.
    pub(super) fn uncommitted(&self) -> usize {
        self.commit.rows - self.index.snapshot().commit.rows.min(self.commit.rows)
    }

    /// The first committed passages that have no vector.
    pub(super) fn without_vector(&self, most: usize) -> Result<Vec<Row>, TruthError> {
        self.index.refresh()?;
        let snapshot = self.index.snapshot();
        let rows = self.commit.vectors..snapshot.commit.rows.min(self.commit.vectors + most);
        Ok(rows.filter_map(|row| snapshot.row(row)).collect())
    }

    /// Committed passages of texts that are not `living`.
    pub(super) fn dead(&self, living: &TextSet) -> usize {
        let snapshot = self.index.snapshot();
        let rows = snapshot.blocks.iter().flat_map(|block| &block.rows);
        rows.filter(|row| !living.contains(row.text)).count()
    }

    /// Lets merges of words finish.
    pub(super) fn close(self) -> Result<(), TruthError> {
        let merged = self.terms.wait_merging_threads();
        self.index.tantivy(merged)
    }

    fn file(&self, error: &std::io::Error) -> TruthError {
        TruthError::file(&self.index.folder, error)
    }
}

/// The files of a generation, cut to what is committed.
fn files(folder: &Path, commit: &Commit) -> Result<(BufWriter<File>, BufWriter<File>), TruthError> {
    let open = |path: std::path::PathBuf, len: usize| {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.and_then(|mut file| {
            file.set_len(len as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        file.map(BufWriter::new)
            .map_err(|error| TruthError::file(&path, &error))
    };
    Ok((
        open(rows::passages(folder, &commit.generation), commit.rows * 16)?,
        open(
            rows::vectors_file(folder, &commit.generation),
            commit.vectors * (commit.dim + 4),
        )?,
    ))
}

fn sync(file: &mut BufWriter<File>) -> std::io::Result<()> {
    file.flush()?;
    file.get_ref().sync_data()
}

/// A name that no earlier generation had.
fn new_generation() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{:x}", since.map_or(0, |since| since.as_nanos()))
}
