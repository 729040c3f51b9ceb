//! `[[upstream]]` of the configuration: which servers there are, what they speak, which of their models are offered
//! under which name. Reads no environment and opens no connection; `checked` finds what cannot work.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// One group of servers that serve the same models.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Names the group in errors, metrics and `owned_by`.
    pub name: String,
    /// What the servers are, and so which settings can be passed on.
    #[serde(default)]
    pub kind: Kind,
    /// Addresses of equal servers, such as `http://10.0.0.5:8000`. An address without a path means `/v1` below it; with
    /// a path it is taken as it stands (`https://host/api/v3`).
    pub replicas: Vec<String>,
    /// The environment variable that holds the key, where the servers ask for one. The key itself never stands here.
    #[serde(default)]
    pub key_env: Option<String>,
    /// The models to offer.
    pub models: Vec<UpstreamModel>,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How often a request that has not yet produced a token is tried again.
    #[serde(default = "two")]
    pub retries: u32,
    /// Where to ask whether a replica is well; by default `/health` or `/v1/models`, as `kind` has it.
    #[serde(default)]
    pub health_path: Option<String>,
    /// Whether to go through the proxy that the environment names. Off: upstreams usually stand next door.
    #[serde(default)]
    pub proxy: bool,
}

/// One model of an upstream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamModel {
    /// Its name at the upstream.
    pub id: String,
    /// Its name here; by default `id`. Several upstreams may serve the same alias.
    #[serde(default)]
    pub alias: Option<String>,
    /// The share of requests for the alias that this upstream gets, against the others that serve it.
    #[serde(default = "one")]
    pub weight: f64,
    /// Most requests at the same time, per replica; unlimited where absent.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Most requests that wait for a place when every replica is at `max_concurrent`.
    #[serde(default = "sixty_four")]
    pub queue: usize,
    /// Longest context in tokens, for `/v1/models`; the upstream enforces it.
    #[serde(default)]
    pub context: Option<usize>,
    /// Most new tokens that one request may ask for.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// What the model does.
    #[serde(default)]
    pub task: Task,
}

/// What a server is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Anything that speaks OpenAI's API and no extension of it.
    #[default]
    Openai,
    /// vLLM 0.11 or later.
    Vllm,
    /// SGLang.
    Sglang,
    /// `llama-server` of llama.cpp.
    Llamacpp,
    /// The server of the Python package `llama-cpp-python`.
    LlamacppPython,
    /// Another Candor.
    Candor,
}

/// What a model does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Makes text.
    #[default]
    Generate,
    /// Makes embeddings.
    Embed,
}

/// How long to wait for what, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection.
    pub connect_s: f64,
    /// For the first token: queue and prefill of the upstream together.
    pub first_token_s: f64,
    /// Between two pieces of a stream.
    pub idle_s: f64,
    /// For a place, where `max_concurrent` is reached.
    pub queue_s: f64,
    /// For an answer to a health check.
    pub probe_s: f64,
    /// Between two health checks.
    pub probe_every_s: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_s: 5.0,
            first_token_s: 300.0,
            idle_s: 120.0,
            queue_s: 30.0,
            probe_s: 5.0,
            probe_every_s: 10.0,
        }
    }
}

fn two() -> u32 {
    2
}
fn one() -> f64 {
    1.0
}
fn sixty_four() -> usize {
    64
}

impl UpstreamModel {
    /// The name under which Candor offers it.
    pub fn alias(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.id)
    }
}

impl UpstreamConfig {
    /// Finds what cannot work.
    ///
    /// # Errors
    /// A sentence that names the key at fault.
    pub fn checked(&self) -> Result<(), EngineError> {
        let name = &self.name;
        let wrong = |what: String| {
            Err(EngineError::Invalid {
                param: Some("upstream".into()),
                message: what,
            })
        };
        if name.trim().is_empty() {
            return wrong(
                "an `[[upstream]]` has an empty `name`; give it one, it appears in errors and metrics".into(),
            );
        }
        if self.replicas.is_empty() {
            return wrong(format!(
                "upstream `{name}` has no `replicas`; list at least one address, such as \"http://10.0.0.5:8000\""
            ));
        }
        for address in &self.replicas {
            if let Err(why) = Address::parse(address) {
                return wrong(format!("upstream `{name}`: the replica `{address}` {why}"));
            }
        }
        if self.models.is_empty() {
            return wrong(format!(
                "upstream `{name}` has no `models`; add `[[upstream.models]]` with the `id` that the server knows"
            ));
        }
        let mut seen = HashSet::new();
        for model in &self.models {
            let id = &model.id;
            if id.trim().is_empty() || model.alias().trim().is_empty() {
                return wrong(format!(
                    "upstream `{name}` has a model with an empty `id` or `alias`; write its name or leave `alias` out"
                ));
            }
            if !seen.insert(model.alias()) {
                return wrong(format!(
                    "upstream `{name}` offers `{}` twice; give one of them another `alias`",
                    model.alias()
                ));
            }
            if !(model.weight.is_finite() && model.weight > 0.0) {
                return wrong(format!(
                    "upstream `{name}`, model `{id}`: `weight` must be above 0; remove the model instead of weighing it 0"
                ));
            }
            if model.max_concurrent == Some(0) {
                return wrong(format!(
                    "upstream `{name}`, model `{id}`: `max_concurrent` must be at least 1; leave it out for no limit"
                ));
            }
        }
        let t = &self.timeouts;
        for (key, value) in [
            ("connect_s", t.connect_s),
            ("first_token_s", t.first_token_s),
            ("idle_s", t.idle_s),
            ("queue_s", t.queue_s),
            ("probe_s", t.probe_s),
            ("probe_every_s", t.probe_every_s),
        ] {
            if !(value > 0.0 && value <= 86_400.0) {
                return wrong(format!(
                    "upstream `{name}`: `timeouts.{key}` must be above 0 and at most 86400 seconds"
                ));
            }
        }
        Ok(())
    }
}

/// A replica's address, split into where its API and where its root routes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Ends in `/v1` or in the path that was configured; no slash at the end.
    pub(super) api: String,
    /// Where `/health` and `/tokenize` are; no slash at the end.
    pub(super) root: String,
    /// Whether TLS is needed.
    pub(super) tls: bool,
    /// Whether it is on this machine.
    pub(super) loopback: bool,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text)
            .map_err(|e| format!("is not an address ({e}); write it like \"http://10.0.0.5:8000\""))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("begins with `{other}:`; only http and https are spoken")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "holds a user name or password; put the key in an environment variable and name it in `key_env`".into(),
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a `?` or `#` in it; leave everything from there on out".into());
        }
        let Some(host) = url.host_str() else {
            return Err("has no host".into());
        };
        let loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
        let plain = url.as_str().trim_end_matches('/').to_owned();
        let (api, root) = if url.path().trim_matches('/').is_empty() {
            (format!("{plain}/v1"), plain)
        } else {
            let root = plain
                .rsplit_once('/')
                .map_or(plain.as_str(), |(root, _)| root)
                .to_owned();
            (plain, root)
        };
        Ok(Self {
            api,
            root,
            tls,
            loopback,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config() -> UpstreamConfig {
        serde_json::from_str(r#"{"name":"a","replicas":["http://127.0.0.1:1"],"models":[{"id":"m"}]}"#).unwrap()
    }

    #[test]
    fn a_plain_address_means_v1_and_a_path_stands_as_it_is() {
        let plain = Address::parse("http://127.0.0.1:8000/").unwrap();
        assert_eq!(
            (plain.api.as_str(), plain.root.as_str()),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000")
        );
        let v1 = Address::parse("http://[::1]:8000/v1/").unwrap();
        assert_eq!(
            (v1.api.as_str(), v1.root.as_str(), v1.loopback),
            ("http://[::1]:8000/v1", "http://[::1]:8000", true)
        );
        let deep = Address::parse("https://host.example/api/v3").unwrap();
        assert_eq!((deep.api.as_str(), deep.tls), ("https://host.example/api/v3", true));
    }

    #[test]
    fn an_address_with_a_password_is_refused() {
        assert!(Address::parse("http://a:b@host").unwrap_err().contains("key_env"));
        assert!(Address::parse("ftp://host").is_err());
        assert!(Address::parse("host:8000").is_err());
    }

    #[test]
    fn what_cannot_work_is_said_with_the_key_at_fault() {
        config().checked().unwrap();
        let mut none = config();
        none.replicas.clear();
        assert!(none.checked().unwrap_err().to_string().contains("`replicas`"));
        let mut zero = config();
        zero.models[0].weight = 0.0;
        assert!(zero.checked().unwrap_err().to_string().contains("`weight`"));
        let mut twice = config();
        twice.models.push(twice.models[0].clone());
        assert!(twice.checked().unwrap_err().to_string().contains("twice"));
        let mut endless = config();
        endless.timeouts.idle_s = f64::NAN;
        assert!(endless.checked().unwrap_err().to_string().contains("idle_s"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = r#"{"name":"a","replicas":["http://h"],"models":[{"id":"m"}],"repilcas":[]}"#;
        assert!(serde_json::from_str::<UpstreamConfig>(text).is_err());
    }
}
