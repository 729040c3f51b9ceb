//! `candor sources add`: imports files, folders, web pages and feeds, or what comes through a pipe.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candor_store::SourceState;
use candor_truth::Address;
use candor_truth::ingest::web::{Taken, Web};
use candor_truth::ingest::{Outcome, Summary};
use clap::Args;

use super::{report, show, sync};
use crate::context::Context;
use crate::library::{self, Meaning};
use crate::open::EngineArgs;
use crate::terminal::ImportDisplay;

/// Bytes that are read from a pipe.
const MOST_PIPED: u64 = 256 * 1024 * 1024;

/// Import files, folders, web pages and feeds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources add ~/papers
  candor sources add report.pdf --collection work
  candor sources add ~/notes --watch        and follow what changes there, while `candor serve` runs
  candor sources add https://example.org/news.rss
  git log | candor sources add - --name history.txt")]
pub(super) struct Add {
    /// Files, folders, addresses of pages, documents and feeds (RSS, Atom); - reads one document from stdin
    #[arg(required = true, value_name = "PATH|URL")]
    what: Vec<PathBuf>,
    /// Put them into this collection, which is made where there is none
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Watch these folders: what changes in them is imported by `candor serve` or `candor sources watch`
    #[arg(long)]
    watch: bool,
    /// Let addresses lead to this machine and your own network; only the public internet is asked otherwise
    #[arg(long)]
    allow_private: bool,
    /// What to call the document that comes through stdin
    #[arg(long, value_name = "NAME", default_value = "stdin.txt")]
    name: String,
    /// Index words only: fast, and a later import or refresh adds the vectors
    #[arg(long)]
    no_vectors: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Add {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let library = library::open(context, &self.engine, Meaning::now_if(!self.no_vectors)).await?;
        let collection = match &self.collection {
            Some(name) => Some(library.store.collection_named(name).await?.id),
            None => None,
        };
        let importer = library::importer(&library, collection)?;
        let display = ImportDisplay::new();
        let (piped, named): (Vec<PathBuf>, Vec<PathBuf>) =
            self.what.into_iter().partition(|path| path.as_os_str() == "-");
        let (addresses, paths): (Vec<PathBuf>, Vec<PathBuf>) = named
            .into_iter()
            .partition(|path| path.to_str().is_some_and(Address::is_meant));
        let addresses = addresses
            .iter()
            .map(|address| Address::parse(&address.to_string_lossy()));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if self.watch {
            if paths.is_empty() {
                bail!("--watch is for folders; name one");
            }
            for path in &paths {
                importer.watch(path).await?;
            }
        }
        let mut summary = if paths.is_empty() {
            Summary::default()
        } else {
            importer.import(&paths, &|event| show(&display, &event)).await?
        };
        let web = Web::new(importer.clone())?;
        for address in &addresses {
            display.reading(Path::new(address.as_str()));
            let Taken {
                outcome, reason, bytes, ..
            } = web.add(address, self.allow_private).await?;
            if outcome == Outcome::Failed {
                let why = reason.unwrap_or_default();
                display.say(Path::new(address.as_str()), &format!("cannot be used: {why}"));
            }
            summary.count(outcome, bytes);
        }
        if !piped.is_empty() {
            let mut bytes = Vec::new();
            let mut stdin = std::io::stdin().lock().take(MOST_PIPED);
            stdin.read_to_end(&mut bytes).context("cannot read stdin")?;
            let origin = format!("stdin:{}", self.name);
            for source in importer.bytes(bytes, &self.name, Some(&origin)).await? {
                if source.state == SourceState::Failed {
                    eprintln!("stdin: {}", source.error.unwrap_or_default());
                    summary.failed += 1;
                } else {
                    summary.added += 1;
                }
            }
        }
        let synced = sync(&library, &display).await?;
        report(&summary, synced, &library, self.json)
    }
}
