//! The seam between a model that makes embeddings and whoever asks for them.

use candor_kernels::team::Team;

/// A model that turns a text into one vector.
pub trait Encoder: Send + Sync {
    /// Width of the vectors.
    fn dim(&self) -> usize;
    /// Number of tokens in the vocabulary.
    fn vocab(&self) -> usize;
    /// The longest text in tokens, its frame included.
    fn max_tokens(&self) -> usize;
    /// The last layer's output of each text's tokens, `[tokens, dim]` each. `kinds` are the segments that the tokens belong
    /// to, one list per text; a text without a list, and a token behind its list's end, belong to the first.
    ///
    /// # Panics
    /// If a token is not below `vocab`, or a text is longer than `max_tokens`.
    fn hidden(&self, team: &Team, texts: &[Vec<u32>], kinds: &[Vec<u8>]) -> Vec<Vec<f32>>;
    /// One vector of length 1 per text.
    ///
    /// # Panics
    /// As `hidden`.
    fn embed(&self, team: &Team, texts: &[Vec<u32>]) -> Vec<Vec<f32>>;
}
