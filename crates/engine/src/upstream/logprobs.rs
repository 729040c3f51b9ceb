//! Log-probabilities in the two shapes that servers send: a list of tokens in chat, parallel lists in completions.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::TokenLogprob;

/// Most alternatives per token that are kept.
const MAX_TOP: usize = 20;

/// Either shape.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Logprobs {
    /// Completions.
    Lists {
        /// Tokens as text.
        tokens: Vec<String>,
        /// Theirs; the first of a prompt has none.
        #[serde(default)]
        token_logprobs: Vec<Option<f32>>,
        /// Alternatives.
        #[serde(default)]
        top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
    },
    /// Chat.
    Content {
        /// One entry per token; `null` where there are none.
        content: Option<Vec<Entry>>,
    },
}

/// A token in chat's shape.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    token: String,
    #[serde(default)]
    logprob: Option<f32>,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Entry>>,
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        self.bytes.clone().unwrap_or_else(|| self.token.clone().into_bytes())
    }
}

impl Logprobs {
    pub(super) fn tokens(self) -> Vec<TokenLogprob> {
        match self {
            Self::Content { content } => content.unwrap_or_default().into_iter().map(from_entry).collect(),
            Self::Lists {
                tokens,
                token_logprobs,
                top_logprobs,
            } => {
                let mut tops = top_logprobs.unwrap_or_default().into_iter();
                let mut own = token_logprobs.into_iter();
                tokens
                    .into_iter()
                    .map(|text| {
                        let top = tops.next().flatten().unwrap_or_default();
                        let top = top
                            .into_iter()
                            .filter_map(|(text, p)| Some((None, text.into_bytes(), p.as_f64()? as f32)));
                        let bytes = text.clone().into_bytes();
                        TokenLogprob {
                            id: None,
                            text,
                            bytes,
                            logprob: own.next().flatten(),
                            top: best(top.collect()),
                        }
                    })
                    .collect()
            }
        }
    }
}

fn from_entry(entry: Entry) -> TokenLogprob {
    let top = entry
        .top_logprobs
        .iter()
        .flatten()
        .filter_map(|top| Some((None, top.bytes(), top.logprob?)))
        .collect();
    TokenLogprob {
        id: None,
        bytes: entry.bytes(),
        logprob: entry.logprob,
        top: best(top),
        text: entry.token,
    }
}

type Top = Vec<(Option<u32>, Vec<u8>, f32)>;

fn best(mut top: Top) -> Top {
    top.sort_by(|a, b| b.2.total_cmp(&a.2));
    top.truncate(MAX_TOP);
    top
}
