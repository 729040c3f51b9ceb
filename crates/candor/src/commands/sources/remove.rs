//! `candor sources remove`: forgets sources.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use candor_store::{Source, SourceFilter};
use candor_truth::Address;
use candor_truth::ingest::web::is_from;
use clap::Args;
use serde_json::json;

use super::sync;
use crate::context::Context;
use crate::library::{self, Meaning};
use crate::open::EngineArgs;
use crate::terminal::{ImportDisplay, print};

/// Remove sources and their text; the files themselves are left alone
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor sources remove file-0198c3
  candor sources remove ~/papers            everything under a folder, which is not watched any more
  candor sources remove https://example.org/news.rss")]
pub(super) struct Remove {
    /// Ids or the beginning of one, as `candor sources list` shows them; or paths; or addresses
    #[arg(required = true, value_name = "ID|PATH|URL")]
    what: Vec<String>,
    /// Print what was removed as JSON
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let library = library::open(context, &EngineArgs::default(), Meaning::No).await?;
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
        let importer = library::importer(&library, None)?;
        // All are found before the first goes.
        let mut chosen: Vec<&Source> = Vec::new();
        for what in &self.what {
            let found = matching(&all, what);
            // An address or folder may be known and have given nothing yet.
            let known = match address(what) {
                Some(address) => library.store.address(address.as_str()).await?.is_some(),
                None => importer.watched().await?.iter().any(|one| one.folder == absolute(what)),
            };
            if found.is_empty() && !known {
                bail!("no source is `{what}`; `candor sources list` shows ids and names");
            }
            chosen.extend(found);
        }
        chosen.sort_by(|a, b| a.id.cmp(&b.id));
        chosen.dedup_by(|a, b| a.id == b.id);
        for one in &chosen {
            library.store.delete_source(&one.id).await?;
            if let Some(origin) = &one.origin {
                // A page that was removed by its id does not come back.
                library.store.forget_address(origin).await?;
            }
        }
        for what in &self.what {
            if let Some(address) = address(what) {
                library.store.forget_address(address.as_str()).await?;
            } else {
                importer.forget(&absolute(what)).await?;
            }
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

fn address(what: &str) -> Option<Address> {
    Address::is_meant(what).then(|| Address::parse(what).ok()).flatten()
}

/// The sources that an id, the beginning of one, a path, a folder or an address names.
fn matching<'a>(all: &'a [Source], what: &str) -> Vec<&'a Source> {
    if let Some(address) = address(what) {
        return all.iter().filter(|one| is_from(one, address.as_str())).collect();
    }
    let path = absolute(what);
    let by_path = |one: &Source| {
        let origin = one.origin.as_deref().unwrap_or_default();
        let file = origin.rsplit_once('#').map_or(origin, |(file, _)| file);
        Path::new(origin).starts_with(&path) || Path::new(file) == path
    };
    let by_id = |one: &Source| what.len() > "file-".len() && one.id.starts_with(what);
    all.iter().filter(|one| by_id(one) || by_path(one)).collect()
}
