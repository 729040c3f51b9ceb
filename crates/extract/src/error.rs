//! Why a document gives no text: sentences for the person who added it. They cross the pipe from the child, so they serialize.

use serde::{Deserialize, Serialize};

/// Why there is no text, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExtractError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A password is needed, and none was given.
    #[error("this {what} is encrypted; open it with its password and save a copy without one, or give the password")]
    Encrypted {
        /// What kind of document.
        what: String,
    },
    /// The password given does not open it.
    #[error("the password does not open this {what}; check it and try again")]
    WrongPassword {
        /// What kind of document.
        what: String,
    },
    /// Not a whole file of its kind.
    #[error("this {what} is broken: {why}; get the file again or save it anew from the program that made it")]
    Broken {
        /// What kind of document.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Readable, but there are no words.
    #[error("this {what} holds no text: {why}")]
    NoText {
        /// What kind of document.
        what: String,
        /// Pictures, blank pages, ….
        why: String,
    },
    /// More than a limit allows.
    #[error("{what} is too large: {why}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The size, the limit, and what to do.
        why: String,
    },
    /// A kind of file that is not read.
    #[error("{what} cannot be read as a document; {hint}")]
    Unsupported {
        /// What it is.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Too much time.
    #[error(
        "reading this document took longer than {seconds} seconds and was stopped; split it, or save it in a simpler format"
    )]
    TookTooLong {
        /// The limit that was hit.
        seconds: u64,
    },
    /// Too much memory.
    #[error(
        "reading this document needs more than {megabytes} MB of memory and was stopped; split it, or save it in a simpler format"
    )]
    OutOfMemory {
        /// The limit that was hit.
        megabytes: u64,
    },
    /// The reader itself fell over; a bug of ours or of a library, contained in the child.
    #[error(
        "the reader for this document failed ({how}); nothing else is affected; save it in another format, such as PDF or text, and try that"
    )]
    ReaderFailed {
        /// How it ended.
        how: String,
    },
    /// The child could not be started or spoken to.
    #[error("documents cannot be read here: {why}")]
    NoReader {
        /// What went wrong.
        why: String,
    },
    /// The bytes could not be read.
    #[error("the document cannot be read: {why}")]
    Unreadable {
        /// What the system said.
        why: String,
    },
}

impl ExtractError {
    pub(crate) fn broken(what: &str, why: impl Into<String>) -> Self {
        Self::Broken {
            what: what.into(),
            why: why.into(),
        }
    }

    pub(crate) fn no_text(what: &str, why: impl Into<String>) -> Self {
        Self::NoText {
            what: what.into(),
            why: why.into(),
        }
    }

    pub(crate) fn too_large(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::TooLarge {
            what: what.into(),
            why: why.into(),
        }
    }
}
