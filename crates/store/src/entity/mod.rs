//! One file per table, as sea-orm wants them. Nothing outside this crate sees these types.
#![allow(missing_docs, unreachable_pub)]

pub mod address;
pub mod batch;
pub mod batch_source;
pub mod collection;
pub mod collection_source;
pub mod conversation;
pub mod feedback;
pub mod message;
pub mod receipt;
pub mod receipt_cites;
pub mod response;
pub mod setting;
pub mod source;
pub mod source_text;
pub mod text_piece;
pub mod upload;
