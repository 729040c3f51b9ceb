//! The seam between a model and whoever schedules it: one step of computation over paged key/value memory.
//!
//! A step carries any mix of prompt chunks and single decode tokens from many sequences. The model knows no request
//! and no scheduler; it reads page tables and computes. Logits of a token depend on its own sequence alone.

use candor_kernels::team::Team;

use crate::kv::KvPages;

/// A page of key/value memory: `PAGE_TOKENS` consecutive positions of one sequence, in every layer.
pub type PageId = u32;

/// Positions per page. Page `p` of a sequence holds positions `p * PAGE_TOKENS ..`.
pub const PAGE_TOKENS: usize = 16;

/// One sequence's share of a step: `len` new tokens that follow `past` tokens already in the cache.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Tokens already in the cache before this step.
    pub past: usize,
    /// New tokens of this sequence in this step (the next `len` entries of `Step::tokens`).
    pub len: usize,
    /// The sequence's page table, long enough for `past + len` positions.
    pub pages: &'a [PageId],
}

/// What one forward pass computes.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Token ids, segment after segment.
    pub tokens: &'a [u32],
    /// The sequences, in the order of their tokens; their `len`s add up to `tokens.len()`.
    pub segments: &'a [Segment<'a>],
    /// Rows of `tokens` (ascending) whose logits are wanted.
    pub wanted: &'a [usize],
}

/// A model that predicts the next token.
pub trait Decoder: Send + Sync {
    /// Number of logits per row.
    fn vocab(&self) -> usize;
    /// The longest context the model was made for, in tokens.
    fn context(&self) -> usize;
    /// Allocates key/value memory of `pages` pages.
    ///
    /// # Errors
    /// If the memory cannot be had.
    fn new_kv(&self, pages: usize) -> Result<KvPages, crate::Error>;
    /// Bytes of key/value memory that one page takes, all layers together.
    fn page_bytes(&self) -> usize;
    /// Runs one step; returns `[wanted.len(), vocab]` row-major logits.
    fn forward(&self, team: &Team, step: &Step<'_>, kv: &mut KvPages) -> Vec<f32>;
}
