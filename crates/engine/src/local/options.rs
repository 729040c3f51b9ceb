//! How an engine is set up.

use std::path::{Path, PathBuf};

use candor_model::{Decoder, PAGE_TOKENS};

use crate::Speculate;

/// Settings of one model's engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The name under which the model is served; its own where absent.
    pub name: Option<String>,
    /// Threads; 0 is all cores.
    pub threads: usize,
    /// Bytes of key/value memory; where absent, enough for several conversations of full length if a quarter of the
    /// free memory allows it.
    pub kv_bytes: Option<u64>,
    /// Longest prompt and answer together, where it is to be less than the model's.
    pub context: Option<usize>,
    /// Requests at once.
    pub max_batch: usize,
    /// Tokens per step.
    pub chunk: usize,
    /// Requests that may wait; more are turned away.
    pub queue: usize,
    /// Whether requests share the pages of equal prefixes.
    pub prefix_cache: bool,
    /// Whether answers are guessed ahead; they stay the same.
    pub speculate: Speculate,
    /// A smaller model with the same tokens that guesses too: its file or folder.
    pub draft: Option<PathBuf>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            name: None,
            threads: 0,
            kv_bytes: None,
            context: None,
            max_batch: 16,
            chunk: 256,
            queue: 256,
            prefix_cache: true,
            speculate: Speculate::default(),
            draft: None,
        }
    }
}

impl EngineOptions {
    /// Threads to use.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The draft model, where guesses are wanted at all.
    pub(crate) fn draft_path(&self) -> Option<&Path> {
        match self.speculate {
            Speculate::Off => None,
            Speculate::Lookup => self.draft.as_deref(),
        }
    }

    /// Pages of key/value memory for a model.
    pub(crate) fn pages(&self, decoder: &dyn Decoder) -> usize {
        let context = self.context.unwrap_or(usize::MAX).min(decoder.context());
        let whole = context.div_ceil(PAGE_TOKENS).max(1);
        let page = decoder.page_bytes().max(1) as u64;
        let pages = match self.kv_bytes {
            Some(bytes) => bytes / page,
            None => (crate::memory::free() / 4 / page).min(4 * whole as u64),
        };
        usize::try_from(pages)
            .unwrap_or(usize::MAX)
            .clamp(1, u32::MAX as usize - 1)
    }
}
