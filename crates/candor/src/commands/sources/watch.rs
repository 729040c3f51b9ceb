//! `candor sources watch`: follows what changes in watched folders, without a server.

use std::process::ExitCode;

use anyhow::bail;
use candor_truth::ingest::watch::{Pace, Watcher};
use clap::Args;

use super::show;
use crate::context::Context;
use crate::library::{self, Meaning};
use crate::open::EngineArgs;
use crate::terminal::{ImportDisplay, print};

/// Follow what changes in watched folders until Ctrl-C; `candor serve` does the same
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources add ~/notes --watch
  candor sources watch
  candor sources watch --no-vectors         index words only")]
pub(super) struct Watch {
    /// Index words only
    #[arg(long)]
    no_vectors: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let library = library::open(context, &self.engine, Meaning::now_if(!self.no_vectors)).await?;
        let importer = library::importer(&library, None)?;
        let watched = importer.watched().await?;
        if watched.is_empty() {
            bail!("no folder is watched; `candor sources add FOLDER --watch` begins it");
        }
        for one in &watched {
            print(&format!("watching {}\n", one.folder.display()))?;
        }
        let intake = library::intake(context, library)?;
        let display = ImportDisplay::new();
        let progress = |event: candor_truth::ingest::Event<'_>| show(&display, &event);
        let changed = |summary: &candor_truth::ingest::Summary| {
            let (added, changed, gone) = (summary.added, summary.changed, summary.gone);
            if added + changed + gone > 0 {
                // Someone who closed the pipe is not told.
                let _ = print(&format!("{added} added, {changed} changed, {gone} gone\n"));
            }
            intake.changed();
        };
        let watcher = Watcher::new(importer, Pace::default());
        tokio::select! {
            () = watcher.run(&progress, &changed) => {}
            () = intake.run() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}
