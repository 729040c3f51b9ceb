//! Embeddings, and the tokenizer of upstreams that lend theirs (vLLM's `/tokenize` and `/detokenize`).

use std::sync::Arc;

use candor_wire::chat::{Message, Tool};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Candidate;
use super::refusal::Failure;
use super::{Upstream, route};
use crate::{EmbedInput, Embeddings, EngineError, Tokenized};

/// Asks the replicas in turn. `body` makes the request in the words of whoever is asked.
async fn ask(
    upstream: &Upstream,
    key: u64,
    root: bool,
    path: &'static str,
    body: impl Fn(&Candidate) -> Result<Value, EngineError> + Send + Sync,
) -> Result<Value, EngineError> {
    let body = &body;
    upstream
        .try_each(key, move |candidate: Arc<Candidate>, place| {
            let made = body(&candidate).map_err(Failure::ours);
            Box::pin(async move {
                let _place = place;
                let address = &candidate.replica.address;
                let base = if root { &address.root } else { &address.api };
                candidate.json(format!("{base}{path}"), &made?).await
            })
        })
        .await
}

fn field<T: DeserializeOwned>(upstream: &Upstream, answer: &mut Value, name: &str) -> Result<T, EngineError> {
    serde_json::from_value(answer[name].take()).map_err(|e| EngineError::Unavailable {
        message: format!(
            "the upstream of `{}` answers without a proper `{name}` ({e}); is its `kind` right in the configuration?",
            upstream.name()
        ),
    })
}

pub(super) async fn embed(upstream: &Upstream, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
    let texts: Vec<&str> = inputs
        .iter()
        .filter_map(|input| {
            if let EmbedInput::Text(text) = input {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect();
    let ids: Vec<&[u32]> = inputs
        .iter()
        .filter_map(|input| {
            if let EmbedInput::Tokens(ids) = input {
                Some(ids.as_slice())
            } else {
                None
            }
        })
        .collect();
    let input = match (texts.is_empty(), ids.is_empty()) {
        (_, true) => json!(texts),
        (true, false) => json!(ids),
        (false, false) => {
            let message = "`input` mixes texts and token ids; send them in two requests".into();
            return Err(EngineError::Invalid {
                param: Some("input".into()),
                message,
            });
        }
    };
    let key = route::hash(&[input.to_string().as_bytes()]);
    let of_ids = !ids.is_empty();
    let mut answer = ask(upstream, key, false, "/embeddings", |candidate| {
        if of_ids && !candidate.pool.dialect.token_prompts {
            return Err(candidate.pool.dialect.lacks("input", "token ids"));
        }
        Ok(json!({ "model": candidate.model.id, "input": input, "encoding_format": "float" }))
    })
    .await?;
    #[derive(serde::Deserialize)]
    struct Row {
        index: usize,
        embedding: Vec<f32>,
    }
    let prompt_tokens = answer["usage"]["prompt_tokens"].as_u64().unwrap_or(0) as usize;
    let mut rows: Vec<Row> = field(upstream, &mut answer, "data")?;
    rows.sort_by_key(|row| row.index);
    let width = rows.first().map_or(0, |row| row.embedding.len());
    let whole = rows.len() == inputs.len()
        && rows
            .iter()
            .enumerate()
            .all(|(at, row)| row.index == at && row.embedding.len() == width);
    if !whole || rows.iter().any(|row| row.embedding.iter().any(|v| !v.is_finite())) {
        let message = format!(
            "the upstream of `{}` answers {} vectors that do not fit the {} inputs",
            upstream.name(),
            rows.len(),
            inputs.len()
        );
        return Err(EngineError::Unavailable { message });
    }
    Ok(Embeddings {
        vectors: rows.into_iter().map(|row| normal(row.embedding)).collect(),
        prompt_tokens,
    })
}

fn normal(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
    vector
}

pub(super) async fn tokenize(
    upstream: &Upstream,
    text: &str,
    special: bool,
    bos: bool,
) -> Result<Tokenized, EngineError> {
    let mut answer = ask(upstream, route::hash(&[text.as_bytes()]), true, "/tokenize", |candidate| {
        let dialect = candidate.pool.dialect;
        if !dialect.tokenize {
            return Err(dialect.lacks("model", "requests to tokenize"));
        }
        if !special && !dialect.parse_special {
            return Err(dialect.lacks("parse_special", "`parse_special: false`"));
        }
        let mut body = json!({ "model": candidate.model.id, "prompt": text, "add_special_tokens": bos, "return_token_strs": true });
        if dialect.parse_special {
            body["parse_special"] = json!(special);
        }
        Ok(body)
    })
    .await?;
    let ids: Vec<u32> = field(upstream, &mut answer, "tokens")?;
    let strings: Option<Vec<String>> = field(upstream, &mut answer, "token_strs")?;
    let mut strings = strings.filter(|strings| strings.len() == ids.len()).unwrap_or_default();
    strings.resize(ids.len(), String::new());
    Ok(Tokenized {
        pieces: pieces(&strings, text),
        ids,
    })
}

/// Bytes of tokens, out of a vocabulary's spelling: byte-level BPE's letters or SentencePiece's `▁` and `<0xNN>`,
/// whichever gives the text back; else the spelling as it is.
fn pieces(strings: &[String], text: &str) -> Vec<Vec<u8>> {
    let byte_level: Option<Vec<Vec<u8>>> = strings.iter().map(|s| s.chars().map(byte_of).collect()).collect();
    let sentence: Vec<Vec<u8>> = strings
        .iter()
        .map(|s| {
            match s
                .strip_prefix("<0x")
                .and_then(|hex| u8::from_str_radix(hex.strip_suffix('>')?, 16).ok())
            {
                Some(byte) => vec![byte],
                None => s.replace('▁', " ").into_bytes(),
            }
        })
        .collect();
    let plain: Vec<Vec<u8>> = strings.iter().map(|s| s.clone().into_bytes()).collect();
    let gives = |pieces: &[Vec<u8>]| String::from_utf8_lossy(&pieces.concat()).contains(text);
    if gives(&plain) {
        return plain;
    }
    match byte_level {
        Some(pieces) if gives(&pieces) => pieces,
        _ if gives(&sentence) => sentence,
        _ => plain,
    }
}

/// GPT-2's letters for bytes: printable ones stand for themselves, the others for U+0100 and up, in order.
fn byte_of(letter: char) -> Option<u8> {
    let itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    match u32::from(letter) {
        code @ 0..=0xFF if itself(code as u8) => Some(code as u8),
        code @ 0x100..=0x143 => (0..=255u8).filter(|byte| !itself(*byte)).nth((code - 0x100) as usize),
        _ => None,
    }
}

pub(super) async fn detokenize(upstream: &Upstream, ids: &[u32]) -> Result<Vec<u8>, EngineError> {
    let mut answer = ask(upstream, route::hash(&[]), true, "/detokenize", |candidate| {
        if !candidate.pool.dialect.tokenize {
            return Err(candidate.pool.dialect.lacks("model", "requests to detokenize"));
        }
        Ok(json!({ "model": candidate.model.id, "tokens": ids }))
    })
    .await?;
    Ok(field::<String>(upstream, &mut answer, "prompt")?.into_bytes())
}

pub(super) async fn render(
    upstream: &Upstream,
    messages: &[Message],
    tools: &[Tool],
    add_generation_prompt: bool,
) -> Result<String, EngineError> {
    let mut answer = ask(upstream, route::hash(&[]), true, "/tokenize", |candidate| {
        let dialect = candidate.pool.dialect;
        if !dialect.tokenize {
            return Err(dialect.lacks("messages", "requests to render a conversation"));
        }
        let messages: Vec<Value> = messages.iter().map(|message| dialect.message(message)).collect();
        let mut body = json!({ "model": candidate.model.id, "messages": messages, "add_generation_prompt": add_generation_prompt });
        if !tools.is_empty() {
            body["tools"] = json!(tools);
        }
        Ok(body)
    })
    .await?;
    let ids: Vec<u32> = field(upstream, &mut answer, "tokens")?;
    let bytes = detokenize(upstream, &ids).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn every_vocabularys_spelling_gives_the_text_back() {
        assert_eq!(
            pieces(&strings(&["Hello", "Ġw", "Ã¶", "Ċ"]), "Hello wö\n").concat(),
            "Hello wö\n".as_bytes()
        );
        assert_eq!(
            pieces(&strings(&["<s>", "▁Hi", "<0x0A>"]), " Hi\n").concat(),
            b"<s> Hi\n"
        );
        assert_eq!(pieces(&strings(&["你", "好"]), "你好").concat(), "你好".as_bytes());
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('ł'), Some(0xA0));
    }

    #[test]
    fn vectors_come_out_with_length_one() {
        assert_eq!(normal(vec![3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(normal(vec![0.0]), [0.0]);
    }
}
