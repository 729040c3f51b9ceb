//! `candor search`: finds passages in the sources.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use candor_store::SourceFilter;
use candor_truth::rerank::{READ, rerank};
use candor_truth::{Encoders, Found, Query, Stages};
use clap::Args;

use crate::context::Context;
use crate::library::{self, Meaning};
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print, printable};

/// Find passages in the sources, by words and by meaning
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor search \"who signed the treaty?\"
  candor search deadline --collection work --limit 3
  candor search \"heat pump\" --from 2020-01-01 --json

Each passage is shown with its source, its page where there are pages, and its bytes in the stored text.")]
pub(crate) struct Search {
    /// What to look for, in any words
    #[arg(required = true, value_name = "QUERY")]
    query: Vec<String>,
    /// At most so many passages
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    limit: usize,
    /// Only in this collection
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// Only in sources of this language, such as en or zh
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Only in sources of this day or later, as 2020-12-31
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Only in sources of this day or earlier
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// By words alone
    #[arg(long, conflicts_with = "meaning")]
    words: bool,
    /// By meaning alone
    #[arg(long)]
    meaning: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Search {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        for day in [&self.from, &self.to].into_iter().flatten() {
            if !is_day(day) {
                bail!("`{day}` is no day; write it as 2020-12-31");
            }
        }
        let runtime = crate::runtime::start()?;
        let found = runtime.block_on(self.find(context))?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&found)?))?;
        } else if found.is_empty() {
            print("Nothing was found; `candor sources list` shows what there is to search.\n")?;
        } else {
            print(&listing(&found, Style::for_stdout()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn find(&self, context: &Context) -> anyhow::Result<Vec<Found>> {
        let library = library::open(context, &self.engine, Meaning::now_if(!self.words)).await?;
        let filter = SourceFilter {
            collections: super::sources::collections(&library.store, &self.collection).await?,
            from: self.from.clone(),
            to: self.to.clone(),
            language: self.language.clone(),
            ..SourceFilter::default()
        };
        let by_one_way = self.words || self.meaning;
        let query = Query {
            text: self.query.join(" "),
            limit: if by_one_way { self.limit } else { self.limit.max(READ) },
            filter,
            stages: match (self.words, self.meaning) {
                (true, _) => Stages::Words,
                (_, true) => Stages::Meaning,
                _ => Stages::Best,
            },
        };
        let mut found = library.search(&query).await?;
        if !by_one_way {
            let encoders = Encoders::new(open::threads(context, &self.engine));
            found = rerank(&encoders, &query.text, found).await?;
            found.truncate(self.limit);
        }
        Ok(found)
    }
}

fn listing(found: &[Found], style: Style) -> String {
    let mut text = String::new();
    for (n, one) in found.iter().enumerate() {
        let name = one.source.title.as_deref().unwrap_or(&one.source.name);
        let page = one.page.map_or(String::new(), |page| format!(", page {page}"));
        let range = one.quote.range();
        let place = format!("{} bytes {}..{}", one.source.id, range.start, range.end);
        let _ = writeln!(
            text,
            "{}{}. {}{page}  {}{}",
            if n > 0 { "\n" } else { "" },
            n + 1,
            style.bold(&printable(name)),
            style.dim(&place),
            style.yellow(super::sources::caution(&one.source))
        );
        if !one.headings.is_empty() {
            let _ = writeln!(text, "{}", style.dim(&printable(&one.headings.join(" > "))));
        }
        let _ = writeln!(text, "{}", printable(one.quote.text()));
    }
    text
}

fn is_day(day: &str) -> bool {
    let parts: Vec<&str> = day.split('-').collect();
    let number = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2] && parts.iter().all(number)
}
