//! What the engine needs of a tokenizer and of a chat template, and no more. The model's own ones fit in here, and so
//! do the toys of the tests.

use serde_json::Value;

/// Text to tokens and back.
pub trait Lexicon: Send + Sync {
    /// Tokens of `text`. `special`: special tokens written out in it become these tokens.
    fn encode(&self, text: &str, special: bool) -> Vec<u32>;
    /// A plain text's tokens with those that the model's own rule puts before and after them (such as BOS).
    fn framed(&self, ids: Vec<u32>) -> Vec<u32>;
    /// Tokens that end an answer.
    fn ends(&self) -> &[u32];
    /// The one of them that the model's file names first.
    fn end(&self) -> Option<u32> {
        self.ends().first().copied()
    }
    /// The bytes of a token; empty for ids that have none.
    fn bytes(&self, id: u32) -> &[u8];
    /// The text of `ids` as a whole: without the space that some tokenizers put before every text.
    fn decode(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|id| self.bytes(*id)).copied().collect()
    }
    /// Whether the token steers the model and is no part of the text.
    fn is_special(&self, id: u32) -> bool;
    /// Number of tokens.
    fn vocab(&self) -> usize;
    /// Bytes of the longest token.
    fn longest(&self) -> usize {
        (0..self.vocab() as u32)
            .map(|id| self.bytes(id).len())
            .max()
            .unwrap_or(1)
            .max(1)
    }
}

/// A conversation as the prompt that the model was trained on.
pub trait Template: Send + Sync {
    /// Renders messages (an array of objects) and tools.
    ///
    /// # Errors
    /// With what the template says is wrong.
    fn render(&self, messages: &Value, tools: Option<&Value>, add_generation_prompt: bool) -> Result<String, String>;
    /// The template's source, which shows the tool-call format that it expects.
    fn source(&self) -> &str;
}
