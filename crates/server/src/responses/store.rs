//! Where responses are kept, so that `previous_response_id` can go on from them: a small trait, one implementation in
//! memory and one over the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candor_engine::EngineError;
use candor_store::{Store, StoreError};
use candor_wire::responses::{Item, Response};
use serde::{Deserialize, Serialize};

use crate::{ApiError, App};

/// A response with what it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The response.
    pub response: Response,
    /// The request's own input, without that of responses before it.
    pub input: Vec<Item>,
}

/// Keeps responses by their ids.
#[async_trait::async_trait]
pub trait ResponseStore: Send + Sync {
    /// Keeps one; one of the same id is replaced.
    async fn put(&self, stored: &Stored) -> Result<(), ApiError>;
    /// The one of this id.
    async fn get(&self, id: &str) -> Result<Option<Stored>, ApiError>;
    /// Deletes one; whether there was one.
    async fn delete(&self, id: &str) -> Result<bool, ApiError>;
}

/// The store that the server was given.
pub(super) fn of(app: &App) -> Option<Arc<dyn ResponseStore>> {
    if let Some(store) = app.extension::<Arc<dyn ResponseStore>>() {
        return Some(store.clone());
    }
    app.extension::<Store>()
        .map(|store| Arc::new(Database(store.clone())) as Arc<dyn ResponseStore>)
}

/// Keeps a response that wants to be kept.
pub(super) async fn keep(store: &dyn ResponseStore, response: &Response, input: Vec<Item>) -> Result<(), ApiError> {
    if !response.store {
        return Ok(());
    }
    store
        .put(&Stored {
            response: response.clone(),
            input,
        })
        .await
}

/// The 404 for a response that is not there.
pub(super) fn missing(id: &str) -> ApiError {
    let id: String = id.chars().take(100).collect();
    ApiError::NotFound(format!(
        "there is no response `{id}`; it was never stored, was deleted, or is too old"
    ))
}

/// Keeps the newest responses until the program ends.
pub struct Memory {
    kept: Mutex<Kept>,
    most: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Kept {
    by_id: HashMap<String, (u64, String)>,
    turn: u64,
    bytes: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(10_000, 256 << 20)
    }
}

impl Memory {
    /// Keeps at most so many, and so many bytes of JSON.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most,
            most_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, id: &str) -> bool {
        let gone = self.by_id.remove(id);
        self.bytes -= gone.as_ref().map_or(0, |(_, text)| text.len());
        gone.is_some()
    }
}

fn broken(error: &serde_json::Error) -> ApiError {
    EngineError::Internal {
        message: format!("a stored response cannot be read ({error})"),
    }
    .into()
}

#[async_trait::async_trait]
impl ResponseStore for Memory {
    async fn put(&self, stored: &Stored) -> Result<(), ApiError> {
        let text = serde_json::to_string(stored).map_err(|error| broken(&error))?;
        if text.len() > self.most_bytes {
            return Err(ApiError::invalid(
                "the response is too large to be stored; send `store: false`",
            ));
        }
        let mut kept = self.lock();
        kept.remove(&stored.response.id);
        while kept.by_id.len() >= self.most || kept.bytes + text.len() > self.most_bytes {
            let oldest = kept
                .by_id
                .iter()
                .min_by_key(|(_, (turn, _))| *turn)
                .map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            kept.remove(&oldest);
        }
        kept.turn += 1;
        kept.bytes += text.len();
        let turn = kept.turn;
        kept.by_id.insert(stored.response.id.clone(), (turn, text));
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Stored>, ApiError> {
        let text = self.lock().by_id.get(id).map(|(_, text)| text.clone());
        text.map(|text| serde_json::from_str(&text).map_err(|error| broken(&error)))
            .transpose()
    }

    async fn delete(&self, id: &str) -> Result<bool, ApiError> {
        Ok(self.lock().remove(id))
    }
}

/// Keeps responses in the database, so that they outlive a restart.
struct Database(Store);

fn failed(error: StoreError) -> ApiError {
    match error {
        StoreError::Invalid(message) => ApiError::invalid(message),
        other => EngineError::Unavailable {
            message: other.to_string(),
        }
        .into(),
    }
}

#[async_trait::async_trait]
impl ResponseStore for Database {
    async fn put(&self, stored: &Stored) -> Result<(), ApiError> {
        let value = serde_json::to_value(stored).map_err(|error| broken(&error))?;
        self.0.put_response(&stored.response.id, value).await.map_err(failed)
    }

    async fn get(&self, id: &str) -> Result<Option<Stored>, ApiError> {
        let row = self.0.response(id).await.map_err(failed)?;
        row.map(|row| serde_json::from_value(row.value).map_err(|error| broken(&error)))
            .transpose()
    }

    async fn delete(&self, id: &str) -> Result<bool, ApiError> {
        self.0.delete_response(id).await.map_err(failed)
    }
}
