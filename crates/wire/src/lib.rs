//! The OpenAI shapes: what requests and responses look like as JSON. A leaf: it knows nothing of engines or servers.

pub mod candor;
pub mod chat;
pub mod chat_completions;
pub mod completions;
pub mod embeddings;
pub mod error;
pub mod files;
pub mod models;
pub mod options;
pub mod responses;
pub mod tokenize;
pub mod usage;
pub mod vector_stores;
