//! A model on this machine behind the `Generator` trait: checks a request, prepares it away from the engine's thread,
//! and hands it over.

mod embed;
mod options;
mod prepare;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use candor_kernels::team::Team;
use candor_model::{Decoder, PAGE_TOKENS};
use candor_wire::chat::{Message, Tool};
use tokio::sync::{Semaphore, mpsc as channel};

pub use embed::Embedder;
pub use options::EngineOptions;

use crate::answer::{Answer, AnswerParts};
use crate::constraint::Compiler;
use crate::lexicon::{Lexicon, Template};
use crate::scheduler::{Scheduler, Sequence, StepLimits};
use crate::speculate::{Draft, Lookup, Speculate, Speculator};
use crate::worker::{Pulse, Worker, out_of_service};
use crate::{
    Abilities, EmbedInput, Embeddings, EngineError, EventStream, GenerateRequest, Generator, ModelCard, Tokenized,
    TokenizerInfo, chat, chat::render,
};

/// Rows of logits that one request may ask for in a step, in numbers: 64 MiB.
const ROWS: usize = 16 << 20;
/// The engine's thread walks grammars, which recurse; only what is touched is taken.
const STACK: usize = 64 << 20;

/// A model in parts.
pub struct Parts {
    /// Predicts tokens, or makes embeddings.
    pub kind: Kind,
    /// Its tokenizer.
    pub lexicon: Arc<dyn Lexicon>,
    /// Its chat template, where it has one.
    pub template: Option<Arc<dyn Template>>,
    /// What is known of it; the engine fills in the context.
    pub card: ModelCard,
    /// A smaller model with the same tokens, which guesses ahead.
    pub draft: Option<DraftModel>,
}

/// A smaller model that guesses what the larger one will say.
pub struct DraftModel {
    /// Predicts the same tokens.
    pub decoder: Arc<dyn Decoder>,
    /// Time of its steps as a part of the larger model's.
    pub cost: f32,
}

/// What a model does.
pub enum Kind {
    /// Predicts the next token.
    Decoder(Arc<dyn Decoder>),
    /// Makes embeddings.
    Encoder(Arc<dyn Embedder>),
}

/// A model on this machine.
pub struct Local {
    card: ModelCard,
    lexicon: Arc<dyn Lexicon>,
    template: Option<Arc<dyn Template>>,
    work: Work,
    /// SHA-256 of the model file, once it is known.
    hash: Arc<OnceLock<String>>,
}

enum Work {
    Generate(Engine),
    Embed(embed::Embedding),
}

/// The way to the engine's thread.
struct Engine {
    requests: mpsc::Sender<Sequence>,
    pulse: Arc<Pulse>,
    places: Arc<Semaphore>,
    next: AtomicU64,
    context: usize,
    vocab: usize,
    /// Bytes of the longest token.
    longest_token: usize,
    compiler: Arc<Compiler>,
}

impl Local {
    /// Starts the engine of a model.
    ///
    /// # Errors
    /// `Memory` if there is not enough for the key/value pages.
    pub fn from_parts(parts: Parts, options: &EngineOptions) -> Result<Self, EngineError> {
        let Parts {
            kind,
            lexicon,
            template,
            mut card,
            draft,
        } = parts;
        if let Some(name) = &options.name {
            card.id.clone_from(name);
        }
        let team = Arc::new(Team::new(options.threads()));
        let work = match kind {
            Kind::Decoder(decoder) => {
                let engine = Engine::start(decoder, draft, &lexicon, team, &card.id, options)?;
                card.context = Some(engine.context);
                Work::Generate(engine)
            }
            Kind::Encoder(encoder) => {
                card.context = Some(encoder.max_tokens());
                card.embedding_dim = Some(encoder.dim());
                Work::Embed(embed::Embedding::new(encoder, team))
            }
        };
        Ok(Self {
            card,
            lexicon,
            template,
            work,
            hash: Arc::default(),
        })
    }

    /// Pages of key/value memory that requests still held when the engine last went to sleep: none, unless they leak.
    pub fn leaked_pages(&self) -> u64 {
        self.engine()
            .map_or(0, |engine| engine.pulse.pages.load(Ordering::Acquire))
    }

    /// Steps that the engine has run.
    pub fn steps(&self) -> u64 {
        self.engine()
            .map_or(0, |engine| engine.pulse.steps.load(Ordering::Acquire))
    }

    /// Tokens that were guessed ahead and computed, and those of them that were chosen.
    pub fn speculated(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        self.engine().map_or((0, 0), |engine| {
            (read(&engine.pulse.proposed), read(&engine.pulse.accepted))
        })
    }

    /// Where the model file's hash goes when it is known.
    pub(crate) fn hash(&self) -> Arc<OnceLock<String>> {
        Arc::clone(&self.hash)
    }

    fn engine(&self) -> Result<&Engine, EngineError> {
        match &self.work {
            Work::Generate(engine) => Ok(engine),
            Work::Embed(_) => Err(EngineError::Invalid {
                param: Some("model".into()),
                message: format!(
                    "`{}` makes embeddings and generates no text; choose a language model",
                    self.card.id
                ),
            }),
        }
    }

    fn template(&self) -> Result<&Arc<dyn Template>, EngineError> {
        self.template.as_ref().ok_or_else(|| EngineError::Invalid {
            param: Some("model".into()),
            message: format!(
                "`{}` has no chat template; use /v1/completions, or an instruct model",
                self.card.id
            ),
        })
    }
}

impl Engine {
    fn start(
        decoder: Arc<dyn Decoder>,
        draft: Option<DraftModel>,
        lexicon: &Arc<dyn Lexicon>,
        team: Arc<Team>,
        model: &str,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let vocab = decoder.vocab();
        let (pages, window) = (options.pages(&*decoder), decoder.kv_shape().window());
        let context = options
            .context
            .unwrap_or(usize::MAX)
            .min(decoder.context())
            .min(pages.far * PAGE_TOKENS);
        let memory = |error: candor_model::Error| EngineError::Memory {
            message: error.to_string(),
        };
        let kv = decoder.new_kv(pages).map_err(memory)?;
        let limits = StepLimits {
            max_batch: options.running(pages, &*decoder),
            chunk: options.chunk.max(1),
            reported_chunk: (ROWS / vocab.max(1)).max(1),
        };
        let mut speculator = Speculator::default();
        if options.speculate == Speculate::Lookup {
            speculator.rows = limits.reported_chunk;
            speculator.lookup = Some(Lookup);
            let draft = draft.map(|draft| Draft::new(draft, pages.far, limits.chunk));
            speculator.draft = draft.transpose().map_err(memory)?;
        }
        let pulse = Arc::new(Pulse::default());
        let worker = Worker {
            model: model.to_string(),
            decoder,
            team,
            kv,
            scheduler: Scheduler::new(pages, window, options.prefix_cache, limits),
            speculator,
            context,
            pulse: Arc::clone(&pulse),
            failures: 0,
            preemptions: 0,
        };
        let (requests, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("candor-engine".into())
            .stack_size(STACK);
        thread
            .spawn(move || worker.run(&receiver))
            .map_err(|error| EngineError::Unavailable {
                message: format!("no thread for the engine: {error}; close other programs and try again"),
            })?;
        let compiler = Arc::new(Compiler::new(Arc::clone(lexicon), vocab));
        let places = Arc::new(Semaphore::new(options.queue.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self {
            requests,
            pulse,
            places,
            next: AtomicU64::new(0),
            context,
            vocab,
            longest_token: lexicon.longest(),
            compiler,
        })
    }
}

#[async_trait::async_trait]
impl Generator for Local {
    fn abilities(&self) -> Abilities {
        let generate = self.engine().is_ok();
        Abilities {
            generate,
            chat: generate && self.template.is_some(),
            embed: !generate,
            logprobs: generate,
            constraints: generate,
            tokens: true,
            exact_replay: true,
        }
    }

    fn card(&self) -> ModelCard {
        let mut card = self.card.clone();
        if let Some(hash) = self.hash.get() {
            card.fingerprint = format!("{}-{}", card.fingerprint, &hash[..hash.len().min(16)]);
            card.sha256 = Some(hash.clone());
        }
        card
    }

    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError> {
        let engine = self.engine()?;
        if engine.pulse.broken.load(Ordering::Acquire) {
            return Err(out_of_service(&self.card.id));
        }
        let place = Arc::clone(&engine.places).try_acquire_owned();
        let place = place.map_err(|_| EngineError::Overloaded { retry_after_s: 2 })?;
        let prepared = self.prepare(engine, request).await?;
        let (events, receiver) = channel::unbounded_channel();
        let answer = Answer::new(AnswerParts {
            events,
            ..prepared.answer
        });
        let id = engine.next.fetch_add(1, Ordering::Relaxed);
        let sequence = Sequence::new(id, prepared.tokens, answer, Some(place));
        engine
            .requests
            .send(sequence)
            .map_err(|_| out_of_service(&self.card.id))?;
        Ok(Box::pin(stream::Events::new(receiver)))
    }

    async fn token_states(&self, inputs: Vec<EmbedInput>) -> Result<Option<Embeddings>, EngineError> {
        match &self.work {
            Work::Embed(embedding) => embedding.states(&self.lexicon, inputs).await.map(Some),
            Work::Generate(_) => Ok(None),
        }
    }

    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        match &self.work {
            Work::Embed(embedding) => embedding.embed(&self.lexicon, inputs).await,
            Work::Generate(_) => Err(EngineError::Invalid {
                param: Some("model".into()),
                message: format!(
                    "`{}` makes no embeddings; choose an embedding model such as all-minilm-l6-v2",
                    self.card.id
                ),
            }),
        }
    }

    async fn tokenize(&self, text: &str, special: bool, bos: bool) -> Result<Tokenized, EngineError> {
        let (lexicon, text) = (Arc::clone(&self.lexicon), text.to_string());
        prepare::blocking(move || {
            let mut ids = lexicon.encode(&text, special);
            if bos {
                ids = lexicon.framed(ids);
            }
            let pieces = ids.iter().map(|id| lexicon.bytes(*id).to_vec()).collect();
            Ok(Tokenized { ids, pieces })
        })
        .await
    }

    async fn detokenize(&self, ids: &[u32]) -> Result<Vec<u8>, EngineError> {
        let vocab = self.engine().map_or(self.lexicon.vocab(), |engine| engine.vocab);
        prepare::check_ids(ids, vocab, "tokens")?;
        Ok(self.lexicon.decode(ids))
    }

    async fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        add_generation_prompt: bool,
    ) -> Result<String, EngineError> {
        let (template, messages, tools) = (Arc::clone(self.template()?), messages.to_vec(), tools.to_vec());
        prepare::blocking(move || chat::render(&*template, &messages, &tools, add_generation_prompt)).await
    }

    fn tokenizer_info(&self) -> Option<TokenizerInfo> {
        let text = |id: &u32| String::from_utf8_lossy(self.lexicon.bytes(*id)).into_owned();
        Some(TokenizerInfo {
            bos: self
                .lexicon
                .framed(Vec::new())
                .first()
                .filter(|id| !self.lexicon.ends().contains(id))
                .map(text),
            eos: self.lexicon.end().as_ref().map(text),
            chat_template: self.template.as_ref().map(|template| template.source().to_owned()),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
