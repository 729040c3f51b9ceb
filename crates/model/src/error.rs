//! What can be wrong with a model, as sentences for the person who must act.

use std::path::Path;

/// Errors of reading or running a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read as what it says it is.
    #[error("{file}: {what}")]
    File {
        /// The file.
        file: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// Memory that cannot be had.
    #[error("{0}")]
    Memory(String),
    /// A template that fails.
    #[error("the chat template failed: {0}")]
    Template(String),
}

impl Error {
    /// An error about the file at `path`.
    pub fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File {
            file: path.display().to_string(),
            what: what.into(),
        }
    }
}
