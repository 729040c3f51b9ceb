//! What a model is: files, tokenizer, chat template, architectures.

mod arch;
mod decoder;
mod encoder;
mod error;
pub mod gguf;
pub mod hf;
pub mod kv;
pub mod linear;
mod mmap;
mod open;
pub mod pair;
mod params;
pub mod quantize;
pub mod template;
pub mod tokenizer;
pub mod weights;

pub use arch::Kind;
pub use decoder::{Decoder, PAGE_TOKENS, PageId, Segment, Step};
pub use encoder::Encoder;
pub use error::Error;
pub use kv::{Counts, KvFormat, KvPages, KvShape};
pub use linear::{Precision, Work};
pub use open::{Info, LoadOptions, Model};
pub use pair::PairEncoder;
pub use template::ChatTemplate;
pub use tokenizer::Tokenizer;
