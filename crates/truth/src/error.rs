//! What can go wrong with sources and their index, as sentences for the person who must act.

use std::path::{Path, PathBuf};

use candor_engine::EngineError;
use candor_fetch::FetchError;
use candor_store::StoreError;

/// Errors of the truth layer.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model said no.
    #[error("the model failed: {0}")]
    Engine(#[from] EngineError),
    /// A web source cannot be fetched.
    #[error(transparent)]
    Web(#[from] FetchError),
    /// A file of the index or a source cannot be read or written.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// The disk is full.
    #[error("the disk that holds {path} is full, so this was not saved; free some space and try again")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The index is damaged.
    #[error("the search index in {path} is damaged ({message}); delete that folder, it is made anew from the store")]
    Index {
        /// The folder.
        path: PathBuf,
        /// What the index says.
        message: String,
    },
    /// A quote that is not in its source.
    #[error("a quote does not equal the bytes {start}..{end} of its source and was held back")]
    NotAQuote {
        /// Where it would begin.
        start: usize,
        /// Where it would end.
        end: usize,
    },
    /// The weights that come with the program are damaged.
    #[error("{0}")]
    Weights(String),
    /// A model that was asked for a verdict said something else.
    #[error("it answered with none of the words that it was given")]
    NoVerdict,
    /// Work on another thread did not come back.
    #[error("work on the index was cut off: {0}; run the command again, it goes on where it was")]
    CutOff(String),
}

impl TruthError {
    /// Gives an input or output error its file.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let message = match error.kind() {
            Kind::NotFound => "there is no such file; check the path".to_owned(),
            Kind::PermissionDenied => "it may not be read or written; change its permissions".to_owned(),
            Kind::StorageFull | Kind::QuotaExceeded => return Self::Full { path: path.to_owned() },
            _ => format!("it cannot be read or written ({error})"),
        };
        Self::File {
            path: path.to_owned(),
            message,
        }
    }
}

/// Runs work that takes time on a thread where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TruthError> + Send + 'static,
) -> Result<T, TruthError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(TruthError::CutOff(error.to_string())),
    }
}
