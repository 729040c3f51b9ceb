//! `candor check`: a linter for facts. Each sentence of a text against the sources.

mod formats;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candor_store::SourceFilter;
use candor_truth::reading::{Input, Reader};
use candor_truth::{Checked, Checker, Encoders, Verdict};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;
use crate::library::Meaning;
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print, printable};
use crate::{folder_library, library, reader};

/// Claims that are checked; a longer text is a book.
const MOST_CLAIMS: usize = 5000;
/// Bytes that are read from a pipe.
const MOST_PIPED: u64 = 64 * 1024 * 1024;

/// Check each sentence of a text against the sources
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor check draft.md
  candor check report.pdf --against ~/papers
  candor generate \"sum up the treaty\" | candor check - --against treaty.txt
  candor check draft.md --format sarif > facts.sarif
  candor check draft.md --model smollm2-135m-instruct

Exit status: 0 where every claim is supported, 1 where one is not (see --fail-on), 2 for wrong options.")]
pub(crate) struct Check {
    /// The text; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Against these files and folders instead of the sources
    #[arg(long, value_name = "PATH", conflicts_with = "collection")]
    against: Vec<PathBuf>,
    /// Only against this collection
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Which verdicts make the exit status 1
    #[arg(long, value_name = "WHEN", default_value = "unsupported")]
    fail_on: FailOn,
    /// Also ask this model about each claim; what it says counts as far as it was fitted (`candor eval claims --fit`)
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// A page to look at
    Html,
    /// For programs
    Json,
    /// For code hosts (SARIF 2.1.0)
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A claim that is contradicted or has not enough evidence
    Unsupported,
    /// A claim that is contradicted
    Contradicted,
    /// Never
    Never,
}

/// A text with its checked claims.
struct Report {
    name: String,
    text: String,
    claims: Vec<Checked>,
}

impl Report {
    fn count(&self, verdict: Verdict) -> usize {
        self.claims.iter().filter(|claim| claim.verdict == verdict).count()
    }
}

impl Check {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let runtime = crate::runtime::start()?;
        let report = runtime.block_on(self.check(context))?;
        print(&match self.format {
            Format::Table => formats::table(&report, Style::for_stdout()),
            Format::Html => formats::html(&report),
            Format::Json => formats::json(&report)?,
            Format::Sarif => formats::sarif(&report)?,
        })?;
        let bad = report.count(Verdict::Contradicted)
            + if self.fail_on == FailOn::Unsupported {
                report.count(Verdict::NotEnough)
            } else {
                0
            };
        Ok(if bad > 0 && self.fail_on != FailOn::Never {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    async fn check(&self, context: &Context) -> anyhow::Result<Report> {
        let (name, text) = self.read()?;
        let claims = Checker::claims(&text);
        if claims.len() > MOST_CLAIMS {
            bail!(
                "{name} has {} sentences, at most {MOST_CLAIMS} are checked at once; check it in parts",
                claims.len()
            );
        }
        let library = match self.against.as_slice() {
            [] => library::open(context, &self.engine, Meaning::Now).await?,
            paths => folder_library::open(context, &self.engine, paths).await?,
        };
        let filter = SourceFilter {
            collections: super::sources::collections(&library.store, &self.collection).await?,
            ..SourceFilter::default()
        };
        let encoders = Encoders::new(open::threads(context, &self.engine));
        let mut checker = library::checker(context, &self.engine, library, encoders, self.model.as_deref()).await?;
        let bar = ProgressBar::new(claims.len() as u64);
        if let Ok(look) = ProgressStyle::with_template("{msg} {bar:28} {pos} of {len} {eta:>4}") {
            bar.set_style(look.progress_chars("━╸─"));
        }
        bar.set_message("claims");
        let mut checked = Vec::with_capacity(claims.len());
        let mut note = None;
        for range in claims {
            let one = checker.check(&text[range.clone()], range.start, &filter).await?;
            if let Some(judgement) = &one.judgement {
                note = note.or_else(|| judgement.note.clone());
                if judgement.verdict.is_none() {
                    // A model that failed once would be waited for at every claim.
                    checker.judge = None;
                }
            }
            checked.push(one);
            bar.inc(1);
        }
        bar.finish_and_clear();
        if let Some(note) = note {
            eprintln!("{}", printable(&note));
        }
        Ok(Report {
            name,
            text,
            claims: checked,
        })
    }

    /// The text of any document that can be imported.
    fn read(&self) -> anyhow::Result<(String, String)> {
        let (name, input) = if self.file.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let mut stdin = std::io::stdin().lock().take(MOST_PIPED);
            stdin.read_to_end(&mut bytes).context("cannot read stdin")?;
            ("stdin.txt".to_owned(), Input::Bytes(bytes))
        } else {
            let name = self.file.display().to_string();
            let file =
                std::fs::File::open(&self.file).with_context(|| format!("{name} cannot be opened; check the path"))?;
            if let Some(text) = plain(&self.file) {
                return Ok((name, text));
            }
            (name, Input::File(file))
        };
        let mut text = String::new();
        reader::new()?.read(input, &name, &mut |document| {
            text.push_str(&document.text);
            text.push('\n');
            true
        })?;
        Ok((name, text))
    }
}

/// The text of a file that people write as text, as it stands: lines and columns of a report are those of the file.
fn plain(path: &Path) -> Option<String> {
    let kind = path.extension()?.to_str()?.to_lowercase();
    let text = matches!(
        kind.as_str(),
        "md" | "markdown" | "txt" | "rst" | "adoc" | "org" | "tex"
    );
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= MOST_PIPED);
    if text && small {
        std::fs::read_to_string(path).ok()
    } else {
        None
    }
}
