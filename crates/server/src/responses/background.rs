//! Responses that are made while nobody waits: stored as `in_progress`, stored again when they have ended, stopped by
//! `cancel`. Their number is bounded by the server's places; what runs when the program ends is lost.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candor_engine::EngineError;
use candor_wire::responses::Response;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::{Made, store};
use crate::ApiError;

/// What is running, by id.
#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<String, Job>>);

#[derive(Clone)]
struct Job {
    stop: CancellationToken,
    /// Closed when the job has stored its end.
    ended: watch::Receiver<()>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the response as it begins, and goes on with it.
    pub(super) async fn start(self: &Arc<Self>, made: Made) -> Result<Response, ApiError> {
        let answer = made.answer.clone();
        store::keep(&*made.store, &answer, made.input.clone()).await?;
        let (end, ended) = watch::channel(());
        let stop = CancellationToken::new();
        self.lock().insert(
            answer.id.clone(),
            Job {
                stop: stop.clone(),
                ended,
            },
        );
        let (running, id) = (self.clone(), answer.id.clone());
        tokio::spawn(async move {
            let (store, input, began) = (made.store.clone(), made.input.clone(), made.answer.clone());
            let work = AssertUnwindSafe(run(made, stop)).catch_unwind().await;
            let answer = work.unwrap_or_else(|_| {
                let error = EngineError::Internal {
                    message: ApiError::Panic.to_string(),
                };
                Output::new(began, false).fail(&error, &mut Vec::new())
            });
            if let Err(error) = store::keep(&*store, &answer, input).await {
                tracing::error!(response = %answer.id, %error, "a response made in the background could not be stored");
            }
            running.lock().remove(&id);
            drop(end);
        });
        Ok(answer)
    }

    /// Stops it, where it runs, and waits until its end is stored.
    pub(super) async fn cancel(&self, id: &str) {
        let job = self.lock().get(id).cloned();
        if let Some(mut job) = job {
            job.stop.cancel();
            while job.ended.changed().await.is_ok() {}
        }
    }
}

async fn run(mut made: Made, stop: CancellationToken) -> Response {
    let mut output = Output::new(made.answer, made.single_call).after(made.searched);
    let mut events = output.begin();
    events.clear();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return output.cancel(),
            event = made.events.next() => event,
        };
        match event {
            Some(Ok(told)) => output.told(told, &mut events),
            Some(Err(error)) => return output.fail(&error, &mut events),
            None => return output.end(&mut events),
        }
        events.clear();
    }
}
