//! Where models come from: the catalog file, the Hugging Face hub, Python packages, URLs and paths; checked, resumable downloads.
//!
//! A caller loads the [`Catalog`], picks an [`Entry`] and calls [`pull()`]; later [`find()`] turns a name or a path into
//! the file or folder that the engine opens. This crate never looks inside a model beyond its hash, and never runs
//! what it downloads.

mod cached;
mod caches;
mod catalog;
mod download;
mod entry;
mod environment;
mod error;
mod find;
mod http;
mod hub;
mod hub_name;
mod package;
mod progress;
mod pull;
mod size;
mod state;
mod store;
mod wheel;

pub use cached::{Cached, cached};
#[doc(hidden)]
pub use caches::{commit_name, ollama_digest};
pub use caches::{hub_snapshot, ollama_blob};
pub use catalog::Catalog;
pub use entry::{Entry, FileSpec, Kind, Member, Package, Source};
pub use environment::{Environment, default_models_dir};
pub use error::Error;
pub use find::{Found, Origin, find};
pub use hub::{download_size, hub_answers};
pub use progress::{Event, Progress, Silent};
pub use pull::{Patience, PullOptions, PulledModel, pull};
pub use size::Bytes;
pub use store::{Installed, StoredFile, installed, remove};
pub use wheel::copy_member;
