//! `candor sources add`: imports files, folders, or what comes through a pipe.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use candor_store::SourceState;
use candor_truth::ingest::{Importer, Summary};
use clap::Args;

use super::{report, show, sync};
use crate::context::Context;
use crate::library;
use crate::open::EngineArgs;
use crate::reader;
use crate::terminal::ImportDisplay;

/// Bytes that are read from a pipe.
const MOST_PIPED: u64 = 256 * 1024 * 1024;

/// Import files and folders
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources add ~/papers
  candor sources add report.pdf --collection work
  git log | candor sources add - --name history.txt")]
pub(super) struct Add {
    /// Files and folders; - reads one document from stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Put them into this collection, which is made where there is none
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
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
        let library = library::open(context, &self.engine, !self.no_vectors).await?;
        let collection = match &self.collection {
            Some(name) => Some(library.store.collection_named(name).await?.id),
            None => None,
        };
        let importer = Importer {
            store: library.store.clone(),
            reader: Arc::new(reader::new()?),
            collection,
        };
        let display = ImportDisplay::new();
        let (piped, paths): (Vec<PathBuf>, Vec<PathBuf>) =
            self.paths.into_iter().partition(|path| path.as_os_str() == "-");
        let mut summary = if paths.is_empty() {
            Summary::default()
        } else {
            importer.import(&paths, &|event| show(&display, &event)).await?
        };
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
