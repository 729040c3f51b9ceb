//! Log-probabilities in the two shapes that clients know: a list of objects (chat) and four lists (plain completions).

use candor_engine::TokenLogprob;
use candor_wire::chat_completions::{ChatLogprobs, ChatTokenLogprob, TopLogprob};
use candor_wire::completions::CompletionLogprobs;
use serde_json::{Map, Value};

/// JSON has no infinity; this is what OpenAI writes.
const LOWEST: f32 = -9999.0;

fn finite(logprob: f32) -> f32 {
    if logprob.is_nan() {
        LOWEST
    } else {
        logprob.clamp(LOWEST, 0.0)
    }
}

/// A JSON number that reads like the `f32` beside it: harnesses compare the two for equality.
fn number(logprob: f32) -> Value {
    let decimal = finite(logprob).to_string().parse::<f64>();
    Value::from(decimal.unwrap_or_else(|_| f64::from(finite(logprob))))
}

/// A token's name: its id where that is wanted and known, else its text by `text`.
fn name(as_ids: bool, id: Option<u32>, text: impl FnOnce() -> String) -> String {
    match id {
        Some(id) if as_ids => format!("token_id:{id}"),
        _ => text(),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Text where the bytes are some, else `bytes:\xe4\xb8`, so that different tokens never have the same name.
fn text_or_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |mut name, byte| {
            use std::fmt::Write;
            let _ = write!(name, "\\x{byte:02x}");
            name
        }),
    }
}

/// For chat.
pub(super) fn chat(tokens: &[TokenLogprob], as_ids: bool) -> ChatLogprobs {
    let content = tokens.iter().map(|token| ChatTokenLogprob {
        token: name(as_ids, token.id, || lossy(&token.bytes)),
        logprob: finite(token.logprob.unwrap_or(LOWEST)),
        bytes: Some(token.bytes.clone()),
        top_logprobs: token
            .top
            .iter()
            .map(|(id, bytes, logprob)| TopLogprob {
                token: name(as_ids, *id, || lossy(bytes)),
                logprob: finite(*logprob),
                bytes: Some(bytes.clone()),
            })
            .collect(),
    });
    ChatLogprobs {
        content: content.collect(),
        refusal: None,
    }
}

/// For plain completions, token after token.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// What is collected.
    pub(super) lists: CompletionLogprobs,
    offset: usize,
}

impl Lists {
    /// Adds tokens whose text is part of the answer.
    pub(super) fn push(&mut self, tokens: &[TokenLogprob], as_ids: bool) {
        for token in tokens {
            self.push_one(token, as_ids, lossy(&token.bytes).chars().count());
        }
    }

    /// Adds a prompt's tokens. Its text may lack what the tokenizer put before it (BOS, a space), which has no width.
    pub(super) fn push_prompt(&mut self, tokens: &[TokenLogprob], as_ids: bool, text: &str) {
        let bytes: usize = tokens.iter().map(|token| token.bytes.len()).sum();
        let mut added = bytes.saturating_sub(text.len());
        for token in tokens {
            let hidden = added.min(token.bytes.len());
            added -= hidden;
            let shown = token.bytes.get(hidden..).unwrap_or_default();
            self.push_one(token, as_ids, lossy(shown).chars().count());
        }
    }

    fn push_one(&mut self, token: &TokenLogprob, as_ids: bool, width: usize) {
        let own = name(as_ids, token.id, || text_or_bytes(&token.bytes));
        let top = token.logprob.map(|logprob| {
            let mut top = Map::new();
            for (id, bytes, logprob) in &token.top {
                top.entry(name(as_ids, *id, || text_or_bytes(bytes)))
                    .or_insert_with(|| number(*logprob));
            }
            top.entry(own.clone()).or_insert_with(|| number(logprob));
            top
        });
        self.lists.tokens.push(own);
        self.lists.token_logprobs.push(token.logprob.map(finite));
        self.lists.top_logprobs.push(top);
        self.lists.text_offset.push(self.offset);
        self.offset += width;
    }

    /// Takes what was collected; offsets go on.
    pub(super) fn take(&mut self) -> CompletionLogprobs {
        std::mem::take(&mut self.lists)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, bytes: &[u8], logprob: Option<f32>) -> TokenLogprob {
        TokenLogprob {
            id: Some(id),
            text: lossy(bytes),
            bytes: bytes.to_vec(),
            logprob,
            top: vec![(Some(9), b"x".to_vec(), -0.5)],
        }
    }

    #[test]
    fn offsets_count_characters_of_the_text_and_skip_the_bos() {
        let mut lists = Lists::default();
        let tokens = [
            token(1, b"<s>", None),
            token(2, "é".as_bytes(), Some(-1.0)),
            token(3, b"ab", Some(f32::NEG_INFINITY)),
        ];
        lists.push_prompt(&tokens, false, "éab");
        lists.push(&[token(4, b"c", Some(-2.0))], false);
        assert_eq!(lists.lists.text_offset, [0, 0, 1, 3]);
        assert_eq!(lists.lists.token_logprobs, [None, Some(-1.0), Some(LOWEST), Some(-2.0)]);
        assert!(lists.lists.top_logprobs[0].is_none());
        assert_eq!(lists.lists.top_logprobs[1].as_ref().unwrap().len(), 2);
    }

    #[test]
    fn a_tokens_score_reads_the_same_in_both_lists() {
        let mut lists = Lists::default();
        lists.push(&[token(1, b"a", Some(-0.41876978))], false);
        let text = serde_json::to_string(&lists.take()).unwrap();
        assert!(text.contains(r#""token_logprobs":[-0.41876978]"#), "{text}");
        assert!(text.contains(r#""a":-0.41876978"#), "{text}");
    }

    #[test]
    fn tokens_that_are_no_text_keep_different_names() {
        assert_eq!(text_or_bytes(&[0xe4, 0xb8]), "bytes:\\xe4\\xb8");
        assert_eq!(name(true, Some(7), || unreachable!()), "token_id:7");
    }
}
