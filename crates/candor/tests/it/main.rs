//! The program from outside: what it prints, where, and with which exit status.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

mod asking;
mod bad_input;
mod bench;
mod config;
mod extracting;
mod help;
mod meaning;
mod models;
mod pipes;
mod program;
mod quantizing;
mod serving;
mod sources;
mod web;
