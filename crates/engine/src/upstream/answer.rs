//! One attempt: a request goes out, the answer is read as it comes. Dropping a `Reader` drops the connection, and with
//! it the work at the upstream. Bodies, lines and waits are bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::chunk::{Assembler, ChunkError};
use super::config::UpstreamModel;
use super::dialect::Call;
use super::pool::{Pool, Replica};
use super::refusal::{Failure, broken, in_answer, refused, unreachable};
use super::sse::SseParser;
use super::tally::Tally;
use crate::{EngineError, Event, EventStream};

/// Longest whole answer: embeddings of a large batch.
const MAX_BODY: usize = 256 << 20;
/// As much of an error as is read.
const MAX_ERROR: usize = 64 << 10;

/// A replica that serves a model.
pub(super) struct Candidate {
    pub(super) pool: Arc<Pool>,
    pub(super) replica: Arc<Replica>,
    pub(super) model: UpstreamModel,
    /// The model's weight, shared out among the replicas.
    pub(super) weight: f64,
    pub(super) hash: u64,
    pub(super) permits: Option<Arc<tokio::sync::Semaphore>>,
}

/// A place among a replica's `max_concurrent`; free again when dropped.
pub(super) type Place = Option<OwnedSemaphorePermit>;

impl Candidate {
    fn broken(&self, what: &str, gone: bool) -> Failure {
        broken(&self.pool, &self.replica, what, gone)
    }

    fn first_token(&self) -> Duration {
        Duration::from_secs_f64(self.pool.config.timeouts.first_token_s)
    }

    /// Sends; returns an answer whose status is a success.
    async fn send(&self, url: String, body: &Value) -> Result<reqwest::Response, Failure> {
        let sent = timeout(self.first_token(), self.pool.client.post(url).json(body).send()).await;
        let answer = match sent {
            Err(_) => return Err(self.broken(&format!("no answer within {:?}", self.first_token()), false)),
            Ok(Err(error)) => return Err(unreachable(&self.pool, &self.replica, &error)),
            Ok(Ok(answer)) => answer,
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (code, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        let mut bytes = answer.bytes_stream();
        while let Ok(Some(Ok(piece))) = timeout(Duration::from_secs(5), bytes.next()).await {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        Err(refused(
            &self.pool,
            &self.replica,
            &self.model.id,
            code,
            &headers,
            &String::from_utf8_lossy(&body),
        ))
    }

    /// Sends; returns the whole JSON answer.
    pub(super) async fn json(&self, url: String, body: &Value) -> Result<Value, Failure> {
        let text = self.whole(self.send(url, body).await?).await?;
        let json =
            serde_json::from_str(&text).map_err(|e| self.broken(&format!("its answer is not JSON ({e})"), false))?;
        self.replica.succeeded();
        Ok(json)
    }

    async fn whole(&self, answer: reqwest::Response) -> Result<String, Failure> {
        let mut body = Vec::new();
        let mut bytes = answer.bytes_stream();
        let idle = Duration::from_secs_f64(self.pool.config.timeouts.idle_s);
        loop {
            match timeout(idle, bytes.try_next()).await {
                Err(_) => return Err(self.broken("its answer stalls", false)),
                Ok(Err(error)) => return Err(unreachable(&self.pool, &self.replica, &error)),
                Ok(Ok(None)) => break,
                Ok(Ok(Some(piece))) if body.len() + piece.len() <= MAX_BODY => body.extend_from_slice(&piece),
                Ok(Ok(Some(_))) => {
                    return Err(self.broken(&format!("its answer is longer than {MAX_BODY} bytes"), false));
                }
            }
        }
        String::from_utf8(body).map_err(|_| self.broken("its answer is not UTF-8", false))
    }

    /// Sends a request for text, and waits for the first piece of it.
    pub(super) async fn open(self: Arc<Self>, call: Call, place: Place) -> Result<Reader, Failure> {
        let mut tally = Tally::begin(&self.pool.config.name, &self.replica.name, self.model.alias());
        let began = Instant::now();
        let url = format!("{}{}", self.replica.address.api, call.path);
        let whole = call.body.get("stream") == Some(&Value::Bool(false));
        let answer = self
            .send(url, &Value::Object(call.body))
            .await
            .inspect_err(|_| tally.end("refused"))?;
        let mut assembler = Assembler::default();
        let mut events = Vec::new();
        if whole || is_json(answer.headers()) {
            let text = self.whole(answer).await.inspect_err(|_| tally.end("failed"))?;
            let read = assembler
                .json(&text, &mut events)
                .and_then(|()| assembler.end(&mut events));
            read.map_err(|error| {
                tally.end("failed");
                in_answer(&self.pool, &self.replica, &self.model.id, error)
            })?;
            self.replica.succeeded();
            return Ok(Reader::new(
                self,
                futures::stream::empty().boxed(),
                assembler,
                events,
                tally,
                place,
            ));
        }
        let body = answer.bytes_stream().map_ok(|piece| piece.to_vec()).boxed();
        let limit = self.first_token().saturating_sub(began.elapsed());
        let mut reader = Reader::new(self, body, assembler, events, tally, place);
        match timeout(limit, reader.fill()).await {
            Ok(Ok(())) => {
                reader.candidate.replica.succeeded();
                reader.tally.first_token();
                Ok(reader)
            }
            Ok(Err(failure)) => {
                reader.tally.end("failed");
                Err(failure)
            }
            Err(_) => {
                reader.tally.end("failed");
                Err(reader
                    .candidate
                    .broken(&format!("no token within {:?}", reader.candidate.first_token()), false))
            }
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"))
}

/// Reads an answer.
pub(super) struct Reader {
    candidate: Arc<Candidate>,
    body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    parser: SseParser,
    assembler: Assembler,
    events: VecDeque<Event>,
    /// What went wrong after these events.
    failure: Option<Failure>,
    tally: Tally,
    _place: Place,
}

impl Reader {
    fn new(
        candidate: Arc<Candidate>,
        body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
        assembler: Assembler,
        events: Vec<Event>,
        tally: Tally,
        place: Place,
    ) -> Self {
        Self {
            candidate,
            body,
            parser: SseParser::new(),
            assembler,
            events: events.into(),
            failure: None,
            tally,
            _place: place,
        }
    }

    /// Reads until there is an event.
    async fn fill(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let idle = Duration::from_secs_f64(self.candidate.pool.config.timeouts.idle_s);
        let (mut data, mut events) = (Vec::new(), Vec::new());
        while self.events.is_empty() && !self.assembler.finished() {
            // Before the first event the caller keeps the time: prefill may take longer than `idle_s`.
            let piece = if self.tally.started() {
                timeout(idle, self.body.try_next())
                    .await
                    .map_err(|_| self.candidate.broken(&format!("nothing came for {idle:?}"), false))?
            } else {
                self.body.try_next().await
            };
            let piece = piece.map_err(|error| unreachable(&self.candidate.pool, &self.candidate.replica, &error))?;
            let read = match piece {
                Some(bytes) => {
                    let parsed = self
                        .parser
                        .push(&bytes, &mut data)
                        .map_err(|e| ChunkError::Garbage(e.to_string()));
                    parsed.and_then(|()| {
                        data.drain(..)
                            .try_for_each(|data| self.assembler.data(&data, &mut events))
                    })
                }
                None => self.assembler.end(&mut events),
            };
            self.events.extend(events.drain(..));
            if let Err(error) = read {
                let candidate = &self.candidate;
                let failure = in_answer(&candidate.pool, &candidate.replica, &candidate.model.id, error);
                if self.events.is_empty() {
                    return Err(failure);
                }
                self.failure = Some(failure); // what came before it is said first
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Event>, EngineError> {
        if self.events.is_empty() && !self.assembler.finished() {
            self.fill().await.map_err(|failure| {
                self.tally.end("failed");
                failure.error
            })?;
        }
        let event = self.events.pop_front();
        match &event {
            Some(Event::Finish { usage, .. }) => self.tally.finish(usage),
            // Reading to the end lets the connection serve the next request.
            None => drop(timeout(Duration::from_millis(50), self.body.next()).await),
            Some(_) => {}
        }
        Ok(event)
    }

    /// Everything, for answers that come whole.
    pub(super) fn into_events(mut self) -> Vec<Event> {
        if let Some(Event::Finish { usage, .. }) = self.events.back() {
            self.tally.finish(usage);
        }
        std::mem::take(&mut self.events).into()
    }

    pub(super) fn into_stream(self) -> EventStream {
        futures::stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next().await?.map(|event| (event, reader)))
        })
        .boxed()
    }
}
