//! The model crate's tokenizer, template and networks, as the engine sees them, and how a model file becomes a `Local`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use candor_kernels::team::Team;
use candor_model::{ChatTemplate, Encoder, LoadOptions, Model, Tokenizer};
use serde_json::Value;

use crate::{
    DraftModel, Embedder, EngineError, EngineOptions, Generator, Kind, Lexicon, Local, ModelCard, Parts, Template,
};

impl Lexicon for Tokenizer {
    fn encode(&self, text: &str, special: bool) -> Vec<u32> {
        Tokenizer::encode(self, text, special)
    }
    fn framed(&self, ids: Vec<u32>) -> Vec<u32> {
        Tokenizer::framed(self, ids)
    }
    fn ends(&self) -> &[u32] {
        self.eos_ids()
    }
    fn end(&self) -> Option<u32> {
        self.eos().or_else(|| self.eos_ids().first().copied())
    }
    fn bytes(&self, id: u32) -> &[u8] {
        Tokenizer::bytes(self, id)
    }
    fn decode(&self, ids: &[u32]) -> Vec<u8> {
        Tokenizer::decode(self, ids)
    }
    fn is_special(&self, id: u32) -> bool {
        Tokenizer::is_special(self, id)
    }
    fn vocab(&self) -> usize {
        Tokenizer::vocab(self)
    }
}

impl Template for ChatTemplate {
    fn render(&self, messages: &Value, tools: Option<&Value>, add_generation_prompt: bool) -> Result<String, String> {
        ChatTemplate::render(self, messages, tools, add_generation_prompt).map_err(|error| error.to_string())
    }
    fn source(&self) -> &str {
        ChatTemplate::source(self)
    }
}

/// An encoder behind the engine's seam.
struct Native(Arc<dyn Encoder>);

impl Embedder for Native {
    fn embed(&self, team: &Team, inputs: &[Vec<u32>]) -> Vec<Vec<f32>> {
        self.0.embed(team, inputs)
    }
    fn states(&self, team: &Team, inputs: &[Vec<u32>]) -> Vec<Vec<f32>> {
        self.0.hidden(team, inputs, &[])
    }
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }
    fn vocab(&self) -> usize {
        self.0.vocab()
    }
}

/// Files up to this size are hashed when they are loaded; the hash of larger ones follows in the background.
const HASH_AT_ONCE: u64 = 1 << 30;

impl From<&Model> for Parts {
    fn from(model: &Model) -> Self {
        let kind = match &model.kind {
            candor_model::Kind::Decoder(decoder) => Kind::Decoder(Arc::clone(decoder)),
            candor_model::Kind::Encoder(encoder) => Kind::Encoder(Arc::new(Native(Arc::clone(encoder)))),
        };
        let card = ModelCard {
            id: model.info.name.clone(),
            fingerprint: format!("candor-{}", env!("CARGO_PKG_VERSION")),
            owned_by: "candor".into(),
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            ..ModelCard::default()
        };
        let template = model.template.clone().map(|template| template as Arc<dyn Template>);
        Self {
            kind,
            lexicon: Arc::clone(&model.tokenizer) as Arc<dyn Lexicon>,
            template,
            card,
            draft: None,
        }
    }
}

impl Parts {
    /// An opened model with the draft model that the options name.
    ///
    /// # Errors
    /// If the draft model cannot be read or has other tokens.
    pub fn with_draft(model: &Model, load: &LoadOptions, options: &EngineOptions) -> Result<Self, EngineError> {
        let mut parts = Self::from(model);
        if let (Some(draft), Kind::Decoder(_)) = (options.draft_path(), &parts.kind) {
            parts.draft = Some(open_draft(draft, load, model)?);
        }
        Ok(parts)
    }
}

impl Local {
    /// Starts the engine of an opened model.
    ///
    /// # Errors
    /// `Memory` if there is not enough for its key/value pages.
    pub fn start(model: Model, options: &EngineOptions) -> Result<Self, EngineError> {
        let parts = Parts::from(&model);
        Self::start_parts(model, parts, options)
    }

    fn start_parts(model: Model, parts: Parts, options: &EngineOptions) -> Result<Self, EngineError> {
        let local = Self::from_parts(parts, options)?;
        let (hash, now) = (local.hash(), model.info.bytes <= HASH_AT_ONCE);
        let work = move || {
            if let Some(sha256) = model.sha256() {
                hash.get_or_init(|| sha256.to_string());
            }
        };
        if now {
            work();
        } else if let Err(error) = std::thread::Builder::new().name("candor-hash".into()).spawn(work) {
            tracing::warn!("no thread to hash the model file: {error}");
        }
        Ok(local)
    }

    /// Opens a model file or folder and starts its engine. Takes seconds; not for async threads.
    ///
    /// # Errors
    /// With what is wrong with the file and what to do.
    pub fn open(path: &Path, load: &LoadOptions, options: &EngineOptions) -> Result<Self, EngineError> {
        let model = Model::open(path, load).map_err(unavailable)?;
        let parts = Parts::with_draft(&model, load, options)?;
        Self::start_parts(model, parts, options)
    }
}

/// A draft model, whose proposals must mean the same tokens.
fn open_draft(path: &Path, load: &LoadOptions, model: &Model) -> Result<DraftModel, EngineError> {
    let draft = Model::open(path, load).map_err(unavailable)?;
    let refuse = |what: &str| EngineError::Unavailable {
        message: format!(
            "{} cannot guess for {}: {what}; choose a smaller model of the same family as `engine.draft`, or none",
            path.display(),
            model.info.name
        ),
    };
    if !same_tokens(&draft.tokenizer, &model.tokenizer) {
        return Err(refuse("its vocabulary is another one"));
    }
    let decoder = draft.decoder().cloned();
    Ok(DraftModel {
        decoder: decoder.ok_or_else(|| refuse("it makes embeddings and writes no text"))?,
        // A step takes as long as reading the weights.
        cost: draft.info.work.bytes as f32 / model.info.work.bytes.max(1) as f32,
    })
}

fn same_tokens(a: &Tokenizer, b: &Tokenizer) -> bool {
    let same = |id| a.bytes(id) == b.bytes(id) && a.is_special(id) == b.is_special(id);
    a.vocab() == b.vocab() && (0..a.vocab() as u32).all(same)
}

fn unavailable(error: candor_model::Error) -> EngineError {
    match error {
        candor_model::Error::Memory(message) => EngineError::Memory { message },
        error => EngineError::Unavailable {
            message: error.to_string(),
        },
    }
}

/// A registration of a model file or folder, opened when it is first asked for.
pub fn from_path(
    name: &str,
    path: PathBuf,
    load: LoadOptions,
    options: EngineOptions,
) -> crate::registry::Registration {
    let size = size_of(&path) + options.draft_path().map_or(0, size_of);
    let options = EngineOptions {
        name: Some(name.to_string()),
        ..options
    };
    let needs = size + size / 8 + options.kv_bytes.unwrap_or(256 << 20);
    let loader = move || Ok(Arc::new(Local::open(&path, &load, &options)?) as Arc<dyn Generator>);
    crate::registry::Registration::new(name, needs, loader)
}

fn size_of(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .map(|meta| meta.len())
            .sum(),
        Err(_) => std::fs::metadata(path).map_or(0, |meta| meta.len()),
    }
}
