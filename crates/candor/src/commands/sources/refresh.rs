//! `candor sources refresh`: looks again at what was imported.

use std::process::ExitCode;
use std::sync::Arc;

use candor_truth::ingest::Importer;
use clap::Args;

use super::{report, show, sync};
use crate::context::Context;
use crate::library;
use crate::open::EngineArgs;
use crate::reader;
use crate::terminal::ImportDisplay;

/// Read again what changed on the disk, add what is new in imported folders, mark what is gone
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources refresh")]
pub(super) struct Refresh {
    /// Index words only
    #[arg(long)]
    no_vectors: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Refresh {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let library = library::open(context, &self.engine, !self.no_vectors).await?;
        let importer = Importer {
            store: library.store.clone(),
            reader: Arc::new(reader::new()?),
            collection: None,
        };
        let display = ImportDisplay::new();
        let summary = importer.refresh(&|event| show(&display, &event)).await?;
        let synced = sync(&library, &display).await?;
        report(&summary, synced, &library, self.json)
    }
}
