//! `Upstream`: text out of any OpenAI-compatible server. A model's alias may be served by several upstreams with
//! several replicas each; a request goes to the one its prefix prefers, to another when that one fails before its first
//! token, and never to a second one after it. Renders no template and samples nothing.

mod answer;
mod chunk;
mod config;
mod dialect;
mod logprobs;
mod pool;
mod refusal;
mod route;
pub mod sse;
mod structure;
mod tally;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use candor_wire::chat::{Message, Tool};
use futures::StreamExt;
use futures::future::{BoxFuture, select_all};
use tokio::sync::Semaphore;

use self::answer::{Candidate, Place};
pub use self::config::{Kind, Task, Timeouts, UpstreamConfig, UpstreamModel};
use self::pool::{Pool, Standing};
use self::refusal::{Failure, Retry};
use crate::{
    Abilities, EmbedInput, Embeddings, EngineError, Event, EventStream, GenerateRequest, Generator, ModelCard, Prompt,
    Tokenized,
};

/// A model that other servers run.
pub struct Upstream {
    alias: String,
    candidates: Vec<Arc<Candidate>>,
    waiting: AtomicUsize,
    card: ModelCard,
}

/// What is known of a replica, for `doctor` and status pages.
#[derive(Debug, Clone)]
pub struct ReplicaStatus {
    /// The `[[upstream]]` it belongs to.
    pub upstream: String,
    /// Its address.
    pub replica: String,
    /// Why it is not asked at the moment; `None` where it is.
    pub away: Option<String>,
}

/// One generator for each alias that the upstreams offer, by name. Health checks begin, where there is a runtime.
///
/// # Errors
/// A sentence on what in the configuration cannot work.
pub fn connect(configs: &[UpstreamConfig]) -> Result<Vec<Arc<Upstream>>, EngineError> {
    let mut names = std::collections::HashSet::new();
    let mut by_alias: BTreeMap<String, Vec<Arc<Candidate>>> = BTreeMap::new();
    for config in configs {
        if !names.insert(&config.name) {
            let message = format!("two `[[upstream]]` are named `{}`; rename one", config.name);
            return Err(EngineError::Invalid {
                param: Some("upstream".into()),
                message,
            });
        }
        let pool = Pool::new(config)?;
        for model in &config.models {
            let candidates = pool.replicas.iter().map(|replica| {
                Arc::new(Candidate {
                    pool: pool.clone(),
                    replica: replica.clone(),
                    model: model.clone(),
                    weight: model.weight / pool.replicas.len() as f64,
                    hash: route::hash(&[config.name.as_bytes(), replica.name.as_bytes()]),
                    permits: model
                        .max_concurrent
                        .map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))),
                })
            });
            by_alias.entry(model.alias().to_owned()).or_default().extend(candidates);
        }
    }
    Ok(by_alias
        .into_iter()
        .map(|(alias, candidates)| Arc::new(Upstream::new(alias, candidates)))
        .collect())
}

impl Upstream {
    fn new(alias: String, candidates: Vec<Arc<Candidate>>) -> Self {
        let mut owners: Vec<&str> = candidates.iter().map(|c| c.pool.config.name.as_str()).collect();
        owners.dedup();
        let mut ids: Vec<String> = candidates
            .iter()
            .map(|c| format!("{}/{}", c.pool.config.name, c.model.id))
            .collect();
        ids.dedup();
        let created = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let card = ModelCard {
            id: alias.clone(),
            context: candidates.iter().map(|c| c.model.context).min().flatten(),
            fingerprint: format!("upstream:{}", ids.join("+")),
            sha256: None,
            owned_by: owners.join("+"),
            created,
            embedding_dim: None,
        };
        Self {
            alias,
            candidates,
            waiting: AtomicUsize::new(0),
            card,
        }
    }

    /// The name under which it is served.
    pub fn name(&self) -> &str {
        &self.alias
    }

    /// How its replicas are.
    pub fn status(&self) -> Vec<ReplicaStatus> {
        let status = |c: &Arc<Candidate>| ReplicaStatus {
            upstream: c.pool.config.name.clone(),
            replica: c.replica.name.clone(),
            away: c.replica.reason(),
        };
        self.candidates.iter().map(status).collect()
    }

    /// Tries `attempt` at the replicas, the key's favourite first, until one succeeds or none is left to ask.
    async fn try_each<'a, T>(
        &'a self,
        key: u64,
        attempt: impl Fn(Arc<Candidate>, Place) -> BoxFuture<'a, Result<T, Failure>> + Send + Sync,
    ) -> Result<T, EngineError> {
        let order = route::order(key, self.candidates.iter().map(|c| (c.hash, c.weight)));
        let mut tries = vec![0u32; self.candidates.len()];
        let mut excluded = vec![false; self.candidates.len()];
        let mut last: Option<EngineError> = None;
        let mut made = 0;
        loop {
            let ready = self.ready(&order, &tries, &excluded);
            let Some((index, place)) = self.take_place(&ready).await? else {
                break;
            };
            let candidate = &self.candidates[index];
            if made > 0 {
                metrics::counter!("candor_upstream_retries_total", "upstream" => candidate.pool.config.name.clone())
                    .increment(1);
            }
            if tries[index] > 0 {
                tokio::time::sleep(Duration::from_millis(100 << tries[index].min(5))).await;
            }
            tries[index] += 1;
            let failure = match attempt(candidate.clone(), place).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let of_pool = self
                .candidates
                .iter()
                .zip(&tries)
                .filter(|(c, _)| Arc::ptr_eq(&c.pool, &candidate.pool));
            let spent: u32 = of_pool.map(|(_, tries)| tries).sum();
            for (other, gone) in self.candidates.iter().zip(&mut excluded) {
                let same = Arc::ptr_eq(&other.pool, &candidate.pool);
                *gone |= match failure.retry {
                    Retry::Nobody => true,
                    Retry::OtherUpstream => same,
                    Retry::Anyone => same && spent > candidate.pool.config.retries,
                };
            }
            made += 1;
            last = Some(failure.error);
        }
        Err(last.unwrap_or_else(|| self.nobody()))
    }

    /// Who may be asked, in this order: least tried, well before away, favourite first. Busy ones are not asked.
    fn ready(&self, order: &[usize], tries: &[u32], excluded: &[bool]) -> Vec<usize> {
        let mut ready: Vec<(u32, bool, usize)> = order
            .iter()
            .filter(|&&index| !excluded[index])
            .filter_map(|&index| match self.candidates[index].replica.standing() {
                Standing::Well => Some((tries[index], false, index)),
                Standing::Away => Some((tries[index], true, index)),
                Standing::Busy(_) => None,
            })
            .collect();
        ready.sort_by_key(|&(tries, away, _)| (tries, away)); // stable: the order stays within equals
        // Those that are away are asked only when nobody else is left.
        let any_well = ready.iter().any(|&(_, away, _)| !away);
        ready
            .into_iter()
            .filter(|&(_, away, _)| !(away && any_well))
            .map(|(_, _, index)| index)
            .collect()
    }

    /// A place at the first of these that has one; waits in the queue where none has.
    async fn take_place(&self, ready: &[usize]) -> Result<Option<(usize, Place)>, EngineError> {
        for &index in ready {
            match &self.candidates[index].permits {
                None => return Ok(Some((index, None))),
                Some(permits) => {
                    if let Ok(place) = permits.clone().try_acquire_owned() {
                        return Ok(Some((index, Some(place))));
                    }
                }
            }
        }
        let Some(first) = ready.first() else { return Ok(None) };
        let (config, model) = (&self.candidates[*first].pool.config, &self.candidates[*first].model);
        let _waiter = Waiter::enter(&self.waiting, model.queue).ok_or(EngineError::Overloaded { retry_after_s: 1 })?;
        let acquire = ready.iter().filter_map(|&index| {
            let permits = self.candidates[index].permits.clone()?;
            Some(Box::pin(async move {
                permits.acquire_owned().await.ok().map(|place| (index, Some(place)))
            }))
        });
        let limit = Duration::from_secs_f64(config.timeouts.queue_s);
        match tokio::time::timeout(limit, select_all(acquire)).await {
            Ok((place, ..)) => Ok(place),
            Err(_) => Err(EngineError::Overloaded { retry_after_s: 1 }),
        }
    }

    /// Why nobody can be asked.
    fn nobody(&self) -> EngineError {
        let waits = self.candidates.iter().filter_map(|c| match c.replica.standing() {
            Standing::Busy(wait) => Some(wait.as_secs() + 1),
            _ => None,
        });
        match waits.min() {
            Some(retry_after_s) => EngineError::Overloaded { retry_after_s },
            None => EngineError::Unavailable {
                message: format!(
                    "no upstream for `{}` can be asked; try again in a few seconds",
                    self.alias
                ),
            },
        }
    }

    fn all(&self, ability: impl Fn(&Candidate) -> bool) -> bool {
        self.candidates.iter().all(|c| ability(c))
    }
}

/// One request in the queue.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn enter(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let waiter = Self(count);
        (count.fetch_add(1, Ordering::AcqRel) < most).then_some(waiter) // where it is full, dropping takes it back
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait::async_trait]
impl Generator for Upstream {
    fn abilities(&self) -> Abilities {
        let generate = self.all(|c| c.model.task == Task::Generate);
        Abilities {
            generate,
            chat: generate,
            embed: self.all(|c| c.model.task == Task::Embed),
            logprobs: generate,
            constraints: generate && self.all(|c| c.pool.config.kind == Kind::Candor),
            tokens: self.all(|c| c.pool.dialect.tokenize),
            exact_replay: false,
        }
    }

    fn card(&self) -> ModelCard {
        self.card.clone()
    }

    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError> {
        if !self.abilities().generate {
            let message = format!(
                "`{}` makes embeddings, not text; send this to another model",
                self.alias
            );
            return Err(EngineError::Invalid {
                param: Some("model".into()),
                message,
            });
        }
        let key = route::key(&request);
        let reported = request.prompt_logprobs;
        let shared = Arc::new(request);
        let request = shared.clone();
        let attempt = move |candidate: Arc<Candidate>, place: Place| -> BoxFuture<'_, _> {
            let request = request.clone();
            Box::pin(async move {
                let call = candidate
                    .pool
                    .dialect
                    .call(&candidate.model, &request)
                    .map_err(Failure::ours)?;
                candidate.open(call, place).await
            })
        };
        let reader = self.try_each(key, attempt).await?;
        let Some(from) = reported else {
            return Ok(reader.into_stream());
        };
        let events = split_prompt(reader.into_events(), &shared.prompt, from);
        Ok(futures::stream::iter(events.into_iter().map(Ok)).boxed())
    }

    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        tokens::embed(self, inputs).await
    }

    async fn tokenize(&self, text: &str, special: bool, bos: bool) -> Result<Tokenized, EngineError> {
        tokens::tokenize(self, text, special, bos).await
    }

    async fn detokenize(&self, ids: &[u32]) -> Result<Vec<u8>, EngineError> {
        tokens::detokenize(self, ids).await
    }

    async fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        add_generation_prompt: bool,
    ) -> Result<String, EngineError> {
        tokens::render(self, messages, tools, add_generation_prompt).await
    }
}

/// Takes the prompt apart from the answer in an echoed text, where the upstream's usage says how long it is; of the
/// prompt the tokens from `from` on are reported.
fn split_prompt(events: Vec<Event>, prompt: &Prompt, from: usize) -> Vec<Event> {
    let count = events.iter().find_map(|event| match event {
        Event::Finish { usage, .. } => Some(usage.prompt_tokens),
        _ => None,
    });
    let split = |event| match event {
        Event::Text { text, mut tokens } => {
            let rest = tokens.split_off(count.unwrap_or(0).min(tokens.len()));
            let said = match prompt {
                Prompt::Text(prompt) => text.strip_prefix(prompt.as_str()).map(str::to_owned),
                _ => None,
            };
            let text = said.unwrap_or_else(|| rest.iter().map(|token| token.text.as_str()).collect());
            let told = tokens.split_off(from.min(tokens.len()));
            vec![Event::Prompt(told), Event::Text { text, tokens: rest }]
        }
        other => vec![other],
    };
    events.into_iter().flat_map(split).collect()
}
