//! A toy model for tests: its vocabulary is the bytes and a few words, and its logits are a hash of every token that it
//! reads back through the page table, so any mistake with pages, positions or chunks changes the answer.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_kernels::team::Team;
use candor_model::kv::{Counts, KvFormat, KvPages, KvShape};
use candor_model::{Decoder, PAGE_TOKENS, Step};
use serde_json::Value;

use crate::{DraftModel, EngineOptions, Kind, Lexicon, Local, ModelCard, Parts, Template};

pub const END: u32 = 256;
const WORDS: [&[u8]; 7] = [
    b"<|im_end|>",
    b"<|im_start|>",
    b"the",
    b" and",
    b"ab",
    b"<tool_call>",
    b"</tool_call>",
];
pub const VOCAB: usize = 256 + WORDS.len();

const BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut i = 0;
    while i < 256 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

pub struct ToyLexicon;

impl Lexicon for ToyLexicon {
    fn encode(&self, text: &str, special: bool) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text.as_bytes();
        while let Some(first) = rest.first() {
            let words = WORDS.iter().enumerate().filter(|(i, _)| special || *i >= 2);
            let word = words
                .filter(|(_, word)| rest.starts_with(word))
                .map(|(i, word)| (256 + i as u32, word.len()))
                .next();
            let (id, len) = word.unwrap_or((u32::from(*first), 1));
            ids.push(id);
            rest = &rest[len..];
        }
        ids
    }
    fn framed(&self, ids: Vec<u32>) -> Vec<u32> {
        ids
    }
    fn ends(&self) -> &[u32] {
        &[END]
    }
    fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        if id < 256 {
            &BYTES[id..=id]
        } else {
            WORDS.get(id - 256).copied().unwrap_or_default()
        }
    }
    fn is_special(&self, id: u32) -> bool {
        id == END || id == END + 1
    }
    fn vocab(&self) -> usize {
        VOCAB
    }
}

pub struct ToyTemplate;

impl Template for ToyTemplate {
    fn render(&self, messages: &Value, tools: Option<&Value>, _: bool) -> Result<String, String> {
        let turns: Vec<String> = messages
            .as_array()
            .unwrap()
            .iter()
            .map(|turn| format!("<|im_start|>{}\n{}<|im_end|>", turn["role"], turn["content"]))
            .collect();
        Ok(format!(
            "{}{}",
            tools.map_or(String::new(), Value::to_string),
            turns.concat()
        ))
    }
    fn source(&self) -> &str {
        "toy with tools"
    }
}

/// Predicts letters from a hash of the whole history; or a script, whatever it reads.
pub struct ToyDecoder {
    pub shape: KvShape,
    pub memory: Mutex<HashMap<(u32, usize), u32>>,
    /// What a layer with a window would read.
    pub near: Mutex<HashMap<(u32, usize), u32>>,
    pub pages: AtomicUsize,
    /// Answers to give, by the last prompt token's position: each new token follows the script after the marker byte 0x01.
    pub script: Option<Vec<u32>>,
    /// Predicts from so many last tokens (and a little from the others), so that texts repeat.
    pub order: Option<usize>,
    pub step_ms: u64,
    /// Panics at this token.
    pub poison: Option<u32>,
    pub forwards: AtomicU64,
    pub largest_step: AtomicUsize,
}

impl Default for ToyDecoder {
    fn default() -> Self {
        Self {
            shape: KvShape {
                windows: vec![None],
                kv_heads: 1,
                head_dim: 16,
                format: KvFormat::F16,
            },
            memory: Mutex::default(),
            near: Mutex::default(),
            pages: AtomicUsize::default(),
            script: None,
            order: None,
            step_ms: 0,
            poison: None,
            forwards: AtomicU64::default(),
            largest_step: AtomicUsize::default(),
        }
    }
}

impl Decoder for ToyDecoder {
    fn vocab(&self) -> usize {
        VOCAB
    }
    fn context(&self) -> usize {
        4096
    }
    fn kv_shape(&self) -> &KvShape {
        &self.shape
    }
    fn new_kv(&self, pages: Counts) -> Result<KvPages, candor_model::Error> {
        self.pages.store(pages.far, Ordering::SeqCst);
        KvPages::new(self.shape.clone(), pages)
    }
    fn forward(&self, _: &Team, step: &Step<'_>, _: &mut KvPages) -> Vec<f32> {
        self.forwards.fetch_add(1, Ordering::SeqCst);
        self.largest_step.fetch_max(step.tokens.len(), Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.step_ms));
        let pages = self.pages.load(Ordering::SeqCst);
        let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut row = 0;
        let mut logits = Vec::new();
        let mut seen = self.near.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (segment, near) in step.segments.iter().zip(step.near) {
            let slot = |position: usize| (segment.pages[position / PAGE_TOKENS], position % PAGE_TOKENS);
            let near = |position: usize| (near.pages[position / PAGE_TOKENS], position % PAGE_TOKENS);
            for position in segment.past..segment.past + segment.len {
                let token = step.tokens[row];
                assert_ne!(Some(token), self.poison, "poisoned");
                assert!((slot(position).0 as usize) < pages);
                memory.insert(slot(position), token);
                if let Some(window) = self.shape.window() {
                    seen.insert(near(position), token);
                    for position in (position + 1).saturating_sub(window)..=position {
                        assert_eq!(seen[&near(position)], memory[&slot(position)], "position {position}");
                    }
                }
                if step.wanted.contains(&row) {
                    let history: Vec<u32> = (0..=position).map(|position| memory[&slot(position)]).collect();
                    logits.extend(self.predict(&history));
                }
                row += 1;
            }
        }
        assert_eq!(row, step.tokens.len());
        logits
    }
}

impl ToyDecoder {
    fn predict(&self, history: &[u32]) -> Vec<f32> {
        if let Some(script) = &self.script {
            let start = history
                .iter()
                .rposition(|token| *token == 1)
                .map_or(history.len(), |at| at + 1);
            let next = script.get(history.len() - start).copied().unwrap_or(END);
            return (0..VOCAB as u32)
                .map(|id| if id == next { 20.0 } else { 0.0 })
                .collect();
        }
        let letter = |id: u64| if (97..123).contains(&id) { 4.0 } else { -8.0 };
        let whole = hash(history);
        match self.order {
            None => (0..VOCAB as u64)
                .map(|id| letter(id) + 3.0 * noise(whole, id))
                .collect(),
            Some(order) => {
                let last = hash(&history[history.len().saturating_sub(order)..]);
                let logit = |id| letter(id) + 12.0 * noise(last, id) + 0.3 * noise(whole, id);
                (0..VOCAB as u64).map(logit).collect()
            }
        }
    }
}

fn hash(tokens: &[u32]) -> u64 {
    let fold = |hash: u64, token: &u32| (hash ^ u64::from(*token)).wrapping_mul(0x100_0000_01b3);
    tokens.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

/// From 0 to 1.
fn noise(hash: u64, id: u64) -> f32 {
    let mixed = (hash ^ id)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f32 / (1 << 24) as f32
}

pub fn engine(decoder: ToyDecoder, options: &EngineOptions) -> (Arc<ToyDecoder>, Local) {
    engine_with_draft(decoder, None, options)
}

pub fn engine_with_draft(
    decoder: ToyDecoder,
    draft: Option<ToyDecoder>,
    options: &EngineOptions,
) -> (Arc<ToyDecoder>, Local) {
    let decoder = Arc::new(decoder);
    let parts = Parts {
        kind: Kind::Decoder(Arc::clone(&decoder) as Arc<dyn Decoder>),
        lexicon: Arc::new(ToyLexicon),
        template: Some(Arc::new(ToyTemplate)),
        card: ModelCard {
            id: "toy".into(),
            ..ModelCard::default()
        },
        draft: draft.map(|draft| DraftModel {
            decoder: Arc::new(draft),
            cost: 0.0,
        }),
    };
    (decoder, Local::from_parts(parts, options).unwrap())
}
