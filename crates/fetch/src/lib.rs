//! A guarded client for addresses that people or documents give: it asks only hosts of the public internet (or also local
//! ones, where a person said so), and connects to the very address that it checked, at every redirect.
//!
//! This crate knows no other room and keeps nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod address;
mod client;
mod error;
mod names;
mod reach;

pub use address::Address;
pub use client::{Answer, Client, Fetched, Limits, Seen};
pub use error::FetchError;
pub use names::{Names, SystemNames};
pub use reach::{Network, Reach, network};
