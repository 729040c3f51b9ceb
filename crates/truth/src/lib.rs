//! Sources to passages to evidence: what is imported, how it is found, and quotes that equal their source by construction.
//! Knows the store, `extract`, the engine's embeddings and the kernels; knows no HTTP.

pub mod answer;
pub mod check;
mod embedder;
mod encoders;
mod error;
pub mod index;
pub mod ingest;
mod intake;
mod language;
mod originals;
mod passages;
mod quote;
pub mod reading;
pub mod receipt;
pub mod rerank;
mod retrieve;
mod scoring;
mod seen;
mod sentences;
pub mod shown;
pub mod standing;
mod words;

pub use answer::{Answer, Answerer, Question};
pub use candor_fetch::Address;
pub use check::{Checked, Checker, Verdict};
pub use embedder::{Embedder, EmbedderSlot};
pub use encoders::Encoders;
pub use error::TruthError;
pub use index::{Index, SyncProgress, Synced};
pub use intake::Intake;
pub use language::language;
pub use originals::{Arriving, NoOriginal};
pub use passages::{Heading, Layout, passages};
pub use quote::{Evidence, Quote};
pub use reading::{Document, Input, PlainText, ReadError, Reader};
pub use retrieve::{Found, Library, Query, Scores, Stages};
pub use seen::Seen;
pub use sentences::{Sentence, sentences};
pub use words::words;
