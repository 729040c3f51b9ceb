//! `candor models`: what is on this machine and what the catalog has.

use std::fmt::Write as _;
use std::process::ExitCode;

use candor_catalog::{Entry, Environment, Kind, Origin};
use clap::Args;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::context::Context;
use crate::models;
use crate::terminal::{Style, print, printable};

/// List models: those on this machine, and those that can be pulled
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor models                             what is here, then what can be pulled
  candor models --here                      only what is here
  candor models --json | jq '.[].name'

What Hugging Face tools and Ollama have downloaded is listed too, and used where it lies under the name shown. Your own entries go into catalog.toml beside the configuration file; see docs/models.md.")]
pub(crate) struct Models {
    /// Only models that are on this machine
    #[arg(long)]
    here: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A line of the list.
struct Row {
    name: String,
    size: String,
    bytes: u64,
    parameters: String,
    context: Option<usize>,
    licence: String,
    about: String,
    here: Option<String>,
    complete: bool,
    /// The program in whose cache it lies.
    cache: Option<&'static str>,
    entry: Option<Entry>,
}

impl Models {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let rows = rows(context)?;
        let rows: Vec<Row> = rows
            .into_iter()
            .filter(|row| !self.here || row.here.is_some())
            .collect();
        if self.json {
            let list: Vec<_> = rows.iter().map(Row::json).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&list)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let style = Style::for_stdout();
        let mut text = String::new();
        let (here, there): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.here.is_some());
        let (cached, here): (Vec<_>, Vec<_>) = here.into_iter().partition(|row| row.cache.is_some());
        // Names in caches can be long; they do not widen the others' column.
        let short = rows.iter().filter(|row| row.cache.is_none());
        let width = short.map(|row| row.name.width()).max().unwrap_or(0);
        if here.is_empty() && cached.is_empty() {
            text += "No model is on this machine yet.\n";
        }
        if !here.is_empty() {
            writeln!(text, "{}", style.bold("On this machine"))?;
            here.iter().try_for_each(|row| row.line(&mut text, width, style))?;
        }
        if !cached.is_empty() {
            let gap = if here.is_empty() { "" } else { "\n" };
            writeln!(text, "{gap}{}", style.bold("In the caches of other programs"))?;
            let width = cached.iter().map(|row| row.name.width()).max().unwrap_or(0);
            for row in &cached {
                let line = format!(
                    "  {:width$}  {:>9}  {}",
                    row.name,
                    row.size,
                    row.cache.unwrap_or_default()
                );
                writeln!(text, "{}", printable(&line))?;
            }
        }
        if !there.is_empty() {
            writeln!(text, "\n{}", style.bold("To get with `candor pull NAME`"))?;
            there.iter().try_for_each(|row| row.line(&mut text, width, style))?;
        }
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(context: &Context) -> anyhow::Result<Vec<Row>> {
    let catalog = models::catalog(context)?;
    let environment = Environment::from_process();
    let mut rows = Vec::new();
    for installed in candor_catalog::installed(&context.models_dir())? {
        let entry = catalog
            .entries()
            .iter()
            .find(|entry| entry.name == installed.name)
            .cloned();
        rows.push(Row {
            size: installed.size.to_string(),
            bytes: installed.size.0,
            here: Some(installed.path.display().to_string()),
            complete: installed.complete,
            licence: installed.licence.unwrap_or_default(),
            ..Row::new(installed.name, entry)
        });
    }
    for entry in catalog.entries() {
        if rows.iter().any(|row: &Row| row.name == entry.name) {
            continue;
        }
        let found = candor_catalog::find(&catalog, &context.models_dir(), &environment, &entry.name);
        let cached = found
            .ok()
            .filter(|found| matches!(found.origin, Origin::HubCache | Origin::Ollama));
        rows.push(Row {
            cache: cached.as_ref().map(|found| whose(found.origin)),
            here: cached.map(|found| found.path.display().to_string()),
            ..Row::new(entry.name.clone(), Some(entry.clone()))
        });
    }
    for model in candor_catalog::cached(&environment) {
        let path = model.path.display().to_string();
        if rows.iter().any(|row| row.here.as_ref() == Some(&path)) {
            continue;
        }
        rows.push(Row {
            size: model.size.to_string(),
            bytes: model.size.0,
            here: Some(path),
            cache: Some(whose(model.origin)),
            ..Row::new(model.name, None)
        });
    }
    Ok(rows)
}

fn whose(origin: Origin) -> &'static str {
    match origin {
        Origin::Ollama => "Ollama",
        _ => "Hugging Face",
    }
}

impl Row {
    fn new(name: String, entry: Option<Entry>) -> Self {
        let about = entry.as_ref().map_or(String::new(), |entry| {
            let kind = match entry.kind {
                Kind::Chat => "",
                Kind::Base => "Base model. ",
                Kind::Embedding => "Embeddings. ",
            };
            let tried = if entry.tried { "" } else { ". Never tried with Candor" };
            format!("{kind}{}{tried}", entry.good_for.trim_end_matches('.'))
        });
        Self {
            name,
            size: entry.as_ref().map(models::size).unwrap_or_default(),
            bytes: entry.as_ref().map_or(0, |entry| entry.size().0),
            parameters: entry.as_ref().map(|entry| entry.parameters.clone()).unwrap_or_default(),
            context: entry.as_ref().map(|entry| entry.context),
            licence: entry.as_ref().map(|entry| entry.licence.clone()).unwrap_or_default(),
            about,
            here: None,
            complete: true,
            cache: None,
            entry,
        }
    }

    fn line(&self, text: &mut String, width: usize, style: Style) -> std::fmt::Result {
        let context = self.context.map_or(String::new(), |tokens| format!("{tokens} tokens"));
        let line = format!(
            "  {:width$}  {:>5}  {:>14}  {:>13}  {:20}",
            self.name, self.parameters, self.size, context, self.licence
        );
        writeln!(text, "{}", printable(line.trim_end()))?;
        let about = if self.complete {
            self.about.clone()
        } else {
            let gap = if self.about.is_empty() { "" } else { ". " };
            format!(
                "Not complete: the same `candor pull` goes on with it{gap}{}",
                self.about
            )
        };
        if !about.is_empty() {
            writeln!(text, "  {:width$}  {}", "", style.dim(&printable(&about)))?;
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "here": self.here.is_some() && self.complete,
            "path": self.here,
            "cache": self.cache,
            "bytes": self.bytes,
            "parameters": self.parameters,
            "context": self.context,
            "licence": self.licence,
            "kind": self.entry.as_ref().map(|entry| entry.kind),
            "tried": self.entry.as_ref().map(|entry| entry.tried),
            "good_for": self.entry.as_ref().map(|entry| entry.good_for.clone()),
        })
    }
}
