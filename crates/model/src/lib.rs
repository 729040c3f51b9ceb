//! What a model is: files, tokenizer, chat template, architectures.

mod decoder;
mod error;
pub mod kv;

pub use decoder::{Decoder, PAGE_TOKENS, PageId, Segment, Step};
pub use error::Error;
