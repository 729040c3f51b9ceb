//! What an index has: written with each commit of the terms, which is what makes a commit one step. Files beside it may
//! hold more than this says, never less.

use serde::{Deserialize, Serialize};

/// Changes when passages, words or files are made in another way: an index of another format is made anew.
pub(super) const FORMAT: u32 = 1;

/// What is in an index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    /// See [`FORMAT`].
    pub(super) format: u32,
    /// Names the files; another one after each compaction.
    pub(super) generation: String,
    /// Passages.
    pub(super) rows: usize,
    /// All texts up to this number are in it,
    pub(super) text: i64,
    /// and so many passages of the next one.
    pub(super) part: usize,
    /// Passages with a vector: the first so many.
    pub(super) vectors: usize,
    /// Width of a vector; 0 while there are none.
    pub(super) dim: usize,
    /// The model that made them.
    pub(super) model: String,
}

impl Commit {
    pub(super) fn new(generation: String) -> Self {
        Self {
            format: FORMAT,
            generation,
            ..Self::default()
        }
    }
}
