//! Paged key/value memory.

/// Keys and values of every layer, in pages.
#[derive(Debug)]
pub struct KvPages;
