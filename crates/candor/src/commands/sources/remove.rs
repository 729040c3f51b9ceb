//! `candor sources remove`: forgets sources.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use candor_store::{Source, SourceFilter};
use candor_truth::ingest::Importer;
use clap::Args;
use serde_json::json;

use super::sync;
use crate::context::Context;
use crate::library;
use crate::open::EngineArgs;
use crate::reader;
use crate::terminal::{ImportDisplay, print};

/// Remove sources and their text; the files themselves are left alone
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources remove file-0198c3
  candor sources remove ~/papers            everything under a folder")]
pub(super) struct Remove {
    /// Ids or the beginning of one, as `candor sources list` shows them; or paths
    #[arg(required = true, value_name = "ID|PATH")]
    what: Vec<String>,
    /// Print what was removed as JSON
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let library = library::open(context, &EngineArgs::default(), false).await?;
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|one: &Source| one.id.clone());
            let page = library
                .store
                .sources(&SourceFilter::default(), after.as_deref(), 1000)
                .await?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        // All are found before the first goes.
        let mut chosen: Vec<&Source> = Vec::new();
        for what in &self.what {
            let found = matching(&all, what);
            if found.is_empty() {
                bail!("no source is `{what}`; `candor sources list` shows ids and names");
            }
            chosen.extend(found);
        }
        chosen.sort_by(|a, b| a.id.cmp(&b.id));
        chosen.dedup_by(|a, b| a.id == b.id);
        for one in &chosen {
            library.store.delete_source(&one.id).await?;
        }
        let importer = Importer {
            store: library.store.clone(),
            reader: std::sync::Arc::new(reader::new()?),
            collection: None,
        };
        for what in &self.what {
            importer.forget(&absolute(what)).await?;
        }
        sync(&library, &ImportDisplay::new()).await?;
        if self.json {
            let removed: Vec<_> = chosen
                .iter()
                .map(|one| json!({ "id": one.id, "name": one.name }))
                .collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&removed)?))?;
        } else {
            print(&format!("{} removed\n", chosen.len()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn absolute(path: &str) -> std::path::PathBuf {
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| Path::new(path).to_owned())
}

/// The sources that an id, the beginning of one, a path or a folder names.
fn matching<'a>(all: &'a [Source], what: &str) -> Vec<&'a Source> {
    let path = absolute(what);
    let by_path = |one: &Source| {
        let origin = one.origin.as_deref().unwrap_or_default();
        let file = origin.rsplit_once('#').map_or(origin, |(file, _)| file);
        Path::new(origin).starts_with(&path) || Path::new(file) == path
    };
    let by_id = |one: &Source| what.len() > "file-".len() && one.id.starts_with(what);
    all.iter().filter(|one| by_id(one) || by_path(one)).collect()
}
