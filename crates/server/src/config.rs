//! What can be configured about the server, with the defaults. The command line fills it from its config file, the
//! environment and flags; nothing here reads any of those.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A secret that `Debug` does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key. Spaces around it are not part of it; an empty one is none.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// Whether `given` is this key, in time that does not depend on where they differ.
    pub fn matches(&self, given: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The `[server]` section of the config file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on. Anything but a loopback address needs an API key.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Path under which everything is served, for a proxy that does not strip it: `/candor`. Empty is the root.
    pub base_path: String,
    /// Origins whose pages may call the API (`https://chat.example.org`). Empty: none but our own page.
    pub cors_origins: Vec<String>,
    /// Host names, besides loopback ones, under which the server may be addressed without a key.
    pub allowed_hosts: Vec<String>,
    /// The key that callers must send as `Authorization: Bearer …`; from `CANDOR_API_KEY`, never from a file.
    #[serde(skip)]
    pub api_key: Option<ApiKey>,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Largest upload in bytes.
    pub max_upload_bytes: u64,
    /// Most requests that are worked on at a time; more get 429.
    pub max_requests: usize,
    /// Most open connections; more wait to be accepted.
    pub max_connections: usize,
    /// Seconds that a client may take to send its request's head, and again its body.
    pub read_timeout_s: u64,
    /// Seconds that a client may take without reading anything of its answer.
    pub write_timeout_s: u64,
    /// Seconds between comments that keep a silent stream open.
    pub keep_alive_s: u64,
    /// Seconds that running answers get to finish at shutdown.
    pub drain_s: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8080,
            base_path: String::new(),
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            api_key: None,
            max_body_bytes: 32 << 20,
            max_upload_bytes: 256 << 20,
            max_requests: 512,
            max_connections: 1024,
            read_timeout_s: 30,
            write_timeout_s: 60,
            keep_alive_s: 10,
            drain_s: 30,
        }
    }
}

impl ServerConfig {
    /// The base path as routes want it: empty, or `/a/b` without a slash at its end.
    pub fn base(&self) -> String {
        let trimmed = self.base_path.trim_matches('/');
        if trimmed.is_empty() {
            String::new()
        } else {
            format!("/{trimmed}")
        }
    }

    /// Time that a client may take to send a head or a body.
    pub fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.read_timeout_s.max(1))
    }

    /// Time that a client may take without reading.
    pub fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_s.max(1))
    }

    /// Time that running answers get at shutdown.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s)
    }
}
