//! `candor sources refresh`: looks again at what was imported.

use std::process::ExitCode;

use candor_truth::ingest::Event;
use candor_truth::ingest::web::Web;
use clap::Args;

use super::{report, show, sync};
use crate::context::Context;
use crate::library::{self, Meaning};
use crate::open::EngineArgs;
use crate::terminal::ImportDisplay;

/// Read again what changed on the disk and on the web, add what is new, mark what is gone
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
        let library = library::open(context, &self.engine, Meaning::now_if(!self.no_vectors)).await?;
        let importer = library::importer(&library, None)?;
        let display = ImportDisplay::new();
        let show = |event: Event<'_>| show(&display, &event);
        let summary = importer.refresh(&show).await?;
        let summary = summary.and(Web::new(importer)?.refresh(&show).await?);
        let synced = sync(&library, &display).await?;
        report(&summary, synced, &library, self.json)
    }
}
