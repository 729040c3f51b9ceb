//! Text out of models: requests, scheduler, key/value pages, prefix tree, sampling, constraints; local or upstream.

mod answer;
mod chat;
pub mod constraint;
mod error;
mod generator;
mod lexicon;
mod local;
pub mod memory;
pub mod metric;
pub mod native;
mod near;
mod pace;
mod pages;
mod prefix;
pub mod registry;
mod sampling;
mod scheduler;
mod speculate;
mod stop;
pub mod tools;
#[cfg(test)]
mod toy;
pub mod upstream;
mod verify;
mod worker;

pub use error::EngineError;
pub use generator::*;
pub use lexicon::{Lexicon, Template};
pub use local::{DraftModel, Embedder, EngineOptions, Kind, Local, Parts};
pub use native::from_path;
pub use registry::Models;
pub use speculate::Speculate;
