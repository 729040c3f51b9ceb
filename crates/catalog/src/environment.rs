//! What the surroundings say: the hub's endpoint and token, the caches of other programs, the models folder.
//!
//! The only file of this crate that reads environment variables; everything else gets an [`Environment`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The hub and the caches, as the usual environment variables name them.
#[derive(Clone, Default)]
pub struct Environment {
    /// The hub's address, without a slash at the end.
    pub hub_endpoint: String,
    /// The hub's token; sent to `hub_endpoint` only.
    pub hub_token: Option<String>,
    /// `HF_HUB_OFFLINE` is set: the hub is not asked at all.
    pub hub_offline: bool,
    /// The folder with `models--org--name` in it.
    pub hub_cache: Option<PathBuf>,
    /// The folder with `manifests` and `blobs` in it.
    pub ollama_models: Option<PathBuf>,
    /// Commands to try, in order, that lead to pip: `python3 -m pip`, ...
    pub pip: Vec<Vec<OsString>>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("hub_endpoint", &self.hub_endpoint)
            .field("hub_token", &self.hub_token.as_ref().map(|_| "set, not shown"))
            .field("hub_offline", &self.hub_offline)
            .field("hub_cache", &self.hub_cache)
            .field("ollama_models", &self.ollama_models)
            .field("pip", &self.pip)
            .finish()
    }
}

impl Environment {
    /// The address of the hub where `HF_ENDPOINT` names no other.
    pub const HUB: &str = "https://huggingface.co";

    /// Reads `HF_ENDPOINT`, `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE`,
    /// `HF_HUB_OFFLINE`, `OLLAMA_MODELS`, `CANDOR_PYTHON` and the home folder.
    pub fn from_process() -> Self {
        Self::read(&|name| std::env::var_os(name).filter(|v| !v.is_empty()))
    }

    fn read(var: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| var(name).and_then(|v| v.into_string().ok());
        let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf());
        let hub_home = var("HF_HOME").map(|v| expand(&v, home.as_deref())).or_else(|| {
            let cache = var("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(home.as_ref()?.join(".cache")))?;
            Some(cache.join("huggingface"))
        });
        let hub_cache = var("HF_HUB_CACHE")
            .or_else(|| var("HUGGINGFACE_HUB_CACHE"))
            .map(|v| expand(&v, home.as_deref()))
            .or_else(|| Some(hub_home.as_ref()?.join("hub")));
        let hub_token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")).or_else(|| {
            let file = var("HF_TOKEN_PATH")
                .map(|v| expand(&v, home.as_deref()))
                .or_else(|| Some(hub_home.as_ref()?.join("token")))?;
            std::fs::read_to_string(file).ok()
        });
        let pip = match var("CANDOR_PYTHON") {
            Some(python) => vec![vec![python, "-m".into(), "pip".into()]],
            None => [
                &["python3", "-m", "pip"][..],
                &["python", "-m", "pip"],
                &["pip3"],
                &["pip"],
            ]
            .iter()
            .map(|words| words.iter().map(OsString::from).collect())
            .collect(),
        };
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| Self::HUB.into());
        Self {
            hub_endpoint: endpoint.trim().trim_end_matches('/').to_owned(),
            // A token is one word of ASCII; anything else would break the request's header.
            hub_token: hub_token
                .map(|t| t.trim().to_owned())
                .filter(|t| !t.is_empty() && t.len() < 4096 && t.bytes().all(|b| b.is_ascii_graphic())),
            hub_offline: text("HF_HUB_OFFLINE")
                .is_some_and(|v| matches!(&*v.to_ascii_lowercase(), "1" | "true" | "yes" | "on")),
            hub_cache,
            ollama_models: var("OLLAMA_MODELS").map(|v| expand(&v, home.as_deref())).or_else(|| {
                let own = home.as_ref().map(|home| home.join(".ollama/models"));
                // Installed as a service on Linux, Ollama keeps its models in the home of its own account.
                let service = PathBuf::from("/usr/share/ollama/.ollama/models");
                match own {
                    Some(own) if own.join("manifests").is_dir() || !service.join("manifests").is_dir() => Some(own),
                    None if !service.is_dir() => None,
                    _ => Some(service),
                }
            }),
            pip,
        }
    }
}

/// `~/x` in the home folder; anything else as it is.
fn expand(value: &OsString, home: Option<&Path>) -> PathBuf {
    let path = Path::new(value);
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_path_buf(),
    }
}

/// Where models are kept: `CANDOR_MODELS`, else `models` in the platform's data folder for Candor.
/// `None` where the platform names no home folder.
pub fn default_models_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("CANDOR_MODELS").filter(|v| !v.is_empty()) {
        return Some(dir.into());
    }
    Some(
        directories::ProjectDirs::from("", "", "candor")?
            .data_dir()
            .join("models"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn read(vars: &[(&str, &str)]) -> Environment {
        Environment::read(&|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn the_usual_variables_are_read() {
        let found = read(&[
            ("HF_ENDPOINT", "https://hub.example/ "),
            ("HF_TOKEN", " hf_x\n"),
            ("HF_HOME", "/h"),
            ("OLLAMA_MODELS", "/o"),
        ]);
        assert_eq!(found.hub_endpoint, "https://hub.example");
        assert_eq!(found.hub_token.as_deref(), Some("hf_x"));
        assert_eq!(found.hub_cache.as_deref(), Some(Path::new("/h/hub")));
        assert_eq!(found.ollama_models.as_deref(), Some(Path::new("/o")));
        assert_eq!(found.pip.len(), 4);
    }

    #[test]
    fn the_token_file_is_read_where_no_variable_is_set_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let found = read(&[("HF_HOME", dir.path().to_str().unwrap())]);
        assert_eq!(found.hub_token.as_deref(), Some("hf_file"));
        assert!(!format!("{found:?}").contains("hf_file"));
    }

    #[test]
    fn a_token_that_would_break_the_header_is_left_out() {
        assert_eq!(read(&[("HF_TOKEN", "a\r\nX: y"), ("HF_HOME", "/none")]).hub_token, None);
    }
}
