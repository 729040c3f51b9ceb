//! The engine from outside, with real models.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod embeddings;
mod models;
mod same_bits;
mod text;
