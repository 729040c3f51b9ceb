//! How much a document may cost. Everything that a file says about its own size is held against these before memory is taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds on what is read, unpacked, kept and waited for. The defaults take any ordinary document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The largest file that is read whole (dumps of many documents are streamed and may be larger).
    pub input_bytes: u64,
    /// The longest text that is kept of one document; what follows is left out, with a note.
    pub text_bytes: usize,
    /// The child's address space.
    pub memory_bytes: u64,
    /// The child's processor time.
    pub cpu_seconds: u64,
    /// How long a caller waits for the next document before the child is killed.
    pub deadline: Duration,
    /// The most members of a zip package.
    pub members: usize,
    /// The most that one member of a package, or one stream of a PDF, may unpack to.
    pub member_bytes: u64,
    /// The most that all of them may unpack to.
    pub unpacked_bytes: u64,
    /// The deepest nesting of elements.
    pub depth: usize,
    /// The most documents that are taken from one feed or dump.
    pub documents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: 256 << 20,
            text_bytes: 64 << 20,
            memory_bytes: 2 << 30,
            cpu_seconds: 120,
            deadline: Duration::from_secs(120),
            members: 20_000,
            member_bytes: 192 << 20,
            unpacked_bytes: 512 << 20,
            depth: 512,
            documents: usize::MAX,
        }
    }
}
