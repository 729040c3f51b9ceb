//! The search index of a store: words and vectors of every passage. A cache: it holds nothing that the store does not
//! have, so its folder can be deleted at any time and `sync` makes it anew. One program writes at a time (a lock file);
//! any number read, each from the last commit.

mod commit;
mod dense;
mod rows;
mod sync;
mod terms;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use candor_kernels::team::Team;

use crate::TruthError;
use rows::{Row, Snapshot};
pub use sync::{SyncProgress, Synced};
use terms::Terms;

/// A set of texts by their numbers.
#[derive(Debug, Default)]
pub(crate) struct TextSet(Vec<u64>);

impl TextSet {
    pub(crate) fn new(ids: impl IntoIterator<Item = i64>) -> Self {
        let mut bits = Vec::new();
        for id in ids.into_iter().filter_map(|id| usize::try_from(id).ok()) {
            if bits.len() <= id / 64 {
                bits.resize(id / 64 + 1, 0);
            }
            bits[id / 64] |= 1 << (id % 64);
        }
        Self(bits)
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        let word = usize::try_from(id / 64).ok().and_then(|at| self.0.get(at));
        word.is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

/// How much is in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Passages.
    pub passages: usize,
    /// Passages that have a vector.
    pub vectors: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The index in a folder.
pub struct Index {
    folder: PathBuf,
    terms: Terms,
    snapshot: RwLock<Arc<Snapshot>>,
    team: Team,
}

impl Index {
    /// Opens the index in `folder`, which is made where it is not there; `threads` compute when vectors are compared.
    /// One that is damaged or of another version is made anew.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn open(folder: impl Into<PathBuf>, threads: usize) -> Result<Self, TruthError> {
        let folder = folder.into();
        let terms = match Self::terms(&folder) {
            Ok(terms) => terms,
            Err(TruthError::Index { message, .. }) => {
                tracing::warn!("the search index is made anew: {message}");
                let lock = write::lock(&folder)?;
                // Another program may have done it while this one waited.
                match Self::terms(&folder) {
                    Ok(terms) => terms,
                    Err(_) => {
                        wipe(&folder)?;
                        let terms = Self::terms(&folder);
                        drop(lock);
                        terms?
                    }
                }
            }
            Err(error) => return Err(error),
        };
        let index = Self {
            folder,
            terms,
            snapshot: RwLock::default(),
            team: Team::new(threads),
        };
        index.refresh()?;
        Ok(index)
    }

    fn terms(folder: &Path) -> Result<Terms, TruthError> {
        let inner = folder.join("terms");
        std::fs::create_dir_all(&inner).map_err(|error| TruthError::file(&inner, &error))?;
        let damaged = |message: String| TruthError::Index {
            path: folder.to_owned(),
            message,
        };
        let terms = Terms::open(&inner).map_err(|error| damaged(error.to_string()))?;
        if let Some(commit) = terms.commit().map_err(|error| damaged(error.to_string()))? {
            if commit.format != commit::FORMAT {
                return Err(damaged("it was made by another version".to_owned()));
            }
            Snapshot::load(folder, commit, &Snapshot::default()).map_err(|error| damaged(error.to_string()))?;
        }
        Ok(terms)
    }

    /// Sees what another program has committed.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn refresh(&self) -> Result<(), TruthError> {
        for last in [false, true] {
            let commit = self.tantivy(self.terms.commit())?.unwrap_or_default();
            let now = self.snapshot();
            if commit == now.commit {
                return Ok(());
            }
            match Snapshot::load(&self.folder, commit, &now) {
                Ok(snapshot) => {
                    self.tantivy(self.terms.reload())?;
                    *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
                    return Ok(());
                }
                // Its files went with the commit after it, which is there by now.
                Err(error) if last => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The `limit` passages whose words are nearest to those of `question`, best first.
    pub(crate) fn by_words(
        &self,
        question: &str,
        limit: usize,
        allowed: Option<&Arc<TextSet>>,
    ) -> Result<Vec<(usize, f32)>, TruthError> {
        let rows = self.snapshot().commit.rows;
        let mut found = self.tantivy(self.terms.best(question, limit, allowed))?;
        // A commit may have come between the snapshot and the terms.
        found.retain(|(row, _)| *row < rows);
        Ok(found)
    }

    /// The `limit` passages whose vectors are nearest to `vector`, best first.
    pub(crate) fn by_meaning(&self, vector: &[f32], limit: usize, allowed: Option<&Arc<TextSet>>) -> Vec<(usize, f32)> {
        dense::nearest(&self.snapshot(), vector, limit, allowed.map(Arc::as_ref), &self.team)
    }

    pub(crate) fn row(&self, row: usize) -> Option<Row> {
        self.snapshot().row(row)
    }

    /// The model that made the vectors, where there are some.
    pub(crate) fn model(&self) -> String {
        self.snapshot().commit.model.clone()
    }

    /// How much is in it.
    pub fn size(&self) -> Size {
        let commit = &self.snapshot().commit;
        Size {
            passages: commit.rows,
            vectors: commit.vectors,
            bytes: folder_bytes(&self.folder),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tantivy<T>(&self, result: tantivy::Result<T>) -> Result<T, TruthError> {
        result.map_err(|error| match error {
            tantivy::TantivyError::IoError(error) => TruthError::file(&self.folder, &error),
            other => TruthError::Index {
                path: self.folder.clone(),
                message: other.to_string(),
            },
        })
    }
}

/// Deletes all of an index but its lock, which its caller holds.
fn wipe(folder: &Path) -> Result<(), TruthError> {
    let entries = std::fs::read_dir(folder).map_err(|error| TruthError::file(folder, &error))?;
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Only what an index is made of: a folder that was named by mistake keeps the rest.
        let done = if name == "terms" {
            std::fs::remove_dir_all(&path)
        } else if name.starts_with("passages.") || name.starts_with("vectors.") {
            std::fs::remove_file(&path)
        } else {
            Ok(())
        };
        done.map_err(|error| TruthError::file(&path, &error))?;
    }
    Ok(())
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
