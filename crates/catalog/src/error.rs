//! What can go wrong while getting models, each as a sentence for the person who must act.

use std::path::PathBuf;

use crate::size::Bytes;

/// A failure to read the catalog, to get a model or to find one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A catalog file is not valid TOML, or has a key or value of the wrong kind.
    #[error("{file}, line {line}: {reason}; correct the file, or move it away to go on with the built-in catalog")]
    Syntax {
        /// The catalog file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A catalog entry reads well but does not make sense.
    #[error("{file}, line {line}: model `{name}` {reason}")]
    Entry {
        /// The catalog file.
        file: String,
        /// The line where the entry begins, counted from 1.
        line: usize,
        /// The entry.
        name: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// Nothing in the catalog, the store or the caches has this name.
    #[error(
        "no model is called `{name}`{hint}; `candor models` lists the ones there are, and a path to a .gguf file works too"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// `""` or a nearby name, as a clause.
        hint: String,
    },
    /// The catalog has the model but it is not on this machine.
    #[error("`{name}` is not on this machine yet; `candor pull {name}` gets it{}", in_brackets(.size))]
    NotPulled {
        /// The catalog name.
        name: String,
        /// The size of the download; 0 where nobody has said it yet.
        size: Bytes,
    },
    /// A download that the catalog does not know was stopped.
    #[error(
        "only a part of `{name}` is on this machine; the same `candor pull` as before goes on with it, `candor rm {name}` removes it"
    )]
    Unfinished {
        /// Its name in the models folder.
        name: String,
    },
    /// A name that must never become part of a path or URL.
    #[error(
        "`{name}` cannot be {what}: use letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most {limit} characters"
    )]
    BadName {
        /// The name, shortened.
        name: String,
        /// "a model name", "a file name", ...
        what: &'static str,
        /// The longest that would do.
        limit: usize,
    },
    /// A path that was given does not exist or holds no model.
    #[error("{path}: {reason}")]
    BadPath {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused something with a file.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// "write", "read", ...
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// There is too little room before anything is downloaded.
    #[error("{needs} are needed in {dir} and {free} are free; free some space, or set another data directory")]
    NoSpace {
        /// The models folder.
        dir: PathBuf,
        /// What the download needs.
        needs: Bytes,
        /// What the disk has.
        free: Bytes,
    },
    /// The disk filled up on the way.
    #[error(
        "the disk that holds {path} is full after {done}; what was downloaded is kept: free some space and run the same command again, and it goes on from there"
    )]
    DiskFull {
        /// The partial file.
        path: PathBuf,
        /// How much of it is there.
        done: Bytes,
    },
    /// Another process is getting the same model.
    #[error("another process is already getting `{name}`; wait for it, or stop it and try again")]
    Busy {
        /// The model.
        name: String,
    },
    /// No source gave the model. Holds one line per source.
    #[error("`{name}` could not be downloaded:\n{}", lines(.reasons))]
    NoSource {
        /// The model.
        name: String,
        /// Source and reason, in the order tried.
        reasons: Vec<(String, String)>,
    },
    /// One source failed; the next is tried. Only seen inside [`Error::NoSource`] and events.
    #[error("{0}")]
    Source(String),
    /// The HTTP client could not be set up at all.
    #[error("the HTTP client could not start: {0}")]
    Client(String),
}

impl Error {
    /// Wraps an I/O error with what was being done.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// Whether trying the next source cannot help: the trouble is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        matches!(
            self,
            Self::NoSpace { .. } | Self::DiskFull { .. } | Self::Busy { .. } | Self::File { .. } | Self::BadName { .. }
        )
    }
}

fn in_brackets(size: &Bytes) -> String {
    match size.0 {
        0 => String::new(),
        _ => format!(" ({size})"),
    }
}

fn lines(reasons: &[(String, String)]) -> String {
    if reasons.is_empty() {
        return "  the catalog names no source for it; add one".into();
    }
    reasons
        .iter()
        .map(|(source, reason)| format!("  {source}: {reason}"))
        .collect::<Vec<_>>()
        .join("\n")
}
