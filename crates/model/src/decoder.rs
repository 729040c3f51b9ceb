//! The seam between a model and whoever schedules it: one step of computation over paged key/value memory.
//!
//! A step carries any mix of prompt chunks and single decode tokens from many sequences. The model knows no request
//! and no scheduler; it reads page tables and computes. Logits of a token depend on its own sequence alone.

use candor_kernels::team::Team;

use crate::kv::{Counts, KvPages, KvShape};

/// A page of key/value memory: `PAGE_TOKENS` consecutive positions of one sequence, in all far layers or in all near ones.
pub type PageId = u32;

/// Positions per page (page `p` of a sequence holds positions `p * PAGE_TOKENS ..`), and one sequence's share of a step.
pub use candor_kernels::ops::attention::{PAGE_TOKENS, Segment};

/// What one forward pass computes.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Token ids, segment after segment.
    pub tokens: &'a [u32],
    /// The sequences, in the order of their tokens; their `len`s add up to `tokens.len()`.
    pub segments: &'a [Segment<'a>],
    /// The same sequences with their page tables of near layers: pages that lie behind the window of every new token are
    /// not read. The same as `segments` for who keeps everything.
    pub near: &'a [Segment<'a>],
    /// Rows of `tokens` (ascending) whose logits are wanted.
    pub wanted: &'a [usize],
}

/// A model that predicts the next token.
pub trait Decoder: Send + Sync {
    /// Number of logits per row.
    fn vocab(&self) -> usize;
    /// The longest context the model was made for, in tokens.
    fn context(&self) -> usize;
    /// Shape of the key/value memory that this model needs.
    fn kv_shape(&self) -> &KvShape;
    /// Allocates key/value memory of `pages` pages.
    ///
    /// # Errors
    /// If the memory cannot be had.
    fn new_kv(&self, pages: Counts) -> Result<KvPages, crate::Error> {
        KvPages::new(self.kv_shape().clone(), pages)
    }
    /// Runs one step; returns `[wanted.len(), vocab]` row-major logits.
    ///
    /// # Panics
    /// If a token is not below `vocab`, or segments, pages and wanted rows do not fit together.
    fn forward(&self, team: &Team, step: &Step<'_>, kv: &mut KvPages) -> Vec<f32>;
}
