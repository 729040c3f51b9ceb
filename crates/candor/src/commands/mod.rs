//! One file per command: its options, its help, and what it does with the other crates.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod man;
