//! The models that this server offers, by name. A stand-in with the same shape until the engine's own registry (lazy
//! loading, memory budget) takes its place.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use candor_engine::{EngineError, Generator};

/// Models by name.
#[derive(Default)]
pub struct Models {
    entries: RwLock<BTreeMap<String, Arc<dyn Generator>>>,
}

impl Models {
    /// No models.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers `generator` under `name`.
    pub fn insert(&self, name: impl Into<String>, generator: Arc<dyn Generator>) {
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into(), generator);
    }

    /// Names of the models on offer.
    pub fn list(&self) -> Vec<String> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// The model of this name, loaded.
    ///
    /// # Errors
    /// `NoModel`, naming the models there are.
    pub async fn get(&self, name: &str) -> Result<Arc<dyn Generator>, EngineError> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).cloned().ok_or_else(|| EngineError::NoModel {
            name: name.chars().take(100).collect(),
            available: entries.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}
