//! The crate from outside: real documents, hostile ones, any bytes, and children that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

mod children;
mod documents;
mod hostile;
mod made;
mod properties;
mod sound;
