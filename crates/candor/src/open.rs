//! Opening a model: finds the file, reads it, and starts the engine on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use candor_catalog::{Bytes, Found};
use candor_engine::registry::Registration;
use candor_engine::{EngineOptions, Generator, Local, Models};
use candor_model::{LoadOptions, Model};
use clap::Args;

use crate::config::{Kv, Precision, Speculate};
use crate::context::Context;
use crate::models;

/// More threads than this are never used.
const MOST_PER_CORE: usize = 4;

/// Options of every command that runs a model. They win over `[engine]` in the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Threads that compute; 0 is one per core, four per core the most
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
    /// Whether answers are guessed ahead; they stay the same
    #[arg(long, value_name = "HOW")]
    pub(crate) speculate: Option<Speculate>,
    /// A smaller model with the same tokens that guesses too
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) draft: Option<String>,
}

/// A model that is ready.
pub(crate) struct Opened {
    /// The name under which it was found.
    pub(crate) name: String,
    pub(crate) generator: Arc<dyn Generator>,
}

/// Finds the model that `what` names, or the default.
pub(crate) async fn resolve(context: &Context, what: Option<&str>) -> anyhow::Result<Found> {
    match what {
        Some(what) => models::find(context, what),
        None => models::default(context).await,
    }
}

/// Opens the model that `what` names, or the default.
pub(crate) async fn open(context: &Context, what: Option<&str>, args: &EngineArgs) -> anyhow::Result<Opened> {
    let found = resolve(context, what).await?;
    let load = load_options(context, args);
    let options = with_draft(context, args, engine_options(context, args, &found.name))?;
    fits(&found.path)?;
    let path = found.path.clone();
    // Reading a model takes a while; the runtime's threads stay free for Ctrl-C.
    let local = tokio::task::spawn_blocking(move || Local::open(&path, &load, &options)).await??;
    enough_context(&found.name, &local, wanted_context(context, args))?;
    Ok(Opened {
        name: found.name,
        generator: Arc::new(local),
    })
}

/// The model that `name` names, of this machine or of an upstream.
pub(crate) async fn generator(context: &Context, name: &str, args: &EngineArgs) -> anyhow::Result<Arc<dyn Generator>> {
    let upstreams = candor_engine::upstream::connect(&context.config.upstream)?;
    match upstreams.into_iter().find(|upstream| upstream.name() == name) {
        Some(upstream) => Ok(upstream),
        None => Ok(open(context, Some(name), args).await?.generator),
    }
}

/// Offers a model to a server, loaded.
pub(crate) async fn offer(context: &Context, models: &Models, found: &Found, args: &EngineArgs) -> anyhow::Result<()> {
    fits(&found.path)?;
    let options = with_draft(context, args, engine_options(context, args, &found.name))?;
    let load = load_options(context, args);
    models.register(candor_engine::native::from_path(
        &found.name,
        found.path.clone(),
        load,
        options,
    ));
    let generator = models.get(&found.name).await?;
    enough_context(&found.name, generator.as_ref(), wanted_context(context, args))
}

/// A model that is loaded when someone asks for it. The draft model is for the models that were named: it may have other
/// tokens than this one.
pub(crate) fn registration(context: &Context, name: &str, path: PathBuf, args: &EngineArgs) -> Registration {
    candor_engine::native::from_path(
        name,
        path,
        load_options(context, args),
        engine_options(context, args, name),
    )
}

/// A sentence where there is less memory than the file is large: better now than when the system kills the program.
fn fits(path: &Path) -> anyhow::Result<()> {
    let (_, free) = models::memory();
    let size = if path.is_dir() {
        let files = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        files
            .filter_map(|file| file.metadata().ok())
            .map(|metadata| metadata.len())
            .sum()
    } else {
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    if free > 0 && size > free {
        bail!(
            "{} needs {} of memory and {} are free; close other programs, or take a smaller model: `candor models` lists them",
            path.display(),
            Bytes(size),
            Bytes(free)
        );
    }
    Ok(())
}

/// A sentence where the context that was asked for cannot be had.
fn enough_context(name: &str, model: &dyn Generator, wanted: Option<usize>) -> anyhow::Result<()> {
    let (Some(wanted), Some(had)) = (wanted, model.card().context) else {
        return Ok(());
    };
    if model.abilities().generate && had < wanted {
        bail!(
            "{name} can have a context of {had} tokens here, and {wanted} were asked for: it was made for no more, or there is \
             too little memory; ask for at most {had} with --context"
        );
    }
    Ok(())
}

/// What was asked for as context, if anything.
fn wanted_context(context: &Context, args: &EngineArgs) -> Option<usize> {
    Some(args.context.unwrap_or(context.config.engine.context)).filter(|tokens| *tokens > 0)
}

/// Threads to compute with.
pub(crate) fn threads(context: &Context, args: &EngineArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match args.threads.unwrap_or(context.config.engine.threads) {
        0 => cores,
        // Threads wait for each other after every layer: with many more than cores, that is all they do.
        threads => threads.min(MOST_PER_CORE * cores),
    }
}

/// How to read a model.
pub(crate) fn load_options(context: &Context, args: &EngineArgs) -> LoadOptions {
    let engine = &context.config.engine;
    LoadOptions {
        precision: match args.precision.unwrap_or(engine.precision) {
            Precision::Quantized => candor_model::Precision::Quantized,
            Precision::Fast => candor_model::Precision::Fast,
            Precision::F32 => candor_model::Precision::F32,
        },
        kv: match args.kv.unwrap_or(engine.kv) {
            Kv::F16 => candor_model::KvFormat::F16,
            Kv::F32 => candor_model::KvFormat::F32,
            Kv::Q8 => candor_model::KvFormat::Q8,
        },
        threads: threads(context, args),
    }
}

/// How to run a model.
pub(crate) fn engine_options(context: &Context, args: &EngineArgs, name: &str) -> EngineOptions {
    let engine = &context.config.engine;
    EngineOptions {
        name: Some(name.to_owned()),
        threads: threads(context, args),
        context: wanted_context(context, args),
        max_batch: engine.max_batch,
        queue: engine.queue,
        prefix_cache: engine.prefix_cache,
        speculate: match args.speculate.unwrap_or(engine.speculate) {
            Speculate::Off => candor_engine::Speculate::Off,
            Speculate::Lookup => candor_engine::Speculate::Lookup,
        },
        ..EngineOptions::default()
    }
}

/// Adds the draft model that was named, if any.
pub(crate) fn with_draft(
    context: &Context,
    args: &EngineArgs,
    options: EngineOptions,
) -> anyhow::Result<EngineOptions> {
    let draft = args.draft.as_deref().unwrap_or(&context.config.engine.draft);
    if draft.is_empty() || options.speculate == candor_engine::Speculate::Off {
        return Ok(options);
    }
    let found = models::find(context, draft).context("the draft model, `--draft` or `engine.draft`")?;
    Ok(EngineOptions {
        draft: Some(found.path),
        ..options
    })
}

/// A sentence where a model cannot hold a conversation.
pub(crate) fn needs_chat(opened: &Opened) -> anyhow::Result<()> {
    let abilities = opened.generator.abilities();
    if !abilities.generate {
        bail!(
            "{} makes embeddings and no text; choose another model, `candor models` lists them",
            opened.name
        );
    }
    if !abilities.chat {
        bail!(
            "{} has no chat template: it continues text and was not taught to converse; use `candor generate --raw`",
            opened.name
        );
    }
    Ok(())
}

/// Whether a model's file can be read as what it says it is.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    Model::inspect(path).map(|_| ()).map_err(|error| error.to_string())
}
