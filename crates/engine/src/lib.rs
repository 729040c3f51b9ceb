//! Text out of models: requests, scheduler, key/value pages, prefix tree, sampling, constraints; local or upstream.

mod error;
mod generator;

pub use error::EngineError;
pub use generator::*;
