//! Which model is meant: the catalog with the user's own additions, the default, and getting the default when it is absent.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use candor_catalog::{Catalog, Entry, Environment, Error, Found, PullOptions};

use crate::context::Context;
use crate::terminal::PullDisplay;

/// How long the hub may take to show that it is there before the packaged default is used.
const HUB_PATIENCE: Duration = Duration::from_secs(3);

/// The catalog, extended by `catalog.toml` beside the configuration file.
pub(crate) fn catalog(context: &Context) -> anyhow::Result<Catalog> {
    let own = context.config_file.with_file_name("catalog.toml");
    Ok(Catalog::load(Some(&own))?)
}

/// The model that `what` names, on this machine.
pub(crate) fn find(context: &Context, what: &str) -> anyhow::Result<Found> {
    Ok(candor_catalog::find(
        &catalog(context)?,
        &context.models_dir(),
        &Environment::from_process(),
        what,
    )?)
}

/// Downloads a model, with a bar.
pub(crate) async fn pull(context: &Context, entry: &Entry, again: bool) -> anyhow::Result<candor_catalog::PulledModel> {
    context.made_data_dir()?;
    let mut options = PullOptions::new(context.models_dir()).with_progress(PullDisplay::new());
    options.again = again;
    Ok(candor_catalog::pull(entry, &options).await?)
}

/// The model that is used where none is named: the configured one, the one chosen earlier, or the catalog's default.
/// Only the catalog's default is downloaded without being asked for.
pub(crate) async fn default(context: &Context) -> anyhow::Result<Found> {
    if let Some(name) = &context.config.model {
        return find(context, name)
            .with_context(|| format!("the default model, `model` in {}", context.config_file.display()));
    }
    let note = context.data_dir.join("default-model");
    if let Ok(name) = std::fs::read_to_string(&note)
        && let Ok(found) = find(context, name.trim())
    {
        return Ok(found);
    }
    let catalog = catalog(context)?;
    let memory = total_memory();
    let small = catalog
        .recommend(memory, false)
        .context("the catalog has no default model; name one with --model")?;
    match find(context, &small.name) {
        Ok(found) => return Ok(found),
        Err(error) if matches!(error.downcast_ref(), Some(Error::NotPulled { .. })) => {}
        Err(error) => return Err(error),
    }
    let chosen = match catalog.recommend(memory, true) {
        Some(large) if large.name != small.name && hub_answers().await && agreed_to(large, small, memory)? => large,
        _ => small,
    };
    eprintln!("getting {} ({}), the default model", chosen.name, size(chosen));
    let pulled = pull(context, chosen, false).await?;
    if chosen.name != small.name {
        write_note(&note, &chosen.name)?;
    }
    let found = find(context, &chosen.name);
    found.or_else(|_| find(context, &pulled.path.to_string_lossy()))
}

/// Whether stdin is a terminal, so that a question can be asked, and the hub is there.
async fn hub_answers() -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let environment = Environment::from_process();
    matches!(
        tokio::time::timeout(HUB_PATIENCE, candor_catalog::hub_answers(&environment)).await,
        Ok(Ok(()))
    )
}

fn agreed_to(large: &Entry, small: &Entry, memory: u64) -> anyhow::Result<bool> {
    eprintln!(
        "This machine has {} of memory, enough for {} ({}): {}",
        candor_catalog::Bytes(memory),
        large.title,
        large.parameters,
        large.good_for
    );
    if !large.tried {
        eprintln!("Nobody has tried this model with Candor yet.");
    }
    eprint!(
        "Download {} for it? Otherwise {} ({}) is used. [y/N] ",
        size(large),
        small.title,
        size(small)
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A download's size in words.
pub(crate) fn size(entry: &Entry) -> String {
    format!(
        "{}{}",
        if entry.size_is_approximate() { "about " } else { "" },
        entry.size()
    )
}

fn write_note(note: &PathBuf, name: &str) -> anyhow::Result<()> {
    std::fs::write(note, format!("{name}\n")).with_context(|| format!("cannot write {}", note.display()))
}

/// This machine's memory in bytes.
pub(crate) fn total_memory() -> u64 {
    memory().0
}

/// This machine's memory in bytes: all of it, and what is available now.
pub(crate) fn memory() -> (u64, u64) {
    let Ok(mut system) = sysinfo::System::new() else {
        return (0, 0);
    };
    system.refresh_memory();
    match system.cgroup_limits() {
        Some(limits) => (
            system.total_memory().min(limits.total_memory),
            system.available_memory().min(limits.free_memory),
        ),
        None => (system.total_memory(), system.available_memory()),
    }
}
