//! `candor sources list`: what was imported.

use std::fmt::Write as _;
use std::process::ExitCode;

use candor_catalog::Bytes;
use candor_store::{SourceFilter, SourceState};
use clap::Args;
use unicode_width::UnicodeWidthStr;

use crate::context::{Context, STORE};
use crate::terminal::{Style, print, printable};

/// List sources
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources list
  candor sources list --collection work --json | jq '.[].name'")]
pub(super) struct List {
    /// Only those of this collection
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let store = candor_store::Store::open(context.made_data_dir()?.join(STORE)).await?;
        let mut filter = SourceFilter::default();
        if let Some(name) = &self.collection {
            filter.collections.push(super::collection(&store, name).await?.id);
        }
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|one: &candor_store::Source| one.id.clone());
            let page = store.sources(&filter, after.as_deref(), 1000).await?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        if all.is_empty() {
            print("No sources yet; `candor sources add PATH` imports some.\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        let style = Style::for_stdout();
        let width = all.iter().map(|one| one.name.width()).max().unwrap_or(0).min(48);
        let mut text = String::new();
        for one in &all {
            let state = match one.state {
                SourceState::Ready => style.green("ready"),
                SourceState::Waiting => style.yellow("waiting"),
                SourceState::Pending => style.yellow("pending"),
                SourceState::Failed => style.red("failed"),
                SourceState::Gone => style.yellow("gone"),
            };
            let size = Bytes(one.size.unsigned_abs()).to_string();
            let title = one
                .title
                .as_deref()
                .filter(|title| *title != one.name)
                .unwrap_or_default();
            let language = one.language.as_deref().unwrap_or("-");
            let line = format!("{:width$}  {:9} {language:2}  {size:>9}  {title}", one.name, one.kind);
            writeln!(text, "{}  {}  {state}", printable(line.trim_end()), style.dim(&one.id))?;
            if let Some(url) = &one.url {
                writeln!(text, "  {}", style.dim(&printable(url)))?;
            }
            if let Some(error) = &one.error {
                writeln!(text, "  {}", printable(error))?;
            }
            for note in &one.notes {
                writeln!(text, "  {}", style.dim(&printable(note)))?;
            }
        }
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
