//! The configuration: one TOML file, over which the environment wins, over which the command line wins.
//! `default.toml` documents every key; a test holds it equal to the defaults here.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// The commented default, as `candor config --default` prints it.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

/// Keys that `CANDOR_` + the key in capitals, with `_` for `.`, overrides: `server.port` is `CANDOR_SERVER_PORT`.
pub(crate) const KEYS: &[&str] = &[
    "model",
    "server.host",
    "server.port",
    "server.base_path",
    "server.allowed_hosts",
    "server.cors_origins",
    "server.max_body_bytes",
    "server.max_upload_bytes",
    "server.max_requests",
    "server.max_connections",
    "server.read_timeout_s",
    "server.write_timeout_s",
    "server.keep_alive_s",
    "server.drain_s",
    "engine.threads",
    "engine.context",
    "engine.kv",
    "engine.precision",
    "engine.memory_gb",
    "engine.max_batch",
    "engine.queue",
    "engine.prefix_cache",
    "engine.speculate",
    "engine.draft",
    "sampling.temperature",
    "sampling.top_p",
    "sampling.top_k",
    "sampling.min_p",
    "sampling.repetition_penalty",
    "sampling.max_tokens",
    "sources.meaning",
    "chat.system",
    "chat.markdown",
    "chat.history",
];

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where models, conversations and history are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The model that is used where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    pub(crate) server: candor_server::ServerConfig,
    pub(crate) engine: Engine,
    pub(crate) sampling: Sampling,
    pub(crate) sources: Sources,
    pub(crate) chat: Chat,
    /// OpenAI-compatible servers whose models are served through this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) upstream: Vec<candor_engine::upstream::UpstreamConfig>,
}

/// `[engine]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    /// 0: one per core.
    pub(crate) threads: usize,
    /// 0: the model's own, as far as memory allows.
    pub(crate) context: usize,
    pub(crate) kv: Kv,
    pub(crate) precision: Precision,
    /// 0: three quarters of what is free.
    pub(crate) memory_gb: f64,
    pub(crate) max_batch: usize,
    pub(crate) queue: usize,
    pub(crate) prefix_cache: bool,
    pub(crate) speculate: Speculate,
    /// A name or a path; empty: no draft model.
    pub(crate) draft: String,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            threads: 0,
            context: 0,
            kv: Kv::F16,
            precision: Precision::Quantized,
            memory_gb: 0.0,
            max_batch: 16,
            queue: 64,
            prefix_cache: true,
            speculate: Speculate::Lookup,
            draft: String::new(),
        }
    }
}

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kv {
    /// Half precision: the default
    F16,
    /// Single precision: twice the memory, exact
    F32,
    /// 8 bits: little more than half the memory, slightly less exact
    Q8,
}

/// Whether answers are guessed ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Speculate {
    /// Every token takes a step of its own
    Off,
    /// Guesses come from the text so far, and from the draft model if one is named: the default
    Lookup,
}

/// How weights are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precision {
    /// As the file has them, with 16-bit activations: the default
    Quantized,
    /// As the file has them, with 8-bit activations as other engines do: faster with prompts and many answers, less exact
    Fast,
    /// Everything in single precision: exact and slow
    F32,
}

/// `[sampling]`: defaults of `candor chat` and `candor generate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sampling {
    pub(crate) temperature: f32,
    pub(crate) top_p: f32,
    pub(crate) top_k: u32,
    pub(crate) min_p: f32,
    pub(crate) repetition_penalty: f32,
    /// 0: as long as the context has room.
    pub(crate) max_tokens: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.95,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_tokens: 0,
        }
    }
}

/// `[sources]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sources {
    /// Whether passages are found by meaning too; the model for it is fetched where it is not here.
    pub(crate) meaning: bool,
}

impl Default for Sources {
    fn default() -> Self {
        Self { meaning: true }
    }
}

/// `[chat]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Chat {
    pub(crate) system: String,
    pub(crate) markdown: bool,
    pub(crate) history: bool,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            system: String::new(),
            markdown: true,
            history: true,
        }
    }
}

/// The name of the environment variable that overrides a key.
pub(crate) fn variable(key: &str) -> String {
    format!("CANDOR_{}", key.replace('.', "_").to_uppercase())
}

/// Reads the defaults, the file where there is one, and the environment, and checks the result.
pub(crate) fn load(file: &Path) -> anyhow::Result<Config> {
    let env = Env::raw().filter_map(|name| {
        KEYS.iter()
            .find(|key| name.as_str().eq_ignore_ascii_case(&variable(key)))
            .map(|key| (*key).into())
    });
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if file.is_file() {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Err(error) = toml::from_str::<toml::Table>(&text) {
            let line = error.span().map_or(0, |span| {
                text.get(..span.start).unwrap_or_default().matches('\n').count()
            }) + 1;
            bail!(
                "{} is not TOML: line {line}: {}",
                file.display(),
                error.message().replace('\n', " ")
            );
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    let config: Config = figment
        .merge(env.split("."))
        .extract()
        .map_err(|error| anyhow::anyhow!(sentence(&error, file)))?;
    check(&config)?;
    Ok(config)
}

/// Ranges; each message names the key and what it takes.
fn check(config: &Config) -> anyhow::Result<()> {
    let sampling = &config.sampling;
    if !(0.0..=5.0).contains(&sampling.temperature) {
        bail!(
            "`sampling.temperature` is {}; it takes 0 (always the likeliest token) to 5",
            sampling.temperature
        );
    }
    for (key, value) in [("top_p", sampling.top_p), ("min_p", sampling.min_p)] {
        if !(0.0..=1.0).contains(&value) {
            bail!("`sampling.{key}` is {value}; it takes 0 to 1");
        }
    }
    if !(sampling.repetition_penalty > 0.0 && sampling.repetition_penalty <= 10.0) {
        bail!(
            "`sampling.repetition_penalty` is {}; it takes more than 0 and at most 10 (1 is off)",
            sampling.repetition_penalty
        );
    }
    if !(0.0..=1e6).contains(&config.engine.memory_gb) {
        bail!(
            "`engine.memory_gb` is {}; it takes 0 (three quarters of what is free) or more",
            config.engine.memory_gb
        );
    }
    if config.engine.max_batch == 0 {
        bail!("`engine.max_batch` is 0; it takes 1 or more");
    }
    check_base(&config.server.base_path).map_err(|what| anyhow::anyhow!("`server.base_path` {what}"))?;
    Ok(())
}

/// What is wrong with a base path, as the end of a sentence.
pub(crate) fn check_base(base: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if base.is_empty() || (base.starts_with('/') && !base.ends_with('/') && base.chars().all(plain)) {
        return Ok(());
    }
    Err(format!(
        "is \"{base}\"; it starts with / and does not end with it, as in \"/candor\", and has no other characters than letters, \
         digits and -._~"
    ))
}

/// What is wrong, where, and what to do.
fn sentence(error: &figment::Error, file: &Path) -> String {
    let key = error.path.join(".");
    let from_env = error
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.name.contains("environment"));
    let place = if from_env {
        variable(&key)
    } else {
        file.display().to_string()
    };
    let hint = "`candor config --default` prints every key with its meaning";
    match &error.kind {
        Kind::UnknownField(found, known) => {
            let section = key
                .rsplit_once('.')
                .map_or(String::new(), |(section, _)| format!(" in [{section}]"));
            format!(
                "{place}: there is no key `{found}`{section}; there are {}; {hint}",
                known.join(", ")
            )
        }
        Kind::UnknownVariant(found, known) => {
            format!("{place}: `{key}` is \"{found}\"; it takes {}", known.join(" or "))
        }
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!(
                "{place}: `{key}` is {}; it takes {}",
                value(found),
                kind(&wanted.to_string())
            )
        }
        Kind::Message(message) => format!("{place}: {}; {hint}", message.trim().replace('\n', " ")),
        other => format!("{place}: `{key}`: {other}; {hint}"),
    }
}

/// What stands in the file, as it stands there.
fn value(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// Rust's names of types in words.
fn kind(wanted: &str) -> &str {
    match wanted {
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_commented_default_is_the_default() {
        let read: Config = toml::from_str(DEFAULT).unwrap();
        assert_eq!(
            toml::to_string(&read).unwrap(),
            toml::to_string(&Config::default()).unwrap()
        );
    }

    #[test]
    fn every_key_is_documented_and_can_be_overridden_by_the_environment() {
        let table: toml::Table = toml::from_str(&toml::to_string(&Config::default()).unwrap()).unwrap();
        for (section, value) in &table {
            if let Some(section_table) = value.as_table() {
                for key in section_table.keys() {
                    let path = format!("{section}.{key}");
                    assert!(KEYS.contains(&path.as_str()), "{path} is missing in KEYS");
                    assert!(
                        DEFAULT.contains(&format!("\n{key} = ")),
                        "{path} is missing in default.toml"
                    );
                }
            }
        }
    }

    #[test]
    fn an_absent_file_means_the_defaults() {
        assert_eq!(load(Path::new("/does/not/exist.toml")).unwrap().server.port, 8080);
    }
}
