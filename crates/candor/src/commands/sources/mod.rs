//! `candor sources`: the documents that answers may quote.

mod add;
mod list;
mod refresh;
mod remove;
mod watch;

use std::process::ExitCode;

use anyhow::bail;
use candor_store::{Collection, Source, SourceState, Store};
use candor_truth::ingest::{Event, Outcome, Summary};
use candor_truth::{Library, Synced, standing};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::context::Context;
use crate::terminal::{ImportDisplay, print};

/// Add, list, refresh and remove the documents that answers may quote
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources add ~/papers               every document under a folder
  candor sources add report.pdf notes.md --collection work
  candor sources add https://example.org/   a page, a document or a feed on the web
  candor sources list                       what is there
  candor sources refresh                    see what changed on the disk and on the web
  candor search \"what did we decide?\"      find passages

Text is kept in the data directory; the files themselves are left alone. An import that was stopped goes on where it
was when the same command runs again.")]
pub(crate) struct Sources {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Add(add::Add),
    List(list::List),
    Refresh(refresh::Refresh),
    Remove(remove::Remove),
    Watch(watch::Watch),
}

impl Sources {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let runtime = crate::runtime::start()?;
        runtime.block_on(async {
            match self.what {
                What::Add(command) => command.run(context).await,
                What::List(command) => command.run(context).await,
                What::Refresh(command) => command.run(context).await,
                What::Remove(command) => command.run(context).await,
                What::Watch(command) => command.run(context).await,
            }
        })
    }
}

/// The collection of this name or id.
pub(crate) async fn collection(store: &Store, name: &str) -> anyhow::Result<Collection> {
    let mut names = Vec::new();
    for one in store.collections(None, 10_000).await? {
        if one.name == name || one.id == name {
            return Ok(one);
        }
        names.push(one.name);
    }
    if names.is_empty() {
        bail!("there is no collection yet; `candor sources add PATH --collection {name}` makes one");
    }
    bail!("there is no collection `{name}`; there are: {}", names.join(", "))
}

/// The ids of the collections of these names or ids.
pub(crate) async fn collections(store: &Store, names: &[String]) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(collection(store, name).await?.id);
    }
    Ok(ids)
}

/// What a reader of a quote has to know of its source.
pub(crate) fn caution(source: &Source) -> &'static str {
    match source.state {
        SourceState::Gone => "  (not there any more when it was last looked at)",
        _ => "",
    }
}

/// Brings the index up to date, with a bar, and looks again at answers whose sources changed.
async fn sync(library: &Library, display: &ImportDisplay) -> anyhow::Result<Synced> {
    let show = |progress| display.indexing(progress);
    let synced = library
        .index
        .sync(&library.store, library.embedder.get(), &show)
        .await?;
    display.done();
    let answers = standing::recheck(&library.store).await?;
    if answers > 0 {
        eprintln!("{answers} earlier answers cite what changed; `candor verify RECEIPT` says how each stands");
    }
    Ok(synced)
}

/// What an import did, for people or as JSON.
fn report(summary: &Summary, synced: Synced, library: &Library, json: bool) -> anyhow::Result<ExitCode> {
    let size = library.index.size();
    if json {
        let all = json!({ "files": summary, "index": { "added": synced, "now": size } });
        print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    } else {
        let counts = [
            (summary.added, "added"),
            (summary.changed, "changed"),
            (summary.unchanged, "unchanged"),
            (summary.failed, "failed"),
            (summary.passed_over, "passed over"),
            (summary.gone, "gone"),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let counts = if counts.is_empty() {
            "nothing to do".to_owned()
        } else {
            counts.join(", ")
        };
        let meaning = match size.passages - size.vectors.min(size.passages) {
            0 => String::new(),
            some => format!(", {some} of them by words alone"),
        };
        print(&format!(
            "{counts}; {} passages can be searched{meaning}\n",
            size.passages
        ))?;
    }
    Ok(if summary.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Shows each file that has something to tell.
fn show(display: &ImportDisplay, event: &Event<'_>) {
    match event {
        Event::Found { files, bytes } => display.found(*files, *bytes),
        Event::Reading(path) => display.reading(path),
        Event::Done {
            path,
            bytes,
            outcome,
            reason,
        } => {
            let why = reason.unwrap_or("");
            match outcome {
                Outcome::Failed => display.say(path, &format!("cannot be used: {why}")),
                Outcome::Gone => display.say(path, "is not there any more; its text is kept"),
                _ => {}
            }
            display.advance(*bytes);
        }
    }
}
