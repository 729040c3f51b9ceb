//! What every handler can reach: the models, the configuration, and whatever else was put in at the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Extensions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::metrics::Exporter;
use crate::{ApiError, Models, ServerConfig, body};

/// The server's state; cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The models on offer.
    pub models: Arc<Models>,
    /// The configuration.
    pub config: Arc<ServerConfig>,
    permits: Arc<Semaphore>,
    /// Room for large bodies.
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) exporter: Exporter,
    draining: Arc<AtomicBool>,
    extensions: Arc<Extensions>,
}

impl App {
    /// A server of these models.
    pub fn new(models: Arc<Models>, config: ServerConfig) -> Self {
        let permits = config.max_requests.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            models,
            permits: Arc::new(Semaphore::new(permits)),
            bodies: body::room(config.max_body_bytes),
            config: Arc::new(config),
            exporter: Exporter::shared(),
            draining: Arc::default(),
            extensions: Arc::default(),
        }
    }

    /// Adds a value that handlers find by its type, such as the store.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        let mut extensions = (*self.extensions).clone();
        extensions.insert(value);
        self.extensions = Arc::new(extensions);
        self
    }

    /// The value of this type that was added with [`App::with`].
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get::<T>()
    }

    /// Whether the server is shutting down: running answers finish, new ones are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A place among the requests that are worked on; held until the answer is sent.
    ///
    /// # Errors
    /// 429 if there is none, 503 while shutting down.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if self.is_draining() {
            return Err(ApiError::Draining);
        }
        self.permits.clone().try_acquire_owned().map_err(|_| ApiError::Busy(1))
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }
}
