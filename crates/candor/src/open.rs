//! Opening a model: finds the file, reads it, and starts the engine on it.

use std::sync::Arc;

use anyhow::bail;
use candor_catalog::Found;
use candor_engine::Generator;
use clap::Args;

use crate::config::{Kv, Precision};
use crate::context::Context;
use crate::models;

/// Options of every command that runs a model. They win over `[engine]` in the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Threads that compute; 0 is one per core
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Tokens of context; 0 is what the model was made for, as far as memory allows
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context: Option<usize>,
    /// How keys and values are kept
    #[arg(long, value_name = "FORMAT")]
    pub(crate) kv: Option<Kv>,
    /// How weights are multiplied
    #[arg(long)]
    pub(crate) precision: Option<Precision>,
}

/// A model that is ready.
pub(crate) struct Opened {
    /// The name under which it was found.
    pub(crate) name: String,
    pub(crate) generator: Arc<dyn Generator>,
}

/// Opens the model that `what` names, or the default.
pub(crate) async fn open(context: &Context, what: Option<&str>, engine: &EngineArgs) -> anyhow::Result<Opened> {
    let found = match what {
        Some(what) => models::find(context, what)?,
        None => models::default(context).await?,
    };
    start(context, found, engine).await
}

async fn start(_context: &Context, found: Found, _engine: &EngineArgs) -> anyhow::Result<Opened> {
    bail!("{}: this build has no engine yet", found.path.display())
}

/// A sentence where a model cannot hold a conversation.
pub(crate) fn needs_chat(opened: &Opened) -> anyhow::Result<()> {
    let abilities = opened.generator.abilities();
    if !abilities.generate {
        bail!("{} makes embeddings and no text; choose another model, `candor models` lists them", opened.name);
    }
    if !abilities.chat {
        bail!(
            "{} has no chat template: it continues text and was not taught to converse; use `candor generate --raw`",
            opened.name
        );
    }
    Ok(())
}

/// Whether a model's file can be opened as what it says it is.
pub(crate) fn check(path: &std::path::Path) -> Result<(), String> {
    std::fs::metadata(path).map(|_| ()).map_err(|error| format!("{}: {error}", path.display()))
}
