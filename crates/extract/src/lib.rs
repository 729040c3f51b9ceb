//! Documents as text: what a file says, its title, date, headings and pages, and a sentence where it cannot be read.
//!
//! [`Extractor`] starts a child process per document and kills it at its deadline; the child ([`child_main`]) gives up memory,
//! time, files and sockets before it reads a byte. [`extract_here`] does the same work without those walls: for the child, for
//! tests and for fuzzing. What a document is is told by its bytes ([`Kind`]); names only choose between kinds of text.
//!
//! This crate knows no other room, keeps nothing, and speaks to no network.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod child;
mod date;
mod decode;
mod document;
mod error;
mod extractor;
mod feed;
mod html;
mod kind;
mod limits;
mod markdown;
mod office;
mod package;
mod pdf;
mod plain;
mod read;
mod table;
mod text;
mod wiki;
mod xml;

pub use child::child_main;
pub use document::{Extracted, Heading, Kind};
pub use error::ExtractError;
pub use extractor::{Documents, Extractor, Source};
pub use limits::Limits;
pub use read::{Hints, documents_here, extract_here, extract_here_with};
