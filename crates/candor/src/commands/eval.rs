//! `candor eval`: measures what Candor says, on data sets at hand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use candor_eval::tasks::{claims, xquad};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;
use crate::library;
use crate::open::{self, EngineArgs};
use crate::terminal::print;

/// Measure answers on data sets with known answers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor eval xquad --data ../shared/data
  candor eval xquad --data ../shared/data --language zh --every 4
  candor eval xquad --data ../shared/data --beside smollm2-135m-instruct
  candor eval claims --data ../shared/data --json > claims.json

XQuAD: every question is asked with its passage among the sources and with its passage taken away; what is fitted is
fitted on other articles than those it is judged on, in five folds. Claims: fitted on dev splits, judged on test splits.")]
pub(crate) struct Eval {
    /// What to measure
    task: Task,
    /// The folder of data sets
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    data: PathBuf,
    /// The language of the questions
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    language: String,
    /// Only every so many questions
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// Also put every so many questions to this model, alone and with passages in its prompt
    #[arg(long, value_name = "MODEL")]
    beside: Option<String>,
    /// How many questions apart those are
    #[arg(long, value_name = "N", default_value_t = 12)]
    beside_every: usize,
    /// Write a calibration fitted on all of them here
    #[arg(long, value_name = "FILE")]
    fit: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Task {
    /// XQuAD: questions over paragraphs of Wikipedia
    Xquad,
    /// FEVER-symmetric and WiCE: claims with evidence
    Claims,
}

impl Eval {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let runtime = crate::runtime::start()?;
        runtime.block_on(self.measure(context))
    }

    async fn measure(self, context: &Context) -> anyhow::Result<ExitCode> {
        let bar = ProgressBar::no_length();
        if let Ok(look) = ProgressStyle::with_template("{msg} {bar:28} {pos} of {len} {eta:>4}") {
            bar.set_style(look.progress_chars("━╸─"));
        }
        bar.set_message("cases");
        let step = |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let threads = open::threads(context, &self.engine);
        let (report, fitted) = match self.task {
            Task::Xquad => {
                let embedder = library::embedder(context, &self.engine).await?;
                let options = xquad::Options {
                    language: self.language.clone(),
                    every: self.every,
                    beside_every: self.beside_every,
                };
                let model = match &self.beside {
                    Some(name) => Some(open::open(context, Some(name), &self.engine).await?.generator),
                    None => None,
                };
                let (report, fitted) = xquad::run(&self.data, embedder, threads, model, &options, &step).await?;
                (report, serde_json::to_string(&fitted)?)
            }
            Task::Claims => {
                let (report, fitted) = tokio::task::block_in_place(|| claims::run(&self.data, threads, &step))?;
                (report, serde_json::to_string(&fitted)?)
            }
        };
        bar.finish_and_clear();
        if let Some(path) = &self.fit {
            std::fs::write(path, fitted).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        match self.json {
            true => print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?,
            false => print(&report.table())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
