//! Where things are and what is configured: worked out once, before a command runs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cli::Global;
use crate::config::{self, Config};

/// Conversations, in the data directory.
pub(crate) const STORE: &str = "candor.db";
/// The key that signs receipts, in the data directory.
pub(crate) const KEY: &str = "instance.key";

/// Confidences fitted to someone's own questions, in the data directory, where there are such.
pub(crate) const CALIBRATION: &str = "calibration.json";
/// How claims are judged, with the mixes of language models, in the data directory, where it was fitted anew.
pub(crate) const CHECKING: &str = "checking.json";

/// What every command works with.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The configuration in force.
    pub(crate) config: Config,
    /// The configuration file (which need not exist).
    pub(crate) config_file: PathBuf,
    /// Where data is kept; made when something is first written there.
    pub(crate) data_dir: PathBuf,
}

impl Context {
    /// Reads the configuration file and the environment.
    pub(crate) fn new(global: &Global) -> anyhow::Result<Self> {
        let config_file = config_file(global)?;
        if global.config.is_some() && !config_file.is_file() {
            bail!(
                "there is no configuration file {}; `candor config --default` prints one to start from",
                config_file.display()
            );
        }
        let config = config::load(&config_file)?;
        let data_dir = match (&global.data_dir, &config.data_dir) {
            (Some(dir), _) | (None, Some(dir)) => dir.clone(),
            (None, None) => platform()?.data_dir().to_owned(),
        };
        Ok(Self {
            config,
            config_file,
            data_dir,
        })
    }

    /// Where models are kept: `CANDOR_MODELS`, else a folder of the data directory.
    pub(crate) fn models_dir(&self) -> PathBuf {
        match std::env::var_os("CANDOR_MODELS").filter(|dir| !dir.is_empty()) {
            Some(dir) => dir.into(),
            None => self.data_dir.join("models"),
        }
    }

    /// The data directory, made if need be.
    pub(crate) fn made_data_dir(&self) -> anyhow::Result<&Path> {
        std::fs::create_dir_all(&self.data_dir).with_context(|| {
            format!(
                "cannot make the data directory {}; choose another with --data-dir or CANDOR_DATA_DIR",
                self.data_dir.display()
            )
        })?;
        Ok(&self.data_dir)
    }
}

/// The configuration file that is read: `--config`, or the platform's usual place.
fn config_file(global: &Global) -> anyhow::Result<PathBuf> {
    match &global.config {
        Some(file) => Ok(file.clone()),
        None => Ok(platform()?.config_dir().join("config.toml")),
    }
}

fn platform() -> anyhow::Result<directories::ProjectDirs> {
    directories::ProjectDirs::from("", "", "candor")
        .context("this account has no home directory; set CANDOR_DATA_DIR and CANDOR_CONFIG")
}
