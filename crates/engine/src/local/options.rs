//! How an engine is set up.

use std::path::{Path, PathBuf};

use candor_model::{Counts, Decoder, PAGE_TOKENS};

use crate::Speculate;
use crate::near::most_held;

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

    /// Pages of key/value memory for a model. Those of near layers (with a sliding window) are either enough for
    /// `running` requests, or as many as the others.
    pub(crate) fn pages(&self, decoder: &dyn Decoder) -> Counts {
        let whole = self.whole(decoder);
        let page = decoder.kv_shape().page_bytes();
        let each = self.near_pages(decoder);
        let most = each * self.max_batch.max(1);
        let bytes = self.kv_bytes.unwrap_or_else(|| {
            let wanted = (4 * whole * page.far + most * page.near) as u64;
            (crate::memory::free() / 4).min(wanted)
        });
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let both = (bytes / (page.far + page.near).max(1)).max(1);
        // Where memory is short, half of it: more far pages let contexts be longer, more near ones requests run together.
        let part = if page.far == 0 { bytes } else { bytes / 2 };
        let near = (part / page.near.max(1)).clamp(each, most).min(both);
        let far = if both <= each {
            both
        } else {
            let left = bytes - (near * page.near).min(bytes);
            left.checked_div(page.far).unwrap_or(4 * whole)
        };
        let possible = |pages: usize| pages.clamp(1, u32::MAX as usize - 1);
        Counts {
            far: possible(far),
            near: possible(near),
        }
    }

    /// How many requests can run at once on these pages.
    pub(crate) fn running(&self, pages: Counts, decoder: &dyn Decoder) -> usize {
        let most = self.max_batch.max(1);
        match self.near_pages(decoder) {
            // With as many near pages as far ones, who has far ones finds near ones too.
            each if each > 0 && pages.near < pages.far => most.min(pages.near / each).max(1),
            _ => most,
        }
    }

    /// Pages of the longest context.
    fn whole(&self, decoder: &dyn Decoder) -> usize {
        let context = self.context.unwrap_or(usize::MAX).min(decoder.context());
        context.div_ceil(PAGE_TOKENS).max(1)
    }

    /// The most near pages that a request holds.
    fn near_pages(&self, decoder: &dyn Decoder) -> usize {
        let window = decoder.kv_shape().window();
        window.map_or(0, |window| {
            most_held(window, self.chunk.max(1)).min(self.whole(decoder))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::toy::ToyDecoder;

    fn decoder(far: usize, near: usize, window: usize) -> ToyDecoder {
        let mut decoder = ToyDecoder::default();
        decoder.shape.windows = vec![None; far];
        decoder.shape.windows.extend(vec![Some(window); near]);
        decoder
    }

    #[test]
    fn a_window_lets_the_same_memory_hold_longer_contexts() {
        // Layers as in Gemma 3 270M.
        let (all, some) = (decoder(18, 0, 0), decoder(3, 15, 512));
        let options = EngineOptions {
            kv_bytes: Some(2048 << 10),
            ..EngineOptions::default()
        };
        // A page is 1 KiB in each layer.
        assert_eq!(options.pages(&all).far, 2048 / 18);
        let pages = options.pages(&some);
        assert_eq!((pages.far, pages.near), ((2048 - 68 * 15) / 3, 1024 / 15));
        assert_eq!(options.running(pages, &some), 1);
        let plenty = EngineOptions {
            kv_bytes: Some(64 << 20),
            ..options
        };
        let pages = plenty.pages(&some);
        assert_eq!((pages.near, plenty.running(pages, &some)), (16 * 49, 16));
    }

    proptest! {
        #[test]
        fn whatever_the_memory_every_running_request_finds_near_pages(
            far in 0usize..5,
            near in 0usize..5,
            window in 1usize..3000,
            kib in 0u64..20_000,
            max_batch in 1usize..20,
            context in 1usize..4096,
        ) {
            prop_assume!(far + near > 0);
            let options = EngineOptions {
                kv_bytes: Some(kib << 10),
                context: Some(context),
                max_batch,
                ..EngineOptions::default()
            };
            let model = decoder(far, near, window);
            let pages = options.pages(&model);
            let running = options.running(pages, &model);
            prop_assert!(pages.far > 0 && (1..=max_batch).contains(&running));
            if let Some(window) = model.shape.window() {
                // A request is at most as long as the context, and as the far pages.
                let each = most_held(window, options.chunk).min(context.div_ceil(PAGE_TOKENS)).min(pages.far);
                prop_assert!(pages.near >= running * each || pages.near >= pages.far, "{pages:?} {running} {each}");
            }
            let page = model.shape.page_bytes();
            let bytes = pages.far * page.far + pages.near * page.near;
            prop_assert!(bytes <= (kib << 10) as usize || pages.far == 1, "{pages:?} take {bytes} bytes");
        }
    }
}
