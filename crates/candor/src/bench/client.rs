//! One request to an OpenAI-compatible server, and when its parts came back. Nothing of the text is kept.

use std::sync::Once;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use candor_engine::upstream::sse::SseParser;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

/// Most bytes of an error's text that are read.
const MOST_OF_AN_ERROR: usize = 1 << 16;
/// Most letters of it that are shown.
const SHOWN_OF_AN_ERROR: usize = 300;

/// A server, and how to ask it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    pub(crate) model: String,
    pub(crate) chat: bool,
    pub(crate) ignore_eos: bool,
}

/// What came back, by the client's clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    /// Since the request was sent: each event that carried text, the first token first.
    pub(crate) events: Vec<Duration>,
    /// Since then: the end of the stream.
    pub(crate) end: Duration,
    pub(crate) usage: Option<Usage>,
}

/// What the server counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) prompt_tokens_details: Option<Details>,
}

/// More of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) cached_tokens: Option<u64>,
}

/// An event, as far as it matters; servers differ in the rest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk {
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    text: Option<String>,
    delta: Option<Delta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
}

impl Chunk {
    /// Whether a reader sees something new.
    fn has_text(&self) -> bool {
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        self.choices.iter().any(|choice| {
            let delta = choice.delta.as_ref();
            filled(&choice.text)
                || delta.is_some_and(|d| filled(&d.content) || filled(&d.reasoning_content) || filled(&d.reasoning))
        })
    }
}

impl Client {
    /// A client of the server at `url`; `key` goes into its headers, `limit` is the most that a request may take.
    pub(crate) fn new(url: &str, key: Option<&str>, limit: Duration) -> anyhow::Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default(); // an error means: someone already did
        });
        let address = reqwest::Url::parse(url)
            .with_context(|| format!("{url} is not an address such as http://127.0.0.1:8080"))?;
        if !matches!(address.scheme(), "http" | "https") {
            bail!("{url} is not an address that begins with http:// or https://");
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
            let mut value = value.map_err(|_| anyhow::anyhow!("the key holds characters that no header can carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let builder = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none()) // the key goes to nobody else
            .no_proxy() // a proxy would be measured too
            .tcp_nodelay(true)
            .timeout(limit)
            .user_agent(concat!("candor-bench/", env!("CARGO_PKG_VERSION")));
        // Some servers close a connection after a stream, just when the next request is on its way: over plain http, where
        // it costs next to nothing, each request has a connection of its own. Machines without a certificate store can
        // still speak it, which needs none.
        let builder = if address.scheme() == "http" {
            builder.tls_certs_only([]).pool_max_idle_per_host(0)
        } else {
            builder
        };
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        Ok(Self {
            http: builder.build().context("no HTTP client can be made on this machine")?,
            base: format!("{base}/v1"),
            model: String::new(),
            chat: false,
            ignore_eos: true,
        })
    }

    /// The models that the server lists, at least one.
    pub(crate) async fn models(&self) -> anyhow::Result<Vec<String>> {
        let url = format!("{}/models", self.base);
        let answer = self.http.get(&url).send().await;
        let answer = answer.map_err(|error| anyhow::anyhow!("{url}: {}; is the server running?", why(&error)))?;
        if !answer.status().is_success() {
            bail!("{url}: {}; name the model with --model", refusal(answer).await);
        }
        let list: Value = answer.json().await.with_context(|| format!("{url} gives no JSON"))?;
        let all = list.get("data").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<String> = all
            .filter_map(|one| Some(one.get("id")?.as_str()?.to_owned()))
            .collect();
        if names.is_empty() {
            bail!("{url} lists no model; name one with --model");
        }
        Ok(names)
    }

    fn body(&self, prompt: &str, most: u32) -> Value {
        let mut body = json!({
            "model": self.model,
            "max_tokens": most,
            "temperature": 0,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if self.chat {
            body["messages"] = json!([{"role": "user", "content": prompt}]);
        } else {
            body["prompt"] = json!(prompt);
        }
        if self.ignore_eos {
            body["ignore_eos"] = json!(true);
        }
        body
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    /// A sentence on what went wrong.
    pub(crate) async fn ask(&self, prompt: &str, most: u32) -> Result<Answer, String> {
        let route = if self.chat { "chat/completions" } else { "completions" };
        let request = self
            .http
            .post(format!("{}/{route}", self.base))
            .json(&self.body(prompt, most));
        let sent = Instant::now();
        let mut response = request.send().await.map_err(|error| why(&error))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let mut answer = Answer::default();
        let (mut parser, mut events) = (SseParser::new(), Vec::new());
        let mut done = false;
        while let Some(bytes) = response.chunk().await.map_err(|error| why(&error))? {
            let now = sent.elapsed();
            parser
                .push(&bytes, &mut events)
                .map_err(|error| format!("the stream cannot be read: {error}"))?;
            for event in events.drain(..) {
                done |= event.trim() == "[DONE]";
                if !done {
                    answer.take(&event, now)?;
                }
            }
            answer.end = now;
        }
        if !done && answer.usage.is_none() {
            return Err("the stream ended before the answer did".to_owned());
        }
        // Tokens without text (an end of text that was ignored, say): the answer is there when the stream ends.
        if answer.events.is_empty() {
            answer.events.push(answer.end);
        }
        Ok(answer)
    }
}

impl Answer {
    fn take(&mut self, event: &str, now: Duration) -> Result<(), String> {
        let chunk: Chunk = serde_json::from_str(event).map_err(|_| format!("an event is no JSON: {}", cut(event)))?;
        if let Some(error) = chunk.error {
            return Err(said(&error));
        }
        if chunk.has_text() {
            self.events.push(now);
        }
        self.usage = chunk.usage.or(self.usage);
        Ok(())
    }

    /// Tokens of the answer: as the server counted, or as many as there were events.
    pub(crate) fn tokens(&self) -> u64 {
        self.usage
            .map_or(self.events.len() as u64, |usage| usage.completion_tokens)
    }
}

/// The status and the server's words.
async fn refusal(mut response: reqwest::Response) -> String {
    let status = response.status().as_u16();
    let mut text = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        text.extend_from_slice(&bytes);
        if text.len() > MOST_OF_AN_ERROR {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let words = match serde_json::from_str::<Value>(&text) {
        Ok(value) => said(value.get("error").unwrap_or(&value)),
        Err(_) => cut(text.trim()),
    };
    format!("HTTP {status}: {words}")
}

fn said(error: &Value) -> String {
    let message = error.get("message").unwrap_or(error);
    cut(message.as_str().unwrap_or(&message.to_string()))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_OF_AN_ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn why(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it takes longer than --timeout allows".to_owned(),
        (_, true) => format!("no connection ({deepest})"),
        _ => format!("the connection broke ({deepest})"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(events: &[&str]) -> Result<Answer, String> {
        let mut answer = Answer::default();
        for (ms, event) in events.iter().enumerate() {
            answer.take(event, Duration::from_millis(ms as u64))?;
        }
        Ok(answer)
    }

    #[test]
    fn events_count_when_they_carry_text_whatever_the_route() {
        let answer = read(&[
            r#"{"choices": [{"delta": {"role": "assistant", "content": ""}}]}"#,
            r#"{"choices": [{"delta": {"content": "a"}}], "usage": null}"#,
            r#"{"choices": [{"delta": {"reasoning_content": "b"}}]}"#,
            r#"{"choices": [{"text": "c", "index": 0}]}"#,
            r#"{"choices": [{"text": "", "finish_reason": "length"}]}"#,
            r#"{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4, "prompt_tokens_details": null}}"#,
        ])
        .unwrap();
        assert_eq!(answer.events, [1, 2, 3].map(Duration::from_millis));
        assert_eq!(answer.tokens(), 4);
    }

    #[test]
    fn without_usage_events_are_tokens() {
        assert_eq!(read(&[r#"{"choices": [{"text": "c"}]}"#]).unwrap().tokens(), 1);
    }

    #[test]
    fn an_error_inside_a_stream_is_the_servers_sentence() {
        assert_eq!(
            read(&[r#"{"error": {"message": "out of memory"}}"#]).unwrap_err(),
            "out of memory"
        );
        assert!(read(&["<html>"]).unwrap_err().contains("no JSON"));
    }

    #[test]
    fn addresses_may_end_in_v1_and_must_be_http() {
        let base = |url: &str| Client::new(url, None, Duration::from_secs(1)).map(|client| client.base);
        for url in [
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/v1/",
        ] {
            assert_eq!(base(url).unwrap(), "http://127.0.0.1:8080/v1");
        }
        assert!(base("127.0.0.1:8080").is_err() && base("file:///etc/passwd").is_err());
    }

    #[test]
    fn what_is_asked_for_is_in_the_body() {
        let mut client = Client::new("http://x", None, Duration::from_secs(1)).unwrap();
        client.model = "m".into();
        let body = client.body("hi", 9);
        assert_eq!(body["prompt"], "hi");
        assert_eq!((&body["ignore_eos"], &body["max_tokens"]), (&json!(true), &json!(9)));
        assert_eq!(body["stream_options"]["include_usage"], true);
        (client.chat, client.ignore_eos) = (true, false);
        let body = client.body("hi", 9);
        assert_eq!(body["messages"][0]["content"], "hi");
        assert!(body.get("prompt").is_none() && body.get("ignore_eos").is_none());
    }
}
