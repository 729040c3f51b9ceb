//! Outside-in tests of the model crate: one binary.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod at_hand;
mod embed;
mod folder;
mod greedy;
mod hostile;
mod paths;
mod quantize;
mod same_bits;
mod template;
mod tiny;
mod tokenize;
