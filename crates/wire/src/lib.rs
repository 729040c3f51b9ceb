//! The OpenAI shapes: what requests and responses look like as JSON. A leaf: it knows nothing of engines or servers.

pub mod chat;
pub mod error;
